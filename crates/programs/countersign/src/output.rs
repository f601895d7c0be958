//! The one writer of this program: nothing else touches standard output or standard error.
//!
//! What is shown holds text of others (names in certificates and statements, file names, what servers
//! say), and is read by people, terminals and CI runners. Here it becomes inert ([`wire::inert`]): one
//! value stays on its line, and no line begins with a value.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
};

use terminal::{Instead, Terminal};
use wire::inert;

use crate::{
    Exit, Failure, Report,
    cli::{Cli, OutputFormat},
};

const TERMINAL: Terminal = Terminal { program: "countersign" };

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
    TERMINAL.parse(arguments).map_err(|instead| match instead {
        Instead::Shown(written) => shown(&written),
        Instead::Mistake => Exit::Usage.code(),
    })
}

/// Shows what a command did; the exit code: 2 when it could not be written, a full disk for example.
#[must_use]
pub fn succeed(report: &Report, format: OutputFormat) -> u8 {
    shown(&match format {
        OutputFormat::Text => TERMINAL.print(&inert::escape_each_line(&report.to_text())),
        OutputFormat::Json => TERMINAL.print(&report.to_json()),
    })
}

/// Shows why a command failed, whose exit code stays what it is.
pub fn fail(failure: &Failure, format: OutputFormat) {
    if format == OutputFormat::Json {
        shown(&TERMINAL.print(&failure.to_json()));
    }
    say(&failure.to_string());
}

/// Says one line on standard error.
pub(crate) fn say(line: &str) {
    TERMINAL.say(line);
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
fn shown(written: &io::Result<()>) -> u8 {
    TERMINAL.say_unwritten(written);
    if written.is_ok() { 0 } else { Exit::Usage.code() }
}

/// One JSON object with a final newline, which shows as nothing but itself.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    // Invariant: texts, numbers and lists only, which always have a JSON form.
    let json = serde_json::to_string(value).unwrap_or_default();
    inert::escape_json(&json).into_owned() + "\n"
}
