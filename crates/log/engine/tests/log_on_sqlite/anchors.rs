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
use signing::SigningKey;
use store::{IndexKey, LogStore, NewEntry, SearchPage};
use testlog::{LogDir, Running, TILES_ORIGIN, body, copy_database, cpu, entry};
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

    fn key(&self) -> SigningKey {
        SigningKey::of(Arc::clone(&self.log.signer), cpu())
    }

    /// Another database of the log, with what it has now: as a standby that is promoted. With the same anchor.
    async fn twin(&self) -> (LogDir, Running) {
        let other = self.log.elsewhere();
        copy_database(&self.log.database(), &other.database());
        let config = (other.config(), TILES_ORIGIN);
        let started = other.start_anchored(other.open_store().await, config, self.anchors());
        let running = started.await.unwrap();
        (other, running)
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
    for _ in 0..2 {
        place.opened().await.end(&place.key()).await.unwrap();
    }
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
    let store = place.log.open_store().await;
    let record = store.logs().await.unwrap().pop().unwrap();
    let log = LogIn { store: store.as_ref(), record: &record };
    assert_eq!(place.opened().await.adopt(log, &note).await.unwrap().size, TreeSize(3));
    store.close().await;
    place.start().await.unwrap().stop().await;
    // Of another key's or none: nothing is believed.
    let stranger = LogDir::new().start().await;
    let foreign = stranger.log.checkpoint().note.clone();
    let store = place.log.open_store().await;
    let log = LogIn { store: store.as_ref(), record: &record };
    assert!(place.opened().await.adopt(log, &foreign).await.is_err());
    store.close().await;
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
    let log = LogIn { store: running.store.as_ref(), record: running.log.record() };
    behind.adopt(log, &old).await.unwrap();
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

async fn ready_again(running: &Running) {
    while running.log.ready().is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn stopped(refused: SubmitError) -> StopReason {
    let SubmitError::Stopped(reason) = refused else { panic!("{refused}") };
    Arc::into_inner(reason).unwrap_or(StopReason::TaskDied)
}

/// The one of before took entries that this one never saw, and this one runs, so nothing compared it at a start.
#[tokio::test]
async fn a_process_on_a_standby_signs_nothing_beside_the_larger_tree_of_the_primary() {
    let place = Place::new();
    let primary = place.start().await.unwrap();
    primary.fill(5).await;
    let (_dir, standby) = place.twin().await;
    primary.fill(2).await;
    let refused = standby.log.submit(entry(b"only here")).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Stopped(_)), "{refused}");
    assert_eq!(standby.log.checkpoint().head.size, TreeSize(5));
    primary.fill(1).await;
    primary.stop().await;
    standby.stop().await;
}

/// Its tree is larger than what the other one kept, and does not have it: by a few entries, and by many.
#[tokio::test]
async fn a_process_signs_nothing_over_the_smaller_tree_of_another_database() {
    for count in [2_u64, 300] {
        let place = Place::new();
        let primary = place.start().await.unwrap();
        primary.fill(5).await;
        let (_dir, standby) = place.twin().await;
        standby.log.submit(entry(b"only here")).await.unwrap();
        let kept = std::fs::read_to_string(place.file()).unwrap();
        // All in one batch.
        let bodies = (0..count).map(|number| body(1000 + number));
        let entries: Vec<_> = bodies.map(|body| primary.log.submit(entry(&body))).collect();
        for taken in futures::future::join_all(entries).await {
            let refused = taken.unwrap_err();
            assert!(matches!(refused, SubmitError::Stopped(_)), "{refused}");
        }
        assert_eq!(primary.log.checkpoint().head.size, TreeSize(5));
        assert_eq!(std::fs::read_to_string(place.file()).unwrap(), kept);
        primary.stop().await;
        standby.stop().await;
    }
}

/// Replicas of one database are ahead of each other all the time.
#[tokio::test]
async fn replicas_of_one_database_keep_at_one_anchor() {
    let place = Place::new();
    let one = place.start().await.unwrap();
    let config = (place.log.config(), TILES_ORIGIN);
    let other = place.log.start_anchored(Arc::clone(&one.store), config, place.anchors());
    let other = other.await.unwrap();
    for number in 0..8_u64 {
        let (process, numbers) = if number % 3 == 0 { (&one, 0..1) } else { (&other, 0..3) };
        let bodies = numbers.map(|each| body(100 * number + each));
        let entries: Vec<_> = bodies.map(|body| process.log.submit(entry(&body))).collect();
        for taken in futures::future::join_all(entries).await {
            taken.unwrap();
        }
    }
    let _ = tokio::join!(one.log.submit(entry(b"x")), other.log.submit(entry(b"y")));
    // So many that a proof takes the place of their hashes.
    let bodies = (0..300).map(|number| body(1000 + number));
    let entries: Vec<_> = bodies.map(|body| one.log.submit(entry(&body))).collect();
    futures::future::join_all(entries).await;
    other.log.submit(entry(b"z")).await.unwrap();
    one.log.ready().unwrap();
    other.log.ready().unwrap();
    other.shutdown.cancel();
    other.tasks.close();
    other.tasks.wait().await;
    one.stop().await;
}

/// As at a mount point whose volume went away: what is there now would be found sound by a process that is behind.
#[tokio::test]
async fn an_anchor_that_is_emptied_or_set_back_stops_signing_until_it_is_as_before() {
    let place = Place::new();
    let running = place.start().await.unwrap();
    running.fill(2).await;
    let old = running.log.checkpoint().note.clone();
    running.fill(2).await;
    for (number, there) in [(10, None), (11, Some(&old))] {
        let newest = running.log.checkpoint().note.clone();
        match there {
            None => std::fs::remove_file(place.file()).unwrap(),
            Some(note) => std::fs::write(place.file(), note).unwrap(),
        }
        let refused = running.log.submit(entry(&body(number))).await.unwrap_err();
        assert!(matches!(refused, SubmitError::Unanchored(_)), "{refused}");
        let SubmitError::Unanchored(why) = running.log.ready().unwrap_err() else { panic!() };
        assert!(why.to_string().contains("it held a tree of"), "{why}");
        let is = std::fs::read_to_string(place.file()).ok();
        assert_eq!(is.as_ref(), there, "nothing was written over it");
        std::fs::write(place.file(), &newest).unwrap();
        ready_again(&running).await;
        let newest = running.log.checkpoint().note.clone();
        assert_eq!(std::fs::read_to_string(place.file()).unwrap(), newest);
    }
    running.stop().await;
}

/// Else whoever can write to the store could end the log, for ever.
#[tokio::test]
async fn that_a_log_is_over_only_its_own_key_can_say() {
    let place = Place::new();
    let running = place.start().await.unwrap();
    running.fill(2).await;
    let newest = running.log.checkpoint().note.clone();
    let stranger = Place::new();
    let foreign = stranger.start().await.unwrap();
    foreign.fill(3).await;
    foreign.stop().await;
    stranger.opened().await.end(&stranger.key()).await.unwrap();
    let of_stranger = std::fs::read_to_string(stranger.file()).unwrap();
    let over = tlog::Checkpoint::OVER;
    for said in [format!("{over}\n{newest}"), format!("{over}\n"), of_stranger] {
        std::fs::write(place.file(), &said).unwrap();
        let refused = running.log.submit(entry(said.as_bytes())).await.unwrap_err();
        assert!(matches!(refused, SubmitError::Unanchored(_)), "{refused}");
    }
    std::fs::write(place.file(), &newest).unwrap();
    ready_again(&running).await;
    place.opened().await.end(&place.key()).await.unwrap();
    let last = running.log.submit(entry(b"last")).await.unwrap_err();
    assert!(matches!(stopped(last), StopReason::Ended | StopReason::TaskDied));
    running.stop().await;
}

/// It would take the only trace of a second history with it.
#[tokio::test]
async fn a_checkpoint_is_not_adopted_over_that_of_another_history() {
    let place = Place::new();
    let running = place.log.start().await;
    running.fill(4).await;
    let note = running.log.checkpoint().note.clone();
    let other = place.log.elsewhere();
    let second = other.start().await;
    second.log.submit(entry(b"another")).await.unwrap();
    let kept = second.log.checkpoint().note.clone();
    std::fs::write(place.file(), &kept).unwrap();
    let log = LogIn { store: running.store.as_ref(), record: running.log.record() };
    let refused = place.opened().await.adopt(log, &note).await.unwrap_err();
    assert!(matches!(refused, StartError::Forked { size: TreeSize(1), .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), kept);
    running.stop().await;
    second.stop().await;
}

/// While it is read, another process takes an entry.
struct Overtaken {
    inner: FileAnchor,
    other: Arc<Log>,
}

#[async_trait]
impl Anchor for Overtaken {
    fn place(&self) -> String {
        self.inner.place()
    }

    async fn read(&self) -> Result<Option<Stored>, AnchorError> {
        self.other.submit(entry(b"meanwhile")).await.unwrap();
        self.inner.read().await
    }

    async fn replace(
        &self,
        before: Option<&Stored>,
        text: &str,
    ) -> Result<Option<Stored>, AnchorError> {
        self.inner.replace(before, text).await
    }
}

#[tokio::test]
async fn a_replica_starts_while_another_one_takes_entries() {
    let place = Place::new();
    let one = place.start().await.unwrap();
    one.fill(3).await;
    let inner = FileAnchor::new(place.file());
    let overtaken = Arc::new(Overtaken { inner, other: Arc::clone(&one.log) });
    let config = place.log.elsewhere().config();
    let parts = (config, TILES_ORIGIN);
    let started = place.log.start_anchored(Arc::clone(&one.store), parts, vec![overtaken]).await;
    let other = started.unwrap();
    assert_eq!(other.log.checkpoint().head.size, TreeSize(4));
    other.shutdown.cancel();
    other.tasks.close();
    other.tasks.wait().await;
    one.stop().await;
}

/// A pipe that nobody writes to hangs as a file system that is away does.
#[test]
fn an_anchor_that_hangs_holds_one_thread_however_often_it_is_tried() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("log");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(2).build().unwrap();
    runtime.block_on(async {
        let anchor = FileAnchor::new(pipe.clone());
        for _ in 0..4 {
            let late = tokio::time::timeout(std::time::Duration::from_millis(100), anchor.read());
            assert!(late.await.is_err());
        }
        let other = tokio::task::spawn_blocking(|| ());
        let patience = std::time::Duration::from_secs(20);
        tokio::time::timeout(patience, other).await.expect("a thread is left").unwrap();
    });
    drop(std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
    runtime.shutdown_background();
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
    ready_again(&running).await;
    assert_eq!(running.log.checkpoint().head.size, TreeSize(3));
    let again: NewEntry = entry(&body(2));
    assert!(!running.log.submit(again).await.unwrap().fresh);
    running.stop().await;
}
