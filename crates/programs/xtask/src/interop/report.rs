//! What came of each cell: counted, printed, and explained where a client cannot do it.

use std::time::Instant;

use anyhow::Result;

use super::limits::Limit;

/// What came of one cell.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It did what it must; seconds it took.
    Passed(f64),
    /// Why not.
    Failed(String),
    /// Why it could not be asked, or which limit of the client stands in the way.
    Skipped(String),
}

impl Outcome {
    /// Runs `job` and times it.
    pub(super) fn of(job: impl FnOnce() -> Result<()>) -> Self {
        let begin = Instant::now();
        match job() {
            Ok(()) => Self::Passed(begin.elapsed().as_secs_f64()),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }

    /// A failure that a known limit explains is no failure of the servers.
    pub(super) fn explained_by(self, limit: impl FnOnce(&str) -> Option<&'static Limit>) -> Self {
        match self {
            Self::Failed(said) => match limit(&said) {
                Some(limit) => Self::Skipped(limit.to_string()),
                None => Self::Failed(said),
            },
            other => other,
        }
    }
}

/// The sum of a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: u32,
    failed: u32,
    skipped: u32,
    /// Explanations, numbered from 1 in the order of their first use.
    notes: Vec<String>,
}

impl Report {
    /// Counts one cell, says aloud when it failed, and gives what a table shows for it.
    pub(super) fn record(&mut self, name: &str, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Passed(seconds) => {
                self.passed += 1;
                format!("{seconds:.2}")
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                println!("FAILED: {name}: {why}");
                "FAILED".to_owned()
            }
            Outcome::Skipped(why) => {
                self.skipped += 1;
                format!("[{}]", self.note(why))
            }
        }
    }

    /// Runs one step of a scenario as a cell of its own and prints its line.
    pub(super) fn step(&mut self, name: &str, job: impl FnOnce() -> Result<()>) -> bool {
        let outcome = Outcome::of(job);
        self.line(name, &outcome);
        matches!(outcome, Outcome::Passed(_))
    }

    /// Counts a cell that was not asked at all.
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        self.line(name, &Outcome::Skipped(why.to_owned()));
    }

    /// Counts a cell of a scenario and prints its line.
    pub(super) fn line(&mut self, name: &str, outcome: &Outcome) {
        let mark = self.record(name, outcome);
        println!("  {mark:>8}  {name}");
    }

    fn note(&mut self, why: &str) -> usize {
        let known = self.notes.iter().position(|note| note == why);
        known.unwrap_or_else(|| {
            self.notes.push(why.to_owned());
            self.notes.len() - 1
        }) + 1
    }

    /// Prints the notes and the last line; says whether everything that must pass did.
    pub(super) fn finish(&self) -> bool {
        if !self.notes.is_empty() {
            println!("\nskipped, because");
        }
        for (index, note) in self.notes.iter().enumerate() {
            println!("  [{}] {note}", index + 1);
        }
        println!("\n{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        self.failed == 0
    }
}

/// Opens a part of the output.
pub(super) fn part(title: &str) {
    println!("\n{title}");
}

/// Prints one line of a table: a name, then cells.
pub(super) fn table_line<S: AsRef<str>>(name: &str, cells: impl IntoIterator<Item = S>) {
    print!("{name:<NAME$}");
    for cell in cells {
        print!("{:>CELL$}", cell.as_ref());
    }
    println!();
}

/// Widths of a table: the row's name, a cell.
const NAME: usize = 46;
const CELL: usize = 9;
