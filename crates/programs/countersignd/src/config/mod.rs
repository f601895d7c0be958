//! The configuration of `serve`, `init` and `check`: one TOML file, which becomes a [`Deployment`].
//!
//! What the file says is read loosely, with every problem noted at its place; a deployment exists
//! only when there is none. Nothing is trusted and nobody is believed unless the file says so.

mod apart;
mod ca;
mod common;
mod database;
mod issuers;
mod limits;
mod listen;
mod logs;
mod read;
mod section;
mod tenants;
mod trust;
mod tsa;
mod values;
mod whole;
mod writers;

#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context, bail};
use toml::Table;

use self::section::{Notes, Section};
pub(crate) use self::{section::Problems, values::BaseUrl};
use crate::deployment::Deployment;

/// Longest configuration, in bytes: a thousand issuers fit.
const MAX_LEN: usize = 4 << 20;

/// Reads and checks a file.
///
/// # Errors
/// When it cannot be read, or with all problems that it has.
pub(crate) fn load(path: &Path) -> anyhow::Result<Deployment> {
    let text = server::bounded::read_text(path, MAX_LEN)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    parse(&text).with_context(|| format!("the configuration {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Deployment> {
    let table: Table = text.parse().map_err(|error| not_toml(text, &error))?;
    let notes = Notes::default();
    let deployment = read::deployment(Section::root(table, &notes));
    let (problems, warnings) = notes.into_parts();
    match (deployment, problems) {
        (Some(deployment), None) => Ok(Deployment { warnings, ..deployment }),
        (None, None) => bail!("is incomplete"),
        (_, Some(problems)) => Err(problems.into()),
    }
}

/// Where `text` is no TOML, on one line: the parser would quote lines of the file.
fn not_toml(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    anyhow::anyhow!("is not TOML: line {line}: {}", error.message())
}
