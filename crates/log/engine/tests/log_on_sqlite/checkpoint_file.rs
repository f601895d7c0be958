//! The checkpoint outside the database, and databases that are not the one that was signed.

use std::sync::Arc;

use engine::StartError;
use testlog::{Lie, LogDir, Tampering, copy_database, entry};
use tlog::{SignedNote, TreeSize};

#[tokio::test]
async fn the_file_holds_the_last_signed_checkpoint_after_a_shutdown() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(7).await;
    running.fill(9).await;
    let checkpoint = running.log.checkpoint();
    running.stop().await;
    let kept = std::fs::read_to_string(place.checkpoint_file()).unwrap();
    assert_eq!(kept, checkpoint.note);
    kept.parse::<SignedNote>().unwrap();
    assert_eq!(std::fs::read_dir(place.checkpoint_file().parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_database_restored_from_an_old_copy_is_refused() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(5).await;
    running.stop().await;
    let copy = place.dir.path().join("copy.db");
    copy_database(&place.database(), &copy);

    let running = place.start().await;
    running.fill(3).await;
    running.stop().await;
    copy_database(&copy, &place.database());

    let refused = place.start_on(place.open_store().await).await.err().unwrap();
    let StartError::BehindCheckpoint { found: TreeSize(5), signed: TreeSize(8), .. } = refused
    else {
        panic!("{refused}")
    };
    assert!(refused.to_string().contains("restored from an old copy"), "{refused}");
}

#[tokio::test]
async fn a_lost_database_is_refused() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(1).await;
    running.stop().await;
    for entry in std::fs::read_dir(place.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let refused = place.start_on(place.open_store().await).await.err().unwrap();
    assert!(matches!(
        refused,
        StartError::BehindCheckpoint { found: TreeSize(0), signed: TreeSize(1), .. }
    ));
}

#[tokio::test]
async fn another_history_of_the_same_log_is_refused() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(5).await;
    running.stop().await;
    let other = place.elsewhere();
    let running = other.start().await;
    running.log.submit(entry(b"another beginning")).await.unwrap();
    running.fill(6).await;
    running.stop().await;

    std::fs::copy(place.checkpoint_file(), other.checkpoint_file()).unwrap();
    let refused = other.start_on(other.open_store().await).await.err().unwrap();
    assert!(matches!(refused, StartError::Forked { size: TreeSize(5), .. }), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_not_this_logs_checkpoint_is_refused() {
    let place = LogDir::new();
    place.start().await.stop().await;
    let stranger = LogDir::new();
    stranger.start().await.stop().await;
    let foreign = std::fs::read_to_string(stranger.checkpoint_file()).unwrap();
    let own = std::fs::read_to_string(place.checkpoint_file()).unwrap();
    for content in ["", "garbage", &foreign, &own.replacen("\n0\n", "\n1\n", 1)] {
        std::fs::write(place.checkpoint_file(), content).unwrap();
        let store = place.open_store().await;
        let refused = place.start_on(store.clone()).await.err().unwrap();
        assert!(matches!(refused, StartError::CheckpointFileInvalid { .. }), "{refused}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_at_the_start() {
    let place = LogDir::new();
    std::fs::write(place.checkpoint_file().parent().unwrap(), "not a directory").unwrap();
    let store = place.open_store().await;
    let refused = place.start_on(Arc::clone(&store)).await.err().unwrap();
    assert!(matches!(refused, StartError::CheckpointFile { .. }), "{refused}");
    std::fs::remove_file(place.checkpoint_file().parent().unwrap()).unwrap();
    // Without waiting for anything: nobody gets a checkpoint that is not kept.
    let running = place.start_on(store).await.unwrap();
    let kept = std::fs::read_to_string(place.checkpoint_file()).unwrap();
    assert_eq!(kept, running.log.checkpoint().note);
    running.stop().await;
}

#[tokio::test]
async fn a_half_written_file_of_a_crash_does_not_matter() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(2).await;
    running.stop().await;
    let mut temporary = place.checkpoint_file().into_os_string();
    temporary.push(".tmp");
    std::fs::write(&temporary, "log.te").unwrap();
    let running = place.start().await;
    running.fill(2).await;
    let newest = running.log.checkpoint().note.clone();
    running.stop().await;
    assert_eq!(std::fs::read_to_string(place.checkpoint_file()).unwrap(), newest);
}

#[tokio::test]
async fn an_older_file_is_brought_forward() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(2).await;
    running.stop().await;
    let old = std::fs::read(place.checkpoint_file()).unwrap();
    let running = place.start().await;
    running.fill(2).await;
    let newest = running.log.checkpoint().note.clone();
    running.stop().await;
    std::fs::write(place.checkpoint_file(), old).unwrap();
    place.start().await.stop().await;
    let kept: SignedNote =
        std::fs::read_to_string(place.checkpoint_file()).unwrap().parse().unwrap();
    assert_eq!(kept.text, newest.parse::<SignedNote>().unwrap().text);
}

#[tokio::test]
async fn a_damaged_tail_or_state_is_refused_at_start() {
    let place = LogDir::new();
    let running = place.start().await;
    running.fill(300).await;
    running.stop().await;
    for lie in [Lie::Body(299), Lie::LeafHash(5), Lie::Missing(250), Lie::Edge] {
        let store = Tampering::new(place.open_store().await);
        store.tell(Some(lie));
        let mut config = place.config();
        config.checkpoint_file = None;
        let refused = place.start_with(store.clone(), config).await.err().unwrap();
        assert!(matches!(refused, StartError::Damaged(_)), "{lie:?}: {refused}");
        store::LogStore::close(store.as_ref()).await;
    }
}
