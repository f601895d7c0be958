//! The way from a URL to connections that may be trusted with a log.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};
use store::StoreError;

use crate::error::unavailable;
use crate::transaction::prove_heard;

/// Opens a first connection, checks the server with it and brings the schema up to date.
pub(crate) async fn prepare(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let mut connection = checked(options).await?;
    refuse_origin_twice(&mut connection).await?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options.clone())
        .await
        .map_err(unavailable)?;
    let mut migrations = sqlx::migrate!("../../../migrations/log/postgres");
    migrations.create_schema("log");
    // A table of its own: the migrations of other services live in their schemas.
    migrations.dangerous_set_table_name(MIGRATIONS);
    migrations
        .run(&pool)
        .await
        .map_err(|error| StoreError::Unavailable { source: error.into() })?;
    Ok(connection)
}

/// Opens a first connection, checks the server with it, and that its schema is ours.
pub(crate) async fn as_it_is(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let mut connection = checked(options).await?;
    let has_table: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(MIGRATIONS)
        .fetch_one(&mut connection)
        .await
        .map_err(unavailable)?;
    let found: Option<i64> = if has_table {
        sqlx::query_scalar("SELECT max(version) FROM log._migrations WHERE success")
            .fetch_one(&mut connection)
            .await
            .map_err(unavailable)?
    } else {
        None
    };
    let migrations = sqlx::migrate!("../../../migrations/log/postgres");
    let known = migrations.iter().map(|one| one.version).max().unwrap_or_default();
    if let Err(error) = store::check_schema(found, known) {
        if found.is_some_and(|found| found < known) {
            // What is to be done about the schema, `init`, would be refused by this.
            refuse_origin_twice(&mut connection).await?;
        }
        return Err(StoreError::Unavailable { source: error.into() });
    }
    Ok(connection)
}

const MIGRATIONS: &str = "log._migrations";

/// Opens a connection to a server that loses no commit.
async fn checked(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    // Not from a pool, which would try a dead server again and again.
    let mut connection = options.connect().await.map_err(unavailable)?;
    for setting in ["fsync", "full_page_writes"] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .map_err(unavailable)?;
        refuse_unsafe(setting, &value)?;
    }
    prove_heard(&mut connection).await?;
    Ok(connection)
}

/// Databases of before may have two logs of one origin, over which the schema of today cannot be laid.
async fn refuse_origin_twice(connection: &mut PgConnection) -> Result<(), StoreError> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('log.log') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable)?;
    if !is_there {
        return Ok(());
    }
    let twice: Option<(String, String, String)> = sqlx::query_as(
        "SELECT origin, min(name), max(name) FROM log.log GROUP BY origin HAVING count(*) > 1 LIMIT 1",
    )
    .fetch_optional(connection)
    .await
    .map_err(unavailable)?;
    match twice {
        None => Ok(()),
        Some((origin, first, second)) => Err(StoreError::OriginTwice { origin, first, second }),
    }
}

/// Connections that read; opened when first needed.
pub(crate) fn readers(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(READER_WAIT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(READER_SETTINGS).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.clone())
}

fn refuse_unsafe(setting: &'static str, value: &str) -> Result<(), StoreError> {
    if value == "on" { Ok(()) } else { Err(StoreError::UnsafeDatabase { setting }) }
}

/// All our reads look rows up by index. Without statistics the planner cannot know, and a plan made while a table was
/// small would scan it when it is large.
const READER_SETTINGS: &str = "SET enable_seqscan = off; SET default_transaction_read_only = on";
/// Reads of an HTTP server on few cores. Every replica has as many, and servers allow about 100 in all.
const READERS: u32 = 8;
/// Longer than any request may take, so that the waiter gives up first.
const READER_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_server_that_may_lose_commits() {
        for setting in ["fsync", "full_page_writes"] {
            assert!(refuse_unsafe(setting, "on").is_ok());
            let refused = refuse_unsafe(setting, "off");
            assert!(
                matches!(refused, Err(StoreError::UnsafeDatabase { setting: found }) if found == setting)
            );
        }
    }
}
