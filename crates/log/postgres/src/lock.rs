//! Which process makes logs in a database.

use sqlx::PgConnection;
use store::StoreError;

use crate::{
    access::{Access, Connector},
    error::unavailable,
};

/// While it lives no other process takes one on the same database.
///
/// Of an open transaction and not of a session: a pooler between gives a session to the next one. Nothing that is
/// written depends on it; it keeps two installations from being made half each.
pub struct MakersLock {
    _transaction: PgConnection,
}

impl MakersLock {
    /// `None` while another process has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server does not answer or the URL is wrong.
    pub async fn try_take(access: impl Into<Access>) -> Result<Option<Self>, StoreError> {
        let mut connection = Connector::new(access.into())?.connect().await?;
        sqlx::raw_sql(BEGIN).execute(&mut connection).await.map_err(unavailable)?;
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(MAKERS)
            .fetch_one(&mut connection)
            .await
            .map_err(unavailable)?;
        // Dropped, the connection is closed, and the server ends the transaction.
        Ok(taken.then_some(Self { _transaction: connection }))
    }
}

impl std::fmt::Debug for MakersLock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MakersLock").finish_non_exhaustive()
    }
}

/// Open for as long as keys are made, whatever the server thinks of idle transactions.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0";

/// The lock's number, for all programs that ever make logs: "counters".
const MAKERS: i64 = i64::from_be_bytes(*b"counters");
