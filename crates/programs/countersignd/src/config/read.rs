//! From the loose file to a [`Deployment`]. Every key is read before anything is given up, so that
//! all problems are found at once.

use std::path::Path;

use ::trust::State;
use crypto::KeyType;

use super::{
    ca, common::Around, database, listen, logs, section::Section, tenants::Tenants, trust, tsa,
    values::BaseUrl, whole::Whole,
};
use crate::{
    cli::Part,
    deployment::{Deployment, Key, PROVIDER_PORT, Provider, Tenant},
    deployment_dirs::DeploymentDirs,
    endpoints::HOST,
    keys,
};

pub(super) fn deployment(mut file: Section<'_>) -> Option<Deployment> {
    let data_dir = file.required("data_dir", Section::path);
    // Problems with keys are found also when nobody knows where keys would be.
    let dirs = DeploymentDirs::new(data_dir.as_deref().unwrap_or(Path::new("/")));
    let tenants = Tenants::read(&mut file);
    let listen = listen::listen(file.section("listen"));
    let telemetry = listen::telemetry(file.section("telemetry"));
    let database = database::read(file.section("database"), dirs.log_database());
    let end_on_jump = end_on_jump(file.section("clock"));
    let provider = provider(&mut file, &dirs);
    let provider_url = provider.as_ref().map(|provider| provider.url.to_string());
    let anchors = logs::anchors(&mut file, dirs.root()).unwrap_or_default();
    let provider_url = provider_url.as_deref();
    let around =
        Around { dirs: &dirs, tenants: &tenants, provider: provider_url, anchors: &anchors };
    let authorities = ca::read(&mut file, &around);
    let timestamp_authorities = tsa::read(&mut file, &around);
    let repositories = trust::read(&mut file, &around);
    let logs = logs::read(&mut file, &around);
    file.end();
    let whole = Whole {
        file: &file,
        tenants: &tenants,
        dirs: &dirs,
        authorities: all(authorities)?,
        logs: all(logs)?,
        timestamp_authorities: all(timestamp_authorities)?,
        repositories: all(repositories)?,
        provider: provider.as_ref(),
    };
    let parts = whole.settled();
    data_dir?;
    let deployment = Deployment {
        tenants: known_tenants(&tenants, &parts.repositories)?,
        places: dirs.places(provider.is_some()),
        authorities: parts.authorities,
        logs: parts.logs,
        timestamp_authorities: parts.timestamp_authorities,
        repositories: parts.repositories,
        provider,
        listen,
        telemetry,
        database: database?,
        end_on_jump,
        warnings: Vec::new(),
    };
    super::whole::check_metrics_ports(&file, &deployment);
    Some(deployment)
}

/// All of them, or nothing: what is missing was told, and what is missing beside it would mislead.
fn all<T>(read: Vec<Option<T>>) -> Option<Vec<T>> {
    read.into_iter().collect()
}

/// Whose operator is not named is called by the host of its trust files.
fn known_tenants(
    tenants: &Tenants<'_>,
    repositories: &[crate::deployment::Repository],
) -> Option<Vec<Tenant>> {
    let known = tenants.0.iter().map(|table| {
        let own = repositories.iter().filter(|one| one.service.is_of(&table.name));
        let own = own.min_by_key(|one| one.service.state != State::Active)?;
        let host = || own.service.url.host().to_owned();
        Some(Tenant {
            name: table.name.clone(),
            operator: table.operator.clone().unwrap_or_else(host),
            audience: table.audience.clone(),
        })
    });
    known.collect()
}

fn end_on_jump(mut section: Section<'_>) -> bool {
    let end_on_jump = section.flag("end_on_jump");
    section.end();
    end_on_jump
}

fn provider(file: &mut Section<'_>, dirs: &DeploymentDirs) -> Option<Provider> {
    if !file.has("oidc-dev") {
        return None;
    }
    let mut section = file.section("oidc-dev");
    let url: Option<BaseUrl> = section.required("url", Section::parsed);
    let port = section.integer("port").unwrap_or(PROVIDER_PORT);
    if let Some(url) = &url
        && url.host() != HOST
    {
        section.wrong("url", "must be of the host `localhost`: it vouches for everybody");
    }
    let login = section.flag("login");
    let token_command = section.text("token_command");
    if token_command.as_ref().is_some_and(|command| command.contains(char::is_control)) {
        section.wrong("token_command", "must be one line: a page shows it to be copied");
    }
    section.end();
    let key = Key {
        file: dirs.of(Part::OidcDev).join("keys").join(format!("{}.pem", keys::OIDC)),
        name: keys::OIDC.to_owned(),
        kind: KeyType::Rsa2048,
        setting: "nothing".to_owned(),
        public_file: None,
    };
    Some(Provider { url: url?, port, login, token_command, key })
}
