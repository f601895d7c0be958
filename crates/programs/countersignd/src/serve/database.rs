use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
use postgres::{Access, MakersLock, PostgresLogStore, Right};
use sqlite::SqliteLogStore;
use store::{LogStore, StoreError};
use url::Url;

use crate::{
    data_dir::{make_private, read_if_present},
    deployment::{Database, Deployment},
};

/// The database of the logs, as `init` made it; the outer error is one of configuration. Its schema is never changed
/// here: of a newer program it would be changed by whichever service starts first.
pub(crate) async fn open(
    deployment: &Deployment,
) -> anyhow::Result<Result<Arc<dyn LogStore>, StoreError>> {
    match &deployment.database {
        Database::Sqlite { file } => {
            if !file.exists() {
                bail!(
                    "the database has no logs, since {} is missing: run `countersignd init`, unless it is lost",
                    file.display()
                );
            }
            Ok(SqliteLogStore::open_as_it_is(file).await.map(|store| Arc::new(store) as _))
        }
        Database::Postgres { url, password_file, .. } => {
            let access = access(url, password_file.as_deref())?;
            let connected = PostgresLogStore::connect_as_it_is(access).await;
            Ok(connected.map(|store| Arc::new(store) as _))
        }
    }
}

/// As [`open`], for whoever makes: the schema is brought up to date, by the owner of the tables where there is one.
pub(crate) async fn open_to_make(
    deployment: &Deployment,
) -> anyhow::Result<Result<Arc<dyn LogStore>, StoreError>> {
    match &deployment.database {
        Database::Sqlite { file } => {
            // It names users and repositories.
            make_private(file)?;
            Ok(SqliteLogStore::open(file).await.map(|store| Arc::new(store) as _))
        }
        Database::Postgres { url, password_file, owner } => {
            let connected = match owner {
                None => {
                    let access = access(url, password_file.as_deref())?;
                    PostgresLogStore::connect(access).await
                }
                Some(owner) => {
                    let service = url.username();
                    let access = access(&owner.url, owner.password_file.as_deref())?;
                    PostgresLogStore::connect_and_grant(access, service).await
                }
            };
            Ok(connected.map(|store| Arc::new(store) as _))
        }
    }
}

/// What is to be said of the role that services have; nothing of SQLite, and where it can do no more than it should.
pub(super) async fn role_warning(deployment: &Deployment) -> anyhow::Result<Option<String>> {
    let Database::Postgres { url, password_file, .. } = &deployment.database else {
        return Ok(None);
    };
    let access = access(url, password_file.as_deref())?;
    let (role, right) = postgres::right_of(access).await?;
    Ok((right == Right::ChangeTables).then(|| {
        format!(
            "the database's role `{role}`, which the services have, can take away the triggers by which entries stay: \
             give `url` of [database] another one, and `init` this one as `owner_url`"
        )
    }))
}

/// A lock by which no other machine makes logs in the database; `None` where one does. SQLite has none: its file
/// is locked with the directory that it is in.
pub(super) async fn try_lock(deployment: &Deployment) -> anyhow::Result<Option<MakersLock>> {
    let Database::Postgres { url, password_file, owner } = &deployment.database else {
        return Ok(None);
    };
    let (url, password_file) = match owner {
        Some(owner) => (&owner.url, &owner.password_file),
        None => (url, password_file),
    };
    let access = access(url, password_file.as_deref())?;
    let lock = MakersLock::try_take(access).await;
    lock.context("cannot open the log's database")
}

/// The way to a database. Its password is read now, so that a file that is missing is told at once, and again for
/// every connection.
fn access(url: &Url, password_file: Option<&Path>) -> anyhow::Result<Access> {
    let Some(path) = password_file.map(Path::to_owned) else { return Ok(url.as_str().into()) };
    password(&path)?;
    Ok(Access::with_password(url.as_str(), move || Ok(password(&path)?)))
}

pub(super) fn password(path: &Path) -> anyhow::Result<String> {
    let explain = || {
        format!(
            "cannot read the database's password, `password_file` of [database], from {}",
            path.display()
        )
    };
    let text = read_if_present(path).with_context(explain)?.with_context(explain)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
