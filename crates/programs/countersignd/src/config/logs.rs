//! `[log.<name>]`: any number of each kind.

use std::{fmt::Display, ops::RangeInclusive, path::Path};

use crypto::KeyType;
use engine::LogLimits;
use rekor::{OnDuplicate, Rekor1Options, Rekor2Options};
use store::{LogKind, MAX_BATCH_ENTRIES};

use super::{
    common::{Around, Table, is_file_name},
    section::Section,
    whole::spelled_alike,
    writers::{self, OpenWriters},
};
use crate::{
    anchors::AnchorPlace,
    cli::Part,
    deployment::{Key, Kind, Log, LogOptions, Rekor1Places},
    logs::key_type,
};

/// A log and the table that it is from.
pub(super) struct OpenLog<'p> {
    pub(super) log: Log,
    pub(super) section: Section<'p>,
    /// Whom it names as writers.
    pub(super) writers: OpenWriters,
}

pub(super) fn read<'p>(
    file: &mut Section<'p>,
    around: &Around<'_, '_>,
) -> Vec<Option<OpenLog<'p>>> {
    let mut tables: Vec<Table<'p>> = Vec::new();
    for (name, mut section) in file.named("log") {
        let kind = match section.required_text("kind").as_deref() {
            Some("ct") => LogKind::Ct,
            Some("rekor1") => LogKind::Rekor1,
            Some("rekor2") => LogKind::Rekor2,
            Some(other) => {
                section.wrong("kind", format!("`{other}` is none of ct, rekor1, rekor2"));
                continue;
            }
            None => continue,
        };
        tables.push(Table { name, kind: Kind::Log(kind), only: true, section });
    }
    let kinds: Vec<Kind> = tables.iter().map(|table| table.kind).collect();
    let has = |kind| kinds.contains(&Kind::Log(kind));
    if !has(LogKind::Ct) {
        file.wrong("log", "a [log.<name>] of kind `ct` is missing");
    }
    if !has(LogKind::Rekor1) && !has(LogKind::Rekor2) {
        file.wrong("log", "a [log.<name>] of kind `rekor2` or `rekor1` is missing");
    }
    for table in &mut tables {
        table.only = kinds.iter().filter(|kind| **kind == table.kind).count() == 1;
    }
    tables.into_iter().map(|table| one(table, around)).collect()
}

fn one<'p>(mut table: Table<'p>, around: &Around<'_, '_>) -> Option<OpenLog<'p>> {
    let Kind::Log(kind) = table.kind else { return None };
    let (dirs, stem) = (around.dirs, table.stem());
    let service = table.service(around);
    let key_type = key_type(kind);
    let (name, usual) = (table.key_name(), dirs.key_file(Part::Log, &stem, ""));
    let key = table.key("key", (name.clone(), key_type), usual);
    let tiles_key = (kind == LogKind::Rekor1).then(|| {
        let usual = dirs.key_file(Part::Log, &stem, "-tiles");
        table.key("tiles_key", (format!("{name}-tiles"), KeyType::Ed25519), usual)
    });
    let options = options(&mut table.section, kind);
    let signs = service.as_ref().is_none_or(|service| service.state.signs());
    let writers = writers::read(&mut table.section, kind, signs);
    let anchors = anchors(&mut table.section, dirs.root());
    table.section.end();
    let public = |key: Key, ending| {
        let public_file = Some(dirs.public_file(&stem, ending));
        Key { public_file, ..key }
    };
    let rekor1 = match tiles_key {
        None => None,
        Some(tiles_key) => Some(Rekor1Places {
            tiles_key: public(tiles_key?, "-tiles.pub"),
            tree_id_file: dirs.public_file(&stem, "-tree-id"),
        }),
    };
    let name = if is_file_name(&table.name) { table.name.as_str() } else { "no-name" };
    let log = Log {
        service: service?,
        kind,
        key: public(key?, ".pub"),
        rekor1,
        since_file: Some(dirs.public_file(&stem, "-since")),
        checkpoint_file: dirs.checkpoints().join(name),
        anchors: anchors.unwrap_or_else(|| around.anchors.to_vec()),
        options,
    };
    Some(OpenLog { log, section: table.section, writers })
}

/// Where the last checkpoints are kept, if the table says so; `data_dir` is what a restore brings back.
pub(super) fn anchors(section: &mut Section<'_>, data_dir: &Path) -> Option<Vec<AnchorPlace>> {
    let texts = section.texts("anchors")?;
    let mut places = Vec::new();
    for text in texts {
        match text.parse() {
            Err(error) => section.wrong("anchors", format!("`{text}`: {error}")),
            // Without `data_dir`, which is told, everything would be in it.
            Ok(AnchorPlace::Directory(path))
                if data_dir.parent().is_some()
                    && spelled_alike(&path).starts_with(spelled_alike(data_dir)) =>
            {
                section.wrong(
                    "anchors",
                    format!("`{text}` is in `data_dir`, and comes back with it from a backup"),
                );
            }
            Ok(place) if places.contains(&place) => {
                section.wrong("anchors", format!("`{text}` is there twice"));
            }
            Ok(place) => places.push(place),
        }
    }
    Some(places)
}

fn options(section: &mut Section<'_>, kind: LogKind) -> LogOptions {
    let mut options =
        LogOptions { limits: limits(section.section("limits")), ..LogOptions::default() };
    options.min_free_mib = bounded(section, "min_free_mib", 0..=MAX_MIN_FREE_MIB);
    match kind {
        LogKind::Ct => options.further_ca_chains = section.paths("further_ca_chains"),
        LogKind::Rekor1 => {
            options.rekor1 = rekor1(section);
        }
        LogKind::Rekor2 => {
            let usual = Rekor2Options::default();
            options.rekor2 = Rekor2Options {
                on_duplicate: on_duplicate(section),
                legacy_dsse: section.choice("legacy_dsse").unwrap_or(usual.legacy_dsse),
                ..usual
            };
        }
    }
    options
}

/// The kinds of entries that a Rekor v1 log can take; the first it takes in any case.
const REKOR1_KINDS: [&str; 3] = ["hashedrekord", "dsse", "intoto"];

fn rekor1(section: &mut Section<'_>) -> Rekor1Options {
    let mut options =
        Rekor1Options { on_duplicate: on_duplicate(section), ..Rekor1Options::default() };
    let Some(kinds) = section.texts("kinds") else { return options };
    for kind in kinds.iter().filter(|kind| !REKOR1_KINDS.contains(&kind.as_str())) {
        section.wrong("kinds", format!("`{kind}` is none of {}", REKOR1_KINDS.join(", ")));
    }
    let takes = |kind: &str| kinds.iter().any(|one| one == kind);
    if !takes("hashedrekord") {
        section.wrong("kinds", "`hashedrekord` is always taken: name it too");
    }
    options.kinds.dsse = takes("dsse");
    options.kinds.intoto = takes("intoto");
    options
}

fn on_duplicate(section: &mut Section<'_>) -> OnDuplicate {
    match section.text("on_duplicate").as_deref() {
        None | Some("idempotent") => OnDuplicate::Idempotent,
        Some("conflict") => OnDuplicate::Conflict,
        Some(other) => {
            let why = format!("`{other}` is neither `idempotent` nor `conflict`");
            section.wrong("on_duplicate", why);
            OnDuplicate::default()
        }
    }
}

/// More entries than these wait for minutes; more bytes fill the memory of a small machine.
const MAX_QUEUE_ENTRIES: usize = 1 << 20;
const MAX_QUEUE_BYTES: usize = 1 << 30;

/// No disk has more than a pebibyte.
const MAX_MIN_FREE_MIB: u64 = 1 << 30;

/// With less room the largest entry that a log takes, of a request of 4 MiB, would wait for ever.
const MIN_QUEUE_BYTES: usize = 8 << 20;

fn limits(mut section: Section<'_>) -> LogLimits {
    let usual = LogLimits::default();
    let limits = LogLimits {
        queue_entries: bounded(&mut section, "queue_entries", 1..=MAX_QUEUE_ENTRIES)
            .unwrap_or(usual.queue_entries),
        queue_bytes: bounded(&mut section, "queue_bytes", MIN_QUEUE_BYTES..=MAX_QUEUE_BYTES)
            .unwrap_or(usual.queue_bytes),
        batch_entries: bounded(&mut section, "batch_entries", 1..=MAX_BATCH_ENTRIES)
            .unwrap_or(usual.batch_entries),
        batch_bytes: bounded(&mut section, "batch_bytes", 1..=MAX_QUEUE_BYTES)
            .unwrap_or(usual.batch_bytes),
    };
    section.end();
    limits
}

/// A number in a range.
pub(super) fn bounded<T: TryFrom<i64> + PartialOrd + Display>(
    section: &mut Section<'_>,
    key: &'static str,
    range: RangeInclusive<T>,
) -> Option<T> {
    let number = section.integer::<T>(key)?;
    if range.contains(&number) {
        return Some(number);
    }
    section.wrong(key, format!("{number} is not {} to {}", range.start(), range.end()));
    None
}
