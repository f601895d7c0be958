//! Damage to a database file, as a failing disk or a careless hand does it.

use sqlx::{AssertSqlSafe, ConnectOptions, Executor, sqlite::SqliteConnectOptions};

use crate::LogDir;

/// Changes one row of the database of `place` behind the back of all triggers; nobody may have it open.
pub async fn damage(place: &LogDir, statement: &str) {
    let options = SqliteConnectOptions::new().filename(place.database()).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    let triggers: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    for trigger in triggers {
        connection.execute(AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).await.unwrap();
    }
    let changed = connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "{statement}");
}
