use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use postgres::MakersLock;
use signing::SystemClock;
use store::{LogStore, StoreError};

use super::{
    database,
    make::{self, Made},
};
use crate::{
    data_dir::try_lock_directory,
    deployment::{Authority, Database, Deployment},
    deployment_dirs::open_to_others,
    fsck::EXIT_UNAVAILABLE,
    known_logs::{refuse_renamed, refuse_without_keys},
    locked::Locked,
    output,
    services::Shared,
};

/// `countersignd init`: makes what is missing and says what it made; what is there stays.
pub(crate) async fn init(secrets_only: bool, deployment: Deployment) -> anyhow::Result<ExitCode> {
    init_within(PATIENCE, secrets_only, deployment).await
}

/// Said where it took too long.
pub(crate) const IN_USE: &str =
    "another `countersignd init` makes the same; run it again when that has ended";

/// How long another `init` is waited for. Making everything takes a second, and a busy machine has eight of
/// them to wait for.
const PATIENCE: Duration = Duration::from_mins(2);

/// [`init`], which waits for others no longer than `patience`.
pub(super) async fn init_within(
    patience: Duration,
    secrets_only: bool,
    deployment: Deployment,
) -> anyhow::Result<ExitCode> {
    let shared = Shared::new(Arc::new(SystemClock));
    for words in open_to_others(&deployment) {
        output::print(&format!("warning: {words}"));
    }
    if let Err(lack) = deployment.demand_anchors() {
        output::print(&format!("warning: `serve` will refuse {lack}"));
    }
    let mut tell = |made: &Made| output::print(&made.to_string());
    for words in make::directories(&deployment)? {
        output::print(&format!("warning: {words}"));
    }
    let Some(_alone) = alone(&deployment, secrets_only, patience).await? else {
        output::say(IN_USE);
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let now = shared.clock.now();
    if secrets_only {
        make::keys(&deployment, now, &mut tell)?;
        make::database_passwords(&deployment, &mut tell)?;
        return Ok(ExitCode::SUCCESS);
    }
    // First: a log by another name must not get another key either.
    let Some(database) = known_logs(&deployment).await? else {
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let made = async {
        make::keys(&deployment, now, &mut tell)?;
        match &database {
            Known::Opened(store) => make::logs(&deployment, store, &shared, &mut tell).await,
            Known::Served => {
                tell(&Made::new("the logs", "kept", "in use".to_owned()));
                Ok(())
            }
        }
    };
    let made = made.await;
    if let Known::Opened(store) = database {
        store.close().await;
    }
    made?;
    for repository in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        tell(&make::repository(&deployment, repository, &shared).await?);
    }
    for authority in deployment.authorities.iter().filter(|one| one.service.state.signs()) {
        propose_audience(&deployment, authority);
    }
    Ok(ExitCode::SUCCESS)
}

/// Locks by which this is the only `init`: of the data, on the directory of the logs, which every `init` has, also
/// where each is a volume of its own; and of the database, which other machines may use.
pub(crate) struct Alone {
    _data: Locked,
    _database: Option<MakersLock>,
}

/// As an `init` that waits for others; `None` where another one takes too long.
pub(crate) async fn alone_to_make(deployment: &Deployment) -> anyhow::Result<Option<Alone>> {
    alone(deployment, false, PATIENCE).await
}

/// `None` where another one has them for longer than `patience`.
async fn alone(
    deployment: &Deployment,
    secrets_only: bool,
    patience: Duration,
) -> anyhow::Result<Option<Alone>> {
    let begin = Instant::now();
    let waited = || begin.elapsed() > patience;
    let data = loop {
        match try_lock_directory(&deployment.places.logs)? {
            Some(lock) => break lock,
            None if waited() => return Ok(None),
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    };
    let Database::Postgres { .. } = &deployment.database else {
        return Ok(Some(Alone { _data: data, _database: None }));
    };
    if secrets_only {
        return Ok(Some(Alone { _data: data, _database: None }));
    }
    loop {
        match database::try_lock(deployment).await? {
            Some(lock) => return Ok(Some(Alone { _data: data, _database: Some(lock) })),
            None if waited() => return Ok(None),
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The database of the logs, none of which has another name there than in the configuration.
enum Known {
    Opened(Arc<dyn LogStore>),
    /// A running process has it, and has served every log.
    Served,
}

/// `None` where a running process has the database and must be stopped first, which is said.
async fn known_logs(deployment: &Deployment) -> anyhow::Result<Option<Known>> {
    let store = match database::open_to_make(deployment).await? {
        // SQLite, while the logs run.
        Err(error @ StoreError::AlreadyOpen { .. }) => {
            let new = make::never_served(deployment);
            if new.is_empty() {
                return Ok(Some(Known::Served));
            }
            output::say(&format!(
                "the database is in use by a running countersignd, and not made are the logs {}: stop it, \
                 then run `init` again ({error})",
                new.join(", ")
            ));
            return Ok(None);
        }
        opened => opened.context("cannot open the log's database")?,
    };
    let known = store.logs().await.map_err(anyhow::Error::from);
    let ours = known.and_then(|known| {
        refuse_renamed(deployment, &known)?;
        refuse_without_keys(deployment, &known)
    });
    if let Err(error) = ours {
        store.close().await;
        return Err(error);
    }
    Ok(Some(Known::Opened(store)))
}

/// Tokens to `sigstore` are tokens to every instance: whoever takes one there can use it here.
fn propose_audience(deployment: &Deployment, authority: &Authority) {
    let shared = authority.settings.issuers.iter().any(|issuer| {
        let audiences = issuer.audiences();
        audiences.iter().any(|audience| audience == wire::countersign::SIGSTORE_AUDIENCE)
    });
    let url = authority.service.url.to_string();
    let tenant = authority.service.tenant.as_deref().and_then(|name| deployment.tenant(name));
    let Some(tenant) = tenant.filter(|tenant| tenant.audience.is_none()) else { return };
    if shared && url.starts_with("https://") {
        let proposal = format!(
            "`audience = \"{url}\"` in [tenant.{}] would keep tokens for others out; now tokens to \
             `sigstore` are taken",
            tenant.name
        );
        output::print(
            &Made::new("an audience of the deployment's own", "none", proposal).to_string(),
        );
    }
}
