//! The one writer of this program beside its log ([`crate::log_lines`]).
//!
//! What a command says holds text of others: origins and names that a database or a file brought,
//! words of other programs. Here it becomes inert ([`wire::inert`]): one value stays on its line.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use clap::Parser;
use wire::inert;

use crate::{cli::Cli, config::Problems};

/// Begins each error.
const PROGRAM: &str = "countersignd";

/// Reads the command line; the exit code when that is help, a version or a mistake.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, u8> {
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    if !error.use_stderr() {
        // Help and version are our own words, but for values of variables.
        to_stdout(&inert::escape_each_line(&error.render().to_string()));
        return Err(0);
    }
    // An argument that the error quotes may have lines of its own: so the mistake is made once more,
    // with arguments that have none.
    let inert = arguments.iter().map(|one| inert::escape(&one.to_string_lossy()).into_owned());
    let text = match Cli::try_parse_from(inert) {
        Err(error) => error.render().to_string(),
        Ok(_) => format!("error: {}\n", error.kind()),
    };
    to_stderr(&inert::escape_each_line(&text));
    Err(2)
}

/// Prints a line on standard output.
pub(crate) fn print(line: &str) {
    to_stdout(&(inert::escape(line) + "\n"));
}

/// Prints a text of several lines, each of whose values was made inert.
pub(crate) fn print_lines(text: &str) {
    to_stdout(&inert::escape_each_line(text));
}

/// Prints exactly `text`, which is of this program's own making.
pub(crate) fn print_exact(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Says one line on standard error.
pub(crate) fn say(line: &str) {
    to_stderr(&format!("{PROGRAM}: {}\n", inert::escape(line)));
}

/// Says why a command failed, on one line; the problems of a configuration have one each.
pub(crate) fn fail(error: &anyhow::Error) {
    // `{:#}` prints the causes on the same line.
    let text = format!("{error:#}");
    let problems = error.downcast_ref::<Problems>().map(ToString::to_string).unwrap_or_default();
    let (first, rest) = problems.split_once('\n').unwrap_or((&problems, ""));
    let outer = text.strip_suffix(&problems).unwrap_or(&text);
    say(&format!("{outer}{first}"));
    if !rest.is_empty() {
        to_stderr(&inert::escape_each_line(&format!("{rest}\n")));
    }
}

/// Makes a panic say its place in the log, and all of it on one line whatever the log lets through:
/// its message may quote what was read.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or_default();
        tracing::error!(panic.location = place, "a thread panicked");
        say(&format!("a thread panicked at {place}: {message}"));
    }));
}

/// Nobody may be reading any more; that is no reason to stop half-way.
fn to_stdout(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Files below `directory` that hold one of `words`.
    fn files_with(directory: &Path, words: &[&str], found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_with(&path, words, found);
            } else if words.iter().any(|word| fs::read_to_string(&path).unwrap().contains(word)) {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn nothing_else_of_the_program_writes_to_the_terminal() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        let words = ["print!(", "println!(", "dbg!(", "stdout()", "stderr()"];
        files_with(&source, &words, &mut found);
        found.sort();
        assert_eq!(found, ["log_lines.rs", "output.rs"]);
    }
}
