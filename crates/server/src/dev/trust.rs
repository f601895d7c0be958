use anyhow::Context;
use crypto::PublicKey;
use log_store::LogKind;
use trust::{Authority, Deployment, LogKey};
use tsp::TsaChain;
use wire::{Timestamp, trust::TimeRange};

use crate::{
    endpoints::{Face, HOST, Ports},
    logs,
};

/// The certificate chains, DER, lowest first.
pub(crate) struct Chains {
    pub(crate) ca: Vec<Vec<u8>>,
    pub(crate) tsa: Vec<Vec<u8>>,
}

/// What the trust files are made from; `log_keys` are those of the CT and the Rekor v2 log.
///
/// The same keys and certificates give the same files at every start: logs are
/// trusted from the CA's first second on, not from the moment of some start.
pub(crate) fn deployment(
    ports: &Ports,
    chains: &Chains,
    (ct, rekor2): (&PublicKey, &PublicKey),
) -> anyhow::Result<Deployment> {
    let ca = x509::CertificateChain::from_der(chains.ca.clone())?;
    let ca_since = since(ca.not_before())?;
    let tsa_since = since(TsaChain::from_ders(&chains.tsa)?.validity().not_before)?;
    let log = |face, kind, key: &PublicKey| LogKey {
        base_url: ports.url(face),
        origin: logs::origin(kind),
        public_key: key.clone(),
        valid_for: ca_since,
    };
    Ok(Deployment {
        operator: HOST.to_owned(),
        trust_url: ports.url(Face::Trust),
        oidc_url: ports.url(Face::Oidc),
        certificate_authorities: vec![Authority {
            url: ports.url(Face::Ca),
            chain_der: chains.ca.clone(),
            valid_for: ca_since,
        }],
        ct_logs: vec![log(Face::Ct, LogKind::Ct, ct)],
        rekor2_logs: vec![log(Face::Rekor2, LogKind::Rekor2, rekor2)],
        rekor1_logs: Vec::new(),
        rekor1_tiles: None,
        trust_dir: None,
        timestamp_authorities: vec![Authority {
            url: timestamp_url(ports),
            chain_der: chains.tsa.clone(),
            valid_for: tsa_since,
        }],
    })
}

/// The complete URL that takes timestamp requests.
pub(crate) fn timestamp_url(ports: &Ports) -> String {
    format!("{}/api/v1/timestamp", ports.url(Face::Tsa))
}

fn since(seconds: u64) -> anyhow::Result<TimeRange> {
    let start = Timestamp::from_unix_seconds(seconds).context("a time beyond the year 9999")?;
    Ok(TimeRange { start: Some(start), end: None })
}
