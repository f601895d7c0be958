//! The metadata of the TUF repository.

use std::{path::PathBuf, sync::Arc};

use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use signing::{Clock, CpuPool, FixedClock};
use tempfile::TempDir;
use trust::{
    Authority, Deployment, LogKey, State, TrustFiles,
    tuf::{Repository, TufError, TufParts},
};
use wire::{Timestamp, trust::TimeRange};

use crate::{NOW, Outcome, Service, audit::Lines, issuing, moody::Moody, row};

/// A repository whose keys sign all that is due when it is opened.
struct Trusting {
    role: &'static str,
    directory: TempDir,
    key: Arc<Moody>,
    clock: Arc<FixedClock>,
    files: TrustFiles,
}

impl Trusting {
    fn new(role: &'static str, minds: fn(&[u8]) -> bool) -> (Self, Arc<Moody>) {
        let key = Moody::new(KeyType::EcdsaP256, minds);
        let trusting = Self {
            role,
            directory: tempfile::tempdir().unwrap(),
            key: Arc::clone(&key),
            clock: Arc::new(FixedClock::at(NOW)),
            files: TrustFiles::build(&deployment(), moment::UnixSeconds(NOW)).unwrap(),
        };
        (trusting, key)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tuf")
    }
}

impl Service for Trusting {
    fn kind(&self) -> String {
        format!("TUF metadata of {}", self.role)
    }

    async fn ask(&self, _: &Lines) -> Outcome {
        // By then each role is due.
        self.clock.advance_ms(300 * 86_400_000);
        let parts = TufParts {
            name: "test".to_owned(),
            directory: self.path(),
            root_signer: Arc::clone(&self.key) as Arc<dyn Signer>,
            online_signer: Arc::clone(&self.key) as Arc<dyn Signer>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            cpu: CpuPool::new(1),
        };
        match Repository::open(parts, &self.files).await {
            Ok(repository) => {
                assert_eq!(repository.expired_role(), None);
                Outcome::Signed
            }
            Err(TufError::Signer(error)) => (&error).into(),
            Err(TufError::Signature(_)) => Outcome::Wrong,
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn given_out(&self) -> String {
        let Ok(files) = std::fs::read_dir(self.path()) else { return String::new() };
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        format!("{names:?} {:?}", std::fs::read(self.path().join("timestamp.json")).ok())
    }
}

fn deployment() -> Deployment {
    let since = TimeRange { start: Timestamp::from_unix_seconds(NOW - 86_400), end: None };
    let authority = |url: &str| Authority {
        url: url.to_owned(),
        chain_der: issuing::Authority::new().chain.certificates().to_vec(),
        valid_for: since,
        state: State::Active,
    };
    let log = |base_url: &str, key_type| LogKey {
        base_url: base_url.to_owned(),
        origin: "localhost".to_owned(),
        public_key: public_key(key_type),
        valid_for: since,
        state: State::Active,
        tiles: None,
    };
    Deployment {
        operator: "countersign.test".to_owned(),
        trust_url: "http://localhost:3005".to_owned(),
        oidc_url: "http://localhost:3006".to_owned(),
        forge: None,
        audience: None,
        certificate_authorities: vec![authority("http://localhost:5555")],
        ct_logs: vec![log("http://localhost:6962", KeyType::EcdsaP256)],
        rekor2_logs: vec![log("http://localhost:3003", KeyType::Ed25519)],
        rekor1_logs: Vec::new(),
        timestamp_authorities: vec![Authority {
            chain_der: crate::stamping::authority().0,
            ..authority("http://localhost:3004/api/v1/timestamp")
        }],
        trust_dir: None,
        development: None,
    }
}

fn public_key(key_type: KeyType) -> PublicKey {
    LocalSigner::generate(key_type, "test").unwrap().public_key().clone()
}

/// Whether this is metadata of a role.
fn is_of(role: &str, message: &[u8]) -> bool {
    let text = String::from_utf8(message.to_vec()).unwrap();
    text.contains(&format!(r#""_type":"{role}""#))
}

#[tokio::test]
async fn roots() {
    let (trusting, key) = Trusting::new("root", |message| is_of("root", message));
    row(&trusting, &key).await;
}

#[tokio::test]
async fn targets() {
    let (trusting, key) = Trusting::new("targets", |message| is_of("targets", message));
    row(&trusting, &key).await;
}

#[tokio::test]
async fn snapshots() {
    let (trusting, key) = Trusting::new("snapshot", |message| is_of("snapshot", message));
    row(&trusting, &key).await;
}

#[tokio::test]
async fn timestamps_of_metadata() {
    let (trusting, key) = Trusting::new("timestamp", |message| is_of("timestamp", message));
    row(&trusting, &key).await;
}
