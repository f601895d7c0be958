//! The fuzz targets of `tests/fuzz`, built without cargo-fuzz, which costs minutes to install.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    postgres::{apt_install, is_root},
    process::{self, cargo, output},
};

/// Length of each target's run when nothing else is asked for.
const SECONDS: u32 = 10;

/// What cargo-fuzz passes: counters on every edge, and comparisons shown to libFuzzer. No address
/// sanitizer, which wants a nightly compiler, since no crate of ours has unsafe code.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// An input that takes longer, in seconds, is a finding; so is one that takes more memory, in MiB.
const TIMEOUT: &str = "-timeout=10";
const MEMORY: &str = "-rss_limit_mb=2048";

/// Lines of a failed run's log that are shown.
const SHOWN_LINES: usize = 20;

/// `cargo xtask test fuzz [--seconds S]`: each target for that time, as many at once as there are cores.
pub(crate) fn run(seconds: Option<u32>) -> Result<()> {
    let begin = Instant::now();
    let fuzzer = Fuzzer::build(seconds.unwrap_or(SECONDS))?;
    let targets = fuzzer.targets()?;
    println!("built in {:.0} s: {}", begin.elapsed().as_secs_f64(), fuzzer.program.display());
    let failed = fuzzer.run_all(&targets)?;
    println!("{} passed, {failed} failed, 0 skipped", targets.len() - failed);
    if failed > 0 {
        bail!("{failed} fuzz targets found something");
    }
    Ok(())
}

/// A target as `--list` names it.
struct Target {
    name: String,
    /// Longest input, in bytes.
    max_len: String,
}

struct Fuzzer {
    program: PathBuf,
    /// Holds what lasts from run to run: `corpus/<target>`, `findings/<target>-*`, `logs/<target>.log`.
    directory: PathBuf,
    seconds: u32,
}

impl Fuzzer {
    /// Builds in a target directory of its own, so that the flags rebuild nothing else.
    fn build(seconds: u32) -> Result<Self> {
        ensure_cpp_compiler()?;
        let directory = paths::target()?.join("fuzz");
        // With a triple named, the flags are kept from build scripts and procedural macros.
        let triple = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
        let triple = triple.trim();
        let mut cargo = cargo()?;
        cargo.args(["build", "--locked", "--manifest-path", "tests/fuzz/Cargo.toml", "--target"]);
        cargo.arg(triple).env("CARGO_TARGET_DIR", &directory).env("RUSTFLAGS", COVERAGE);
        process::run(cargo.env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
        let program = directory.join(triple).join("debug/countersign-fuzz");
        Ok(Self { program, directory, seconds })
    }

    fn targets(&self) -> Result<Vec<Target>> {
        let list = output(Command::new(&self.program).arg("--list"))?;
        let target = |line: &str| {
            let (name, max_len) = line.split_once(' ')?;
            Some(Target { name: name.to_owned(), max_len: max_len.to_owned() })
        };
        list.lines().map(target).collect::<Option<_>>().context("--list is not name and length")
    }

    /// Runs every target and tells how many found something.
    fn run_all(&self, targets: &[Target]) -> Result<usize> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<usize> {
            let mut failed = 0;
            while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                failed += usize::from(!self.run_one(target)?);
            }
            Ok(failed)
        };
        let workers = thread::available_parallelism()?.get().min(targets.len());
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let joined = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| bail!("a worker of the task panicked"))
            });
            joined.sum()
        })
    }

    /// Runs a target, shows how it went, and tells whether it found nothing.
    fn run_one(&self, target: &Target) -> Result<bool> {
        let (corpus, seeds) = (self.folder("corpus", target)?, self.folder("seeds", target)?);
        let findings = self.directory.join("findings");
        let logs = self.directory.join("logs");
        for directory in [&findings, &logs] {
            fs::create_dir_all(directory)?;
        }
        let log = logs.join(format!("{}.log", target.name));
        let mut fuzzer = Command::new(&self.program);
        fuzzer.arg(format!("--target={}", target.name));
        fuzzer.arg(format!("--seeds={}", seeds.display()));
        fuzzer.arg(format!("-artifact_prefix={}/{}-", findings.display(), target.name));
        fuzzer.arg(format!("-max_len={}", target.max_len));
        fuzzer.arg(format!("-max_total_time={}", self.seconds));
        fuzzer.args([TIMEOUT, MEMORY, "-print_final_stats=1"]).args([&corpus, &seeds]);
        // A backtrace would push the panic's message out of the lines that are shown.
        fuzzer.env("RUST_BACKTRACE", "0");
        fuzzer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let status = fuzzer.status().context("cannot start the fuzzer")?;
        println!("{:<10} {}", target.name, self.report(target, status, &log)?);
        Ok(status.success())
    }

    fn folder(&self, kind: &str, target: &Target) -> Result<PathBuf> {
        let folder = self.directory.join(kind).join(&target.name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Figures of a run without finding; else how it ended, and where its input is.
    fn report(&self, target: &Target, status: ExitStatus, log: &Path) -> Result<String> {
        let said = String::from_utf8_lossy(&fs::read(log)?).into_owned();
        if status.success() {
            let stat = |name: &str| {
                let mut values = said.lines().filter_map(|line| line.strip_prefix(name));
                values.next().map_or("?", str::trim).to_owned()
            };
            let runs = stat("stat::number_of_executed_units:");
            let rate = stat("stat::average_exec_per_sec:");
            return Ok(format!("{runs} executions, {rate}/s, no finding"));
        }
        let lines: Vec<&str> = said.lines().collect();
        let end = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
        let input = lines.iter().filter_map(|line| line.split_once("Test unit written to "));
        let again = match input.map(|(_, path)| path).next_back() {
            Some(input) => {
                let program = self.program.display();
                format!("input: {input}\nagain: {program} --target={} {input}", target.name)
            }
            None => "no input was written: it died of a signal, or did not start".to_owned(),
        };
        let (end, log) = (end.join("\n"), log.display());
        Ok(format!("FOUND SOMETHING, {status}\n{end}\n{again}\nlog:   {log}"))
    }
}

/// libFuzzer is C++.
fn ensure_cpp_compiler() -> Result<()> {
    if output(Command::new("c++").arg("--version")).is_ok() {
        return Ok(());
    }
    if is_root()? && Path::new("/usr/bin/apt-get").exists() {
        eprintln!("a C++ compiler is missing: installing g++ with apt");
        return apt_install(&["g++"]);
    }
    bail!("no C++ compiler found: install g++ or clang")
}
