//! docs/identity-providers.md: what was tried, and what came of it.
//!
//! The document says what a run asserts. Versions are those of the run that wrote it; all else is
//! compared by a test, so that nobody changes one without the other.

use std::fmt::Write as _;

use anyhow::Result;

use super::{TOOLS, clusters, people, shapes};
use crate::{
    interop::install::{Clients, Tool},
    paths,
};

const DOCUMENT: &str = "docs/identity-providers.md";

/// Begins the one line that may differ between the document and what this program would write.
const VERSIONS: &str = "Tried with ";

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) provider: &'static str,
    pub(super) client: &'static str,
    pub(super) flow: &'static str,
    /// What the token says, or why it is special.
    pub(super) sends: &'static str,
    /// What the issuer's table, or the client, has beside the recipe.
    pub(super) settings: &'static str,
    pub(super) result: String,
}

/// What must come of one token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// A certificate with this name.
    Named(&'static str),
    /// By whom it is refused, and part of what is said then.
    Refused(&'static str, &'static str),
}

impl Expected {
    pub(super) fn in_words(self) -> String {
        match self {
            Self::Named(name) => format!("`{name}`"),
            Self::Refused(by, saying) => format!("refused by {by}: \"{saying}\""),
        }
    }
}

/// Writes the document with the versions of this run.
pub(super) fn write(clients: &Clients) -> Result<()> {
    let shown = |tool: &&Tool| !matches!(tool, Tool::JavaScript | Tool::Git | Tool::Curl);
    let versions: Vec<String> = TOOLS
        .iter()
        .filter(shown)
        .map(|tool| format!("{} {}", tool.name(), clients.version(*tool)))
        .collect();
    let versions = format!("{VERSIONS}{}.", versions.join(", "));
    std::fs::write(paths::root().join(DOCUMENT), document(&versions))?;
    Ok(())
}

fn document(versions: &str) -> String {
    let mut text = include_str!("document/head.md").replace("VERSIONS", versions);
    text += "| provider | client | flow | what it sends | settings | result |\n|---|---|---|---|---|---|\n";
    for row in people::rows().chain(shapes::rows()).chain(clusters::rows()) {
        let Row { provider, client, flow, sends, settings, result } = row;
        // Writing to a text cannot fail.
        let _ =
            writeln!(text, "| {provider} | {client} | {flow} | {sends} | {settings} | {result} |");
    }
    text + super::recipes::IDENTITY_PROVIDERS
}

#[cfg(test)]
mod tests {
    use super::{DOCUMENT, VERSIONS, document};
    use crate::paths;

    fn without_versions(text: &str) -> String {
        text.lines().filter(|line| !line.starts_with(VERSIONS)).collect::<Vec<_>>().join("\n")
    }

    /// `cargo xtask interop identities --write-docs` writes it.
    #[test]
    fn the_document_is_what_the_runs_assert() {
        let written = std::fs::read_to_string(paths::root().join(DOCUMENT)).unwrap_or_default();
        assert_eq!(without_versions(&written), without_versions(&document(VERSIONS)));
        assert!(written.lines().any(|line| line.starts_with(VERSIONS)));
    }
}
