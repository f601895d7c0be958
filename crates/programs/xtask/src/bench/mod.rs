//! Throughput, latency and CPU per operation, of release builds.

mod compare;
mod figures;
mod idle;
mod size;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail, ensure};

use crate::{
    options::Options,
    postgres::Postgres,
    process::{self, build_binaries, cargo},
    stack::Stack,
};

/// Length of each measurement when nothing else is asked for.
const SECONDS: u32 = 10;

/// `cargo xtask bench [log|ca|tsa|client] [--json FILE]`: every part, or the one that is named.
///
/// With `--against COMMIT` that commit and the working tree are measured in turn; `log --entries N` compares logs of
/// so many entries with logs of few, and `idle` counts what is done for nobody.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.part.as_deref() == Some("idle") {
        return idle::run(&build_binaries(true)?, options);
    }
    let parts = match options.part.as_deref() {
        None => vec!["log", "ca", "tsa", "client"],
        Some(part @ ("log" | "ca" | "tsa" | "client")) => vec![part],
        Some(other) => bail!("unknown part `{other}`"),
    };
    let seconds = options.seconds.unwrap_or(SECONDS);
    let (binaries, postgres) = (build()?, Postgres::start()?);
    let bench = Bench { parts, seconds, load: binaries.join("load"), postgres };
    if let Some(commit) = &options.against {
        return compare::run(&bench, commit, &binaries, options);
    }
    if let Some(entries) = options.entries {
        ensure!(bench.parts == ["log"], "--entries is for `log`");
        return size::run(&bench, &binaries, entries, options);
    }
    for database in DATABASES {
        bench.measure(&binaries, database, options.json.as_deref())?;
    }
    Ok(())
}

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

/// Release builds of the programs and of the loader.
fn build() -> Result<PathBuf> {
    let binaries = build_binaries(true)?;
    process::run(cargo()?.args(["build", "--locked", "--release", "--package", "load"]))?;
    Ok(binaries)
}

/// What is measured, and with what.
struct Bench<'a> {
    parts: Vec<&'a str>,
    /// Length of each measurement.
    seconds: u32,
    load: PathBuf,
    postgres: Postgres,
}

impl Bench<'_> {
    /// Measures the programs in `binaries` on `database`, in a fresh stack.
    fn measure(&self, binaries: &Path, database: &str, json: Option<&Path>) -> Result<()> {
        let directory = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
        let url = match database {
            "postgres" => Some(self.postgres.database("countersign_bench")?),
            _ => None,
        };
        let stack = Stack::start(binaries, directory.path(), url.as_deref())?;
        let mut command = Command::new(&self.load);
        command.arg("--data-dir").arg(directory.path()).args(["--database", database]);
        command.args(["--seconds", &self.seconds.to_string()]).arg("--binaries").arg(binaries);
        if let (Some(pid), "postgres") = (self.postgres.pid(), database) {
            command.args(["--database-pid", &pid.to_string()]);
        }
        if let Some(file) = json {
            command.arg("--json").arg(file);
        }
        process::run(command.args(&self.parts))?;
        stack.stop()
    }
}
