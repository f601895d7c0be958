//! A write transaction that is all or nothing, also when its future is dropped.
//!
//! A connection returns to the idle ones only after the server answered `COMMIT` or `ROLLBACK`. Whatever else
//! happens, an error, a panic, a future dropped in the middle of a statement, the connection is dropped, and the
//! server rolls back what it had not begun to commit. So no half-done transaction is ever met by the next user.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use sqlx::{Connection, PgConnection};
use store::StoreError;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::access::Connector;
use crate::error::{at_commit, unavailable};

/// The connections that write. As many as there were appends at once, which is one for each log.
pub(crate) struct Writers {
    connector: Arc<Connector>,
    // None once closed.
    idle: Mutex<Option<Vec<PgConnection>>>,
}

impl Writers {
    pub(crate) fn new(connector: Arc<Connector>, first: PgConnection) -> Self {
        Self { connector, idle: Mutex::new(Some(vec![first])) }
    }

    /// Begins on an idle connection, or on a new one when all idle ones turn out to be dead.
    pub(crate) async fn begin(&self) -> Result<WriteTransaction<'_>, StoreError> {
        while let Some(mut connection) = self.take_idle()? {
            if sqlx::raw_sql(BEGIN).execute(&mut connection).await.is_ok() {
                return Ok(WriteTransaction { writers: self, connection });
            }
        }
        let mut connection = self.connector.connect().await?;
        prove_heard(&mut connection).await?;
        sqlx::raw_sql(BEGIN).execute(&mut connection).await.map_err(unavailable)?;
        Ok(WriteTransaction { writers: self, connection })
    }

    pub(crate) async fn close(&self) {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        for connection in idle.into_iter().flatten() {
            // A farewell: the server notices a closed socket as well.
            let _ = connection.close().await;
        }
    }

    fn take_idle(&self) -> Result<Option<PgConnection>, StoreError> {
        match &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(idle) => Ok(idle.pop()),
            None => Err(StoreError::Unavailable { source: "the store is closed".into() }),
        }
    }

    fn put_back(&self, connection: PgConnection) {
        if let Some(idle) = &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner) {
            idle.push(connection);
        }
    }
}

/// A transaction that was begun; see the module's text for what dropping it does.
pub(crate) struct WriteTransaction<'w> {
    writers: &'w Writers,
    connection: PgConnection,
}

impl WriteTransaction<'_> {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Commits what was written well, rolls back what was not.
    pub(crate) async fn end<T>(self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        match written {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let (committed, warnings) =
            with_warnings(sqlx::raw_sql("COMMIT").execute(&mut self.connection)).await;
        committed.map_err(at_commit)?;
        // Postgres warns at COMMIT when it stopped waiting for the synchronous standby: committed here, not there. Its
        // words depend on the server's language, so any warning counts.
        if warnings.is_empty() {
            self.writers.put_back(self.connection);
            return Ok(());
        }
        for warning in warnings {
            tracing::error!(
                postgres.warning = warning,
                "commit of the log is not confirmed, and will not be signed"
            );
        }
        Err(StoreError::Unreplicated)
    }

    async fn rollback(mut self) {
        // When it fails, the connection goes, and the transaction with it.
        if sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await.is_ok() {
            self.writers.put_back(self.connection);
        }
    }
}

/// Makes certain that a warning of the server would be heard, on this connection and as this process is built: the
/// one at `COMMIT` comes once in years, and whoever does not hear it signs what the standby lacks.
///
/// # Errors
/// [`StoreError::UnheardWarnings`], [`StoreError::Unavailable`].
pub(crate) async fn prove_heard(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql(BEGIN).execute(&mut *connection).await.map_err(unavailable)?;
    // Within a transaction PostgreSQL answers it by a warning, with the settings that an append has.
    let (begun, warnings) = with_warnings(sqlx::raw_sql("BEGIN").execute(&mut *connection)).await;
    begun.map_err(unavailable)?;
    sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(unavailable)?;
    if warnings.is_empty() { Err(StoreError::UnheardWarnings) } else { Ok(()) }
}

/// One round trip. Without the limits, a replica that stops in the middle would stop the log; without the planner's
/// settings, a plan made while a table was small would scan it when it is large.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL synchronous_commit = on; \
    SET LOCAL client_min_messages = warning; \
    SET LOCAL lock_timeout = '5s'; \
    SET LOCAL statement_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10s'; \
    SET LOCAL enable_seqscan = off; \
    SET LOCAL plan_cache_mode = force_generic_plan";

/// Runs a database call and gives the warnings that the server sent with its answer.
///
/// sqlx hands notices to nobody but `tracing`, on the thread and within the poll that received them; so a subscriber
/// of our own listens during each poll.
async fn with_warnings<T>(call: impl Future<Output = T>) -> (T, Vec<String>) {
    let mut call = pin!(call);
    let mut warnings = Vec::new();
    let output = poll_fn(|context| {
        let polled = tracing::dispatcher::with_default(&LISTENER, || call.as_mut().poll(context));
        warnings.append(&mut HEARD.take());
        polled
    })
    .await;
    (output, warnings)
}

thread_local! {
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

// One for the process: every new subscriber makes `tracing` ask all callsites again.
static LISTENER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoticeListener));

struct NoticeListener;

impl Subscriber for NoticeListener {
    // sqlx asks first, and an asker is no event yet.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::postgres::notice" && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        HEARD.with_borrow_mut(|heard| heard.push(message.0));
    }

    // It has no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }
}
