use std::{
    fs::File,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use signing::SystemClock;
use store::{LogStore, StoreError};

use super::{
    database,
    make::{self, Made},
};
use crate::{
    data_dir::try_lock_directory,
    deployment::{Authority, Deployment},
    deployment_dirs::open_to_others,
    fsck::EXIT_UNAVAILABLE,
    known_logs::refuse_renamed,
    output,
    services::Shared,
};

/// `countersignd init`: makes what is missing and says what it made; what is there stays.
pub(crate) async fn init(secrets_only: bool, deployment: Deployment) -> anyhow::Result<ExitCode> {
    let shared = Shared::new(Arc::new(SystemClock));
    for words in open_to_others(&deployment) {
        output::print(&format!("warning: {words}"));
    }
    if let Err(lack) = deployment.demand_anchors() {
        output::print(&format!("warning: `serve` will refuse {lack}"));
    }
    let mut tell = |made: &Made| output::print(&made.to_string());
    make::directories(&deployment)?;
    let Some(_lock) = alone(&deployment).await? else {
        output::say("another `countersignd init` makes the same; run it again when that has ended");
        return Ok(ExitCode::from(EXIT_UNAVAILABLE));
    };
    let now = shared.clock.now();
    if secrets_only {
        make::keys(&deployment, now, &mut tell)?;
        make::database_password(&deployment, &mut tell)?;
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

/// How long another `init` is waited for: making everything takes a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// A lock by which this is the only `init` of the data, if it can be had: on the directory of the logs, which
/// every `init` has, also where each is a volume of its own.
async fn alone(deployment: &Deployment) -> anyhow::Result<Option<File>> {
    let begin = Instant::now();
    loop {
        let lock = try_lock_directory(&deployment.places.logs)?;
        if lock.is_some() || begin.elapsed() > PATIENCE {
            return Ok(lock);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The database of the logs, none of which has another name there than in the configuration.
enum Known {
    Opened(Arc<dyn LogStore>),
    /// A running process has it, and has served every log.
    Served,
}

/// `None` where a running process has the database and must be stopped first, which is said.
async fn known_logs(deployment: &Deployment) -> anyhow::Result<Option<Known>> {
    let store = match database::open(deployment).await? {
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
    if let Err(error) = known.and_then(|known| refuse_renamed(deployment, &known)) {
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
