//! Two roles of a database: one that owns the tables, and one for services, which cannot change them.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD};
use sqlx::{Executor, PgConnection};
use store::StoreError;

use crate::{
    access::{Access, Connector},
    error::unavailable,
};

/// What a role may do to the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read, and append.
    Append,
    /// Change the tables too, and take away the triggers by which entries stay.
    ChangeTables,
}

/// What the role of `access` may do, and its name.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn right_of(access: impl Into<Access>) -> Result<(String, Right), StoreError> {
    let mut connection = Connector::new(access.into())?.connect().await?;
    let (role, owns): (String, bool) =
        sqlx::query_as(OWNS).fetch_one(&mut connection).await.map_err(unavailable)?;
    Ok((role, if owns { Right::ChangeTables } else { Right::Append }))
}

const OWNS: &str = "\
SELECT current_user::text, coalesce(bool_or(pg_has_role(current_user, relowner, 'MEMBER')), false)
    OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
FROM pg_class WHERE relnamespace = to_regnamespace('log') AND relkind = 'r'";

/// Lets `service`, a role, read the logs and append to them; of the owner's connection.
pub(crate) async fn grant(connection: &mut PgConnection, service: &str) -> Result<(), StoreError> {
    let statements: String = sqlx::query_scalar(GRANTS)
        .bind(service)
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable)?;
    // Made by the server's `format`, which quotes the name.
    connection
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statements)))
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Triggers refuse whatever is no append; whoever has no more than this cannot drop them.
const GRANTS: &str = "SELECT format('
GRANT USAGE ON SCHEMA log TO %1$I;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA log TO %1$I;
GRANT UPDATE ON log.log_state TO %1$I;
REVOKE INSERT ON log._migrations FROM %1$I', $1)";

/// A role that logs in, with what proves its password (SCRAM-SHA-256, [`SCRAM_ITERATIONS`]).
#[derive(Debug)]
pub struct Login<'a> {
    /// Its name: letters, digits and underscores.
    pub role: &'a str,
    /// Random.
    pub salt: [u8; 16],
    /// `StoredKey` of RFC 5802.
    pub stored_key: [u8; 32],
    /// `ServerKey` of RFC 5802.
    pub server_key: [u8; 32],
}

/// PostgreSQL's own number. Our passwords are 32 random bytes, which nobody guesses by trying.
pub const SCRAM_ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

/// What a superuser runs in the database `database` to have both roles, as often as they like. There is no password in
/// it: the server keeps and compares verifiers.
#[must_use]
pub fn roles_sql(database: &str, owner: &Login<'_>, service: &Login<'_>) -> String {
    let roles = role_sql(owner) + &role_sql(service);
    let (owner, service) = (owner.role, service.role);
    format!(
        "-- Made by `countersignd init --secrets-only`, and made anew by each.\n\
         {roles}\
         ALTER DATABASE {database} OWNER TO {owner};\n\
         REVOKE ALL ON DATABASE {database} FROM PUBLIC;\n\
         GRANT CONNECT ON DATABASE {database} TO {service};\n"
    )
}

fn role_sql(login: &Login<'_>) -> String {
    let Login { role, salt, stored_key, server_key } = login;
    let [salt, stored, server] =
        [salt.as_slice(), stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
    // As PostgreSQL writes it itself.
    let verifier = format!("SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt}${stored}:{server}");
    format!(
        "DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n\
         ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '{verifier}';\n"
    )
}
