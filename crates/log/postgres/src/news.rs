//! Whether anybody has appended to a log or frozen one, without asking for it all the time.
//!
//! Who has written says so by `NOTIFY`, in a transaction of its own: within the append's it would make the commits of all
//! logs wait for one another. So a process that dies between the two says nothing, and who listens looks now and then
//! all the same.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use store::StoreError;
use tokio::task::AbortHandle;

use crate::access::{Connector, Readers};
use crate::error::unavailable;

/// What is heard of a database.
pub(crate) struct News {
    connector: Arc<Connector>,
    heard: Arc<Heard>,
    /// Runs from the first question on: who only writes, or reads once, needs no connection for it.
    listening: OnceLock<AbortHandle>,
    /// Whether somebody is about to say that something was written.
    announcing: Arc<AtomicBool>,
}

#[derive(Default)]
struct Heard {
    generation: AtomicU64,
    is_listening: AtomicBool,
}

impl News {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        let (heard, announcing) = (Arc::default(), Arc::default());
        Self { connector, heard, listening: OnceLock::new(), announcing }
    }

    /// A number that changes when somebody wrote; `None` while nobody listens.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.listening.get_or_init(|| {
            let listening = listen(Arc::clone(&self.connector), Arc::clone(&self.heard));
            tokio::spawn(listening).abort_handle()
        });
        let is_listening = self.heard.is_listening.load(Ordering::SeqCst);
        is_listening.then(|| self.heard.generation.load(Ordering::SeqCst))
    }

    /// Says that something was written, soon, and once for all that was written meanwhile.
    pub(crate) fn announce(&self, readers: &Readers) {
        if self.announcing.swap(true, Ordering::SeqCst) {
            return;
        }
        let (readers, announcing) = (readers.clone(), Arc::clone(&self.announcing));
        tokio::spawn(async move {
            tokio::time::sleep(TOGETHER).await;
            // Before: what is written from here on is said by the next one.
            announcing.store(false, Ordering::SeqCst);
            if let Err(error) = say(&readers).await {
                tracing::debug!(error = %error, "other processes were not told of an append");
            }
        });
    }

    pub(crate) fn close(&self) {
        if let Some(listening) = self.listening.get() {
            listening.abort();
        }
    }
}

async fn say(readers: &Readers) -> Result<(), StoreError> {
    let mut connection = readers.acquire().await?;
    let said = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&mut *connection);
    said.await.map(drop).map_err(unavailable)
}

async fn listen(connector: Arc<Connector>, heard: Arc<Heard>) {
    loop {
        if let Err(error) = listen_once(&connector, &heard).await {
            tracing::debug!(error = %error, "appends of other processes are not heard of for now");
        }
        heard.is_listening.store(false, Ordering::SeqCst);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Listens until the connection is lost; the next one is made with the password of then.
async fn listen_once(connector: &Connector, heard: &Heard) -> Result<(), sqlx::Error> {
    let pool =
        PgPoolOptions::new().max_connections(1).connect_with(connector.options().await).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    // What came before is looked at once.
    heard.generation.fetch_add(1, Ordering::SeqCst);
    heard.is_listening.store(true, Ordering::SeqCst);
    while listener.try_recv().await?.is_some() {
        heard.generation.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Of all logs of the database: there are few, and a look costs little.
const CHANNEL: &str = "countersign-log";

/// Appends of so long are told of together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Between two attempts at listening; meanwhile who wants to know looks.
const AGAIN: Duration = Duration::from_secs(5);
