//! The options that all tasks share.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What stood behind the task's name.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// A part of the task, such as `faults`, `log` or `images`.
    pub(crate) part: Option<String>,
    /// Leave the demonstration running.
    pub(crate) keep: bool,
    /// Only the clients that CI runs.
    pub(crate) core: bool,
    /// Write what was tried into the documents.
    pub(crate) write_docs: bool,
    /// Only scenes whose name has this.
    pub(crate) only: Option<String>,
    /// Kills of the server per database.
    pub(crate) kills: Option<u32>,
    /// Length of a fuzz or load run.
    pub(crate) seconds: Option<u32>,
    /// Entries of a big run.
    pub(crate) entries: Option<u64>,
    /// Writes through a proxy that are read back.
    pub(crate) writes: Option<u64>,
    /// The commit that a benchmark measures too.
    pub(crate) against: Option<String>,
    /// How often it measures each of the two, or a test of `init` begins anew.
    pub(crate) rounds: Option<u32>,
    /// Which docker-compose types docs/compose.md: 1 or 2.
    pub(crate) compose: Option<String>,
    /// Where a benchmark writes its figures.
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// Reads the command line behind the task's name.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--keep" => options.keep = true,
                "--core" => options.core = true,
                "--write-docs" => options.write_docs = true,
                "--only" => options.only = Some(value()?),
                "--kills" => options.kills = Some(value()?.parse()?),
                "--seconds" => options.seconds = Some(value()?.parse()?),
                "--entries" => options.entries = Some(value()?.parse()?),
                "--writes" => options.writes = Some(value()?.parse()?),
                "--against" => options.against = Some(value()?),
                "--rounds" => options.rounds = Some(value()?.parse()?),
                "--compose" => options.compose = Some(value()?),
                "--json" => options.json = Some(value()?.into()),
                part if !part.starts_with('-') && options.part.is_none() => {
                    options.part = Some(part.to_owned());
                }
                other => bail!("unknown argument `{other}`"),
            }
        }
        Ok(options)
    }
}
