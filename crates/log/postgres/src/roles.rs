//! Two roles of a database: one that owns the tables, and one for services, which cannot change them.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine, engine::general_purpose::STANDARD};
use sqlx::{ConnectOptions, Executor, PgConnection};
use store::StoreError;

use crate::{connect, error::unavailable};

/// What a role may do to the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read, and append.
    Append,
    /// Change the tables too, and take away the triggers by which entries stay.
    ChangeTables,
}

/// What the role of `url` may do, and its name.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn right_of(url: &str) -> Result<(String, Right), StoreError> {
    let mut connection = connect::options(url)?.connect().await.map_err(unavailable)?;
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

/// A role that logs in, with what proves its password.
#[derive(Debug)]
pub struct Login<'a> {
    /// Its name: letters, digits and underscores.
    pub role: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Random.
    pub salt: [u8; 16],
}

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
    let role = login.role;
    let verifier = verifier(login.password, login.salt);
    format!(
        "DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n\
         ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '{verifier}';\n"
    )
}

/// What PostgreSQL keeps of a password (RFC 5803 in its own form): who has it cannot log in by it.
fn verifier(password: &str, salt: [u8; 16]) -> String {
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let [salt, stored, server] =
        [salt.as_slice(), stored.as_ref(), server.as_ref()].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}")
}

/// PostgreSQL's own number. Our passwords are 32 random bytes, which nobody guesses by trying.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3: its salt, and the server's signature over its messages.
    #[test]
    fn the_verifier_is_that_of_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = verifier("pencil", salt);
        assert!(verifier.starts_with("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"), "{verifier}");
        let server = STANDARD.decode(verifier.rsplit(':').next().unwrap()).unwrap();
        let messages = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &server), messages.as_bytes());
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRpxHlG9JSYsJbHJSG6NSDF8TkNuMgKA=");
    }
}
