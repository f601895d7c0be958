use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// What a stack keeps its log in.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file in the data directory.
    Sqlite,
    /// A database of its own on the server of `DATABASE_URL`.
    Postgres {
        /// URL of the database.
        url: String,
    },
}

impl Database {
    /// Makes an empty database called `name` on the server of `DATABASE_URL`.
    ///
    /// # Errors
    /// When there is no `DATABASE_URL`, or the server does not obey.
    pub fn postgres(name: &str) -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "how `cargo xtask test` hands over its server"
        )]
        let server = std::env::var("DATABASE_URL")
            .context("no DATABASE_URL: run `cargo xtask test`, which starts a PostgreSQL")?;
        let (base, _) = server.rsplit_once('/').context("DATABASE_URL names no database")?;
        let url = format!("{base}/{name}");
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let mut connection = PgConnection::connect(&server).await?;
            for statement in [
                format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                format!("CREATE DATABASE {name}"),
            ] {
                // `name` is a constant of the test.
                sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
            connection.close().await
        })?;
        Ok(Self::Postgres { url })
    }
}
