use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use postgres::PostgresLogStore;
use sqlite::SqliteLogStore;
use store::{LogStore, StoreError};

use crate::{
    data_dir::{make_private, read_if_present},
    deployment::{Database, Deployment},
};

/// The database of the logs, opened; the outer error is one of configuration.
pub(crate) async fn open(
    deployment: &Deployment,
) -> anyhow::Result<Result<Arc<dyn LogStore>, StoreError>> {
    match &deployment.database {
        Database::Sqlite { file } => {
            // It names users and repositories.
            make_private(file)?;
            Ok(SqliteLogStore::open(file).await.map(|store| Arc::new(store) as _))
        }
        Database::Postgres { url, password_file } => {
            let mut url = url.clone();
            if let Some(path) = password_file {
                let password = password(path)?;
                url.set_password(Some(&password))
                    .map_err(|()| anyhow!("the database's URL takes no password"))?;
            }
            let connected = PostgresLogStore::connect(url.as_str()).await;
            Ok(connected.map(|store| Arc::new(store) as _))
        }
    }
}

fn password(path: &Path) -> anyhow::Result<String> {
    let explain = || {
        format!(
            "cannot read the database's password, `password_file` of [database], from {}",
            path.display()
        )
    };
    let text = read_if_present(path).with_context(explain)?.with_context(explain)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
