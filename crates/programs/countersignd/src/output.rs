//! The one writer of this program beside its log ([`crate::log_lines`]).
//!
//! What a command says holds text of others: origins and names that a database or a file brought,
//! words of other programs. Here it becomes inert ([`wire::inert`]): one value stays on its line.

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::Parser;
use wire::inert;

use crate::{cli::Cli, config::Problems};

/// Begins each error.
const PROGRAM: &str = "countersignd";

/// Whether a line of a command's answer was lost: to a full disk, never to a reader that left.
static LOST: AtomicBool = AtomicBool::new(false);

/// Reads the command line; the exit code when that is help, a version or a mistake.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, u8> {
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    if !error.use_stderr() {
        // Help and version are our own words, but for values of variables.
        let shown = to_stdout(&inert::escape_each_line(&error.render().to_string()));
        return Err(u8::from(!said(&shown)));
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

/// Prints a line of a command's answer on standard output.
pub(crate) fn print(line: &str) {
    if !said(&to_stdout(&(inert::escape(line) + "\n"))) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Prints what a service announces, each of whose values was made inert: it serves without as well.
pub(crate) fn print_lines(text: &str) {
    said(&to_stdout(&inert::escape_each_line(text)));
}

/// Prints exactly `text`, which is of this program's own making.
pub(crate) fn print_exact(text: &str) -> io::Result<()> {
    to_stdout(text)
}

/// The exit code of a command that ended with `code`: a success that was not written is none.
pub(crate) fn finish(code: ExitCode) -> ExitCode {
    let lost = LOST.load(Ordering::Relaxed) && code == ExitCode::SUCCESS;
    if lost { ExitCode::FAILURE } else { code }
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

/// Whether something was written; why not is said on the other way out.
fn said(written: &io::Result<()>) -> bool {
    if let Err(error) = written {
        say(&format!("cannot write to standard output: {error}"));
    }
    written.is_ok()
}

/// Nobody may be reading any more; that is no reason to stop half-way, and no fault: the exit code is
/// the command's own, not SIGPIPE's.
fn to_stdout(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
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
