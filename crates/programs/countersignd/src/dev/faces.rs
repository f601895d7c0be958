use std::{path::PathBuf, sync::Arc};

use ca::{Ca, CaConfig};
use crypto::LocalSigner;
use url::Url;

use crate::{
    config::TsaSettings,
    endpoints::{Face, Ports},
    keys::Keys,
    logs::{LogSigners, Logs},
    services::{self, Material, OpenTrust, Served, Shared, log_check},
};

/// The keys that are used after the logs have theirs.
pub(super) struct FaceKeys {
    ca: LocalSigner,
    tsa: LocalSigner,
    oidc: LocalSigner,
}

/// The keys of the TUF repository: root, online.
pub(super) type TufKeys = (LocalSigner, LocalSigner);

/// Who gets which key.
pub(super) fn distribute(keys: Keys) -> (LogSigners, TufKeys, FaceKeys) {
    let signers = LogSigners {
        ct: Arc::new(keys.ct),
        rekor1: Arc::new(keys.rekor1),
        rekor1_tiles: Arc::new(keys.rekor1_tiles),
        rekor2: Arc::new(keys.rekor2),
    };
    let faces = FaceKeys { ca: keys.ca, tsa: keys.tsa, oidc: keys.oidc };
    (signers, (keys.tuf_root, keys.tuf_online), faces)
}

/// All faces, in the order of [`Face::ALL`].
pub(super) fn build(
    shared: &Shared,
    ports: &Ports,
    (keys, may_log_in): (FaceKeys, bool),
    (logs, signers): (&Logs, &LogSigners),
    (material, trust, issuer_keys): (&Material, &OpenTrust, PathBuf),
) -> anyhow::Result<(Vec<Served>, Arc<Ca>)> {
    let mut config = ca_config(ports)?;
    config.oidc.keys_dir = Some(issuer_keys);
    let (ca, issuing) = services::ca(shared, config, keys.ca, material)?;
    // No certificate without an SCT.
    let ca = ca.with_check(log_check("ct", &logs.ct));
    let log = services::logs(shared, logs, signers, std::slice::from_ref(&material.ca_chain))?;
    let tsa = services::tsa(shared, keys.tsa, material, TsaSettings::default())?;
    let oidc = services::oidc(shared, (&ports.url(Face::Oidc), None), keys.oidc, may_log_in)?;
    let mut all = vec![ca, log.ct, log.rekor1, log.rekor2, tsa, services::trust(trust), oidc];
    all.push(services::metrics(&all)?);
    Ok((all, issuing))
}

/// Believes the development provider: people, URIs, and the jobs of every CI system.
fn ca_config(ports: &Ports) -> anyhow::Result<CaConfig> {
    let base = ports.url(Face::Oidc);
    let issuers = oidc::issuers(&base, None)?;
    Ok(CaConfig::new(issuers, Url::parse(&ports.url(Face::Ct))?))
}
