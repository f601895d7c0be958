//! Where a database is, and what proves who asks for it.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, PgPool, Postgres};
use store::StoreError;

use crate::connect;
use crate::error::{is_refused, unavailable};

/// Gives the password as it is now; may wait for a disk.
type ReadPassword = dyn Fn() -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync;

/// Where a database is, and how to come by the password.
///
/// The password is no part of the URL, where `%41` would be an `A`, and it is read anew for every connection: one that
/// was rotated needs no new start. Connections that are open stay.
#[derive(Clone)]
pub struct Access {
    url: String,
    password: Option<Arc<ReadPassword>>,
}

impl Access {
    /// With a password that `read` gives, whatever the URL says.
    pub fn with_password(
        url: impl Into<String>,
        read: impl Fn() -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        Self { url: url.into(), password: Some(Arc::new(read)) }
    }
}

impl From<&str> for Access {
    /// With the password of the URL or of `~/.pgpass`, if any.
    fn from(url: &str) -> Self {
        Self { url: url.to_owned(), password: None }
    }
}

impl From<&String> for Access {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the password nor the URL, which may have one.
        formatter.debug_struct("Access").finish_non_exhaustive()
    }
}

/// Makes connections, each with the password of its time.
pub(crate) struct Connector {
    /// With the password that was read last.
    known: Mutex<PgConnectOptions>,
    password: Option<Arc<ReadPassword>>,
}

impl Connector {
    pub(crate) fn new(access: Access) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&access.url).map_err(unavailable)?;
        let known = Mutex::new(options.application_name("engine"));
        Ok(Self { known, password: access.password })
    }

    /// What the next connection is made with. A password that cannot be read just now, as while its file is replaced,
    /// is the one of before.
    pub(crate) async fn options(&self) -> PgConnectOptions {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(read) = self.password.clone() else { return known().clone() };
        // The disk may be that of another machine.
        match tokio::task::spawn_blocking(move || read()).await {
            Ok(Ok(password)) => {
                let mut known = known();
                *known = known.clone().password(&password);
                known.clone()
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database's password cannot be read: the last one is used");
                known().clone()
            }
            Err(error) => {
                tracing::warn!(%error, "reading the database's password panicked");
                known().clone()
            }
        }
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, StoreError> {
        self.options().await.connect().await.map_err(unavailable)
    }
}

/// The connections that read. Clones share them.
#[derive(Clone)]
pub(crate) struct Readers {
    pool: PgPool,
    connector: Arc<Connector>,
}

impl Readers {
    /// Opens none yet; `options` are the connector's.
    pub(crate) fn new(options: &PgConnectOptions, connector: Arc<Connector>) -> Self {
        Self { pool: connect::readers(options), connector }
    }

    /// An idle connection, or a new one. The pool makes its own with the password that it knows: where the server
    /// refuses that one, with today's.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.pool.acquire().await {
            Err(error) if is_refused(&error) && self.connector.password.is_some() => {
                self.pool.set_connect_options(self.connector.options().await);
                self.pool.acquire().await.map_err(unavailable)
            }
            acquired => acquired.map_err(unavailable),
        }
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
