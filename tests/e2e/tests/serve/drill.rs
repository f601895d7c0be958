//! The restore drill: backup, going on, restoring volume and database together, and each way out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use e2e::Database;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Deployment, get, sign};

/// Sees all checkpoints that are given to anybody, and no two trees of one size.
#[derive(Default)]
struct Witness(BTreeMap<(String, u64), String>);

impl Witness {
    /// Gives the size.
    fn look(&mut self, deployment: &Deployment) -> u64 {
        let note = get(&format!("{}/checkpoint", deployment.url(3)));
        let mut lines = note.lines().map(str::to_owned);
        let origin = lines.next().unwrap();
        let size = lines.next().unwrap().parse().unwrap();
        let root = lines.next().unwrap();
        let seen = self.0.entry((origin.clone(), size)).or_insert_with(|| root.clone());
        assert_eq!(*seen, root, "{origin} has two trees of size {size}");
        size
    }
}

/// A copy of the logs, of one moment: the volume, and the database wherever it is.
struct Copy {
    directory: PathBuf,
    database: Option<String>,
}

fn postgres(database: &Database, statements: &[String]) {
    let Database::Postgres { url } = database else { return };
    let (base, _) = url.rsplit_once('/').unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&format!("{base}/postgres")).await.unwrap();
        for statement in statements {
            let statement = AssertSqlSafe(statement.clone());
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    });
}

fn name(database: &Database) -> Option<&str> {
    let Database::Postgres { url } = database else { return None };
    url.rsplit_once('/').map(|(_, name)| name)
}

fn fresh_from(name: &str, template: &str) -> Vec<String> {
    vec![
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("CREATE DATABASE {name} TEMPLATE {template}"),
    ]
}

fn copy_all(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Services have a role that owns nothing: what makes logs has to ask the owner.
fn with_two_roles(deployment: &Deployment, database: &Database) {
    let Database::Postgres { url } = database else { return };
    let role = "DO $$ BEGIN CREATE ROLE countersign_drill LOGIN; \
                EXCEPTION WHEN duplicate_object THEN NULL; END $$";
    postgres(database, &[role.to_owned()]);
    let (_, place) = url.split_once('@').unwrap();
    let (one, two) = (
        format!("url = \"{url}\""),
        format!("url = \"postgres://countersign_drill@{place}\"\nowner_url = \"{url}\""),
    );
    let text = fs::read_to_string(deployment.config()).unwrap();
    assert!(text.contains(&one));
    fs::write(deployment.config(), text.replace(&one, &two)).unwrap();
}

impl Copy {
    fn of(deployment: &Deployment, database: &Database, called: &str) -> Self {
        let directory = deployment.services.path().join(called);
        copy_all(&deployment.data("log"), &directory);
        let database_copy = name(database).map(|name| format!("{name}_{called}"));
        if let (Some(name), Some(copy)) = (name(database), &database_copy) {
            postgres(database, &fresh_from(copy, name));
        }
        Self { directory, database: database_copy }
    }

    fn restore(&self, deployment: &Deployment, database: &Database) {
        copy_all(&self.directory, &deployment.data("log"));
        if let (Some(name), Some(copy)) = (name(database), &self.database) {
            postgres(database, &fresh_from(name, copy));
        }
    }

    /// What `log restore --from` takes.
    fn source(&self, database: &Database) -> String {
        match (database, &self.database) {
            (Database::Postgres { url }, Some(copy)) => {
                format!("{}/{copy}", url.rsplit_once('/').unwrap().0)
            }
            _ => self.directory.join("log.db").display().to_string(),
        }
    }
}

fn ordered(deployment: &Deployment, arguments: &[&str]) -> String {
    let said = deployment.countersignd(arguments);
    assert_eq!(said.code, Some(0), "{said:?}");
    said.stdout
}

fn drill(database: &Database) {
    let mut deployment = Deployment::new(database);
    with_two_roles(&deployment, database);
    let mut witness = Witness::default();
    deployment.init();
    deployment.start_all();
    let artifact = |deployment: &Deployment, name| deployment.services.path().join(name);
    let first = artifact(&deployment, "first");
    sign(&deployment.client(), &first);
    witness.look(&deployment);
    deployment.terminate();
    let backup = Copy::of(&deployment, database, "backup");
    deployment.start_all();
    let second = artifact(&deployment, "second");
    sign(&deployment.client(), &second);
    let last = witness.look(&deployment);
    deployment.terminate();
    let newest = Copy::of(&deployment, database, "newest");

    // As documented, volume and database together: by themselves they are sound.
    backup.restore(&deployment, database);
    for order in [&["serve", "log"][..], &["check"]] {
        let refused = deployment.countersignd(order);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = refused.stdout + &refused.stderr;
        for words in ["restored from an old copy", "log restore", "log begin-anew", "/anchors/"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    a_newer_backup(&mut deployment, database, (&newest, &mut witness));
    let after = Copy::of(&deployment, database, "after");
    backup.restore(&deployment, database);
    entries_of_a_copy(&mut deployment, database, (&after, &mut witness));
    assert!(witness.look_size() > last);
    let end = Copy::of(&deployment, database, "end");
    backup.restore(&deployment, database);
    another_log(&mut deployment, database, &end);
    let client = deployment.client();
    for artifact in [&first, &second] {
        let verified = client.verify(artifact).unwrap();
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
    deployment.terminate();
}

impl Witness {
    fn look_size(&self) -> u64 {
        self.0.keys().map(|(_, size)| *size).max().unwrap_or_default()
    }
}

fn a_newer_backup(
    deployment: &mut Deployment,
    database: &Database,
    (newest, witness): (&Copy, &mut Witness),
) {
    newest.restore(deployment, database);
    deployment.start_all();
    let third = deployment.services.path().join("third");
    sign(&deployment.client(), &third);
    witness.look(deployment);
    deployment.terminate();
}

fn entries_of_a_copy(
    deployment: &mut Deployment,
    database: &Database,
    (copy, witness): (&Copy, &mut Witness),
) {
    let from = copy.source(database);
    for log in ["ct", "2026"] {
        let said = ordered(deployment, &["log", "restore", log, "--from", &from]);
        assert!(said.contains("2 entries came back"), "{said}");
    }
    deployment.start_all();
    let fourth = deployment.services.path().join("fourth");
    sign(&deployment.client(), &fourth);
    witness.look(deployment);
    deployment.terminate();
}

fn another_log(deployment: &mut Deployment, database: &Database, copy: &Copy) {
    let text = fs::read_to_string(deployment.config()).unwrap();
    let port = deployment.ports[3];
    let next = format!(
        "[log.2027]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.2:{port}\"\nport = {port}\n"
    );
    let text = text.replace("[\"localhost\"]", "[\"localhost\", \"127.0.0.2\"]") + &next;
    fs::write(deployment.config(), &text).unwrap();
    let from = copy.source(database);
    ordered(deployment, &["log", "restore", "ct", "--from", &from]);
    let said = ordered(deployment, &["log", "begin-anew", "2026", "--next", "2027"]);
    assert!(said.contains("is over, for ever") && said.contains("state = \"retired\""), "{said}");
    let end: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("state = ") || line.starts_with("valid_until = "))
        .collect();

    // Nothing brings it back: neither another start, nor its newest database.
    let refused = deployment.countersignd(&["serve", "log"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("is over"), "{refused:?}");
    let again = deployment.countersignd(&["log", "restore", "2026", "--from", &from]);
    assert!(again.code == Some(1) && again.stderr.contains("is over"), "{again:?}");

    let ended = format!("[log.2026]\n{}\n", end.join("\n"));
    fs::write(deployment.config(), text.replace("[log.2026]\n", &ended)).unwrap();
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    deployment.start_all();
    let fifth = deployment.services.path().join("fifth");
    let client = deployment.client();
    sign(&client, &fifth);
    assert_eq!(client.verify(&fifth).unwrap().code, Some(0));
    let checkpoint = get(&format!("http://127.0.0.2:{port}/checkpoint"));
    assert!(checkpoint.starts_with("127.0.0.2\n"), "{checkpoint}");
    assert!(is_gone(deployment));
}

/// The log that ended gives nobody anything any more.
fn is_gone(deployment: &Deployment) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("{}/checkpoint", deployment.url(3));
    let answer = runtime.block_on(async { reqwest::get(url).await.unwrap().text().await });
    !answer.unwrap().starts_with("localhost\n")
}

/// The trust service is in no restore of the log, and the log's one anchor.
#[test]
fn the_trust_service_notices_a_restore_of_the_log_and_keeps_that_it_is_over() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    let text = fs::read_to_string(deployment.config()).unwrap();
    let directory = format!("file:{}", deployment.services.path().join("anchors").display());
    let url = format!("{}/anchors/", deployment.url(5));
    assert!(text.contains(&directory));
    fs::write(deployment.config(), text.replace(&directory, &url)).unwrap();
    deployment.init();
    let together = deployment.countersignd(&["serve", "all"]);
    assert_eq!(together.code, Some(1), "{together:?}");
    assert!(together.stderr.contains("let `serve trust` be another process"), "{together:?}");
    let away = deployment.countersignd(&["serve", "log"]);
    assert!(away.code == Some(1) && away.stderr.contains("cannot be read"), "{away:?}");

    let start_all = |deployment: &mut Deployment| {
        for part in ["oidc-dev", "trust", "log", "ca", "tsa"] {
            deployment.start(part);
        }
    };
    start_all(&mut deployment);
    sign(&deployment.client(), &deployment.services.path().join("first"));
    deployment.terminate();
    let backup = Copy::of(&deployment, &Database::Sqlite, "backup");
    start_all(&mut deployment);
    sign(&deployment.client(), &deployment.services.path().join("second"));
    let published = get(&format!("{}/checkpoint", deployment.url(3)));
    assert_eq!(get(&format!("{url}2026")), published);
    deployment.terminate();

    backup.restore(&deployment, &Database::Sqlite);
    deployment.start("trust");
    for order in [&["serve", "log"][..], &["check"]] {
        let refused = deployment.countersignd(order);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let said = refused.stdout + &refused.stderr;
        assert!(said.contains("restored from an old copy") && said.contains(&url), "{said}");
        assert!(order[0] == "serve" || said.contains("they notice nothing"), "{said}");
    }
    let text = fs::read_to_string(deployment.config()).unwrap();
    let port = deployment.ports[3];
    let next = format!(
        "[log.2027]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.2:{port}\"\nport = {port}\n"
    );
    let text = text.replace("[\"localhost\"]", "[\"localhost\", \"127.0.0.2\"]") + &next;
    fs::write(deployment.config(), text).unwrap();
    ordered(&deployment, &["log", "begin-anew", "2026", "--next", "2027"]);
    // As whoever added a log does.
    deployment.terminate();
    deployment.start("trust");
    let refused = deployment.countersignd(&["serve", "log"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("is over"), "{refused:?}");
    let end = get(&format!("{url}2026"));
    assert!(end.contains("this log is over"), "{end}");
    assert_eq!(end.lines().nth(1), published.lines().nth(1), "of the tree that was signed last");
    deployment.terminate();
}

#[test]
fn a_restore_has_three_ways_out_and_no_second_history_on_sqlite() {
    drill(&Database::Sqlite);
}

#[test]
fn a_restore_has_three_ways_out_and_no_second_history_on_postgres() {
    drill(&Database::postgres("countersign_e2e_drill").unwrap());
}
