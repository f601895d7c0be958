//! docs/compose.md, typed from top to bottom on a real docker daemon, with disasters between.
//!
//! `cargo xtask test compose-page [--compose 1|2]`. Where no daemon can run it says so; what holds the page to the
//! table is among the tests of this crate, and the same services as processes are among those of `e2e`.

mod cases;
mod ground;
mod machine;
mod page;
mod table;

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use self::{
    ground::{Compose, Ground},
    machine::{Machine, has_words},
    page::Command,
    table::{ROWS, What},
};
use crate::{options::Options, paths, process::build_binaries};

/// Runs all of it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let compose = match options.compose.as_deref() {
        None | Some("1") => Compose::One,
        Some("2") => Compose::Two,
        Some(other) => bail!("there is no Compose `{other}`: 1 or 2"),
    };
    let begin = Instant::now();
    let page = std::fs::read_to_string(paths::root().join("docs/compose.md"))?;
    let commands = page::commands(&page);
    as_the_table_has_them(&commands)?;
    let built = match std::env::var_os("COUNTERSIGN_BIN_DIR") {
        Some(directory) => directory.into(),
        None => build_binaries(false)?,
    };
    let ground = Ground::prepare(compose, &built)?;
    let mut machine = Machine::new(ground);
    std::fs::write(machine.checkout().join("app"), "something to sign\n")?;
    if let Some(cosign) = std::env::var_os("COUNTERSIGN_COSIGN") {
        std::os::unix::fs::symlink(cosign, machine.ground.path("programs/cosign"))?;
    }
    println!(
        "{}",
        machine.ok("docker version --format '{{.Server.Version}}'; docker-compose version")?
    );
    let mut tally = Tally::default();
    for (command, row) in commands.iter().zip(ROWS) {
        let typed = one(&machine, command, &row.what);
        tally.typed += u32::from(tally.took(&machine, typed).unwrap_or_default());
        // What the rows after it need is not left out.
        let is_asked = |case: &&str| {
            options.only.as_ref().is_none_or(|only| only.split(',').any(|one| one == *case))
                || cases::NEEDED.contains(case)
        };
        for case in row.then.iter().copied().filter(is_asked) {
            let ran = cases::run(case, &mut machine);
            tally.cases += 1;
            if tally.took(&machine, ran).is_none() {
                // What follows may still be tried.
                let again = if cases::FIRST.contains(&case) {
                    "docker-compose down --volumes"
                } else {
                    "docker-compose up -d"
                };
                let _ = machine.say(again).and_then(|_| machine.comes_back());
            }
        }
    }
    println!(
        "docs/compose.md: {} commands, {} typed, {} cases between them, {} failed, {:.1} minutes",
        commands.len(),
        tally.typed,
        tally.cases,
        tally.failed,
        begin.elapsed().as_secs_f64() / 60.0
    );
    ensure!(tally.failed == 0, "the page and what it speaks of are not of one mind");
    Ok(())
}

#[derive(Default)]
struct Tally {
    typed: u32,
    cases: u32,
    failed: u32,
}

impl Tally {
    /// Tells of a failure, with what is there.
    fn took<T>(&mut self, machine: &Machine, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed += 1;
                println!("FAILED: {error:#}\nwhat is there:");
                let there = machine.say("docker ps --all; docker-compose logs --tail=25");
                println!("{}", there.map(|said| said.text).unwrap_or_default());
                None
            }
        }
    }
}

/// Whether it was typed.
fn one(machine: &Machine, command: &Command, what: &What) -> Result<bool> {
    let Command { line, text } = command;
    match what {
        What::Typed(words) => {
            println!("line {line}");
            let said = machine.page_ok(text).with_context(|| format!("docs/compose.md:{line}"))?;
            has_words(text, &said, words)?;
            Ok(true)
        }
        What::Refused(words) => {
            println!("line {line}");
            let said = machine.page(text)?;
            ensure!(said.code != Some(0), "docs/compose.md:{line}: `{text}` ended with 0");
            has_words(text, &said.text, words)?;
            Ok(true)
        }
        What::InCase(cases) => {
            println!("line {line}: `{text}` is typed in {}", cases.join(", "));
            Ok(false)
        }
        What::Not(why) => {
            println!("line {line}: `{text}` is not typed: {why}");
            Ok(false)
        }
    }
}

/// A command that the table does not have, or has elsewhere, is an error.
fn as_the_table_has_them(commands: &[Command]) -> Result<()> {
    for (position, command) in commands.iter().enumerate() {
        let row = ROWS.get(position).map_or("nothing", |row| row.text);
        if command.text != row {
            bail!(
                "docs/compose.md:{}: `{}` stands where the table has `{row}`: say in \
                 crates/programs/xtask/src/compose_page/table.rs what becomes of it",
                command.line,
                command.text
            );
        }
    }
    match ROWS.get(commands.len()) {
        Some(row) => bail!("`{}` is not on docs/compose.md any more", row.text),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{as_the_table_has_them, page};
    use crate::paths;

    #[test]
    fn every_command_of_the_page_is_one_that_the_table_knows() {
        let page = std::fs::read_to_string(paths::root().join("docs/compose.md")).unwrap();
        let mut commands = page::commands(&page);
        as_the_table_has_them(&commands).unwrap();
        commands[3].text.push_str(" --force");
        assert!(as_the_table_has_them(&commands).is_err(), "another command");
        commands.truncate(3);
        assert!(as_the_table_has_them(&commands).is_err(), "a command that is gone");
    }
}
