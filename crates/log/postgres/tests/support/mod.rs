//! A database of its own for each test, on the server that `DATABASE_URL` names.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use postgres::PostgresLogStore;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use store::LogStore;
use store::contract_suite::Database;

pub(crate) struct PostgresDatabase {
    pub(crate) url: String,
    server: PgConnectOptions,
    name: String,
}

#[expect(clippy::expect_used, reason = "the one mistake of a caller, told as what to do instead")]
pub(crate) async fn database() -> PostgresDatabase {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo xtask test names the server by the environment"
    )]
    let url =
        std::env::var("DATABASE_URL").expect("run `cargo xtask test`, which starts a PostgreSQL");
    let server = PgConnectOptions::from_str(&url).unwrap();
    let name =
        format!("log_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut server.connect().await.unwrap()).await.unwrap();
    let url = server.clone().database(&name).to_url_lossy().to_string();
    PostgresDatabase { url, server, name }
}

impl PostgresDatabase {
    pub(crate) async fn connection(&self) -> PgConnection {
        // So that the same statements name the tables on every database.
        let options = self.server.clone().database(&self.name).options([("search_path", "log")]);
        options.connect().await.unwrap()
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn store(&self) -> Arc<dyn LogStore> {
        Arc::new(PostgresLogStore::connect(&self.url).await.unwrap())
    }

    async fn execute(&self, statement: &'static str) -> Result<(), String> {
        let done = sqlx::query(statement).execute(&mut self.connection().await).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.connection().await).await.unwrap()
    }

    async fn remove(&self) {
        let drop = AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        sqlx::query(drop).execute(&mut self.server.connect().await.unwrap()).await.unwrap();
    }
}
