//! The TUF repository through a client's eyes: tough's own, over files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crypto::{KeyType, PublicKey, SignatureAlgorithm, Signer, SignerError};
use proptest::prelude::*;
use serde_json::{Value, json};
use signing::{Clock, FixedClock, SystemClock};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tough::{FilesystemTransport, RepositoryLoader, TargetName};
use trust::{
    Deployment, TrustFiles,
    tuf::{Damage, Repository, TufError},
};
use url::Url;

use crate::common::{NOW, TufKeys, deployment, log, signer, with_rekor1};

const DAY: u64 = 86_400;

/// A repository on disk, with what is needed to open it again.
struct Stored {
    directory: TempDir,
    clock: Arc<FixedClock>,
    keys: TufKeys,
    files: TrustFiles,
}

impl Stored {
    /// Nothing on disk yet; `clock` stands at the true time, since tough's client looks there.
    fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(FixedClock::at(SystemClock.now().0)),
            keys: TufKeys::generate(),
            files: TrustFiles::build(&with_rekor1(), NOW).unwrap(),
        }
    }

    async fn open(&self) -> Result<Arc<Repository>, TufError> {
        self.keys.open(&self.path(), &self.clock, &self.files).await
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tuf")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// Versions of root, targets, snapshot and timestamp, as a new client sees them.
    async fn versions(&self) -> [u64; 4] {
        let seen = Client::new(&self.read("1.root.json")).update(&self.path()).await.unwrap();
        [seen.root(), seen.targets(), seen.snapshot(), seen.timestamp()]
            .map(|role| role.version.get())
    }

    /// Every file, `targets` without their digests.
    fn names(&self) -> BTreeSet<String> {
        let list = |directory: &Path| -> Vec<String> {
            let entries = fs::read_dir(directory).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let targets = list(&self.path().join("targets")).into_iter();
        let targets = targets.map(|name| name.split_once('.').unwrap().1.to_owned());
        let metadata = list(&self.path()).into_iter().filter(|name| name != "targets");
        metadata.chain(targets).collect()
    }
}

/// What a client keeps from one update to the next.
struct Client {
    root: Vec<u8>,
    datastore: TempDir,
}

impl Client {
    fn new(root: &[u8]) -> Self {
        Self { root: root.to_vec(), datastore: tempfile::tempdir().unwrap() }
    }

    async fn update(&self, repository: &Path) -> tough::error::Result<Seen> {
        let url = |path: &Path| Url::from_directory_path(path).unwrap();
        let loader =
            RepositoryLoader::new(&self.root, url(repository), url(&repository.join("targets")));
        let loader = loader.transport(FilesystemTransport).datastore(self.datastore.path());
        loader.load().await.map(Seen)
    }
}

/// What a client accepted.
struct Seen(tough::Repository);

struct Version {
    version: std::num::NonZeroU64,
}

impl Seen {
    fn root(&self) -> Version {
        Version { version: self.0.root().signed.version }
    }

    fn targets(&self) -> Version {
        Version { version: self.0.targets().signed.version }
    }

    fn snapshot(&self) -> Version {
        Version { version: self.0.snapshot().signed.version }
    }

    fn timestamp(&self) -> Version {
        Version { version: self.0.timestamp().signed.version }
    }

    async fn target(&self, name: &str) -> Vec<u8> {
        let name = TargetName::new(name).unwrap();
        let read = tough::IntoVec::into_vec(self.0.read_target(&name).await.unwrap().unwrap());
        read.await.unwrap()
    }
}

#[tokio::test]
async fn a_client_with_the_root_reads_every_target() {
    let stored = Stored::empty();
    let repository = stored.open().await.unwrap();
    let client = Client::new(&repository.root_json());
    let seen = client.update(&stored.path()).await.unwrap();
    for file in stored.files.files() {
        let targets = ["trusted_root.json", "signing_config.v0.2.json", "countersign.json"];
        if targets.contains(&file.name) {
            assert_eq!(seen.target(file.name).await, file.content, "{}", file.name);
        }
    }
    assert!(seen.target("rekor.pub").await.starts_with(b"-----BEGIN PUBLIC KEY-----"));
    assert!(seen.target("fulcio_v1.crt.pem").await.starts_with(b"-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn the_first_repository_is_exactly_this() {
    let stored = Stored::empty();
    stored.open().await.unwrap();
    let expected = [
        "1.root.json",
        "1.snapshot.json",
        "1.targets.json",
        "root.json",
        "timestamp.json",
        "countersign.json",
        "ctfe.pub",
        "fulcio_intermediate_v1.crt.pem",
        "fulcio_v1.crt.pem",
        "rekor.pub",
        "signing_config.v0.2.json",
        "trusted_root.json",
        "tsa_leaf.crt.pem",
        "tsa_root.crt.pem",
    ];
    assert_eq!(stored.names(), expected.map(str::to_owned).into());
    let root = stored.json("1.root.json");
    let signed = &root["signed"];
    assert_eq!(signed["consistent_snapshot"], json!(true));
    assert_eq!(signed["spec_version"], "1.0.0");
    assert_eq!(signed["keys"].as_object().unwrap().len(), 2);
    assert_eq!(signed["roles"]["root"], signed["roles"]["targets"]);
    assert_eq!(signed["roles"]["snapshot"], signed["roles"]["timestamp"]);
    for key in signed["keys"].as_object().unwrap().values() {
        assert_eq!(key["keytype"], "ecdsa");
        assert_eq!(key["scheme"], "ecdsa-sha2-nistp256");
    }
}

#[tokio::test]
async fn expiries_are_whole_seconds_and_of_the_documented_lives() {
    let stored = Stored::empty();
    stored.clock.set(NOW.0);
    stored.clock.advance_ms(789);
    stored.open().await.unwrap();
    for (name, expires) in [
        ("1.root.json", "2027-01-02T00:00:00Z"),
        ("1.targets.json", "2027-01-02T00:00:00Z"),
        ("1.snapshot.json", "2026-04-02T00:00:00Z"),
        ("timestamp.json", "2026-01-09T00:00:00Z"),
    ] {
        assert_eq!(stored.json(name)["signed"]["expires"], expires, "{name}");
    }
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let stored = Stored::empty();
    stored.open().await.unwrap();
    let before = (stored.names(), stored.read("timestamp.json"));
    stored.clock.advance_ms(2 * DAY * 1000);
    let repository = stored.open().await.unwrap();
    assert_eq!((stored.names(), stored.read("timestamp.json")), before);
    assert_eq!(repository.root_json(), stored.read("1.root.json"));
}

#[tokio::test]
async fn each_role_is_signed_anew_at_its_own_time_and_clients_follow() {
    let stored = Stored::empty();
    let now = SystemClock.now().0;
    let mut last = [0; 4];
    let client = {
        stored.clock.set(now - 250 * DAY);
        stored.open().await.unwrap();
        Client::new(&stored.read("1.root.json"))
    };
    for (age_days, expected) in [
        (248, [1, 1, 1, 1]),
        (247, [1, 1, 1, 2]),
        (220, [1, 1, 2, 3]),
        (129, [1, 2, 3, 4]),
        (7, [2, 3, 4, 5]),
        (0, [2, 3, 4, 6]),
    ] {
        stored.clock.set(now - age_days * DAY);
        stored.open().await.unwrap();
        let versions = [
            (1..9).rev().find(|n| stored.has(&format!("{n}.root.json"))).unwrap(),
            (1..9).rev().find(|n| stored.has(&format!("{n}.targets.json"))).unwrap(),
            (1..9).rev().find(|n| stored.has(&format!("{n}.snapshot.json"))).unwrap(),
            stored.json("timestamp.json")["signed"]["version"].as_u64().unwrap(),
        ];
        assert_eq!(versions, expected, "{age_days} days ago");
        assert!(versions.iter().zip(last).all(|(new, old)| *new >= old));
        last = versions;
    }
    assert_eq!(stored.versions().await, last);
    let seen = client.update(&stored.path()).await.unwrap();
    assert_eq!(seen.root().version.get(), 2, "from the first root over the second");
    assert!(stored.has("1.root.json"), "every root stays");
}

#[tokio::test]
async fn an_expired_timestamp_is_refused_until_the_repository_is_opened_again() {
    let stored = Stored::empty();
    let now = SystemClock.now().0;
    stored.clock.set(now - 8 * DAY);
    let repository = stored.open().await.unwrap();
    let client = Client::new(&repository.root_json());
    let refused = client.update(&stored.path()).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, tough::error::Error::ExpiredMetadata { .. }), "{refused}");

    assert_eq!(repository.expired_role(), None);
    stored.clock.set(now);
    assert_eq!(repository.expired_role(), Some("timestamp"));
    let repository = stored.open().await.unwrap();
    assert_eq!(repository.expired_role(), None);
    client.update(&stored.path()).await.unwrap();
}

/// Expiries by a clock that is ahead would let a mirror withhold news for as long.
#[tokio::test]
async fn nothing_is_signed_by_a_clock_that_jumped_while_the_service_ran() {
    let stored = Stored::empty();
    stored.open().await.unwrap();
    let before = stored.read("timestamp.json");
    stored.clock.jump(15 * i64::try_from(DAY).unwrap());
    let refused = stored.open().await.unwrap_err();
    assert!(matches!(refused, TufError::Clock(_)), "{refused}");
    assert_eq!(stored.read("timestamp.json"), before);
    stored.clock.jump(-15 * i64::try_from(DAY).unwrap());
    let repository = stored.open().await.unwrap();
    assert_eq!((repository.overdue(), stored.read("timestamp.json")), (None, before));
}

#[tokio::test]
async fn says_which_role_ends_first_and_what_is_overdue() {
    let stored = Stored::empty();
    let repository = stored.open().await.unwrap();
    let (role, end) = repository.first_end().unwrap();
    assert_eq!((role, end.0), ("timestamp", stored.clock.now().0 + 7 * DAY));
    stored.clock.advance_ms((7 * DAY / 3 + 600) * 1000);
    assert_eq!(repository.overdue(), None, "it is tried again before that is told");
    stored.clock.advance_ms(1000);
    assert_eq!(repository.overdue(), Some(Duration::from_secs(601)));
}

#[tokio::test]
async fn versions_grow_whichever_way_the_clock_jumps() {
    let stored = Stored::empty();
    let now = SystemClock.now().0;
    stored.open().await.unwrap();
    let client = Client::new(&stored.read("1.root.json"));
    client.update(&stored.path()).await.unwrap();
    let timestamp = |version: u64| {
        assert_eq!(stored.json("timestamp.json")["signed"]["version"], version);
    };
    // Beyond two lives of the timestamp, and back: what was signed in the future goes too.
    stored.clock.set(now + 15 * DAY);
    stored.open().await.unwrap();
    timestamp(2);
    stored.clock.set(now);
    stored.open().await.unwrap();
    timestamp(3);
    let expires = stored.json("timestamp.json")["signed"]["expires"].clone();
    client.update(&stored.path()).await.unwrap();
    // Small steps back are no reason.
    stored.clock.set(now - 3_600);
    stored.open().await.unwrap();
    timestamp(3);
    // A year and back: the root as well.
    stored.clock.set(now + 400 * DAY);
    stored.open().await.unwrap();
    assert_eq!(stored.json("root.json")["signed"]["version"], 2);
    stored.clock.set(now);
    stored.open().await.unwrap();
    assert_eq!(stored.versions().await, [3, 3, 3, 5]);
    assert_eq!(stored.json("timestamp.json")["signed"]["expires"], expires);
    assert_eq!(client.update(&stored.path()).await.unwrap().root().version.get(), 3);
}

#[tokio::test]
async fn a_client_refuses_an_older_timestamp() {
    let stored = Stored::empty();
    stored.open().await.unwrap();
    let client = Client::new(&stored.read("1.root.json"));
    let old = stored.read("timestamp.json");
    stored.clock.advance_ms(3 * DAY * 1000);
    stored.open().await.unwrap();
    client.update(&stored.path()).await.unwrap();
    fs::write(stored.path().join("timestamp.json"), old).unwrap();
    let refused = client.update(&stored.path()).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, tough::error::Error::OlderMetadata { .. }), "{refused}");
}

#[tokio::test]
async fn changed_files_make_a_new_targets_version() {
    let mut stored = Stored::empty();
    stored.open().await.unwrap();
    let client = Client::new(&stored.read("1.root.json"));
    client.update(&stored.path()).await.unwrap();
    let moved = |port: u16| Deployment {
        rekor2_logs: vec![log(&format!("http://localhost:{port}"), KeyType::Ed25519)],
        ..deployment()
    };
    stored.files = TrustFiles::build(&moved(4003), NOW).unwrap();
    stored.open().await.unwrap();
    assert_eq!(stored.versions().await, [1, 2, 2, 2]);
    let seen = client.update(&stored.path()).await.unwrap();
    let config = String::from_utf8(seen.target("signing_config.v0.2.json").await).unwrap();
    assert!(config.contains("http://localhost:4003"), "{config}");
    // Who holds the first timestamp still finds what it leads to.
    assert!(stored.has("1.snapshot.json") && stored.has("1.targets.json"));
    let digests = stored.json("1.targets.json")["signed"]["targets"].clone();
    for (name, target) in digests.as_object().unwrap() {
        let digest = target["hashes"]["sha256"].as_str().unwrap();
        assert!(stored.has(&format!("targets/{digest}.{name}")), "{name}");
    }
}

#[tokio::test]
async fn replaced_versions_go_after_two_lives_of_the_timestamp() {
    let mut stored = Stored::empty();
    let first = stored.files.clone();
    stored.open().await.unwrap();
    stored.files = TrustFiles::build(&deployment(), NOW).unwrap();
    stored.open().await.unwrap();
    stored.clock.advance_ms(13 * DAY * 1000);
    stored.open().await.unwrap();
    assert!(stored.has("1.targets.json") && stored.has("1.snapshot.json"));
    stored.clock.advance_ms(3 * DAY * 1000);
    stored.open().await.unwrap();
    assert!(!stored.has("1.targets.json") && !stored.has("1.snapshot.json"));
    assert!(stored.has("2.targets.json") && stored.has("2.snapshot.json"));
    let digest = |files: &TrustFiles| {
        let file = files.files().iter().find(|file| file.name == "trusted_root.json").unwrap();
        format!("targets/{}.trusted_root.json", hex::encode(crypto::sha256(&file.content)))
    };
    assert!(!stored.has(&digest(&first)) && stored.has(&digest(&stored.files)));
}

#[tokio::test]
async fn however_often_files_change_only_the_newest_versions_stay() {
    let mut stored = Stored::empty();
    for port in 4000..4040 {
        let deployment =
            Deployment { oidc_url: format!("http://localhost:{port}"), ..deployment() };
        stored.files = TrustFiles::build(&deployment, NOW).unwrap();
        stored.open().await.unwrap();
    }
    let count = |role: &str| {
        stored.names().iter().filter(|name| name.ends_with(&format!(".{role}.json"))).count()
    };
    assert_eq!((count("targets"), count("snapshot")), (32, 32));
    assert!(!stored.has("8.targets.json") && stored.has("9.targets.json"));
    assert_eq!(stored.versions().await, [1, 40, 40, 40]);
}

/// A copy of a complete first start that lacks everything from a point on.
async fn killed_first_start(kept: &[&str]) -> Stored {
    let stored = Stored::empty();
    stored.open().await.unwrap();
    for name in ["1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json", "root.json"]
    {
        if !kept.contains(&name) {
            fs::remove_file(stored.path().join(name)).unwrap();
        }
    }
    if !kept.contains(&"targets") {
        fs::remove_dir_all(stored.path().join("targets")).unwrap();
    }
    stored
}

#[tokio::test]
async fn a_killed_first_start_is_completed_with_the_root_that_it_made() {
    for kept in [
        &[][..],
        &["1.root.json"],
        &["1.root.json", "targets"],
        &["1.root.json", "targets", "1.targets.json"],
        &["1.root.json", "targets", "1.targets.json", "1.snapshot.json"],
        &["1.root.json", "targets", "1.targets.json", "1.snapshot.json", "timestamp.json"],
    ] {
        let stored = killed_first_start(kept).await;
        let root = kept.contains(&"1.root.json").then(|| stored.read("1.root.json"));
        fs::create_dir_all(stored.path()).unwrap();
        fs::write(stored.path().join(".tmpAbC123"), "half").unwrap();
        let repository = stored.open().await.unwrap();
        assert!(root.is_none_or(|root| root == repository.root_json()), "{kept:?}");
        assert_eq!(stored.versions().await, [1, 1, 1, 1], "{kept:?}");
        assert_eq!(stored.read("root.json"), repository.root_json());
        assert!(!stored.has(".tmpAbC123"));
    }
}

async fn damage(change: impl FnOnce(&Stored)) -> Damage {
    let stored = Stored::empty();
    stored.open().await.unwrap();
    stored.clock.advance_ms(3 * DAY * 1000);
    stored.open().await.unwrap();
    change(&stored);
    let before = stored.names();
    let error = stored.open().await.unwrap_err();
    assert_eq!(stored.names(), before, "nothing is replaced");
    let TufError::Damaged { damage, .. } = error else { panic!("{error}") };
    damage
}

#[tokio::test]
async fn a_damaged_repository_is_refused_and_never_replaced() {
    let remove = |name: &'static str| {
        move |stored: &Stored| fs::remove_file(stored.path().join(name)).unwrap()
    };
    let write = |name: &'static str, content: &'static str| {
        move |stored: &Stored| fs::write(stored.path().join(name), content).unwrap()
    };
    for name in ["1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json"] {
        assert_eq!(damage(remove(name)).await, Damage::Missing(name.to_owned()));
    }
    for name in ["1.root.json", "timestamp.json"] {
        assert_eq!(damage(write(name, "{")).await, Damage::Unreadable(name.to_owned()));
    }
    for name in ["1.snapshot.json", "1.targets.json"] {
        assert_eq!(damage(write(name, "{}")).await, Damage::Mismatch(name.to_owned()));
    }
    let edited = damage(|stored| {
        let mut timestamp = stored.json("timestamp.json");
        timestamp["signed"]["version"] = json!(9);
        let text = serde_json::to_vec(&timestamp).unwrap();
        fs::write(stored.path().join("timestamp.json"), text).unwrap();
    });
    assert_eq!(edited.await, Damage::Unsigned("timestamp.json".to_owned()));
    let foreign = damage(|stored| {
        let mut root = stored.json("1.root.json");
        root["signed"]["version"] = json!(2);
        let text = serde_json::to_vec(&root).unwrap();
        fs::write(stored.path().join("2.root.json"), text).unwrap();
    });
    assert_eq!(foreign.await, Damage::Unsigned("2.root.json".to_owned()));
    let gap = damage(|stored| {
        fs::copy(stored.path().join("1.root.json"), stored.path().join("3.root.json")).unwrap();
    });
    assert_eq!(gap.await, Damage::Missing("2.root.json".to_owned()));
    let many = damage(write("257.root.json", "{}"));
    assert_eq!(many.await, Damage::TooManyRoots);
    let long = damage(|stored| {
        fs::write(stored.path().join("timestamp.json"), vec![b' '; (1 << 20) + 1]).unwrap();
    });
    assert_eq!(long.await, Damage::TooLong("timestamp.json".to_owned()));
    let target = damage(|stored| {
        let targets = fs::read_dir(stored.path().join("targets")).unwrap();
        for target in targets {
            fs::write(target.unwrap().path(), "other").unwrap();
        }
    });
    assert!(matches!(target.await, Damage::Mismatch(name) if name.starts_with("targets/")));
}

#[tokio::test]
async fn old_versions_that_cannot_be_read_are_not_served_and_hold_nothing_up() {
    let mut stored = Stored::empty();
    stored.open().await.unwrap();
    stored.files = TrustFiles::build(&deployment(), NOW).unwrap();
    stored.open().await.unwrap();
    fs::write(stored.path().join("1.targets.json"), "{}").unwrap();
    stored.open().await.unwrap();
    assert_eq!(stored.versions().await, [1, 2, 2, 2]);
}

#[tokio::test]
async fn versions_that_a_killed_renewal_used_are_not_used_again() {
    let mut stored = Stored::empty();
    stored.open().await.unwrap();
    let before = stored.read("timestamp.json");
    let first = stored.files.clone();
    stored.files = TrustFiles::build(&deployment(), NOW).unwrap();
    stored.open().await.unwrap();
    // As if the kill came before the timestamp.
    fs::write(stored.path().join("timestamp.json"), before).unwrap();
    stored.files = first;
    stored.open().await.unwrap();
    assert_eq!(stored.versions().await, [1, 1, 1, 1]);
    stored.files = TrustFiles::build(&deployment(), NOW).unwrap();
    stored.open().await.unwrap();
    assert_eq!(stored.versions().await, [1, 3, 3, 2]);
}

#[tokio::test]
async fn another_root_key_is_refused() {
    let mut stored = Stored::empty();
    stored.open().await.unwrap();
    stored.keys.root = signer(KeyType::EcdsaP256);
    let error = stored.open().await.unwrap_err();
    assert!(matches!(error, TufError::RootKey { .. }), "{error}");
    assert_eq!(stored.versions().await, [1, 1, 1, 1]);
}

#[tokio::test]
async fn only_p256_keys_make_a_repository() {
    for key_type in [KeyType::EcdsaP384, KeyType::Ed25519] {
        let mut stored = Stored::empty();
        stored.keys.online = signer(key_type);
        let error = stored.open().await.unwrap_err();
        assert!(matches!(error, TufError::KeyType(_)), "{error}");
        assert!(!stored.path().exists());
    }
}

/// A key that fails as it is told.
struct Faulty {
    inner: Arc<dyn Signer>,
    fault: Fault,
}

#[derive(Clone, Copy)]
enum Fault {
    Refuses,
    SignsSomethingElse,
}

#[async_trait::async_trait]
impl Signer for Faulty {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self.fault {
            Fault::SignsSomethingElse => self.inner.sign(&[message, b" "].concat()).await,
            Fault::Refuses => Err(SignerError::Refused {
                key_id: self.key_id().to_owned(),
                reason: "it does not want to".to_owned(),
            }),
        }
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }

    fn key_id(&self) -> &str {
        self.inner.key_id()
    }
}

#[tokio::test]
async fn a_key_that_fails_changes_nothing() {
    for fault in [Fault::Refuses, Fault::SignsSomethingElse] {
        let mut stored = Stored::empty();
        stored.open().await.unwrap();
        let before = (stored.names(), stored.read("timestamp.json"));
        stored.clock.advance_ms(3 * DAY * 1000);
        let good = Arc::clone(&stored.keys.online);
        stored.keys.online = Arc::new(Faulty { inner: Arc::clone(&good), fault });
        let error = stored.open().await.unwrap_err();
        let expected = match fault {
            Fault::Refuses => matches!(error, TufError::Signer(_)),
            Fault::SignsSomethingElse => matches!(error, TufError::Signature(_)),
        };
        assert!(expected, "{error}");
        assert_eq!((stored.names(), stored.read("timestamp.json")), before);
        stored.keys.online = good;
        stored.open().await.unwrap();
        assert_eq!(stored.versions().await, [1, 1, 1, 2]);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let stored = Stored::empty();
    fs::write(stored.path(), "a file").unwrap();
    let error = stored.open().await.unwrap_err();
    let TufError::Io { path, .. } = error else { panic!("{error}") };
    assert!(path.starts_with(stored.path()), "{}", path.display());
}

/// Ends of the lives of root, targets, snapshot and timestamp: days.
const LIVES: [i64; 4] = [365, 365, 90, 7];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn after_any_jumps_every_role_has_most_of_its_life_and_no_version_went_back(
        jumps in proptest::collection::vec(-500i64..500, 1..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stored = Stored::empty();
        let mut now = i64::try_from(NOW.0).unwrap() + 3_000 * 86_400;
        let mut last = [0; 4];
        for days in jumps {
            now += days * 86_400;
            stored.clock.set(u64::try_from(now).unwrap());
            let repository = runtime.block_on(stored.open()).unwrap();
            prop_assert_eq!(repository.expired_role(), None);
            let timestamp = stored.json("timestamp.json");
            let version = |document: &Value, name: &str| {
                document["signed"]["meta"][name]["version"].as_u64().unwrap()
            };
            let snapshot = stored.json(&format!("{}.snapshot.json", version(&timestamp, "snapshot.json")));
            let targets = stored.json(&format!("{}.targets.json", version(&snapshot, "targets.json")));
            let documents = [stored.json("root.json"), targets, snapshot, timestamp];
            for ((document, life), last) in documents.iter().zip(LIVES).zip(&mut last) {
                let expires = document["signed"]["expires"].as_str().unwrap();
                let expires: wire::Timestamp = serde_json::from_value(json!(expires)).unwrap();
                let left = expires.unix_seconds() - now;
                prop_assert!(left > 0 && left <= life * 86_400 + 3_600, "{left}");
                let version = document["signed"]["version"].as_u64().unwrap();
                prop_assert!(version >= *last);
                *last = version;
            }
        }
    }
}

#[tokio::test]
async fn a_new_online_key_comes_in_by_a_new_root() {
    let mut stored = Stored::empty();
    stored.open().await.unwrap();
    let client = Client::new(&stored.read("1.root.json"));
    client.update(&stored.path()).await.unwrap();
    stored.keys.online = signer(KeyType::EcdsaP256);
    stored.open().await.unwrap();
    let seen = client.update(&stored.path()).await.unwrap();
    assert_eq!(seen.root().version.get(), 2);
    assert_eq!(stored.versions().await, [2, 1, 2, 2]);
}

#[tokio::test]
async fn a_rotation_that_was_killed_after_its_root_is_completed() {
    let mut stored = Stored::empty();
    stored.open().await.unwrap();
    let keep = ["1.snapshot.json", "1.targets.json", "timestamp.json", "root.json"];
    let before = keep.map(|name| (name, stored.read(name)));
    stored.keys.online = signer(KeyType::EcdsaP256);
    stored.open().await.unwrap();
    fs::remove_file(stored.path().join("2.snapshot.json")).unwrap();
    for (name, content) in before {
        fs::write(stored.path().join(name), content).unwrap();
    }
    stored.open().await.unwrap();
    assert_eq!(stored.versions().await, [2, 1, 2, 2]);
    assert_eq!(stored.json("root.json")["signed"]["version"], 2);
}

#[tokio::test]
async fn a_running_process_follows_its_clock() {
    let stored = Stored::empty();
    let repository = stored.open().await.unwrap();
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let running = Arc::clone(&repository);
    let token = shutdown.clone();
    tasks.spawn(async move { running.keep_fresh(token).await });
    stored.clock.advance_ms(15 * DAY * 1000);
    assert_eq!(repository.expired_role(), Some("timestamp"));
    let renewed = async {
        while repository.expired_role().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), renewed).await.unwrap();
    assert_eq!(stored.json("timestamp.json")["signed"]["version"], 2);
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn root_json_is_written_where_clients_pick_it_up() {
    let stored = Stored::empty();
    let repository = stored.open().await.unwrap();
    let trust_dir = stored.directory.path().join("trust");
    for _ in 0..2 {
        repository.write_root_to(&trust_dir).unwrap();
        assert_eq!(fs::read(trust_dir.join("root.json")).unwrap(), repository.root_json());
    }
    assert_eq!(fs::read_dir(&trust_dir).unwrap().count(), 1);
}
