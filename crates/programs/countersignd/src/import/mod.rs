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

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Context;
use identity::{IssuerConfig, IssuerConfigError};
use serde::Deserialize;
use serde_json::{Map, Value};
use server::bounded;
use toml::Table;
use wire::inert;

use crate::{cli::ImportArguments, output};
use document::{Format, MAX_LEN};
use entry::Metadata;

/// Most issuers of one file.
const MAX_ISSUERS: usize = 1024;

/// Longest translation, in bytes: each issuer has a copy of its provider's templates.
const MAX_TRANSLATED: usize = 8 << 20;

pub(crate) fn run(arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display();
    let text = bounded::read_text(&arguments.file, MAX_LEN)
        .with_context(|| format!("cannot read {name}"))?;
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
    /// Length of the tables so far.
    translated: usize,
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
        let (format, Value::Object(root)) = document::parse(text)? else {
            anyhow::bail!("is no table of settings");
        };
        let mut import = Self::default();
        let mut keys = Keys::new(&root, format, &mut import.notes);
        let metadata = keys.table("ci-issuer-metadata");
        let issuers = keys.table("oidc-issuers");
        let meta = keys.table("meta-issuers");
        // Anchors live there in upstream's own file.
        keys.ignore("define");
        keys.end("the file").map_err(anyhow::Error::msg)?;
        if issuers.len() + meta.len() > MAX_ISSUERS {
            anyhow::bail!("has more than {MAX_ISSUERS} issuers");
        }
        let metadata = import.metadata(metadata, format);
        for (is_pattern, issuers) in [(false, issuers), (true, meta)] {
            for (name, value) in issuers {
                let source = Source { name, value, is_pattern, format };
                import.issuer(source, &metadata);
                if import.translated > MAX_TRANSLATED {
                    anyhow::bail!("becomes longer than {MAX_TRANSLATED} bytes");
                }
            }
        }
        import.part_patterns(issuers);
        import.part_names();
        Ok(import)
    }

    /// Of a token that a fixed issuer and a wildcard fit, Fulcio asks the fixed one alone; here each is
    /// asked, so that the wildcard's entry could grant what Fulcio refused.
    fn part_patterns(&mut self, fixed: &Map<String, Value>) {
        for entry in self.entries.iter_mut().filter(|entry| entry.table.contains_key("url_pattern"))
        {
            let Some(pattern) = probe(&entry.name) else { continue };
            let met: Vec<_> = fixed.keys().filter(|url| pattern.is_of(url)).collect();
            let Some(first) = met.first() else { continue };
            let note = format!(
                "fits {} issuers that the file has by their URL, such as `{first}`: Fulcio asks those \
                 entries alone, here this one would be asked too. List the issuers that it is for, \
                 without them, as `iss` in `required_claims`",
                met.len(),
            );
            entry.notes.push(format!("is printed as a comment: {note}"));
            entry.fault.get_or_insert(note);
        }
    }

    /// What is printed as it counts can be used together: Fulcio lets two issuers vouch for one name.
    fn part_names(&mut self) {
        let mut kept: Vec<IssuerConfig> = Vec::new();
        for entry in &mut self.entries {
            entry.share_with_itself();
            if entry.fault.is_some() {
                continue;
            }
            let Ok(issuer) = read_back(&entry.table) else { continue };
            let alone = vec![issuer.clone()];
            let pairs = kept.iter().map(|other| vec![other.clone(), issuer.clone()]);
            let conflict = std::iter::once(alone)
                .chain(pairs)
                .find_map(|issuers| identity::name_conflicts(&issuers).into_iter().next());
            match conflict {
                None => kept.push(issuer),
                Some(conflict) => {
                    entry.notes.push(format!("is printed as a comment: {}", conflict.error));
                    entry.fault = Some(conflict.error.to_string());
                }
            }
        }
    }

    fn metadata(
        &mut self,
        table: &Map<String, Value>,
        format: Format,
    ) -> BTreeMap<String, Metadata> {
        let mut all = BTreeMap::new();
        for (name, value) in table {
            let mut notes = Vec::new();
            match Metadata::read(value, format, &mut notes) {
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

    fn issuer(&mut self, source: Source<'_>, metadata: &BTreeMap<String, Metadata>) {
        let mut notes = Vec::new();
        let name = source.name;
        match entry::translate(source, metadata, &mut notes) {
            Ok(table) => {
                self.translated += toml::to_string(&table).map_or(0, |text| text.len());
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

/// An issuer in the file.
#[derive(Clone, Copy)]
struct Source<'v> {
    name: &'v str,
    value: &'v Value,
    is_pattern: bool,
    format: Format,
}

/// An issuer with this pattern, to ask whose tokens are its own.
fn probe(pattern: &str) -> Option<IssuerConfig> {
    let audiences = toml::Value::Array(vec![toml::Value::String("any".to_owned())]);
    let table = Table::from_iter([
        ("url_pattern".to_owned(), toml::Value::String(pattern.to_owned())),
        ("type".to_owned(), toml::Value::String("kubernetes".to_owned())),
        ("audiences".to_owned(), audiences),
    ]);
    read_as_open(&table)
}

/// The issuer, of everybody where nothing says of whom: that is the operator's to say.
fn read_as_open(table: &Table) -> Option<IssuerConfig> {
    let mut open = table.clone();
    open.insert("open_to_all".to_owned(), toml::Value::Boolean(true));
    read_back(table).or_else(|_| read_back(&open)).ok()
}

impl Entry {
    /// Says what Fulcio means by a pattern: that each of its issuers may vouch for the same names.
    fn share_with_itself(&mut self) {
        let Some(issuer) = read_as_open(&self.table) else { return };
        let conflict = identity::name_conflicts(&[issuer]).into_iter().next();
        let conflict = conflict.map(|conflict| conflict.error);
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

/// The members of one table, each taken once, as Fulcio's reader of the format spells them.
struct Keys<'v, 'n> {
    left: BTreeMap<&'v str, &'v Value>,
    format: Format,
    /// The settings that were asked for.
    known: Vec<&'static str>,
    /// A setting that the table has in two spellings.
    twice: Option<String>,
    notes: &'n mut Vec<String>,
}

impl<'v, 'n> Keys<'v, 'n> {
    fn new(table: &'v Map<String, Value>, format: Format, notes: &'n mut Vec<String>) -> Self {
        let left = table.iter().map(|(name, value)| (name.as_str(), value)).collect();
        Self { left, format, known: Vec::new(), twice: None, notes }
    }

    fn take(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.push(name);
        let written = self.left.keys().copied().filter(|written| self.format.reads(written, name));
        let written: Vec<&str> = written.collect();
        if let [one, other, ..] = written.as_slice() {
            self.twice = Some(format!(
                "`{one}` and `{other}` are one setting, of which Fulcio takes \
                                       the last"
            ));
        }
        let mut values = written.into_iter().filter_map(|written| self.left.remove(written));
        let value = values.next();
        values.for_each(drop);
        value.filter(|value| !value.is_null())
    }

    fn ignore(&mut self, name: &'static str) {
        self.take(name);
    }

    fn text(&mut self, name: &'static str) -> Option<&'v str> {
        let value = self.take(name)?;
        let text = value.as_str();
        if text.is_none() {
            self.notes.push(format!("`{name}` is no text"));
        }
        text.filter(|text| !text.is_empty())
    }

    /// A switch. YAML's reader takes four words of its older version for on.
    fn flag(&mut self, name: &'static str) -> bool {
        match (self.take(name), self.format) {
            (None, _) => false,
            (Some(Value::Bool(flag)), _) => *flag,
            (Some(Value::String(word)), Format::Yaml)
                if matches!(word.as_str(), "y" | "Y" | "yes" | "on") =>
            {
                true
            }
            (Some(Value::String(word)), Format::Yaml)
                if matches!(word.as_str(), "n" | "N" | "no" | "off") =>
            {
                false
            }
            (Some(_), _) => {
                self.notes
                    .push(format!("`{name}` is neither true nor false; it is taken for false"));
                false
            }
        }
    }

    fn table(&mut self, name: &'static str) -> &'v Map<String, Value> {
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

    /// Names what nobody took: upstream reads over a key that is mistyped, or is of the other format.
    ///
    /// # Errors
    /// When a setting came twice.
    fn end(self, place: &str) -> Result<(), String> {
        for name in self.left.into_keys() {
            let meant = self.known.iter().find(|known| Format::resembles(name, known));
            let meant = meant.map(|known| format!(" ({})", self.format.spelled(known)));
            let meant = meant.unwrap_or_default();
            self.notes.push(format!("`{name}` is no setting of {place}; Fulcio ignores it{meant}"));
        }
        self.twice.map_or(Ok(()), Err)
    }
}
