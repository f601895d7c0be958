//! What both programs write to standard output and standard error, and how they read their command line.
//!
//! What they say holds text of others: arguments, names in certificates and statements, words of servers.
//! [`Terminal::say`] and [`Terminal::parse`] make it inert ([`wire::inert`]): one value stays on its line.

use std::{
    ffi::OsString,
    io::{self, ErrorKind, Write},
};

use clap::Parser;
use wire::inert;

/// Standard output and standard error of a program.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Begins each line on standard error.
    pub program: &'static str,
}

/// What was said in place of doing what a command line asks for.
#[derive(Debug)]
pub enum Instead {
    /// Help or the version; or it could not be written.
    Shown(io::Result<()>),
    /// A mistake in the command line.
    Mistake,
}

impl Terminal {
    /// Reads the command line.
    ///
    /// # Errors
    /// [`Instead`], after it was said.
    pub fn parse<C: Parser>(self, arguments: &[OsString]) -> Result<C, Instead> {
        let error = match C::try_parse_from(arguments) {
            Ok(command) => return Ok(command),
            Err(error) => error,
        };
        if !error.use_stderr() {
            // Help and version are our own words, but for values of variables.
            let text = inert::escape_each_line(&error.render().to_string());
            return Err(Instead::Shown(self.print(&text)));
        }
        // An argument that the error quotes may have lines of its own: so the mistake is made once more,
        // with arguments that have none.
        let inert = arguments.iter().map(|one| inert::escape(&one.to_string_lossy()).into_owned());
        let text = match C::try_parse_from(inert) {
            Err(error) => error.render().to_string(),
            Ok(_) => format!("error: {}\n", error.kind()),
        };
        self.report(&inert::escape_each_line(&text));
        Err(Instead::Mistake)
    }

    /// Writes exactly `text` to standard output.
    ///
    /// A reader that closed the pipe has what it wanted: that is no reason to stop half-way, and no fault. The
    /// exit code is the command's own, not SIGPIPE's.
    ///
    /// # Errors
    /// When nothing more can be written, to a full disk for example.
    pub fn print(self, text: &str) -> io::Result<()> {
        let mut output = io::stdout().lock();
        let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
        written.or_else(
            |error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) },
        )
    }

    /// Says one line on standard error.
    pub fn say(self, line: &str) {
        self.report(&format!("{}: {}\n", self.program, inert::escape(line)));
    }

    /// Says why standard output could not be written, if so.
    pub fn say_unwritten(self, written: &io::Result<()>) {
        if let Err(error) = written {
            self.say(&format!("cannot write to standard output: {error}"));
        }
    }

    /// Writes exactly `text` to standard error. Nobody can be told that nobody can be told.
    pub fn report(self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}
