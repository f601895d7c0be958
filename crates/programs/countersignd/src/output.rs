//! The one writer of this program beside its log ([`crate::event_lines`]).
//!
//! What a command says holds text of others: origins and names that a database or a file brought,
//! words of other programs. Here it becomes inert ([`wire::inert`]): one value stays on its line.

use std::{
    ffi::OsString,
    io,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use terminal::{Instead, Terminal};
use wire::inert;

use crate::{cli::Cli, config::Problems};

const TERMINAL: Terminal = Terminal { program: "countersignd" };

/// Whether a line of a command's answer was lost: to a full disk, never to a reader that left.
static LOST: AtomicBool = AtomicBool::new(false);

/// Reads the command line; the exit code when that is help, a version or a mistake.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, u8> {
    TERMINAL.parse(arguments).map_err(|instead| match instead {
        Instead::Shown(written) => u8::from(!said(&written)),
        Instead::Mistake => 2,
    })
}

/// Prints a line of a command's answer on standard output.
pub(crate) fn print(line: &str) {
    if !said(&TERMINAL.print(&(inert::escape(line) + "\n"))) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Prints what a service announces, each of whose values was made inert: it serves without as well.
pub(crate) fn print_lines(text: &str) {
    said(&TERMINAL.print(&inert::escape_each_line(text)));
}

/// Prints exactly `text`, which is of this program's own making.
pub(crate) fn print_exact(text: &str) -> io::Result<()> {
    TERMINAL.print(text)
}

/// The exit code of a command that ended with `code`: a success that was not written is none.
pub(crate) fn finish(code: ExitCode) -> ExitCode {
    let lost = LOST.load(Ordering::Relaxed) && code == ExitCode::SUCCESS;
    if lost { ExitCode::FAILURE } else { code }
}

/// Says one line on standard error.
pub(crate) fn say(line: &str) {
    TERMINAL.say(line);
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
        TERMINAL.report(&inert::escape_each_line(&format!("{rest}\n")));
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
    TERMINAL.say_unwritten(written);
    written.is_ok()
}
