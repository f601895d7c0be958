//! What only a file can suffer: two openers, a killed process, a wrong file.

#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use moment::UnixSeconds;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tlog::TreeSize;

use bytes::Bytes;
use sqlite::SqliteLogStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};
use store::{Batch, LogId, LogKind, LogSpec, LogStore, NewEntry, StoreError};

async fn log(store: &SqliteLogStore) -> LogId {
    let spec = LogSpec {
        name: "test".to_owned(),
        kind: LogKind::Ct,
        tree_id: 0,
        origin: "log.example".to_owned(),
        host: "log.example".to_owned(),
        public_key_der: vec![0x30],
    };
    store.ensure_log(&spec, UnixSeconds(7)).await.unwrap().id
}

fn batch(numbers: std::ops::Range<u64>) -> Batch {
    let entry = |number: u64| {
        let body = Bytes::from(number.to_string());
        let leaf_hash = tlog::leaf_hash(&body);
        NewEntry {
            leaf_hash,
            dedup_hash: leaf_hash.into(),
            kind: "test",
            body,
            extra: Bytes::new(),
            timestamp_signature: Bytes::new(),
            index_keys: Vec::new(),
        }
    };
    Batch {
        entries: numbers.map(entry).collect(),
        now: UnixSeconds(100),
        minimum_size: TreeSize(0),
    }
}

/// The same with bodies of 60 KB.
fn long_batch(numbers: std::ops::Range<u64>) -> Batch {
    let mut batch = batch(numbers);
    for entry in &mut batch.entries {
        let body: Bytes = entry.leaf_hash.0.iter().copied().cycle().take(60_000).collect();
        entry.leaf_hash = tlog::leaf_hash(&body);
        entry.dedup_hash = entry.leaf_hash.into();
        entry.body = body;
    }
    batch
}

/// A commit of a large log took 130 ms when it was its turn to copy what others had committed.
#[tokio::test]
async fn what_appends_wrote_is_copied_beside_them_and_the_wal_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let store = SqliteLogStore::open(&path).await.unwrap();
    let log = log(&store).await;
    let length = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().len();
    // As much as is copied together: a quarter of what a commit copies itself.
    for part in 0..3 {
        store.append(log, &long_batch(part * 200..(part + 1) * 200)).await.unwrap();
    }
    let begin = std::time::Instant::now();
    while length("log.db") < 30_000_000 {
        assert!(begin.elapsed() < std::time::Duration::from_mins(2), "nothing copies it");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // Perhaps it has not let go of the writer yet; but far below the length at which commits copy by themselves.
    let begins_anew = async |part: u64| {
        let before = length("log.db-wal");
        let numbers = 1000 + part * 50..1000 + (part + 1) * 50;
        store.append(log, &long_batch(numbers)).await.unwrap();
        length("log.db-wal") == before
    };
    let mut parts = 0;
    while !begins_anew(parts).await {
        parts += 1;
        assert!(parts < 10, "the WAL only grows");
    }
    store.close().await;
}

#[tokio::test]
async fn refuses_a_second_opener_until_the_first_closes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let first = SqliteLogStore::open(&path).await.unwrap();
    let Err(error) = SqliteLogStore::open(&path).await else { panic!("opened twice") };
    assert!(
        matches!(&error, StoreError::AlreadyOpen { path } if path.ends_with("log.db.lock")),
        "{error:?}"
    );
    first.close().await;
    SqliteLogStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn keeps_everything_over_a_restart_with_and_without_farewell() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    for restart in 0..4 {
        let store = SqliteLogStore::open(&path).await.unwrap();
        let log = log(&store).await;
        assert_eq!(store.state(log).await.unwrap().edge.size(), TreeSize(restart * 200));
        store.append(log, &batch(restart * 200..(restart + 1) * 200)).await.unwrap();
        if restart % 2 == 0 {
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_killed_process_gives_up_its_lock_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_killed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged: Vec<u64> = lines
        .filter_map(|line| line.unwrap().strip_prefix("size ")?.parse().ok())
        .take(10)
        .collect();
    let Err(error) = SqliteLogStore::open(&path).await else { panic!("opened beside the child") };
    assert!(matches!(error, StoreError::AlreadyOpen { .. }), "{error:?}");
    child.kill().unwrap();
    child.wait().unwrap();

    let store = SqliteLogStore::open(&path).await.unwrap();
    let log = log(&store).await;
    let size = store.state(log).await.unwrap().edge.size().0;
    assert!(
        size >= *acknowledged.last().unwrap() && size.is_multiple_of(10),
        "{size} after {acknowledged:?}"
    );
    store.append(log, &batch(size..size + 300)).await.unwrap();
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test]
async fn child_appends_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "a word from the parent test to its child")]
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = SqliteLogStore::open(Path::new(&path)).await.unwrap();
    let log = log(&store).await;
    for round in 0..u64::MAX / 10 {
        store.append(log, &batch(round * 10..(round + 1) * 10)).await.unwrap();
        println!("size {}", (round + 1) * 10);
    }
}

const CHILD: &str = "COUNTERSIGN_TEST_LOG_OF_CHILD";

#[tokio::test]
async fn refuses_a_file_that_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let Err(error) = SqliteLogStore::open(&path).await else { panic!("opened") };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

/// Makes the file one of before there was one log of each origin and key, with a second log in it.
async fn of_before(path: &Path, origin: &str) {
    let store = SqliteLogStore::open(path).await.unwrap();
    log(&store).await;
    store.close().await;
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    for statement in [
        "DROP TRIGGER log_takes_its_key",
        "DROP TABLE log_key",
        "DROP INDEX log_origin",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    sqlx::query(
        "INSERT INTO log (name, kind, tree_id, origin, host, public_key_der, created_at) \
         SELECT 'renamed', kind, tree_id, $1, host, public_key_der, created_at FROM log",
    )
    .bind(origin)
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_before_with_two_histories_of_one_origin_is_refused_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    of_before(&path, "log.example").await;
    // Whoever only reads is told too: what is to be done about an old schema would be refused.
    for opened in [SqliteLogStore::open(&path).await, SqliteLogStore::open_as_it_is(&path).await] {
        let Err(error) = opened else { panic!("opened") };
        let StoreError::OriginTwice { origin, first, second } = &error else { panic!("{error:?}") };
        assert_eq!(
            (origin.as_str(), first.as_str(), second.as_str()),
            ("log.example", "renamed", "test")
        );
    }
}

#[tokio::test]
async fn a_file_of_before_with_two_logs_of_one_key_is_kept_and_gets_no_third() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    of_before(&path, "second.example").await;
    let store = SqliteLogStore::open(&path).await.unwrap();
    let mut third = store.logs().await.unwrap().pop().unwrap().spec;
    (third.name, third.origin) = ("third".to_owned(), "third.example".to_owned());
    let refused = store.ensure_log(&third, UnixSeconds(8)).await;
    assert!(matches!(refused, Err(StoreError::SameLog { field: "key", .. })), "{refused:?}");
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_unavailable() {
    let Err(error) = SqliteLogStore::open(Path::new("/nowhere/log.db")).await else {
        panic!("opened")
    };
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn every_column_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    SqliteLogStore::open(&path).await.unwrap().close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let rows = sqlx::query(
        "SELECT schema.sql, column.name FROM sqlite_schema AS schema, pragma_table_info(schema.name) AS column \
         WHERE schema.type = 'table' AND schema.name <> '_sqlx_migrations' AND schema.sql LIKE '%STRICT%'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(rows.len(), 47);
    for row in rows {
        let (sql, column): (String, String) = (row.get(0), row.get(1));
        let line =
            sql.lines().find(|line| line.split_whitespace().next() == Some(&column)).unwrap();
        assert!(line.contains(" -- ") || line.contains(",-- "), "{line}");
    }
}

/// An update to the same value wrote no page, so an idle log on a full disk seemed well.
#[tokio::test]
async fn a_commit_of_nothing_writes_to_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    let store = SqliteLogStore::open(&path).await.unwrap();
    let log = log(&store).await;
    let written = || std::fs::read(directory.path().join("log.db-wal")).unwrap();
    for _ in 0..3 {
        let before = written();
        store.append(log, &batch(0..0)).await.unwrap();
        assert_ne!(written(), before);
    }
    store.close().await;
}

/// `check`, `fsck` and services changed the schema of whatever they were pointed at.
#[tokio::test]
async fn another_schema_is_refused_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    assert!(SqliteLogStore::open_as_it_is(&path).await.is_err());
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(refused(&path).await.contains("run `countersignd init`"));
    SqliteLogStore::open(&path).await.unwrap().close().await;
    SqliteLogStore::open_as_it_is(&path).await.unwrap().close().await;

    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations SELECT 99, description, installed_on, success, checksum, execution_time \
                 FROM _sqlx_migrations WHERE version = 1";
    sqlx::query(newer).execute(&mut connection).await.unwrap();
    drop(connection);
    let said = refused(&path).await;
    assert!(said.contains("schema 99, of a newer countersignd"), "{said}");
}

async fn refused(path: &Path) -> String {
    let Err(error) = SqliteLogStore::open_as_it_is(path).await else { panic!("opened") };
    std::error::Error::source(&error).unwrap().to_string()
}
