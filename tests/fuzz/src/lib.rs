//! libFuzzer targets for every parser of hostile input in the pure crates.
//!
//! A target is a crate (or two), its cases are the parsers: the first byte of an input chooses the
//! case, the rest is the case's input. Beyond "it does not panic", each case states what must hold
//! of whatever parses: the same bytes again where the format has one spelling, an equal value where
//! it has several, and never a signature that nobody made.
//!
//! All is one binary, so that one build, and one link, makes every target. Seeds are made by code or
//! read from `tests/vectors`; none are stored here. Keys are the same in every run, so that an
//! input that was found once shows the same later.
//!
//! To run a found input again: `countersign-fuzz --target=NAME FILE`.

#![expect(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

mod case;
mod certificates;
mod der;
mod entries;
mod entries1;
mod input;
mod issuers;
mod keys;
mod logs;
mod statements;
mod timestamps;
mod tokens;
mod vectors;
mod verifying;
mod wires;

use std::{path::Path, process::exit, sync::OnceLock};

use case::Case;

/// What `--target` names.
struct Target {
    name: &'static str,
    /// Longest input worth trying, in bytes: what the parsers refuse by length alone need not be found.
    max_len: usize,
    cases: &'static [&'static [Case]],
}

/// One for each pure crate; `crypto` reads keys, which are a part of certificates.
const TARGETS: [Target; 8] = [
    Target { name: "entry", max_len: 8192, cases: &[entries::CASES, entries1::CASES] },
    Target { name: "identity", max_len: 4096, cases: &[tokens::CASES] },
    Target { name: "provenance", max_len: 4096, cases: &[statements::CASES] },
    Target { name: "tlog", max_len: 4096, cases: &[logs::CASES] },
    Target { name: "tsp", max_len: 4096, cases: &[timestamps::CASES] },
    Target { name: "verify", max_len: 16384, cases: &[verifying::CASES] },
    Target { name: "wire", max_len: 16384, cases: &[wires::CASES] },
    Target { name: "x509", max_len: 8192, cases: &[certificates::CASES, keys::CASES] },
];

impl Target {
    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        self.cases.iter().copied().flatten()
    }

    /// Runs the case that the first byte chooses.
    fn run(&self, input: &[u8]) {
        if let Some((chosen, input)) = input.split_first()
            && let Some(case) = self.cases().nth(usize::from(*chosen))
        {
            (case.run)(input);
        }
    }

    /// Writes every case's seeds into `directory`, the choosing byte in front.
    fn write_seeds(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        for (chosen, case) in (0u8..).zip(self.cases()) {
            for (number, seed) in (case.seeds)().iter().enumerate() {
                let file = directory.join(format!("seed-{chosen}-{number}"));
                std::fs::write(file, [&[chosen], seed.as_slice()].concat())?;
            }
        }
        Ok(())
    }
}

static CHOSEN: OnceLock<&Target> = OnceLock::new();

/// Reads the arguments that libFuzzer leaves to us: those that begin with two dashes.
///
/// `--list` prints name and longest input of each target, and ends the process.
pub fn prepare() {
    let mut seeds = None;
    for argument in std::env::args().skip(1) {
        if argument == "--list" {
            list();
        } else if let Some(name) = argument.strip_prefix("--target=") {
            let known = TARGETS.iter().find(|target| target.name == name);
            let target = known.unwrap_or_else(|| quit(&format!("no target `{name}`")));
            CHOSEN.get_or_init(|| target);
        } else if let Some(directory) = argument.strip_prefix("--seeds=") {
            seeds = Some(directory.to_owned());
        }
    }
    let target = CHOSEN.get().unwrap_or_else(|| quit("--target=NAME is needed; --list shows them"));
    if let Some(directory) = seeds
        && let Err(error) = target.write_seeds(Path::new(&directory))
    {
        quit(&format!("cannot write seeds into {directory}: {error}"));
    }
}

/// Runs one input on the chosen target.
///
/// # Panics
/// On a finding: that is how libFuzzer is told.
pub fn run(input: &[u8]) {
    if let Some(target) = CHOSEN.get() {
        target.run(input);
    }
}

#[expect(clippy::print_stdout, reason = "the answer to --list")]
fn list() -> ! {
    for target in &TARGETS {
        println!("{} {}", target.name, target.max_len);
    }
    exit(0)
}

#[expect(clippy::print_stderr, reason = "a program without a `main` to return an error from")]
fn quit(message: &str) -> ! {
    eprintln!("countersign-fuzz: {message}");
    exit(2)
}
