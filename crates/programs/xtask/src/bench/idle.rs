//! What a deployment costs that nobody asks for anything: statements and fsyncs a minute.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    options::Options,
    postgres::Postgres,
    process::{output, run as call},
    stack::Stack,
    two_tenants::{Cut, TwoTenants},
};

/// Length of a count when nothing else is asked for: twice what lies between two trials of a log.
const SECONDS: u32 = 60;

/// After the start: what is made once is made by then.
const SETTLE: Duration = Duration::from_secs(20);

const DATABASE: &str = "countersign_idle";

/// `cargo xtask bench idle`: `dev` on SQLite, and on PostgreSQL `serve` with two tenants, a process for each service.
pub(super) fn run(binaries: &Path, options: &Options) -> Result<()> {
    ensure!(
        output(Command::new("strace").arg("-V")).is_ok(),
        "fsyncs are counted with strace, which is not installed"
    );
    let seconds = options.seconds.unwrap_or(SECONDS);
    let directory = tempfile::Builder::new().prefix("countersign-idle-").tempdir()?;

    let stack = Stack::start(binaries, &directory.path().join("dev"), None)?;
    std::thread::sleep(SETTLE);
    let fsyncs = Fsyncs::begin(&[stack.pid()], &directory.path().join("sqlite"))?;
    std::thread::sleep(Duration::from_secs(seconds.into()));
    println!("dev on SQLite, in {seconds} s: {} fsyncs", fsyncs.end()?);
    stack.stop()?;

    let postgres = Postgres::start_with("-c shared_preload_libraries=pg_stat_statements")?;
    let url = postgres.database(DATABASE)?;
    let serving =
        TwoTenants::start(binaries, &directory.path().join("serve"), Cut::Services, Some(url))?;
    std::thread::sleep(SETTLE);
    let of_services = Fsyncs::begin(&serving.pids(), &directory.path().join("services"))?;
    let of_database = Fsyncs::begin(&postgres.pids()?, &directory.path().join("database"))?;
    let before = Statements::of(&postgres)?;
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let statements = Statements::of(&postgres)?.since(&before);
    println!(
        "serve on PostgreSQL, in {seconds} s: {} fsyncs, {} of the database, {} transactions, {} statements:",
        of_services.end()?,
        of_database.end()?,
        statements.transactions,
        statements.calls.values().sum::<u64>()
    );
    for (text, calls) in &statements.calls {
        println!("{calls:>6}  {text}");
    }
    serving.stop()
}

/// What was asked of the server's database.
struct Statements {
    transactions: u64,
    /// By text.
    calls: BTreeMap<String, u64>,
}

impl Statements {
    /// As far as the server has counted. Asked for in another database, which is not counted.
    fn of(postgres: &Postgres) -> Result<Self> {
        let rows = |statement: &str| postgres.execute(postgres.url(), statement);
        rows("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")?;
        let transactions = rows(&format!(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{DATABASE}'"
        ))?;
        let calls = rows(&format!(
            "SELECT sum(calls), left(regexp_replace(query, '\\s+', ' ', 'g'), 90) AS text \
             FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid \
             WHERE datname = '{DATABASE}' GROUP BY text"
        ))?;
        let calls = calls.lines().filter_map(|line| {
            let (calls, text) = line.split_once('|')?;
            Some((text.to_owned(), calls.parse().ok()?))
        });
        Ok(Self { transactions: transactions.trim().parse()?, calls: calls.collect() })
    }

    fn since(mut self, before: &Self) -> Self {
        self.transactions = self.transactions.saturating_sub(before.transactions);
        for (text, calls) in &mut self.calls {
            *calls = calls.saturating_sub(before.calls.get(text).copied().unwrap_or(0));
        }
        self.calls.retain(|_, calls| *calls > 0);
        self
    }
}

/// A count of the fsyncs of some processes.
struct Fsyncs {
    strace: Child,
    file: std::path::PathBuf,
}

impl Fsyncs {
    fn begin(pids: &[u32], file: &Path) -> Result<Self> {
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o"])
            .arg(file);
        strace.args(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]));
        let strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { strace, file: file.to_owned() })
    }

    /// Their number. A line has share, seconds, time of a call, calls, errors if there were any, and the name.
    fn end(mut self) -> Result<u64> {
        call(Command::new("kill").args(["-INT", &self.strace.id().to_string()]))?;
        self.strace.wait()?;
        let counted = fs::read_to_string(&self.file).context("strace wrote nothing")?;
        let of_line = |line: &str| {
            let mut words = line.split_whitespace();
            let calls = words.nth(3)?.parse::<u64>().ok()?;
            let name = words.last()?;
            (name != "total").then_some(calls)
        };
        Ok(counted.lines().filter_map(of_line).sum())
    }
}
