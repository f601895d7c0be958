//! Entries that are read page by page.

use std::sync::Arc;

use bytes::Bytes;
use engine::ReadError;
use store::{LogStore, NewEntry};
use testlog::{Lie, LogDir, Running, Tampering, body, entry};
use tlog::{LeafIndex, MAX_ENTRY_LEN};

const PAGE_LEN: usize = 64 * 1024;

async fn tampered(place: &LogDir) -> (Arc<Tampering>, Running) {
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    (store, running)
}

/// One of `len` bytes.
fn of_len(number: u64, len: usize) -> NewEntry {
    let mut body = body(number);
    body.resize(len, b'x');
    entry(&body)
}

async fn submit_all(running: &Running, entries: impl IntoIterator<Item = NewEntry>) {
    let under_way = entries.into_iter().map(|entry| running.log.submit(entry));
    for outcome in futures::future::join_all(under_way).await {
        outcome.unwrap();
    }
}

/// Reads `range` in pages; says how many bytes they had.
async fn read_in_pages(running: &Running, end: u64) -> Result<usize, ReadError> {
    let mut pages = running.log.pages(LeafIndex(0)..LeafIndex(end), PAGE_LEN).await?;
    let (mut given, mut next) = (0, 0);
    while let Some(rows) = pages.next().await? {
        let len: usize = rows.iter().map(|row| row.body.len() + row.extra.len()).sum();
        assert!(rows.len() == 1 || len <= PAGE_LEN, "{} entries of {len} bytes", rows.len());
        for row in rows {
            assert_eq!(row.index, LeafIndex(next));
            next += 1;
        }
        given += len;
    }
    assert_eq!(next, end);
    Ok(given)
}

#[tokio::test]
async fn what_is_read_is_what_is_given_whatever_the_lengths_of_the_entries() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    let short = (0..60).map(|number| of_len(number, 100));
    let alternating =
        (60..140).map(|number| of_len(number, if number % 2 == 0 { MAX_ENTRY_LEN } else { 800 }));
    let with_chains = (140..150)
        .map(|number| NewEntry { extra: Bytes::from(vec![0; 200_000]), ..of_len(number, 800) });
    submit_all(&running, short.chain(alternating)).await;
    submit_all(&running, with_chains).await;
    submit_all(&running, (150..600).map(|number| of_len(number, 20))).await;
    let before = store.bytes_read();
    let given = read_in_pages(&running, 600).await.unwrap();
    assert!(given > 40 * MAX_ENTRY_LEN, "{given}");
    assert_eq!(store.bytes_read() - before, given, "nothing is read and dropped");
    running.stop().await;
}

#[tokio::test]
async fn a_page_without_one_of_its_entries_is_damaged() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    submit_all(&running, (0..20).map(|number| of_len(number, 100))).await;
    for missing in [0, 7, 19] {
        store.tell(Some(Lie::Missing(missing)));
        let damaged = read_in_pages(&running, 20).await;
        assert!(matches!(damaged, Err(ReadError::Damaged { .. })), "{missing}: {damaged:?}");
    }
    running.stop().await;
}

/// 200 answers that nobody read had all of SQLite's connections for their pages, and an entry waited 3.7 s.
#[tokio::test]
async fn two_pages_of_a_log_are_read_at_once_and_single_entries_do_not_wait_for_them() {
    let place = LogDir::new();
    let (store, running) = tampered(&place).await;
    submit_all(&running, (0..20).map(|number| of_len(number, 100))).await;
    let page = || {
        let log = Arc::clone(&running.log);
        async move {
            let mut pages = log.pages(LeafIndex(0)..LeafIndex(20), PAGE_LEN).await.unwrap();
            pages.next().await.unwrap().unwrap().len()
        }
    };
    let before = store.reads_begun();
    let begun = || store.reads_begun() - before;
    let mut reading = vec![store.hold_read_of(page()).await];
    reading.extend((0..30).map(|_| tokio::spawn(page())));
    let leaf = tlog::leaf_hash(&[9; 32]);
    // Those that do not wait for a turn are at the store by then.
    for _ in 0..100 {
        assert_eq!(running.log.find_leaf(&leaf).await.unwrap(), None);
    }
    assert_eq!(begun(), 2);
    let log = Arc::clone(&running.log);
    let alone = async move { log.entries(LeafIndex(7).alone()).await.unwrap().len() };
    let alone = store.hold_read_of(alone).await;
    assert_eq!(begun(), 3);
    store.release();
    assert_eq!(alone.await.unwrap(), 1);
    for page in reading {
        assert_eq!(page.await.unwrap(), 20);
    }
    running.stop().await;
}
