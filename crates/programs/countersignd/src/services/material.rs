use std::path::PathBuf;

use anyhow::Context;
use crypto::PublicKey;
use trust::{Authority, Deployment, LogKey, State, TilesKey};
use tsp::TsaChain;
use wire::{Timestamp, countersign::Forge, trust::TimeRange};

use crate::{
    data_dir::DataDir,
    endpoints::{BaseUrls, Face, HOST},
    logs::{LogIdentities, LogIdentity},
};

/// What everybody may know of a deployment: chains (DER, lowest first) and public keys.
pub(crate) struct Material {
    pub(crate) ca_chain: Vec<Vec<u8>>,
    pub(crate) tsa_chain: Vec<Vec<u8>>,
    pub(crate) ct: PublicKey,
    pub(crate) rekor1: PublicKey,
    /// Signs the tiles of the Rekor v1 log.
    pub(crate) rekor1_tiles: PublicKey,
    pub(crate) rekor2: PublicKey,
}

/// Who offers the services, and where clients of this machine find the trust files.
pub(crate) struct Publisher<'a> {
    pub(crate) operator: &'a str,
    pub(crate) trust_dir: Option<PathBuf>,
    /// That names of repositories without a host mean.
    pub(crate) forge: Option<Forge>,
    /// That tokens for the deployment have, where it is one of its own.
    pub(crate) audience: Option<String>,
}

impl Publisher<'_> {
    /// `countersignd dev`: names without a host mean what most projects are on.
    pub(crate) fn of_dev(data_dir: &DataDir) -> Self {
        let forge = Forge { url: "https://github.com".to_owned(), kind: None };
        Self {
            operator: HOST,
            trust_dir: Some(data_dir.trust_dir()),
            forge: Some(forge),
            audience: None,
        }
    }
}

/// What the trust files are made from.
///
/// The same keys and certificates give the same files at every start: logs are
/// trusted from the CA's first second on, not from the moment of some start.
pub(crate) fn deployment(
    publisher: Publisher<'_>,
    urls: &BaseUrls,
    logs: &LogIdentities,
    material: &Material,
) -> anyhow::Result<Deployment> {
    let ca = x509::CertificateChain::from_der(material.ca_chain.clone())?;
    let ca_since = since(ca.not_before())?;
    let tsa_since = since(TsaChain::from_ders(&material.tsa_chain)?.validity().not_before)?;
    let log = |face, log: &LogIdentity, key: &PublicKey| LogKey {
        base_url: urls.of(face).to_owned(),
        origin: log.origin(),
        public_key: key.clone(),
        valid_for: ca_since,
        state: State::Active,
    };
    Ok(Deployment {
        operator: publisher.operator.to_owned(),
        trust_url: urls.of(Face::Trust).to_owned(),
        oidc_url: urls.of(Face::Oidc).to_owned(),
        certificate_authorities: vec![Authority {
            url: urls.of(Face::Ca).to_owned(),
            chain_der: material.ca_chain.clone(),
            valid_for: ca_since,
            state: State::Active,
        }],
        ct_logs: vec![log(Face::Ct, &logs.ct, &material.ct)],
        rekor2_logs: vec![log(Face::Rekor2, &logs.rekor2, &material.rekor2)],
        rekor1_logs: vec![log(Face::Rekor1, &logs.rekor1, &material.rekor1)],
        rekor1_tiles: Some(TilesKey {
            origin: logs.rekor1.tiles_origin(),
            public_key: material.rekor1_tiles.clone(),
        }),
        trust_dir: publisher.trust_dir,
        forge: publisher.forge,
        audience: publisher.audience,
        timestamp_authorities: vec![Authority {
            url: timestamp_url(urls),
            chain_der: material.tsa_chain.clone(),
            valid_for: tsa_since,
            state: State::Active,
        }],
    })
}

/// The complete URL that takes timestamp requests.
pub(crate) fn timestamp_url(urls: &BaseUrls) -> String {
    format!("{}/api/v1/timestamp", urls.of(Face::Tsa))
}

fn since(seconds: u64) -> anyhow::Result<TimeRange> {
    let start = Timestamp::from_unix_seconds(seconds).context("a time beyond the year 9999")?;
    Ok(TimeRange { start: Some(start), end: None })
}
