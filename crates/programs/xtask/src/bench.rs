//! Throughput, latency and CPU per operation, of release builds.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    options::Options,
    postgres::Postgres,
    process::{self, build_binaries, cargo},
    stack::Stack,
};

/// Length of each measurement when nothing else is asked for.
const SECONDS: u32 = 10;

/// `cargo xtask bench [log|ca|tsa|client] [--json FILE]`: every part, or the one that is named.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.part.as_deref() {
        None => measure(&["log", "ca", "tsa", "client"], options),
        Some(part @ ("log" | "ca" | "tsa" | "client")) => measure(&[part], options),
        Some(other) => bail!("unknown part `{other}`"),
    }
}

/// Measures `parts` on both databases.
fn measure(parts: &[&str], options: &Options) -> Result<()> {
    let binaries = build_binaries(true)?;
    process::run(cargo()?.args(["build", "--locked", "--release", "--package", "load"]))?;
    let load = binaries.join("load");
    let postgres = Postgres::start()?;
    let directory = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
    for database in ["sqlite", "postgres"] {
        let url = match database {
            "postgres" => Some(postgres.database("countersign_bench")?),
            _ => None,
        };
        let data = directory.path().join(database);
        let stack = Stack::start(&binaries, &data, url.as_deref())?;
        let mut command = Command::new(&load);
        command.arg("--data-dir").arg(&data).args(["--database", database]);
        command.args(["--seconds", &options.seconds.unwrap_or(SECONDS).to_string()]);
        command.arg("--binaries").arg(&binaries);
        if let (Some(pid), "postgres") = (postgres.pid(), database) {
            command.args(["--database-pid", &pid.to_string()]);
        }
        if let Some(file) = &options.json {
            command.arg("--json").arg(file);
        }
        process::run(command.args(parts))?;
        stack.stop()?;
    }
    Ok(())
}
