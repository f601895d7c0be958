//! A deployment as a test needs it, with real certificates.

use std::{path::Path, sync::Arc};

use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use moment::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use signing::{Clock, FixedClock};
use trust::{
    Authority, Deployment, LogKey, State, TilesKey, TrustFiles,
    tuf::{Repository, TufError, TufParts},
};
use wire::{Timestamp, countersign::Forge, trust::TimeRange};

/// 2026-01-01T00:00:00Z.
pub(crate) const START: u64 = 1_767_225_600;

/// A moment in which everything is in use.
pub(crate) const NOW: UnixSeconds = UnixSeconds(START + 86_400);

/// One of everything, as `countersignd dev` has it.
pub(crate) fn deployment() -> Deployment {
    Deployment {
        operator: "acme.internal".to_owned(),
        trust_url: "http://localhost:3005".to_owned(),
        oidc_url: "http://localhost:3006".to_owned(),
        forge: Some(Forge { url: "https://github.com".to_owned(), kind: None }),
        audience: None,
        certificate_authorities: vec![Authority {
            url: "http://localhost:5555".to_owned(),
            chain_der: chain("Acme", "Acme CA", true),
            valid_for: since(START),
            state: State::Active,
        }],
        ct_logs: vec![log("http://localhost:6962", KeyType::EcdsaP256)],
        rekor2_logs: vec![log("http://localhost:3003", KeyType::Ed25519)],
        rekor1_logs: Vec::new(),
        timestamp_authorities: vec![Authority {
            url: "http://localhost:3004/api/v1/timestamp".to_owned(),
            chain_der: chain("Acme", "Acme TSA", false),
            valid_for: since(START),
            state: State::Active,
        }],
        trust_dir: None,
        development: None,
    }
}

/// The same with a Rekor v1 log, which is published as tiles too.
pub(crate) fn with_rekor1() -> Deployment {
    let mut deployment = deployment();
    deployment.rekor1_logs = vec![rekor1(REKOR1, "localhost")];
    deployment
}

/// A Rekor v1 log with tiles.
pub(crate) fn rekor1(base_url: &str, host: &str) -> LogKey {
    let tiles =
        TilesKey { origin: format!("{host}/rekor1"), public_key: public_key(KeyType::Ed25519) };
    LogKey {
        origin: format!("{host} - 1234"),
        tiles: Some(tiles),
        ..log(base_url, KeyType::EcdsaP256)
    }
}

pub(crate) const REKOR1: &str = "http://localhost:3000";

/// The keys of a repository.
#[derive(Clone)]
pub(crate) struct TufKeys {
    pub(crate) root: Arc<dyn Signer>,
    pub(crate) online: Arc<dyn Signer>,
}

impl TufKeys {
    pub(crate) fn generate() -> Self {
        Self { root: signer(KeyType::EcdsaP256), online: signer(KeyType::EcdsaP256) }
    }

    pub(crate) async fn open(
        &self,
        directory: &Path,
        clock: &Arc<FixedClock>,
        files: &TrustFiles,
    ) -> Result<Arc<Repository>, TufError> {
        let parts = TufParts {
            name: "test".to_owned(),
            directory: directory.to_owned(),
            root_signer: Arc::clone(&self.root),
            online_signer: Arc::clone(&self.online),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            cpu: signing::CpuPool::new(1),
        };
        Repository::open(parts, files).await
    }
}

pub(crate) fn signer(key_type: KeyType) -> Arc<dyn Signer> {
    Arc::new(LocalSigner::generate(key_type, "test").unwrap())
}

pub(crate) fn log(base_url: &str, key_type: KeyType) -> LogKey {
    LogKey {
        base_url: base_url.to_owned(),
        origin: "localhost".to_owned(),
        public_key: public_key(key_type),
        valid_for: since(START),
        state: State::Active,
        tiles: None,
    }
}

pub(crate) fn public_key(key_type: KeyType) -> PublicKey {
    LocalSigner::generate(key_type, "test").unwrap().public_key().clone()
}

pub(crate) fn since(seconds: u64) -> TimeRange {
    TimeRange { start: Timestamp::from_unix_seconds(seconds), end: None }
}

/// Two certificates, the lower one first.
pub(crate) fn chain(organization: &str, common_name: &str, lower_is_ca: bool) -> Vec<Vec<u8>> {
    let params = |name: &str, is_ca: IsCa| {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = is_ca;
        params
    };
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().unwrap();
    let root_params = params(&format!("{common_name} root"), ca());
    let root = CertifiedIssuer::self_signed(root_params, key()).unwrap();
    let lower_params = params(common_name, if lower_is_ca { ca() } else { IsCa::ExplicitNoCa });
    let lower = lower_params.signed_by(&key(), &root).unwrap();
    vec![lower.der().to_vec(), root.der().to_vec()]
}
