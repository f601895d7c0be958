//! Chains of other people's CAs and timestamp authorities, by key and signature algorithm, made with
//! `openssl` and asked of `countersign`, cosign 3 and `openssl`: all take them, or all refuse them, or
//! `differences` says why one does not.

mod ask;
mod differences;
mod make;
mod plan;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::interop::{
    install::{Clients, Tool},
    report::{self, Outcome, Report},
    scene,
};
use ask::Verifier;
use plan::{Expected, Row};

/// The programs that this part needs.
pub(in crate::interop) const TOOLS: [Tool; 2] = [Tool::Cosign3, Tool::OpenSsl];

/// Where everything of the part is, and the program under test.
struct Bench<'a> {
    clients: &'a Clients,
    countersign: PathBuf,
    work: PathBuf,
}

impl Bench<'_> {
    /// A program with nothing of this process's environment, run in `directory`.
    fn isolated(&self, program: &Path, directory: &Path) -> Result<Command> {
        let home = self.work.join("home");
        fs::create_dir_all(&home)?;
        let mut command = scene::isolated(program, &home);
        command.current_dir(directory);
        Ok(command)
    }

    fn openssl(&self, directory: &Path) -> Result<Command> {
        self.isolated(self.clients.path(Tool::OpenSsl)?, directory)
    }
}

/// Every row of the plan; `binaries` holds `countersign`.
pub(in crate::interop) fn agree(
    clients: &Clients,
    binaries: &Path,
    work: &Path,
    report: &mut Report,
) -> Result<()> {
    report::part("chains by key and signature algorithm: who takes them");
    for tool in TOOLS {
        if let Some(why) = clients.missing(tool) {
            report.skip("chains", &why);
            return Ok(());
        }
    }
    fs::create_dir_all(work)?;
    let bench = Bench { clients, countersign: binaries.join("countersign"), work: work.to_owned() };
    make::shared(&bench)?;
    report::table_line("", Verifier::ALL.map(Verifier::name));
    for row in plan::rows() {
        let made = make::row(&bench, &row);
        let cells = Verifier::ALL.map(|verifier| {
            let said = made.as_ref().map_err(|error| format!("{error:#}")).and_then(|directory| {
                ask::verdict(&bench, verifier, &row, directory)
                    .map_err(|error| format!("{error:#}"))
            });
            let outcome = judged(&row, verifier, said);
            let mark = report.record(&format!("{row}: {}", verifier.name()), &outcome);
            match (&outcome, row.expected) {
                (Outcome::Passed(_), Expected::Taken) => "takes".to_owned(),
                (Outcome::Passed(_), Expected::Refused) => "refuses".to_owned(),
                _ => mark,
            }
        });
        report::table_line(&row.to_string(), cells);
    }
    let (name, why) = plan::NOT_MADE;
    report.skip(name, why);
    Ok(())
}

/// A verdict as expected passes; another must be a known difference, and a known one must occur.
fn judged(row: &Row, verifier: Verifier, said: Result<(), String>) -> Outcome {
    let as_expected = said.is_ok() == (row.expected == Expected::Taken);
    let difference = differences::of(row, verifier);
    match (as_expected, difference, said) {
        (true, None, _) => Outcome::Passed(0.0),
        (false, Some(difference), ref said)
            if difference.explains(said.as_ref().err().map(String::as_str)) =>
        {
            Outcome::Skipped(difference.why.to_owned())
        }
        (true, Some(difference), _) => {
            Outcome::Failed(format!("the difference is gone, strike it: {}", difference.why))
        }
        (_, _, Err(said)) => Outcome::Failed(said),
        (_, _, Ok(())) => Outcome::Failed("it takes what must be refused".to_owned()),
    }
}
