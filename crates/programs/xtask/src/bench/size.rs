//! A log with many entries beside one with few, measured in turn.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use tempfile::TempDir;

use super::{Bench, DATABASES, figures::Figures};
use crate::{options::Options, paths, process, stack::Stack};

/// What the many are compared with.
const FEW: u64 = 10_000;

/// Turns of each side when nothing else is asked for.
const ROUNDS: u32 = 3;

/// As many clients as a log's limits let wait at once without a word.
const CONNECTIONS: &str = "128";

/// What is told of each measurement.
const MEMBERS: [&str; 4] = ["per_second", "p50_ms", "p99_ms", "server_resident_kib"];

/// Measures start, single writes, throughput and memory at `entries` entries in each of the two logs of Rekor.
pub(super) fn run(
    bench: &Bench<'_>,
    binaries: &Path,
    entries: u64,
    options: &Options,
) -> Result<()> {
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let mut figures = Figures::default();
    for database in DATABASES {
        let many = Sized::make(bench, binaries, database, (1, entries))?;
        for _ in 0..rounds {
            // Each time anew: what is measured adds to it.
            let few = Sized::make(bench, binaries, database, (0, FEW))?;
            for sized in [&few, &many] {
                sized.measure(bench, binaries, &mut figures)?;
            }
        }
    }
    figures.print(&format!("medians of {rounds}"), [&FEW.to_string(), &entries.to_string()]);
    Ok(())
}

/// A stopped stack whose logs have a number of entries.
struct Sized<'a> {
    database: &'a str,
    url: Option<String>,
    directory: TempDir,
    side: usize,
}

impl<'a> Sized<'a> {
    fn make(
        bench: &Bench<'_>,
        binaries: &Path,
        database: &'a str,
        (side, entries): (usize, u64),
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
        let url = match database {
            "postgres" => Some(bench.postgres.database(&format!("countersign_bench_{side}"))?),
            _ => None,
        };
        let sized = Self { database, url, directory, side };
        sized.start(binaries)?.stop()?;
        process::run(sized.load(bench, binaries).args([
            "--entries",
            &entries.to_string(),
            "fill",
        ]))?;
        if let Some(url) = &sized.url {
            // As it is where the entries came in months.
            bench.postgres.execute(url, "VACUUM ANALYZE")?;
            bench.postgres.execute(url, "CHECKPOINT")?;
        }
        Ok(sized)
    }

    fn start(&self, binaries: &Path) -> Result<Stack> {
        Stack::start(binaries, self.directory.path(), self.url.as_deref())
    }

    fn load(&self, bench: &Bench<'_>, binaries: &Path) -> Command {
        let mut load = Command::new(&bench.load);
        load.arg("--data-dir").arg(self.directory.path()).args(["--database", self.database]);
        load.arg("--binaries").arg(binaries).args(["--seconds", &bench.seconds.to_string()]);
        load.args(self.url.iter().flat_map(|url| ["--database-url", url]));
        load
    }

    fn measure(&self, bench: &Bench<'_>, binaries: &Path, figures: &mut Figures) -> Result<()> {
        let stack = self.start(binaries)?;
        let start = stack.start.as_secs_f64() * 1e3;
        figures.push(format!("start, {}, ms", self.database), self.side, start);
        let file = paths::target()?.join("bench-size.jsonl");
        let _ = fs::remove_file(&file);
        let mut load = self.load(bench, binaries);
        process::run(load.args(["--connections", CONNECTIONS, "--json"]).arg(&file).arg("log"))?;
        figures.collect(&fs::read_to_string(&file)?, self.side, &MEMBERS)?;
        stack.stop()
    }
}
