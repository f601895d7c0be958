//! What makes a deployment unready, provoked; what is said then, and that it becomes well by itself.
//! docs/readiness.md has the table.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use e2e::{Database, Said, Stack, said};
use serde_json::Value;
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::Runtime;

/// Longest wait for a signal, on a machine that runs other tests too.
const LIMIT: Duration = Duration::from_mins(2);

struct Watched {
    stack: Stack,
    runtime: Runtime,
}

impl Watched {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { stack: Stack::start(Database::Sqlite).unwrap(), runtime }
    }

    fn get(&self, url: &str) -> (u16, String) {
        self.runtime.block_on(async {
            let answer = reqwest::get(url).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// Of the whole process, with details.
    fn readiness(&self) -> (u16, Value) {
        let metrics = self.stack.ready("metrics");
        let (status, body) = self.get(&metrics.replace("/metrics", "/readyz"));
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Waits until `check` fails, or holds.
    fn await_check(&self, check: &str, holds: bool) -> Value {
        let begin = Instant::now();
        loop {
            let (status, report) = self.readiness();
            let found = report["checks"][check].as_str().unwrap_or_else(|| panic!("{report}"));
            if (found == "ok") == holds {
                assert!(holds || status == 503, "{report}");
                return report;
            }
            assert!(begin.elapsed() < LIMIT, "{check}: {report}\n{}", self.stack.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Metric and log line follow within a second or so.
    fn await_told(&self, check: &str, word: &str) {
        let (value, begin) = (u8::from(word == "ready again"), Instant::now());
        let gauge = format!("countersign_ready{{check=\"{check}\"}} {value}\n");
        loop {
            let (_, shown) = self.get(self.stack.ready("metrics"));
            let log = self.stack.log();
            let line = log.lines().any(|line| line.contains(word) && line.contains(check));
            if line && shown.contains(&gauge) {
                return;
            }
            assert!(begin.elapsed() < LIMIT, "{word}: {shown}\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn sign(&self) -> Said {
        let artifact = self.stack.work().join("artifact");
        fs::write(&artifact, "contents").unwrap();
        let token = self.stack.token_file("token", &["--email", "alice@acme.internal"]).unwrap();
        let mut command = self.stack.countersign();
        let sign = command.arg("sign").arg(&artifact).args(["--identity-token", &token]);
        let signed = said(sign).unwrap();
        let _ = fs::remove_file(artifact.with_extension("sigstore.json"));
        signed
    }
}

/// A URL without its path.
fn port(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

/// The token is made by the same clock, so it is not what is refused.
#[test]
fn a_clock_that_jumps_is_told_everywhere_and_leaves_nothing_behind() {
    const FORTY_DAYS: &str = "3456000 jump";
    let watched = Watched::start();
    assert_eq!(watched.sign().code, Some(0));
    let file = watched.stack.work().join("clock-offset");
    fs::write(&file, FORTY_DAYS).unwrap();
    let report = watched.await_check("clock", false);
    let why = report["checks"]["clock"].as_str().unwrap();
    assert!(why.contains("s ahead while the service ran: set it right"), "{why}");
    watched.await_told("clock", "not ready");
    for service in ["ca", "tsa", "ct", "rekor1", "rekor2"] {
        let port = port(watched.stack.ready(service));
        let (status, body) = watched.get(&format!("{port}/readyz"));
        assert!(status == 503 && body.contains("set it right"), "{service}: {body}");
        assert_eq!(watched.get(&format!("{port}/healthz")).0, 200);
    }
    let refused = watched.sign();
    assert!(refused.code == Some(3) && refused.stderr.contains("the clock jumped"), "{refused:?}");

    fs::write(&file, "0 jump").unwrap();
    watched.await_check("clock", true);
    watched.await_told("clock", "ready again");
    let signed = watched.sign();
    assert_eq!(signed.code, Some(0), "{signed:?}");
}

/// The file of the log's database.
fn database(directory: &Path) -> Option<PathBuf> {
    fs::read_dir(directory).ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        let is_it = path.extension().is_some_and(|extension| extension == "db");
        if is_it { Some(path) } else { database(&path) }
    })
}

#[test]
fn a_database_that_cannot_be_written_to_is_told_by_an_idle_log_and_ends_by_itself() {
    let watched = Watched::start();
    let file = database(&watched.stack.data_dir()).unwrap();
    let options = SqliteConnectOptions::new().filename(&file);
    let mut other = watched.runtime.block_on(async {
        let mut other = SqliteConnection::connect_with(&options).await.unwrap();
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        other
    });
    // Nobody writes: it is found all the same.
    for log in ["ct", "rekor1", "rekor2"] {
        let report = watched.await_check(&format!("{log} writes"), false);
        let detail = report["checks"][format!("{log} writes")].as_str().unwrap();
        assert!(detail.contains("the database is unavailable"), "{report}");
    }
    watched.await_told("rekor2 writes", "not ready");
    let (status, public) = watched.get(&format!("{}/readyz", watched.stack.ready("rekor2")));
    let words = "the database does not answer, or cannot be written to";
    assert!(status == 503 && public.contains(words) && !public.contains("locked"), "{public}");
    // Without its CT log the CA is of no use.
    assert_eq!(watched.get(&format!("{}/readyz", watched.stack.ready("ca"))).0, 503);

    watched.runtime.block_on(async { other.execute("ROLLBACK").await.unwrap() });
    for log in ["ct", "rekor1", "rekor2"] {
        watched.await_check(&format!("{log} writes"), true);
    }
    watched.await_told("rekor2 writes", "ready again");
    let signed = watched.sign();
    assert_eq!(signed.code, Some(0), "{signed:?}");
}
