//! What only a database server can do to a log: warn, hang up, wait, and come back.

#![expect(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use bytes::Bytes;
use moment::UnixSeconds;
use postgres::{Access, Login, MakersLock, PostgresLogStore, Right};
use sqlx::{Connection, Executor};
use store::contract_suite::Database;
use store::{Appended, Batch, LogId, LogKind, LogSpec, LogStore, NewEntry, StoreError};
use tlog::{LeafIndex, TreeSize};

use crate::support::{PostgresDatabase, database};

struct Fixture {
    database: PostgresDatabase,
    store: PostgresLogStore,
    log: LogId,
}

impl Fixture {
    async fn new() -> Self {
        let database = database().await;
        let store = PostgresLogStore::connect(&database.url).await.unwrap();
        Self::of(database, store).await
    }

    async fn of(database: PostgresDatabase, store: PostgresLogStore) -> Self {
        let spec = LogSpec {
            name: "test".to_owned(),
            kind: LogKind::Ct,
            tree_id: 0,
            origin: "log.example".to_owned(),
            host: "log.example".to_owned(),
            public_key_der: vec![0x30],
        };
        let log = store.ensure_log(&spec, UnixSeconds(7)).await.unwrap().id;
        Self { database, store, log }
    }

    async fn append(&self, body: &'static str) -> Result<Appended, StoreError> {
        self.append_all([body.into()]).await
    }

    async fn append_all(
        &self,
        bodies: impl IntoIterator<Item = Bytes>,
    ) -> Result<Appended, StoreError> {
        let entries = bodies.into_iter().map(entry).collect();
        self.store
            .append(self.log, &Batch { entries, now: UnixSeconds(100), minimum_size: TreeSize(0) })
            .await
    }

    async fn size(&self) -> u64 {
        self.store.state(self.log).await.unwrap().edge.size().0
    }

    /// Lets the server do this in every commit of an append, where it also checks deferred constraints.
    async fn at_commit(&self, action: &str) {
        let function = format!(
            "CREATE FUNCTION log.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action}; RETURN NULL; END $$"
        );
        let trigger = "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON log.tree_head \
                       DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log.at_commit()";
        let mut connection = self.database.connection().await;
        connection.execute(sqlx::AssertSqlSafe(function)).await.unwrap();
        connection.execute(trigger).await.unwrap();
    }

    async fn at_commit_nothing(&self) {
        self.database.execute("DROP TRIGGER at_commit ON log.tree_head").await.unwrap();
    }
}

fn entry(body: Bytes) -> NewEntry {
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
}

#[tokio::test]
async fn tells_a_commit_apart_that_the_standby_did_not_confirm() {
    let fixture = Fixture::new().await;
    // The words of a server that speaks German: they must not matter.
    fixture.at_commit("RAISE WARNING 'storniere Warten auf synchrone Replikation'").await;
    let unconfirmed = fixture.append("a").await;
    assert!(matches!(unconfirmed, Err(StoreError::Unreplicated)), "{unconfirmed:?}");
    // It is there, and a next append that is confirmed covers it.
    assert_eq!(fixture.size().await, 1);
    fixture.at_commit_nothing().await;
    let again = fixture.append("a").await.unwrap();
    assert_eq!(
        again.placements.iter().map(|place| (place.index.0, place.fresh)).collect::<Vec<_>>(),
        [(0, false)]
    );
    fixture.database.remove().await;
}

/// The one warning that says that an entry was not replicated must not be hushed by a setting.
#[tokio::test]
async fn hears_the_standby_missing_also_where_the_database_hushes_warnings() {
    let fixture = Fixture::new().await;
    let hush = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_min_messages = error', current_database()); END $$";
    fixture.database.execute(hush).await.unwrap();
    fixture.store.close().await;
    let store = PostgresLogStore::connect(&fixture.database.url).await.unwrap();
    let fixture = Fixture { store, ..fixture };
    fixture.at_commit("RAISE WARNING 'canceling wait'").await;
    let unconfirmed = fixture.append("a").await;
    assert!(matches!(unconfirmed, Err(StoreError::Unreplicated)), "{unconfirmed:?}");
    fixture.database.remove().await;
}

/// Makes the database one of before there was one log of each origin and key, with a second log in it.
async fn of_before(origin: &str) -> PostgresDatabase {
    let Fixture { database, store, .. } = Fixture::new().await;
    store.close().await;
    let mut connection = database.connection().await;
    for statement in [
        "DROP TRIGGER takes_its_key ON log.log",
        "DROP FUNCTION log.take_key",
        "DROP TABLE log.log_key",
        "DROP INDEX log.log_origin",
        "DELETE FROM log._migrations WHERE version = 2",
    ] {
        connection.execute(statement).await.unwrap();
    }
    sqlx::query(
        "INSERT INTO log.log (name, kind, tree_id, origin, host, public_key_der, created_at) \
         SELECT 'renamed', kind, tree_id, $1, host, public_key_der, created_at FROM log.log",
    )
    .bind(origin)
    .execute(&mut connection)
    .await
    .unwrap();
    database
}

#[tokio::test]
async fn a_database_of_before_with_two_histories_of_one_origin_is_refused_by_their_names() {
    let database = of_before("log.example").await;
    // Whoever only reads is told too: what is to be done about an old schema would be refused.
    for connected in [
        PostgresLogStore::connect(&database.url).await,
        PostgresLogStore::connect_as_it_is(&database.url).await,
    ] {
        let Err(error) = connected else { panic!("connected") };
        assert!(
            matches!(&error, StoreError::OriginTwice { origin, .. } if origin == "log.example")
        );
        assert!(error.to_string().contains("as the log \"renamed\" and as \"test\""), "{error}");
    }
    database.remove().await;
}

#[tokio::test]
async fn a_database_of_before_with_two_logs_of_one_key_is_kept_and_gets_no_third() {
    let database = of_before("second.example").await;
    let Err(old) = PostgresLogStore::connect_as_it_is(&database.url).await else {
        panic!("connected")
    };
    let said = std::error::Error::source(&old).unwrap().to_string();
    assert!(said.contains("schema 1, and this program needs 2"), "{said}");
    let store = PostgresLogStore::connect(&database.url).await.unwrap();
    let mut third = store.logs().await.unwrap().pop().unwrap().spec;
    (third.name, third.origin) = ("third".to_owned(), "third.example".to_owned());
    let refused = store.ensure_log(&third, UnixSeconds(8)).await;
    assert!(matches!(refused, Err(StoreError::SameLog { field: "key", .. })), "{refused:?}");
    store.close().await;
    database.remove().await;
}

#[tokio::test]
async fn appends_of_nothing_new_and_freezing_wait_for_the_standby_too() {
    let fixture = Fixture::new().await;
    fixture.append("a").await.unwrap();
    let trigger = "CREATE CONSTRAINT TRIGGER at_commit_state AFTER UPDATE ON log.log_state \
                   DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log.at_commit()";
    fixture.at_commit("RAISE WARNING 'canceling wait'").await;
    fixture.database.execute(trigger).await.unwrap();
    let nothing = fixture.append_all([]).await;
    assert!(matches!(nothing, Err(StoreError::Unreplicated)), "{nothing:?}");
    let known = fixture.append("a").await;
    assert!(matches!(known, Err(StoreError::Unreplicated)), "{known:?}");
    for _ in 0..2 {
        let frozen = fixture.store.freeze(fixture.log).await;
        assert!(matches!(frozen, Err(StoreError::Unreplicated)), "{frozen:?}");
    }
    fixture.database.remove().await;
}

#[tokio::test]
async fn notices_below_a_warning_do_not_matter() {
    let fixture = Fixture::new().await;
    fixture.at_commit("RAISE NOTICE 'by the way'").await;
    assert_eq!(fixture.append("a").await.unwrap().after.size(), TreeSize(1));
    fixture.database.remove().await;
}

#[tokio::test]
async fn a_connection_lost_at_commit_leaves_the_outcome_unknown() {
    let fixture = Fixture::new().await;
    fixture.at_commit("PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5)").await;
    let lost = fixture.append("a").await;
    assert!(matches!(lost, Err(StoreError::OutcomeUnknown { .. })), "{lost:?}");
    fixture.at_commit_nothing().await;
    assert_eq!(fixture.size().await, 0);
    assert_eq!(fixture.append("a").await.unwrap().after.size(), TreeSize(1));
    fixture.database.remove().await;
}

#[tokio::test]
async fn a_commit_refused_for_a_conflict_may_be_tried_again() {
    let fixture = Fixture::new().await;
    for code in ["serialization_failure", "deadlock_detected"] {
        fixture.database.execute("DROP FUNCTION IF EXISTS log.at_commit CASCADE").await.unwrap();
        fixture.at_commit(&format!("RAISE EXCEPTION 'refused' USING ERRCODE = '{code}'")).await;
        let refused = fixture.append("a").await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    fixture.at_commit_nothing().await;
    assert_eq!(fixture.append("a").await.unwrap().before.size(), TreeSize(0));
    fixture.database.remove().await;
}

#[tokio::test]
async fn commits_synchronously_whatever_the_database_prefers() {
    let fixture = Fixture::new().await;
    let prefer = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$";
    fixture.database.execute(prefer).await.unwrap();
    fixture.store.close().await;
    let store = PostgresLogStore::connect(&fixture.database.url).await.unwrap();
    let fixture = Fixture { store, ..fixture };
    fixture
        .at_commit("IF current_setting('synchronous_commit') <> 'on' THEN RAISE EXCEPTION 'asynchronous'; END IF")
        .await;
    assert_eq!(fixture.append("a").await.unwrap().after.size(), TreeSize(1));
    fixture.database.remove().await;
}

#[tokio::test]
async fn connections_that_died_while_idle_are_replaced() {
    let fixture = Fixture::new().await;
    fixture.append("a").await.unwrap();
    let ended = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'engine'";
    assert!(fixture.database.count(ended).await > 0);
    assert_eq!(fixture.append("b").await.unwrap().after.size(), TreeSize(2));
    assert_eq!(fixture.size().await, 2);
    fixture.database.remove().await;
}

#[tokio::test]
async fn a_replica_that_stopped_in_its_append_delays_others_only_for_a_while() {
    let fixture = Fixture::new().await;
    let mut stopped = fixture.database.connection().await;
    let mut transaction = stopped.begin().await.unwrap();
    transaction.execute("SELECT size FROM log_state FOR UPDATE").await.unwrap();
    let refused = fixture.append("a").await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    transaction.rollback().await.unwrap();
    assert_eq!(fixture.append("a").await.unwrap().after.size(), TreeSize(1));
    fixture.database.remove().await;
}

#[tokio::test]
async fn replicas_that_start_at_once_migrate_and_create_once() {
    let database = database().await;
    let (first, second) = tokio::join!(
        PostgresLogStore::connect(&database.url),
        PostgresLogStore::connect(&database.url)
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    let spec = LogSpec {
        name: "test".to_owned(),
        kind: LogKind::Rekor1,
        tree_id: 42,
        origin: "log.example - 42".to_owned(),
        host: "log.example".to_owned(),
        public_key_der: vec![0x30],
    };
    let (one, other) = tokio::join!(
        first.ensure_log(&spec, UnixSeconds(7)),
        second.ensure_log(&spec, UnixSeconds(7))
    );
    assert_eq!(one.unwrap(), other.unwrap());
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(database.count(tables).await, 0, "a table outside of schema log");
    assert_eq!(database.count("SELECT count(*) FROM log._migrations").await, 2);
    database.remove().await;
}

#[tokio::test]
async fn statistics_of_a_small_log_do_not_make_a_large_one_slow() {
    let fixture = Fixture::new().await;
    fixture.append("a").await.unwrap();
    fixture.database.execute("ANALYZE").await.unwrap();
    for round in 0..30_u64 {
        let bodies = (0..100_u64).map(|number| Bytes::from(format!("{round} {number}")));
        fixture.append_all(bodies).await.unwrap();
        let end = fixture.size().await;
        assert_eq!(
            fixture
                .store
                .entries(fixture.log, LeafIndex(end - 10)..LeafIndex(end))
                .await
                .unwrap()
                .len(),
            10
        );
        let leaf = tlog::leaf_hash(b"0 0");
        assert_eq!(fixture.store.find_leaf(fixture.log, &leaf).await.unwrap(), Some(LeafIndex(1)));
    }
    // A session's counts arrive when it ends.
    fixture.store.close().await;
    let open = "SELECT count(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'engine'";
    while fixture.database.count(open).await > 0 {}
    let read =
        "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE schemaname = 'log'";
    let read = fixture.database.count(read).await;
    assert!(read < 5000, "{read} index entries read for 3000 entries");
    fixture.database.remove().await;
}

#[tokio::test]
async fn every_table_and_column_is_explained() {
    let fixture = Fixture::new().await;
    let unexplained = "SELECT count(*) FROM pg_class \
        JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 \
        WHERE relnamespace = 'log'::regnamespace AND relkind = 'r' AND relname <> '_migrations' \
          AND (col_description(pg_class.oid, attnum) IS NULL OR obj_description(pg_class.oid) IS NULL)";
    assert_eq!(fixture.database.count(unexplained).await, 0);
    fixture.database.remove().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable() {
    for url in ["postgres://nobody@127.0.0.1:1/none", "not a url"] {
        let Err(error) = PostgresLogStore::connect(url).await else { panic!("connected to {url}") };
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
}

/// The service was the owner of the tables: whoever took it over could take the triggers away, and then the entries.
#[tokio::test]
async fn the_role_of_a_service_appends_and_cannot_drop_a_trigger() {
    let database = database().await;
    let (owner, service) =
        (format!("o_{}", std::process::id()), format!("s_{}", std::process::id()));
    let base = database.url.clone();
    let url = |role: &str| {
        let mut parts = base.splitn(2, "://postgres").map(str::to_owned);
        let (scheme, rest) = (parts.next().unwrap(), parts.next().unwrap());
        format!("{scheme}://{role}{rest}")
    };
    let login =
        |role, byte| Login { role, salt: [7; 16], stored_key: [byte; 32], server_key: [byte; 32] };
    let name = database.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let sql = postgres::roles_sql(&name, &login(&owner, 1), &login(&service, 2));
    for _ in 0..2 {
        database
            .connection()
            .await
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone())))
            .await
            .unwrap();
    }
    let made = PostgresLogStore::connect_and_grant(&url(&owner), &service).await.unwrap();
    made.close().await;
    let store = PostgresLogStore::connect_as_it_is(&url(&service)).await.unwrap();
    let fixture = Fixture::of(database, store).await;
    fixture.append("one").await.unwrap();
    assert_eq!(fixture.size().await, 1);
    assert_eq!(postgres::right_of(&url(&service)).await.unwrap(), (service.clone(), Right::Append));
    assert_eq!(postgres::right_of(&url(&owner)).await.unwrap(), (owner, Right::ChangeTables));

    let mut connection = sqlx::PgConnection::connect(&url(&service)).await.unwrap();
    for statement in [
        "DROP TRIGGER append_only ON log.entry",
        "ALTER TABLE log.entry DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DELETE FROM log.entry",
        "TRUNCATE log.entry",
        "UPDATE log.entry SET kind = 'x'",
        "DROP TABLE log.entry",
        "DROP TRIGGER takes_its_key ON log.log",
        "UPDATE log.log_key SET log_id = 1",
        "DELETE FROM log.log_key",
        "CREATE OR REPLACE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TABLE log.other (x int)",
        "INSERT INTO log._migrations SELECT 99, description, installed_on, success, checksum, execution_time \
         FROM log._migrations",
    ] {
        let refused = connection.execute(statement).await.unwrap_err().to_string();
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{statement}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_schema_that_was_not_made_or_is_newer_is_refused_and_not_changed() {
    let database = database().await;
    let refused = async || {
        let Err(error) = PostgresLogStore::connect_as_it_is(&database.url).await else {
            panic!("connected")
        };
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert!(refused().await.contains("run `countersignd init`"));
    PostgresLogStore::connect(&database.url).await.unwrap().close().await;
    PostgresLogStore::connect_as_it_is(&database.url).await.unwrap().close().await;
    let newer = "INSERT INTO log._migrations SELECT 99, description, installed_on, success, checksum, execution_time \
                 FROM log._migrations WHERE version = 1";
    database.execute(newer).await.unwrap();
    let said = refused().await;
    assert!(said.contains("schema 99, of a newer countersignd"), "{said}");
}

#[tokio::test]
async fn one_process_makes_logs_at_a_time_and_one_that_died_is_not_waited_for() {
    let database = database().await;
    let first = MakersLock::try_take(&database.url).await.unwrap().unwrap();
    assert!(MakersLock::try_take(&database.url).await.unwrap().is_none());
    drop(first);
    while MakersLock::try_take(&database.url).await.unwrap().is_none() {
        // The server ends the transaction when it sees the closed socket.
        tokio::task::yield_now().await;
    }
}

/// A log with a role that has to say a password, which is in a file.
struct Rotated {
    fixture: Fixture,
    role: String,
    file: tempfile::TempDir,
}

impl Rotated {
    const MUST_SAY: &str = "countersign_test_password";

    async fn new(first: &str) -> Self {
        let database = database().await;
        PostgresLogStore::connect(&database.url).await.unwrap().close().await;
        let role = format!("r_{}_{}", std::process::id(), first.len());
        // The group may be there, of another test.
        let group = format!(
            "DO $$ BEGIN CREATE ROLE {}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
            Self::MUST_SAY
        );
        let grants = format!(
            "CREATE ROLE {role} LOGIN IN ROLE {}; GRANT USAGE ON SCHEMA log TO {role}; \
             GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA log TO {role}; GRANT UPDATE ON log.log_state TO {role}",
            Self::MUST_SAY
        );
        let mut connection = database.connection().await;
        for sql in [group, grants] {
            connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
        }
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("password");
        std::fs::write(&path, first).unwrap();
        set_password(&mut connection, &role, first).await;
        let url = of_role(&database.url, &role);
        let wrong = Access::with_password(&url, || Ok("wrong".to_owned()));
        assert!(
            PostgresLogStore::connect_as_it_is(wrong).await.is_err(),
            "the server asks for no password: `cargo xtask test` starts one that does"
        );
        let read = move || Ok(std::fs::read_to_string(&path)?);
        let access = Access::with_password(url, read);
        let store = PostgresLogStore::connect_as_it_is(access).await.unwrap();
        Self { fixture: Fixture::of(database, store).await, role, file }
    }

    /// Changes the password at the server, and ends all connections.
    async fn rotate(&self, password: &str) {
        let mut connection = self.fixture.database.connection().await;
        set_password(&mut connection, &self.role, password).await;
        let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1";
        sqlx::query(end).bind(&self.role).execute(&mut connection).await.unwrap();
    }

    async fn remove(self) {
        self.fixture.store.close().await;
        self.fixture.database.remove().await;
    }
}

fn of_role(url: &str, role: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, rest) = rest.split_once('@').unwrap();
    format!("{scheme}://{role}@{rest}")
}

async fn set_password(connection: &mut sqlx::PgConnection, role: &str, password: &str) {
    let sql = format!("ALTER ROLE {role} PASSWORD '{password}'");
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
}

/// It was put into the URL, where `%41` is an `A`.
#[tokio::test]
async fn a_password_is_what_its_file_says_and_no_part_of_a_url() {
    let log = Rotated::new("%41/?#@:é &password=%00 x").await;
    log.fixture.append("one").await.unwrap();
    assert_eq!(log.fixture.size().await, 1);
    log.remove().await;
}

/// How a file of a password comes to have another.
type Write<'a> = &'a dyn Fn(&std::path::Path, &str);

/// In place, by a rename, and by the link that Kubernetes turns around.
#[tokio::test]
async fn a_rotated_password_is_taken_up_by_readers_writers_and_the_listener() {
    let log = Rotated::new("first").await;
    let (store, path) = (&log.fixture.store, log.file.path().join("password"));
    let by_link = |path: &std::path::Path, password: &str| {
        let target = path.with_file_name("version-3");
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("password"), password).unwrap();
        let link = path.with_file_name("link");
        std::os::unix::fs::symlink(target.join("password"), &link).unwrap();
        std::fs::rename(link, path).unwrap();
    };
    let by_rename = |path: &std::path::Path, password: &str| {
        let new = path.with_file_name("new");
        std::fs::write(&new, password).unwrap();
        std::fs::rename(new, path).unwrap();
    };
    let in_place = |path: &std::path::Path, password: &str| std::fs::write(path, password).unwrap();
    let ways: [(&'static str, Write<'_>); 3] =
        [("second", &in_place), ("third", &by_rename), ("fourth", &by_link)];
    log.fixture.append("first").await.unwrap();
    for (password, write) in ways {
        heard(store).await;
        log.rotate(password).await;
        // Before the file is written nobody gets in, and nothing is harmed by trying.
        log.fixture.append("too early").await.unwrap_err();
        write(&path, password);
        assert!(log.fixture.size().await > 0, "{password}: it is read");
        log.fixture.append(password).await.unwrap();
        heard(store).await;
    }
    // A file that is away for a moment.
    std::fs::remove_file(&path).unwrap();
    log.rotate("fourth").await;
    log.fixture.append("the last known").await.unwrap();
    log.remove().await;
}

/// Waits until somebody listens for what others write.
async fn heard(store: &PostgresLogStore) {
    let begin = std::time::Instant::now();
    while store.generation().is_none() {
        assert!(begin.elapsed() < std::time::Duration::from_mins(2), "nobody listens");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
