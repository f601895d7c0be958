//! A deployment whose file changes: what was made under another name is not made anew.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use signing::SystemClock;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use store::{LogRecord, LogStore};

use super::{
    check::{self, logs_in},
    database, init,
    init::init_within,
};
use crate::{config, deployment::Deployment, logs::Logs, services::Shared};

const TRIAL: &str = include_str!("../../../../../docs/samples/trial.toml");

struct Installation {
    directory: tempfile::TempDir,
    text: String,
}

impl Installation {
    /// As `trial.toml` has it, in a directory of its own.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data").display().to_string();
        let installation =
            Self { text: TRIAL.replace("/var/tmp/countersign", &data_dir), directory };
        installation.write();
        installation
    }

    /// Another word in the file, which must be there.
    fn with(mut self, from: &str, to: &str) -> Self {
        self.change(from, to);
        self
    }

    fn change(&mut self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from}");
        self.text = self.text.replace(from, to);
        self.write();
    }

    fn write(&self) {
        fs::write(self.directory.path().join("countersign.toml"), &self.text).unwrap();
    }

    fn data(&self, path: &str) -> PathBuf {
        self.directory.path().join("data").join(path)
    }

    fn read(&self) -> anyhow::Result<Deployment> {
        config::load(&self.directory.path().join("countersign.toml"))
    }

    async fn init(&self) -> anyhow::Result<ExitCode> {
        init(false, self.read()?).await
    }

    async fn made(self) -> Self {
        assert_eq!(self.init().await.unwrap(), ExitCode::SUCCESS);
        self
    }

    async fn store(&self) -> Arc<dyn LogStore> {
        database::open(&self.read().unwrap()).await.unwrap().unwrap()
    }

    async fn rows(&self) -> Vec<LogRecord> {
        let store = self.store().await;
        let rows = store.logs().await.unwrap();
        store.close().await;
        rows
    }

    /// The start of the logs, and their end.
    async fn starts(&self) -> anyhow::Result<()> {
        let deployment = self.read()?;
        let shared = Shared::new(Arc::new(SystemClock));
        let store = self.store().await;
        match Logs::start(&deployment, Arc::clone(&store), &shared).await {
            Ok((logs, _)) => logs.stop(std::time::Duration::from_secs(20)).await,
            Err(error) => {
                store.close().await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// A log `first` with the key of `name`, in a database of before keys were unique.
    async fn twin_of_before(&self, name: &str) {
        let options = SqliteConnectOptions::new().filename(self.data("log/log.db"));
        let mut connection = options.connect().await.unwrap();
        for statement in [
            "DROP TRIGGER log_takes_its_key",
            "DROP TABLE log_key",
            "DROP INDEX log_origin",
            "DELETE FROM _sqlx_migrations WHERE version = 2",
        ] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        let twin = "INSERT INTO log (name, kind, tree_id, origin, host, public_key_der, created_at) \
                    SELECT 'first', kind, tree_id, '127.0.0.9', '127.0.0.9', public_key_der, created_at \
                    FROM log WHERE name = $1";
        sqlx::query(twin).bind(name).execute(&mut connection).await.unwrap();
        for statement in [
            "INSERT INTO tree_head SELECT max(log.log_id), 0, root, at FROM tree_head, log WHERE size = 0",
            "INSERT INTO log_state SELECT log_id, 0, root, x'', 0, 0 FROM tree_head \
             WHERE log_id = (SELECT max(log_id) FROM log)",
        ] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        // As `init` does.
        let opened = database::open_to_make(&self.read().unwrap()).await.unwrap();
        opened.unwrap().close().await;
    }

    /// What `check` says of the logs.
    async fn checked(&self) -> anyhow::Result<String> {
        let store = self.store().await;
        let checked = logs_in(&self.read()?, store.as_ref()).await;
        store.close().await;
        checked
    }

    /// What `init`, `check` and a start say of logs that they refuse alike.
    async fn refused(&self) -> String {
        let said = format!("{:#}", self.init().await.unwrap_err());
        let starts = format!("{:#}", self.starts().await.unwrap_err());
        let check = format!("{:#}", self.checked().await.unwrap_err());
        assert!(starts.contains(&said) && check.contains(&said), "{said}\n{starts}\n{check}");
        said
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// `init` was what `check` advised, and made a second log of the same origin; of files of before with
/// the same key too.
#[tokio::test]
async fn a_log_whose_table_was_renamed_is_not_made_again() {
    for kind in ["ct", "rekor1", "rekor2"] {
        for name in [kind, "old"] {
            let mut installation = Installation::new();
            if name != kind {
                installation.change(&format!("[log.{kind}]"), "[log.old]");
            }
            let mut installation = installation.made().await;
            installation.starts().await.unwrap();
            installation.change(&format!("[log.{name}]"), "[log.main]");
            let before = (installation.rows().await, files(&installation.data("log/keys")));
            let said = installation.refused().await;
            let told = format!(
                "the log `main` is in the database as `{name}`, with the origin `localhost"
            );
            assert!(
                said.contains(&told) && said.contains(&format!("[log.{name}] again")),
                "{said}"
            );
            assert_eq!((installation.rows().await, files(&installation.data("log/keys"))), before);
            // The advice helps.
            installation.change("[log.main]", &format!("[log.{name}]"));
            installation.made().await.starts().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_new_log_with_the_key_of_another_is_refused_whatever_its_host() {
    let installation = Installation::new().made().await;
    let key = installation.data("log/keys/rekor2.pem");
    let mut installation = installation.with("[log.rekor2]", "[log.main]");
    installation.change("http://localhost:3003", "http://127.0.0.2:3003");
    let said = installation.refused().await;
    assert!(said.contains("the log `main` is in the database as `rekor2`, with its key"), "{said}");
    // A copy, beside the first.
    let copy = installation.data("copy.pem");
    fs::copy(key, &copy).unwrap();
    let table = format!(
        "[log.rekor2]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://localhost:3003\"\n[log.next]\nkey = \"file:{}\"",
        copy.display()
    );
    installation.change("[log.main]", &table);
    let said = installation.refused().await;
    assert!(said.contains("the key of [log.next] is that of [log.rekor2] too"), "{said}");
}

/// Also by a program that does not compare before.
#[tokio::test]
async fn two_rows_of_one_origin_cannot_be_made() {
    let installation = Installation::new().made().await;
    let store = installation.store().await;
    let mut spec = store.logs().await.unwrap().pop().unwrap().spec;
    spec.name = "main".to_owned();
    let refused = store.ensure_log(&spec, moment::UnixSeconds(7)).await.unwrap_err().to_string();
    assert!(refused.contains("would have the origin of the log \"rekor2\""), "{refused}");
    store.close().await;
}

/// It was "the log's store is unavailable".
#[tokio::test]
async fn a_log_whose_host_changed_is_told_that_this_is_for_ever() {
    for (kind, port, origin) in [("ct", 6962, "127.0.0.2/ct"), ("rekor2", 3003, "127.0.0.2")] {
        let mut installation = Installation::new().made().await;
        installation
            .change(&format!("http://localhost:{port}"), &format!("http://127.0.0.2:{port}"));
        let said = installation.refused().await;
        assert!(said.contains(&format!("the origin of the log `{kind}` is `localhost")), "{said}");
        assert!(said.contains("for ever") && said.contains(&format!("it `{origin}`")), "{said}");
    }
}

#[tokio::test]
async fn a_row_that_no_table_names_is_told() {
    let installation = Installation::new().made().await;
    let rows = installation.rows().await;
    let installation = installation.with(
        "[log.rekor1]\nkind = \"rekor1\"\nwriters = \"open\"\nurl = \"http://localhost:3000\"\n",
        "",
    );
    let told = crate::known_logs::warnings(&installation.read().unwrap(), &rows);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("has no [log.rekor1]") && told[0].contains("retired"), "{told:?}");
    installation.made().await.starts().await.unwrap();
}

/// It said "kept: the logs, in use", and after the next stop nothing started.
#[tokio::test]
async fn a_new_log_is_not_passed_over_while_the_others_are_served() {
    let mut installation = Installation::new().made().await;
    installation.starts().await.unwrap();
    let running = installation.store().await;
    assert_eq!(installation.init().await.unwrap(), ExitCode::SUCCESS, "nothing is new");
    installation.change(
        "[tsa.default]",
        "[log.2028]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.2:3003\"\n[tsa.default]",
    );
    assert_eq!(installation.init().await.unwrap(), ExitCode::from(3));
    assert!(!installation.data("log/keys/2028.pem").exists(), "all of it, or nothing");
    running.close().await;
    installation.made().await.starts().await.unwrap();
}

/// The sample with a frozen log did not start where it was new.
#[tokio::test]
async fn a_log_that_is_new_and_frozen_is_made_so() {
    let ended = "state = \"frozen\"\nvalid_until = \"2026-01-07T00:00:00Z\"\n";
    let mut installation = Installation::new();
    for (name, kind) in [("a", "ct"), ("b", "rekor1"), ("c", "rekor2")] {
        let port = installation
            .read()
            .unwrap()
            .logs
            .iter()
            .find(|log| log.kind.as_str() == kind)
            .unwrap()
            .service
            .port;
        let table =
            format!("[log.{name}]\nkind = \"{kind}\"\nurl = \"http://127.0.0.2:{port}\"\n{ended}");
        installation.change("[tsa.default]", &format!("{table}[tsa.default]"));
    }
    let installation = installation.made().await;
    installation.starts().await.unwrap();
    let store = installation.store().await;
    for record in store.logs().await.unwrap() {
        let state = store.state(record.id).await.unwrap();
        let (name, size) = (record.spec.name.as_str(), state.edge.size().0);
        assert_eq!(state.frozen, ["a", "b", "c"].contains(&name), "{name}");
        assert_eq!(
            size,
            u64::from(record.spec.kind != store::LogKind::Ct),
            "{name}: its first entry"
        );
    }
    store.close().await;
    // A word in the file ends no log that is used.
    let mut installation = installation.with("[log.c]", "[log.d]");
    installation.change("http://127.0.0.2:3003", "http://127.0.0.4:3003");
    assert!(installation.init().await.is_ok());
}

/// The first tenant's CA, TSA and repository under another name, with their files of before.
fn renamed(installation: Installation) -> Installation {
    installation
        .with("ca.default", "ca.acme")
        .with("[tsa.default]", "[tsa.acme]")
        .with("[trust.default]", "[trust.acme]")
}

/// A second tenant with services of its own, of which `kind` has the name that `trial.toml` gives.
fn with_globex(installation: Installation, kind: &str) -> Installation {
    let mut installation = installation;
    for table in ["[ca.acme]", "[tsa.acme]", "[trust.acme]"] {
        installation.change(table, &format!("{table}\ntenant = \"default\""));
    }
    installation.change(
        "organization = \"Trial\"",
        "organization = \"Trial\"\naudience = \"https://localhost\"",
    );
    let mut text =
        "[tenant.globex]\norganization = \"Globex\"\naudience = \"https://127.0.0.3\"\n".to_owned();
    for (own, port) in [("ca", 5555), ("tsa", 3004), ("trust", 3005)] {
        let name = if own == kind { "default" } else { "globex" };
        let url = format!("url = \"http://127.0.0.3:{port}\"\ntenant = \"globex\"");
        write!(text, "[{own}.{name}]\n{url}\n").unwrap();
        if own == "ca" {
            write!(
                text,
                "[[ca.{name}.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\nurl = \"http://localhost:3006\"\n"
            )
            .unwrap();
        }
    }
    installation.text += &text;
    installation.write();
    installation
}

/// The files of the first tenant have names that the second one's table would have: Globex's CA signed
/// with what Acme's verifiers trust.
#[tokio::test]
async fn files_of_before_are_never_given_to_another_tenant() {
    for (kind, file) in [("ca", "ca_chain.pem"), ("tsa", "tsa_chain.pem"), ("trust", "trust/tuf")] {
        let mut installation = with_globex(renamed(Installation::new().made().await), kind);
        // Of the other two nobody's table has the name: those are renamed, as the advice has it.
        for other in ["ca", "tsa", "trust"].into_iter().filter(|other| *other != kind) {
            rename_files_of(&installation, other);
        }
        let before = files(&installation.data("public"));
        let said = format!("{:#}", installation.init().await.unwrap_err());
        assert!(said.contains("`acme` is lost"), "{said}");
        assert!(said.contains(file) && said.contains("rename its files"), "{said}");
        assert_eq!(files(&installation.data("public")), before, "nothing was made");
        rename_files_of(&installation, kind);
        installation = installation.made().await;
        assert!(
            installation
                .data(if kind == "trust" { "trust/tuf" } else { "public/tuf-globex-root.json" })
                .exists()
        );
    }
}

fn rename_files_of(installation: &Installation, kind: &str) {
    let renamed: &[(&str, &str)] = match kind {
        "ca" => &[
            ("ca/keys/ca.pem", "ca/keys/acme.pem"),
            ("public/ca_chain.pem", "public/ca-acme_chain.pem"),
        ],
        "tsa" => &[
            ("tsa/keys/tsa.pem", "tsa/keys/acme.pem"),
            ("public/tsa_chain.pem", "public/tsa-acme_chain.pem"),
        ],
        _ => &[
            ("trust/keys/tuf-root.pem", "trust/keys/tuf-acme-root.pem"),
            ("trust/keys/tuf-online.pem", "trust/keys/tuf-acme-online.pem"),
            ("trust/tuf", "trust/tuf-acme"),
            ("public/root.json", "public/tuf-acme-root.json"),
        ],
    };
    for (from, to) in renamed {
        fs::rename(installation.data(from), installation.data(to)).unwrap();
    }
}

/// `[log.rekor2]` beside a log that has the files `rekor2.pem`, `rekor2.pub`.
#[tokio::test]
async fn a_second_log_that_is_called_by_its_kind_does_not_get_the_files_of_the_first() {
    let mut installation = Installation::new().with("[log.rekor2]", "[log.2026]").made().await;
    for (from, to) in
        [("log/keys/2026.pem", "log/keys/rekor2.pem"), ("public/2026.pub", "public/rekor2.pub")]
    {
        fs::rename(installation.data(from), installation.data(to)).unwrap();
    }
    installation.starts().await.unwrap();
    installation.change(
        "[tsa.default]",
        "[log.rekor2]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.3:3003\"\n[tsa.default]",
    );
    let said = format!("{:#}", installation.read().unwrap_err());
    assert!(said.contains("public/rekor2.pub is of one of 2026, rekor2"), "{said}");
}

/// Clients that were given the first root were cut off for ever.
#[tokio::test]
async fn a_repository_whose_table_was_renamed_is_lost_and_no_new_root_is_made() {
    let mut installation = Installation::new().with("[trust.default]", "[trust.a]").made().await;
    installation.change("[trust.a]", "[trust.b]");
    let before = files(&installation.data("trust/keys"));
    let said = format!("{:#}", installation.init().await.unwrap_err());
    assert!(
        said.contains("the trust repository `b` is lost") && said.contains("trust/tuf-a is"),
        "{said}"
    );
    assert!(said.contains("give the table its old name"), "{said}");
    assert_eq!(files(&installation.data("trust/keys")), before);
    installation.change("[trust.b]", "[trust.a]");
    installation.made().await;
}

/// `check` said "run init", and `init` "restore it from a backup", beside the very file.
#[tokio::test]
async fn a_file_that_is_there_under_another_name_is_named() {
    let installation = Installation::new().made().await;
    for (own, other, what) in [
        ("ca/keys/ca.pem", "ca/keys/old.pem", "the key of the CA"),
        ("tsa/keys/tsa.pem", "tsa/keys/old.pem", "the key of the TSA"),
        ("log/keys/rekor1-tiles.pem", "log/keys/old.pem", "the tiles' key of the Rekor v1 log"),
        ("log/keys/rekor2.pem", "log/keys/old.pem", "the key of the Rekor v2 log"),
        ("trust/keys/tuf-root.pem", "trust/keys/old.pem", "the root key of the trust repository"),
        ("public/ca_chain.pem", "public/old.pem", "the certificate chain of the CA"),
        ("trust/tuf", "trust/old", "the trust repository"),
    ] {
        fs::rename(installation.data(own), installation.data(other)).unwrap();
        let said = format!("{:#}", installation.init().await.unwrap_err());
        assert!(said.contains(&format!("{what} `")) && said.contains("is lost"), "{said}");
        assert!(
            said.contains(&format!("{} is the one", installation.data(other).display())),
            "{said}"
        );
        assert!(!said.contains("backup"), "{said}");
        let lost = super::lost::refuse_lost(&installation.read().unwrap()).unwrap_err();
        assert_eq!(said, format!("{lost:#}"), "`check` says the same");
        fs::rename(installation.data(other), installation.data(own)).unwrap();
    }
    installation.made().await;
}

/// A volume has a `lost+found` that only root may read, and a key another user's directory.
#[tokio::test]
async fn what_may_not_be_looked_at_is_no_repository_and_not_lost() {
    // A link to itself can be read by root as little as those by others.
    let unreadable = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(path, path).unwrap();
    };
    let installation = Installation::new();
    unreadable(&installation.data("trust/lost+found/targets"));
    let installation = installation.made().await;
    let key = installation.data("ca/keys/ca.pem");
    fs::remove_file(&key).unwrap();
    unreadable(&key);
    let said = format!("{:#}", installation.init().await.unwrap_err());
    assert!(said.contains("ca.pem") && !said.contains("lost: "), "{said}");
}

/// The program of before called a key by the kind of the log, and so gave the next log that of the first.
#[tokio::test]
async fn logs_that_were_made_with_one_key_are_served_and_warned_of() {
    let installation = Installation::new().made().await;
    let store = installation.store().await;
    let rows = store.logs().await.unwrap();
    assert_eq!(rows.len(), 3);
    store.close().await;
    installation.twin_of_before("rekor2").await;
    let store = installation.store().await;
    let rows = store.logs().await.unwrap();
    store.close().await;
    installation.starts().await.unwrap();
    installation.checked().await.unwrap();
    let told = crate::known_logs::warnings(&installation.read().unwrap(), &rows).join("\n");
    assert!(told.contains("have one key") && told.contains("`first`"), "{told}");
    // A new one would be a third with that key.
    let key = installation.data("log/keys/rekor2.pem").display().to_string();
    let next = format!("[log.next]\nkey = \"file:{key}\"\n");
    let said = installation.with("[log.rekor2]\n", &next).init().await.unwrap_err();
    assert!(format!("{said:#}").contains("in the database as `"), "{said:#}");
}

/// A retired log signs nothing, and is verified by its key all the same.
#[tokio::test]
async fn a_retired_log_whose_table_was_renamed_is_told_as_any_other() {
    let end = "state = \"retired\"\nvalid_until = \"2100-01-01T00:00:00Z\"\n";
    let mut installation = Installation::new().made().await;
    installation.change("[log.rekor2]\n", &format!("[log.old]\n{end}"));
    let said = format!("{:#}", installation.checked().await.unwrap_err());
    assert!(said.contains("Call the table [log.rekor2] again"), "{said}");
}

/// Trust files were published in which the log's URL had a key that had signed nothing.
#[tokio::test]
async fn no_key_is_made_for_the_url_of_a_log_that_clients_know_by_another() {
    let mut installation = Installation::new().with("[log.rekor2]\n", "[log.2026]\n").made().await;
    installation.change("[log.2026]\n", "[log.main]\n");
    let before = files(&installation.data("log/keys"));
    let said = format!("{:#}", init(true, installation.read().unwrap()).await.unwrap_err());
    assert!(said.contains("names a log there by another key"), "{said}");
    assert_eq!(files(&installation.data("log/keys")), before);
    installation.change("[log.main]\n", "[log.2026]\n");
    installation.made().await;
}

/// In each of twelve tries keys did not belong to their chains.
#[tokio::test]
async fn two_inits_at_once_make_one_deployment() {
    let installation = Installation::new();
    let (first, second) = tokio::join!(installation.init(), installation.init());
    assert_eq!((first.unwrap(), second.unwrap()), (ExitCode::SUCCESS, ExitCode::SUCCESS));
    let deployment = installation.read().unwrap();
    super::authority_sound(&deployment.authorities[0]).unwrap();
    super::timestamp_authority_sound(&deployment.timestamp_authorities[0]).unwrap();
    installation.starts().await.unwrap();
}

#[tokio::test]
async fn an_init_beside_one_that_does_not_end_makes_nothing() {
    let installation = Installation::new();
    fs::create_dir_all(installation.data("log")).unwrap();
    let lock = fs::File::open(installation.data("log")).unwrap();
    lock.try_lock().unwrap();
    let short = init_within(std::time::Duration::ZERO, false, installation.read().unwrap()).await;
    assert_eq!(short.unwrap(), ExitCode::from(3));
    assert!(!installation.data("ca/keys/ca.pem").exists());
    drop(lock);
    installation.made().await;
}

/// The CA signed with a key that no verifier had, and `init` said that both were kept.
#[tokio::test]
async fn what_is_kept_belongs_together_or_is_refused() {
    for (own, other, said) in [
        ("ca/keys/ca.pem", "tsa/keys/tsa.pem", "ca_chain.pem, with its key"),
        ("tsa/keys/tsa.pem", "ca/keys/ca.pem", "tsa_chain.pem, with its key"),
        ("log/keys/ct.pem", "ca/keys/ca.pem", "was made with another key"),
        ("trust/keys/tuf-online.pem", "ca/keys/ca.pem", "is not a key of"),
    ] {
        let installation = Installation::new().made().await;
        fs::copy(installation.data(other), installation.data(own)).unwrap();
        if own == "log/keys/ct.pem" {
            fs::remove_file(installation.data("public/ct.pub")).unwrap();
        }
        let told = format!("{:#}", installation.init().await.unwrap_err());
        assert!(told.contains(said), "{own}: {told}");
    }
}

#[tokio::test]
async fn what_a_link_leads_to_is_not_kept() {
    for file in ["ca/keys/ca.pem", "public/ca_chain.pem", "public/ct.pub", "public/root.json"] {
        let installation = Installation::new().made().await;
        let (own, moved) = (installation.data(file), installation.data("moved"));
        fs::rename(&own, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &own).unwrap();
        let told = format!("{:#}", installation.init().await.unwrap_err());
        assert!(told.contains("is a link"), "{file}: {told}");
        let checked = check::files(&installation.read().unwrap()).unwrap_err();
        assert_eq!(format!("{checked:#}"), told, "before an upgrade fails by it");
    }
}

/// A second machine, or a new data directory, made its own keys first and was refused by the database then.
#[tokio::test]
async fn nothing_is_made_beside_the_database_of_another_deployment() {
    let other = Installation::new().made().await;
    let installation = Installation::new();
    fs::create_dir_all(installation.data("log")).unwrap();
    fs::copy(other.data("log/log.db"), installation.data("log/log.db")).unwrap();
    let told = format!("{:#}", installation.init().await.unwrap_err());
    assert!(told.contains("the database of another deployment"), "{told}");
    assert!(!installation.data("ca/keys/ca.pem").exists());
}

/// Clients refused every bundle of before, and only the log's own process would have said so.
#[tokio::test]
async fn trust_files_that_contradict_what_was_published_are_not_made() {
    for (kind, port) in [("ct", 6962), ("rekor1", 3000), ("rekor2", 3003)] {
        let mut installation = Installation::new().made().await;
        let told = |installation: &Installation| {
            let deployment = installation.read().unwrap();
            super::repository_sound(&deployment, &deployment.repositories[0])
        };
        assert!(told(&installation).unwrap().contains("root.json has the SHA-256"));
        let old = format!("http://localhost:{port}");
        installation.change(&old, &format!("http://127.0.0.2:{port}"));
        let said = format!("{:#}", told(&installation).unwrap_err());
        assert!(said.contains(&format!("has the key of the one at {old}")), "{kind}: {said}");
        // Another port of the same host is the same log.
        installation.change(&format!("127.0.0.2:{port}"), &format!("localhost:1{port}"));
        told(&installation).unwrap();
    }
}

/// `check` was content with a database from before the last checkpoint, which no log starts on.
#[tokio::test]
async fn a_database_that_is_older_than_its_checkpoint_is_told_by_check() {
    let installation = Installation::new().made().await;
    let (database, copy) = (installation.data("log/log.db"), installation.data("log/copy"));
    fs::copy(&database, &copy).unwrap();
    installation.starts().await.unwrap();
    installation.checked().await.unwrap();
    for left in ["log/log.db-wal", "log/log.db-shm"] {
        let _ = fs::remove_file(installation.data(left));
    }
    fs::rename(&copy, &database).unwrap();
    let said = format!("{:#}", installation.checked().await.unwrap_err());
    assert!(said.contains("the last checkpoint that it signed"), "{said}");
}

/// The sample of docker-compose, without its network: passwords of both roles, and what tells the database of them.
#[tokio::test]
async fn passwords_are_for_their_owner_alone_and_the_database_is_told_of_verifiers() {
    use std::os::unix::fs::PermissionsExt;

    let installation = Installation::new();
    let run = installation.data("run").display().to_string();
    let database = format!(
        "kind = \"postgres\"\nurl = \"postgres://countersign_log@localhost/countersign\"\n\
         password_file = \"{run}/password\"\nowner_url = \"postgres://countersign@localhost/countersign\"\n\
         owner_password_file = \"{run}/owner\"\nroles_file = \"{run}/roles.sql\""
    );
    let installation = installation.with("kind = \"sqlite\"", &database);
    fs::create_dir_all(installation.data("run")).unwrap();
    let secrets = async || init(true, installation.read().unwrap()).await.unwrap();
    assert_eq!(secrets().await, ExitCode::SUCCESS);
    let read = |file: &str| fs::read_to_string(installation.data(&format!("run/{file}"))).unwrap();
    let passwords = [read("password"), read("owner")];
    for file in ["password", "owner"] {
        let mode = fs::metadata(installation.data(&format!("run/{file}"))).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
    }
    let sql = read("roles.sql");
    assert_eq!(sql.matches("PASSWORD 'SCRAM-SHA-256$4096:").count(), 2, "{sql}");
    assert!(passwords.iter().all(|password| !sql.contains(password)));
    assert!(sql.contains("ALTER DATABASE countersign OWNER TO countersign;"), "{sql}");
    assert_eq!(secrets().await, ExitCode::SUCCESS);
    assert_eq!(passwords, [read("password"), read("owner")], "kept");
    // A password of before, which the database's own user had to read.
    fs::set_permissions(installation.data("run/owner"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = format!("{:#}", init(true, installation.read().unwrap()).await.unwrap_err());
    assert!(said.contains("chmod 600"), "{said}");
}
