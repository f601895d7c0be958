//! Every test, on every database, with one last line that counts them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{
    advisories, compose_page, fuzz, levers,
    options::Options,
    postgres::{Postgres, apt_install},
    process::{self, build_binaries, cargo},
};

/// Size of the fault run that belongs to every test run, per database.
const SHORT_KILLS: u32 = 2;

/// Version of cargo-deny that is installed, when there is none.
const CARGO_DENY: &str = "0.20.2";

/// `cargo xtask test [faults|init|replicas|fuzz]`.
pub(crate) fn run_part(options: &Options) -> Result<Tally> {
    let binaries = build_binaries(false)?;
    let postgres = Postgres::start()?;
    need_openssl()?;
    let mut command = cargo()?;
    command.args(["test", "--locked", "--no-fail-fast"]);
    match options.part.as_deref() {
        None => command.arg("--workspace"),
        Some("faults") => command.args(["--package", "e2e", "--test", "faults"]),
        Some("init") => command.args(["--package", "e2e", "--test", "init"]),
        Some("replicas") => {
            // What it measured is told by its output.
            let tests = ["--test", "replicas", "--test", "behind_a_proxy", "--", "--show-output"];
            command.args(["--package", "e2e"]).args(tests)
        }
        Some(other) => bail!("unknown part `{other}`"),
    };
    command
        .env("DATABASE_URL", postgres.url())
        .env("COUNTERSIGN_BIN_DIR", &binaries)
        .env("COUNTERSIGN_KILLS", options.kills.unwrap_or(SHORT_KILLS).to_string());
    if let Some(entries) = options.entries {
        command.env("COUNTERSIGN_ENTRIES", entries.to_string());
    }
    if let Some(seconds) = options.seconds {
        command.env("COUNTERSIGN_SECONDS", seconds.to_string());
    }
    if let Some(rounds) = options.rounds {
        command.env("COUNTERSIGN_ROUNDS", rounds.to_string());
    }
    if let Some(writes) = options.writes {
        command.env("COUNTERSIGN_WRITES", writes.to_string());
    }
    Tally::of(&mut command)
}

/// Tests compare with `openssl`; installs it where apt is there and it is missing.
fn need_openssl() -> Result<()> {
    if process::output(Command::new("openssl").arg("version")).is_ok() {
        return Ok(());
    }
    apt_install(&["openssl"]).context("no openssl found, and apt could not install it")
}

/// `cargo xtask test`: prints the count as its last line.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.part.as_deref() == Some("fuzz") {
        return fuzz::run(options.seconds);
    }
    if options.part.as_deref() == Some("levers") {
        return levers::run(options);
    }
    if options.part.as_deref() == Some("compose-page") {
        return compose_page::run(options);
    }
    let begin = Instant::now();
    let tally = run_part(options)?;
    let levers = if options.part.is_none() { levers::check() } else { Ok(()) };
    println!(
        "on SQLite: {} tests, on PostgreSQL: {} tests, {:.1} minutes",
        tally.sqlite,
        tally.postgres,
        begin.elapsed().as_secs_f64() / 60.0
    );
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if !tally.success || tally.failed > 0 {
        bail!("tests failed");
    }
    levers
}

/// Formatting, clippy without warnings, and dependencies, licences, sources and advisories as `deny.toml` has them.
pub(crate) fn lint() -> Result<()> {
    process::run(cargo()?.args(["fmt", "--all", "--check"]))?;
    process::run(cargo()?.args(["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"]))?;
    process::run(cargo()?.args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    if process::output(cargo()?.args(["deny", "--version"])).is_err() {
        let version = ["--version", CARGO_DENY];
        // Unoptimised it is built in half the time and takes seconds to run.
        let install = ["install", "--debug", "--locked", "cargo-deny"];
        process::run(cargo()?.args(install).args(version))?;
    }
    process::run(cargo()?.args([
        "deny",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    advisories::check()
}

/// What the test runners counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    sqlite: u64,
    postgres: u64,
    success: bool,
}

impl Tally {
    /// Runs `cargo test` and counts while showing its output.
    fn of(command: &mut Command) -> Result<Self> {
        // Which program runs is told on standard error; only together do the lines make sense.
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(command.get_program());
        shell.args(command.get_args()).stdin(Stdio::null()).stdout(Stdio::piped());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        let mut child = shell.spawn()?;
        let stdout = child.stdout.take().context("no output to read")?;
        let mut tally = Self::default();
        let mut program = String::new();
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            tally.count(&line, &mut program);
        }
        tally.success = child.wait()?.success();
        Ok(tally)
    }

    fn count(&mut self, line: &str, program: &mut String) {
        if let Some(running) = line.trim_start().strip_prefix("Running ") {
            running.clone_into(program);
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let number = |unit: &str| {
                let before = result.split(unit).next().unwrap_or_default();
                before.rsplit([' ', '.']).next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
            };
            self.passed += number(" passed");
            self.failed += number(" failed");
            self.skipped += number(" ignored");
        } else if line.starts_with("test ") && line.ends_with(" ... ok") {
            let runs_on = |name: &str| program.contains(name) || line.contains(name);
            self.sqlite += u64::from(runs_on("sqlite"));
            self.postgres += u64::from(runs_on("postgres"));
        }
    }
}
