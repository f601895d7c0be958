use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use moment::UnixSeconds;
use signing::SystemClock;
use store::StoreError;

use super::{
    database,
    make::{self, Made},
};
use crate::{
    deployment::{Authority, Deployment},
    deployment_dirs::open_to_others,
    output,
    services::Shared,
};

/// `countersignd init`: makes what is missing and says what it made; what is there stays.
pub(crate) async fn init(secrets_only: bool, deployment: Deployment) -> anyhow::Result<ExitCode> {
    let shared = Shared::new(Arc::new(SystemClock));
    for words in open_to_others(&deployment) {
        output::print(&format!("warning: {words}"));
    }
    let mut tell = |made: &Made| output::print(&made.to_string());
    make::directories(&deployment)?;
    make::keys(&deployment, shared.clock.now(), &mut tell)?;
    if secrets_only {
        make::database_password(&deployment, &mut tell)?;
        return Ok(ExitCode::SUCCESS);
    }
    logs(&deployment, shared.clock.now(), &mut tell).await?;
    for repository in deployment.repositories.iter().filter(|one| one.service.state.runs()) {
        tell(&make::repository(&deployment, repository, &shared).await?);
    }
    for authority in deployment.authorities.iter().filter(|one| one.service.state.signs()) {
        propose_audience(&deployment, authority);
    }
    Ok(ExitCode::SUCCESS)
}

async fn logs(
    deployment: &Deployment,
    now: UnixSeconds,
    tell: &mut dyn FnMut(&Made),
) -> anyhow::Result<()> {
    let store = match database::open(deployment).await? {
        // SQLite, while the log runs: then there are logs.
        Err(StoreError::AlreadyOpen { .. }) if make::knows_logs(deployment) => {
            tell(&Made::new("the logs", "kept", "in use".to_owned()));
            return Ok(());
        }
        opened => opened.context("cannot open the log's database")?,
    };
    let outcome = make::logs(deployment, &store, now, tell).await;
    store.close().await;
    outcome
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
