//! The one writer of this program: nothing else touches standard output or standard error.
//!
//! What is shown holds text of others (names in certificates and statements, file names, what servers
//! say), and is read by people, terminals and CI runners. Here it becomes inert ([`wire::inert`]): one
//! value stays on its line, and no line begins with a value.

use std::{
    ffi::OsString,
    io::{self, ErrorKind, IsTerminal, Write},
};

use clap::Parser;
use wire::inert;

use crate::{
    Exit, Failure, Report,
    cli::{Cli, OutputFormat},
};

/// Begins each line on standard error.
const PROGRAM: &str = "countersign";

/// Whether a person watches what is said meanwhile.
#[must_use]
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Reads the command line; the exit code when that is help, a version or a mistake.
///
/// # Errors
/// 0 or 2, after it was said.
pub fn parse(arguments: &[OsString]) -> Result<Cli, u8> {
    let error = match Cli::try_parse_from(arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    if !error.use_stderr() {
        // Help and version are our own words, but for values of variables.
        return Err(shown(to_stdout(&inert::escape_each_line(&error.render().to_string()))));
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

/// Shows what a command did; the exit code: 2 when it could not be written, a full disk for example.
#[must_use]
pub fn succeed(report: &Report, format: OutputFormat) -> u8 {
    shown(match format {
        OutputFormat::Text => to_stdout(&inert::escape_each_line(&report.to_text())),
        OutputFormat::Json => to_stdout(&report.to_json()),
    })
}

/// Shows why a command failed, whose exit code stays what it is.
pub fn fail(failure: &Failure, format: OutputFormat) {
    if format == OutputFormat::Json {
        shown(to_stdout(&failure.to_json()));
    }
    say(&failure.to_string());
}

/// Says one line on standard error.
pub(crate) fn say(line: &str) {
    to_stderr(&format!("{PROGRAM}: {}\n", inert::escape(line)));
}

/// Makes a panic say its place on one line; its message may quote what was read.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or_default();
        say(&format!("this is a fault of the program, at {place}: {message}"));
    }));
}

/// The exit code of a command that did well, by whether what it says was written.
fn shown(written: io::Result<()>) -> u8 {
    let Err(error) = written else { return 0 };
    say(&format!("cannot write to standard output: {error}"));
    Exit::Usage.code()
}

/// A reader that closed the pipe has what it wanted: the exit code is the verdict's, not SIGPIPE's.
fn to_stdout(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Nobody can be told that nobody can be told.
fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// One JSON object with a final newline, which shows as nothing but itself.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    // Invariant: texts, numbers and lists only, which always have a JSON form.
    let json = serde_json::to_string(value).unwrap_or_default();
    inert::escape_json(&json).into_owned() + "\n"
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
        found.retain(|name| name != "tests.rs");
        assert_eq!(found, ["output.rs"]);
    }
}
