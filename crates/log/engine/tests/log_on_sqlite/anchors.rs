//! Checkpoints out of reach of a restore, and the ways out of one.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use engine::{
    Anchor, AnchorError, Anchors, FileAnchor, Log, LogIn, RestoreError, StartError, StopReason,
    Stored, SubmitError, holds, restore,
};
use store::{IndexKey, LogStore, NewEntry, SearchPage};
use testlog::{LogDir, Running, TILES_ORIGIN, body, copy_database, entry};
use tlog::{TreeHead, TreeSize, verify_consistency};

/// A log whose database and checkpoint file are one volume, and its anchor another.
struct Place {
    log: LogDir,
    anchor: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { log: LogDir::new(), anchor: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.anchor.path().join("log")
    }

    fn anchors(&self) -> Vec<Arc<dyn Anchor>> {
        vec![Arc::new(FileAnchor::new(self.file()))]
    }

    async fn start_with(&self, anchors: Vec<Arc<dyn Anchor>>) -> Result<Running, StartError> {
        let store = self.log.open_store().await;
        let config = (self.log.config(), TILES_ORIGIN);
        let started = self.log.start_anchored(Arc::clone(&store), config, anchors).await;
        if started.is_err() {
            store.close().await;
        }
        started
    }

    async fn start(&self) -> Result<Running, StartError> {
        self.start_with(self.anchors()).await
    }

    async fn opened(&self) -> Anchors {
        let (config, key) = (self.log.config(), self.log.signer.public_key());
        Anchors::open(&config, key, self.anchors()).await.unwrap()
    }

    /// Database and checkpoint file together.
    fn back_up(&self, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        copy_database(&self.log.database(), &to.join("log.db"));
        std::fs::copy(self.log.checkpoint_file(), to.join("checkpoint")).unwrap();
    }

    fn restore(&self, from: &Path) {
        copy_database(&from.join("log.db"), &self.log.database());
        std::fs::copy(from.join("checkpoint"), self.log.checkpoint_file()).unwrap();
    }
}

/// Sees every checkpoint that it can, and that each continues the one before.
#[derive(Default)]
struct Witness(Mutex<Option<TreeHead>>);

impl Witness {
    async fn look(&self, log: &Log) {
        let new = log.checkpoint().head;
        let seen = self.0.lock().unwrap().replace(new);
        let Some(seen) = seen.filter(|seen| seen.size > TreeSize(0)) else { return };
        assert!(new.size >= seen.size, "{} after {}", new.size, seen.size);
        let path = log.consistency_path(seen.size, new.size).await.unwrap();
        verify_consistency(&seen, &new, &path).unwrap();
    }
}

/// A log that was backed up at five entries, went on to eight, and was restored.
async fn restored() -> (Place, Witness, PathBuf) {
    let (place, witness) = (Place::new(), Witness::default());
    let backup = place.log.dir.path().join("backup");
    let running = place.start().await.unwrap();
    running.fill(5).await;
    witness.look(&running.log).await;
    running.stop().await;
    place.back_up(&backup);
    let running = place.start().await.unwrap();
    let mut searched = entry(&body(5));
    searched.index_keys = vec![IndexKey { kind: "subject", key: "alice".to_owned() }];
    running.log.submit(searched).await.unwrap();
    place.log.clock.set(testlog::NOW + 60);
    running.fill(2).await;
    witness.look(&running.log).await;
    running.stop().await;
    // What only a copy has from now on.
    copy_database(&place.log.database(), &place.log.dir.path().join("newest.db"));
    place.restore(&backup);
    (place, witness, backup)
}

#[tokio::test]
async fn whoever_sees_a_checkpoint_finds_it_at_the_anchor() {
    let place = Place::new();
    let running = place.start().await.unwrap();
    for number in 0..3 {
        let answer = running.log.submit(entry(&body(number))).await.unwrap();
        assert_eq!(std::fs::read_to_string(place.file()).unwrap(), answer.checkpoint.note);
    }
    running.stop().await;
}

#[tokio::test]
async fn volume_and_database_restored_together_are_refused() {
    let (place, _, _) = restored().await;
    for _ in 0..2 {
        let refused = place.start().await.err().unwrap();
        let StartError::BehindCheckpoint {
            found: TreeSize(5),
            signed: TreeSize(8),
            place: kept,
            ..
        } = &refused
        else {
            panic!("{refused}")
        };
        assert_eq!(*kept, place.file().display().to_string());
        let words = refused.to_string();
        assert!(words.contains("log restore") && words.contains("log begin-anew"), "{words}");
    }
}

#[tokio::test]
async fn a_newer_backup_is_a_way_out() {
    let (place, witness, _) = restored().await;
    copy_database(&place.log.dir.path().join("newest.db"), &place.log.database());
    let running = place.start().await.unwrap();
    running.fill(2).await;
    witness.look(&running.log).await;
    running.stop().await;
}

#[tokio::test]
async fn entries_that_a_copy_has_are_a_way_out() {
    let (place, witness, _) = restored().await;
    let copy = sqlite::SqliteLogStore::open(&place.log.dir.path().join("newest.db")).await.unwrap();
    let copied = copy.logs().await.unwrap().pop().unwrap();
    let store = place.log.open_store().await;
    let record = store.logs().await.unwrap().pop().unwrap();
    let (signed, _) = place.opened().await.newest().unwrap();
    let target = LogIn { store: store.as_ref(), record: &record };
    let behind = holds(target, signed).await.unwrap_err();
    assert!(matches!(behind, RestoreError::Behind { found: TreeSize(5), .. }), "{behind}");
    let from = LogIn { store: &copy, record: &copied };
    assert_eq!(restore(from, target, signed).await.unwrap(), 3);
    assert_eq!(restore(from, target, signed).await.unwrap(), 0);
    let all = tlog::LeafIndex(0)..tlog::LeafIndex(8);
    let entries = store.entries(record.id, all.clone()).await.unwrap();
    assert_eq!(entries, copy.entries(copied.id, all).await.unwrap());
    let key = IndexKey { kind: "subject", key: "alice".to_owned() };
    let found = store.search(record.id, &[key], true, SearchPage::first(9)).await.unwrap();
    assert_eq!(found, [tlog::LeafIndex(5)]);
    copy.close().await;
    store.close().await;

    let running = place.start().await.unwrap();
    running.fill(2).await;
    witness.look(&running.log).await;
    running.stop().await;
}

#[tokio::test]
async fn a_copy_of_another_history_brings_nothing_back() {
    let (place, _, backup) = restored().await;
    let (signed, _) = place.opened().await.newest().unwrap();
    // The copy of before, which went on by itself: longer than what was signed, and not it.
    let other = place.log.elsewhere();
    copy_database(&backup.join("log.db"), &other.database());
    let running = other.start().await;
    for number in 100..110 {
        running.log.submit(entry(&body(number))).await.unwrap();
    }
    let copied = running.log.record().clone();
    let store = place.log.open_store().await;
    let record = store.logs().await.unwrap().pop().unwrap();
    let copy = LogIn { store: running.store.as_ref(), record: &copied };
    let target = LogIn { store: store.as_ref(), record: &record };
    let refused = restore(copy, target, signed).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Forked { whose: "the copy", .. }), "{refused}");
    assert_eq!(store.state(record.id).await.unwrap().edge.size(), TreeSize(5));
    running.stop().await;
    store.close().await;
}

#[tokio::test]
async fn a_log_that_is_over_is_started_by_nobody_whatever_is_restored() {
    let (place, _, _) = restored().await;
    place.opened().await.end().await.unwrap();
    place.opened().await.end().await.unwrap();
    copy_database(&place.log.dir.path().join("newest.db"), &place.log.database());
    let refused = place.start().await.err().unwrap();
    assert!(matches!(refused, StartError::Ended { .. }), "{refused}");
    // What was signed last stays readable.
    assert_eq!(place.opened().await.newest().unwrap().0.size, TreeSize(8));
}

#[tokio::test]
async fn entries_of_which_no_anchor_knows_are_refused_until_somebody_has_a_checkpoint() {
    let place = Place::new();
    let running = place.log.start().await;
    running.fill(3).await;
    let note = running.log.checkpoint().note.clone();
    running.stop().await;
    let refused = place.start().await.err().unwrap();
    assert!(matches!(refused, StartError::NoAnchor { size: TreeSize(3), .. }), "{refused}");
    assert!(refused.to_string().contains("--checkpoint"), "{refused}");
    assert_eq!(place.opened().await.adopt(&note).await.unwrap().size, TreeSize(3));
    place.start().await.unwrap().stop().await;
    // Of another key's or none: nothing is believed.
    let stranger = LogDir::new().start().await;
    let foreign = stranger.log.checkpoint().note.clone();
    assert!(place.opened().await.adopt(&foreign).await.is_err());
    stranger.stop().await;
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_no_anchor_that_is_empty() {
    let place = Place::new();
    let gone = FileAnchor::new(place.anchor.path().join("not mounted/log"));
    let refused = place.start_with(vec![Arc::new(gone)]).await.err().unwrap();
    assert!(matches!(refused, StartError::Anchor { .. }), "{refused}");
}

/// A process that is behind must not set back what one ahead of it kept.
#[tokio::test]
async fn an_anchor_never_goes_back() {
    let place = Place::new();
    let running = place.start().await.unwrap();
    running.fill(2).await;
    let old = running.log.checkpoint().note.clone();
    let mut behind = place.opened().await;
    running.fill(2).await;
    let newest = running.log.checkpoint().note.clone();
    behind.adopt(&old).await.unwrap();
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), newest);
    running.stop().await;
}

#[tokio::test]
async fn another_tree_at_the_anchor_stops_the_log() {
    let place = Place::new();
    let running = place.start().await.unwrap();
    running.fill(2).await;
    let other = place.log.elsewhere();
    let second = other.start().await;
    for number in 50..53 {
        second.log.submit(entry(&body(number))).await.unwrap();
    }
    std::fs::write(place.file(), &second.log.checkpoint().note).unwrap();
    second.stop().await;
    let refused = running.log.submit(entry(b"third")).await.unwrap_err();
    let SubmitError::Stopped(reason) = &refused else { panic!("{refused}") };
    assert!(matches!(**reason, StopReason::AnchorForked { .. }), "{refused}");
    assert_eq!(running.log.checkpoint().head.size, TreeSize(2));
    running.stop().await;
}

/// Fails while it is told to.
struct Failing {
    inner: FileAnchor,
    fails: AtomicBool,
}

#[async_trait]
impl Anchor for Failing {
    fn place(&self) -> String {
        "the failing one".to_owned()
    }

    async fn read(&self) -> Result<Option<Stored>, AnchorError> {
        self.check()?;
        self.inner.read().await
    }

    async fn replace(
        &self,
        before: Option<&Stored>,
        text: &str,
    ) -> Result<Option<Stored>, AnchorError> {
        self.check()?;
        self.inner.replace(before, text).await
    }
}

impl Failing {
    fn check(&self) -> Result<(), AnchorError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(AnchorError("no space left on device".to_owned()));
        }
        Ok(())
    }
}

#[tokio::test]
async fn an_anchor_that_cannot_be_written_stops_signing_until_it_can() {
    let place = Place::new();
    let fails = AtomicBool::new(false);
    let failing = Arc::new(Failing { inner: FileAnchor::new(place.file()), fails });
    let running = place.start_with(vec![Arc::clone(&failing) as _]).await.unwrap();
    running.fill(2).await;
    running.log.ready().unwrap();
    failing.fails.store(true, Ordering::SeqCst);
    let first = running.log.submit(entry(&body(2))).await.unwrap_err();
    assert!(matches!(first, SubmitError::Unanchored(_)), "{first}");
    // Nobody saw what is not kept, and nothing more is taken.
    assert_eq!(running.log.checkpoint().head.size, TreeSize(2));
    let next = running.log.submit(entry(&body(3))).await.unwrap_err();
    assert!(matches!(next, SubmitError::Unanchored(_)), "{next}");
    let SubmitError::Unanchored(why) = running.log.ready().unwrap_err() else { panic!("ready") };
    assert_eq!(why.to_string(), "the failing one: no space left on device");
    // Who asks the log learns nothing of where it keeps what.
    assert!(!first.to_string().contains("the failing one"), "{first}");
    assert_eq!(running.store.state(running.log.record().id).await.unwrap().edge.size().0, 3);

    failing.fails.store(false, Ordering::SeqCst);
    while running.log.ready().is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(running.log.checkpoint().head.size, TreeSize(3));
    let again: NewEntry = entry(&body(2));
    assert!(!running.log.submit(again).await.unwrap().fresh);
    running.stop().await;
}
