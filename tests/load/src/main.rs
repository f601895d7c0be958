//! Load generator behind `cargo xtask bench` and `cargo xtask test levers`.
//!
//! Drives a running `countersignd dev` over loopback HTTP with keep-alive connections and prints
//! throughput, latency and the CPU time that each operation cost the server and its database. Inputs are
//! real: every entry carries its own signature, every certificate request its own key.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to a terminal")]

mod dear;
mod drive;
mod fill;
mod jobs;
mod levers;
mod process_time;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;

use drive::{Measurement, Phase};

/// What to measure, and where.
#[derive(Parser)]
struct Arguments {
    /// Data directory of the running stack.
    #[arg(long)]
    data_dir: PathBuf,
    /// Name of its database, for the table.
    #[arg(long)]
    database: String,
    /// Process id of the database server, for CPU accounting.
    #[arg(long)]
    database_pid: Option<u32>,
    /// Its URL, where it is not the file in the data directory.
    #[arg(long)]
    database_url: Option<String>,
    /// Length of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections of a measurement of throughput.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Of `fill`: how many each log has afterwards.
    #[arg(long)]
    entries: Option<u64>,
    /// Directory of `countersignd` and `countersign`.
    #[arg(long)]
    binaries: PathBuf,
    /// Appends one JSON object a measurement to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Of levers: fail when an honest request is not answered, or the server holds too much.
    #[arg(long)]
    check: bool,
    /// `log`, `ca`, `tsa`, `client`, `dear`; `fill` alone; or `levers`, and words by which some of these are named.
    parts: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.parts == ["fill"] {
        let entries = arguments.entries.context("`fill` needs --entries")?;
        return fill::run(&arguments, entries).await;
    }
    let stack = Stack::read(&arguments)?;
    if let Some((part, named)) = arguments.parts.split_first()
        && part == "levers"
    {
        return levers::run(&stack, named, (arguments.seconds, arguments.check)).await;
    }
    println!(
        "{:<24}{:>9}{:>9}{:>9}{:>9}{:>9}{:>12}{:>12}",
        arguments.database,
        "per s",
        "errors",
        "p50 ms",
        "p99 ms",
        "max ms",
        "server us",
        "database us"
    );
    for part in &arguments.parts {
        for measurement in measure(part, &arguments, &stack).await? {
            println!("{measurement}");
            if let Some(file) = &arguments.json {
                measurement.append_json(file, &arguments.database)?;
            }
        }
    }
    Ok(())
}

async fn measure(part: &str, arguments: &Arguments, stack: &Stack) -> Result<Vec<Measurement>> {
    let phase = |name, connections| Phase {
        name,
        connections,
        seconds: arguments.seconds,
        server: stack.pid,
        database: arguments.database_pid,
    };
    let measured = match part {
        "log" => vec![
            ("log entries", "log entry, alone", jobs::Job::log(stack).await?),
            ("log entries v1", "log entry v1, alone", jobs::Job::log_v1(stack).await?),
        ],
        "ca" => vec![("certificates", "certificate, alone", jobs::Job::ca(stack)?)],
        "tsa" => vec![("timestamps", "timestamp, alone", jobs::Job::tsa(stack)?)],
        "client" => return jobs::client(stack).await,
        "dear" => return dear::beside(stack, phase).await,
        other => bail!("unknown part `{other}`"),
    };
    let mut measurements = Vec::new();
    for (name, single, job) in measured {
        measurements.push(drive::run(&phase(name, arguments.connections), &job).await?);
        measurements.push(drive::run(&phase(single, 1), &job).await?);
    }
    Ok(measurements)
}

/// The running stack, from its `ready.json`.
struct Stack {
    ready: Value,
    pid: u32,
    data_dir: PathBuf,
    binaries: PathBuf,
}

impl Stack {
    fn read(arguments: &Arguments) -> Result<Self> {
        let file = arguments.data_dir.join("ready.json");
        let ready: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let pid = ready["pid"].as_u64().context("ready.json has no pid")?.try_into()?;
        let (data_dir, binaries) = (arguments.data_dir.clone(), arguments.binaries.clone());
        Ok(Self { ready, pid, data_dir, binaries })
    }

    fn url(&self, name: &str) -> Result<&str> {
        self.ready[name].as_str().with_context(|| format!("ready.json has no `{name}`"))
    }

    fn token(&self) -> Result<String> {
        let output = std::process::Command::new(self.binaries.join("countersignd"))
            .arg("token")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--email", "load@acme.internal", "--expires-in", "3600"])
            .output()?;
        Ok(String::from_utf8(output.stdout)?)
    }
}
