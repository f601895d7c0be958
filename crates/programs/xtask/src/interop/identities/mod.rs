//! Identities of real providers, through real clients, to certificates that say what the documents
//! promise: Kubernetes API servers, oidc-provider, Keycloak, and tokens in the shape of those that
//! cannot be run here.
//!
//! `site` is a deployment with a configuration of its own, `child` a process that goes with its owner;
//! `provider` runs the providers, `signing` the clients; `people`, `shapes` and `clusters` tell what is
//! tried; `table` is docs/identity-providers.md, `recipes` reads what the documents tell to type.

mod answers;
mod certificate;
mod child;
mod cluster;
mod clusters;
mod issuer;
mod people;
mod provider;
mod recipes;
mod shapes;
mod signing;
mod site;
mod table;
mod tls;

use std::path::Path;

use anyhow::Result;

use super::{
    install::{Clients, Tool},
    report::Report,
};
use crate::options::Options;
use site::Site;

/// What the part needs.
pub(super) const TOOLS: [Tool; 12] = [
    Tool::Cosign3,
    Tool::Gitsign,
    Tool::Python,
    Tool::JavaScript,
    Tool::Chromium,
    Tool::OpenSsl,
    Tool::Git,
    Tool::Curl,
    Tool::OidcProvider,
    Tool::Keycloak,
    Tool::ApiServer,
    Tool::Etcd,
];

/// Every scene on one deployment, which is configured anew for each. With `write` the table becomes
/// docs/identity-providers.md.
pub(super) fn tried(
    clients: &Clients,
    (binaries, directory): (&Path, &Path),
    report: &mut Report,
    options: &Options,
) -> Result<()> {
    let mut site = Site::new(clients, binaries, directory)?;
    let only = options.only.as_deref();
    let plays = |scene: &str| only.is_none_or(|only| scene.contains(only));
    people::log_in(&mut site, report, &plays)?;
    if plays("shapes") {
        shapes::signed(&mut site, report)?;
    }
    if plays("clusters") {
        clusters::told_apart(&mut site, report)?;
    }
    if options.write_docs && only.is_none() {
        table::write(clients)?;
    }
    Ok(())
}
