//! `countersignd import-fulcio-config`: an existing Fulcio configuration in our words.
//!
//! Standard output is TOML that this program has read back itself; what it cannot read, because
//! something is missing that only the operator knows, is there as comments. Standard error names, for
//! each entry, what could not be translated and what is to be added.

mod document;
mod entry;
mod go_template;
mod legacy;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs, process::ExitCode};

use anyhow::Context;
use identity::{IssuerConfig, IssuerConfigError};
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Table;
use wire::inert;

use crate::{cli::ImportArguments, output};
use entry::Metadata;

/// Most issuers of one file.
const MAX_ISSUERS: usize = 1024;

pub(crate) fn run(arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display();
    let text =
        fs::read_to_string(&arguments.file).with_context(|| format!("cannot read {name}"))?;
    let import = Import::of(&text).with_context(|| format!("{name}"))?;
    for note in &import.notes {
        output::say(note);
    }
    for entry in &import.entries {
        for note in &entry.notes {
            output::say(&format!("{}: {note}", entry.name));
        }
    }
    output::print_exact(&import.text(&arguments.ca)?).context("cannot print")?;
    let whole = import.entries.iter().all(|entry| entry.fault.is_none()) && !import.lost;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Import {
    pub(crate) entries: Vec<Entry>,
    /// On the file as a whole.
    pub(crate) notes: Vec<String>,
    /// Whether an entry could not be translated at all.
    lost: bool,
}

/// One issuer.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its key in the file.
    pub(crate) name: String,
    /// In our words.
    pub(crate) table: Table,
    pub(crate) notes: Vec<String>,
    /// Why our own reader refuses it; then it is printed as comments.
    pub(crate) fault: Option<String>,
}

impl Import {
    /// Translates `text`.
    pub(crate) fn of(text: &str) -> anyhow::Result<Self> {
        let Value::Object(root) = document::parse(text)? else {
            anyhow::bail!("is no table of settings");
        };
        let mut import = Self::default();
        let mut keys = Keys::new(&root, &mut import.notes);
        let metadata = keys.table("ci-issuer-metadata");
        let issuers = keys.table("oidc-issuers");
        let meta = keys.table("meta-issuers");
        // Anchors live there in upstream's own file.
        keys.ignore("define");
        keys.end("the file");
        if issuers.len() + meta.len() > MAX_ISSUERS {
            anyhow::bail!("has more than {MAX_ISSUERS} issuers");
        }
        let metadata = import.metadata(metadata);
        for (is_pattern, issuers) in [(false, issuers), (true, meta)] {
            for (name, value) in issuers {
                import.issuer(name, value, is_pattern, &metadata);
            }
        }
        import.part_names();
        Ok(import)
    }

    /// What is printed as it counts can be used together: Fulcio lets two issuers vouch for one name.
    fn part_names(&mut self) {
        let mut kept: Vec<IssuerConfig> = Vec::new();
        for entry in &mut self.entries {
            entry.share_with_itself();
            let Ok(issuer) = read_back(&entry.table) else { continue };
            let alone = vec![issuer.clone()];
            let pairs = kept.iter().map(|other| vec![other.clone(), issuer.clone()]);
            let conflict = std::iter::once(alone)
                .chain(pairs)
                .find_map(|issuers| identity::name_conflicts(&issuers).into_iter().next());
            match conflict {
                None => kept.push(issuer),
                Some(conflict) => {
                    entry.notes.push(format!("is printed as a comment: {conflict}"));
                    entry.fault = Some(conflict.to_string());
                }
            }
        }
    }

    fn metadata(&mut self, table: &Map<String, Value>) -> BTreeMap<String, Metadata> {
        let mut all = BTreeMap::new();
        for (name, value) in table {
            let mut notes = Vec::new();
            match Metadata::read(value, &mut notes) {
                Ok(metadata) => {
                    all.insert(name.clone(), metadata);
                }
                Err(fault) => {
                    self.lost = true;
                    notes.push(format!("not translated: {fault}"));
                }
            }
            self.notes.extend(notes.into_iter().map(|note| format!("ci-provider {name}: {note}")));
        }
        all
    }

    fn issuer(
        &mut self,
        name: &str,
        value: &Value,
        is_pattern: bool,
        metadata: &BTreeMap<String, Metadata>,
    ) {
        let mut notes = Vec::new();
        match entry::translate(name, value, is_pattern, metadata, &mut notes) {
            Ok(table) => {
                let fault = read_back(&table).err();
                if let Some(fault) = &fault {
                    notes.push(format!("is printed as a comment, until it is whole: {fault}"));
                }
                self.entries.push(Entry { name: name.to_owned(), table, notes, fault });
            }
            Err(fault) => {
                self.lost = true;
                self.notes.extend(notes.into_iter().map(|note| format!("{name}: {note}")));
                self.notes.push(format!("{name}: not translated: {fault}"));
            }
        }
    }

    /// The TOML, which is read back before anybody sees it.
    fn text(&self, ca: &str) -> anyhow::Result<String> {
        let mut text = String::new();
        for entry in &self.entries {
            let issuer = toml::Value::Array(vec![toml::Value::Table(entry.table.clone())]);
            let of_ca = Table::from_iter([("issuer".to_owned(), issuer)]);
            let all_cas = Table::from_iter([(ca.to_owned(), toml::Value::Table(of_ca))]);
            let root = Table::from_iter([("ca".to_owned(), toml::Value::Table(all_cas))]);
            let block = toml::to_string(&root)?;
            for note in entry.notes.iter().map(|note| inert::escape(note)) {
                text.extend(["# ", &*note, "\n"]);
            }
            for line in block.lines() {
                text += if entry.fault.is_some() && !line.is_empty() { "# " } else { "" };
                text += line;
                text.push('\n');
            }
            text.push('\n');
        }
        if inert::escape_each_line(&text) != text {
            anyhow::bail!("a value holds a character that is not seen as what it is");
        }
        let _: Table = text.parse().context("the translation is no TOML")?;
        Ok(text)
    }
}

impl Entry {
    /// Says what Fulcio means by a pattern: that each of its issuers may vouch for the same names.
    fn share_with_itself(&mut self) {
        let Ok(issuer) = read_back(&self.table) else { return };
        let conflict = identity::name_conflicts(&[issuer]).into_iter().next();
        if matches!(conflict, Some(IssuerConfigError::Rivals { .. })) {
            let pattern = toml::Value::String(self.name.clone());
            self.table.insert("shares_names_with".to_owned(), toml::Value::Array(vec![pattern]));
            self.notes.push(
                "each issuer of the pattern may vouch for the same names, as with Fulcio \
                 (`shares_names_with`); or demand one `iss` in `required_claims`, and leave it out"
                    .to_owned(),
            );
        }
    }
}

/// The issuer as our own reader sees it.
fn read_back(table: &Table) -> Result<IssuerConfig, String> {
    IssuerConfig::deserialize(toml::Value::Table(table.clone()))
        .map_err(|error| error.message().to_owned())
}

/// The members of one table, each taken once; JSON's and YAML's names are read alike.
struct Keys<'v, 'n> {
    left: BTreeMap<String, (&'v str, &'v Value)>,
    notes: &'n mut Vec<String>,
}

impl<'v, 'n> Keys<'v, 'n> {
    fn new(table: &'v Map<String, Value>, notes: &'n mut Vec<String>) -> Self {
        let left = table.iter().map(|(name, value)| (squash(name), (name.as_str(), value)));
        Self { left: left.collect(), notes }
    }

    fn take(&mut self, name: &str) -> Option<&'v Value> {
        let (_, value) = self.left.remove(&squash(name))?;
        (!value.is_null()).then_some(value)
    }

    fn ignore(&mut self, name: &str) {
        self.left.remove(&squash(name));
    }

    fn text(&mut self, name: &str) -> Option<&'v str> {
        let value = self.take(name)?;
        let text = value.as_str();
        if text.is_none() {
            self.notes.push(format!("`{name}` is no text"));
        }
        text.filter(|text| !text.is_empty())
    }

    fn table(&mut self, name: &str) -> &'v Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        match self.take(name) {
            None => &EMPTY,
            Some(Value::Object(table)) => table,
            Some(_) => {
                self.notes.push(format!("`{name}` is no table"));
                &EMPTY
            }
        }
    }

    /// Names what nobody took: upstream reads over a key that is mistyped.
    fn end(self, place: &str) {
        for (name, _) in self.left.into_values() {
            self.notes.push(format!("`{name}` is no setting of {place}; Fulcio ignores it"));
        }
    }
}

/// `ci-issuer-metadata` and `CIIssuerMetadata` are one name.
fn squash(name: &str) -> String {
    name.replace(['-', '_'], "").to_ascii_lowercase()
}
