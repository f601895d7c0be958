//! The logs that a database has, against those that a deployment names.
//!
//! A log is its origin and its key: under these it must have one history. What its table is called is
//! a label, and a label that was changed must not begin a second history.

use anyhow::bail;
use crypto::PublicKey;
use store::{LogKind, LogRecord, LogSpec};
use tlog::Rekor1Origin;
use trust::State;

use crate::deployment::{Deployment, Log, Service};

/// Refuses logs that the database has under another name, and a new one with the key of another. Keys that
/// are not there yet are nobody's.
pub(crate) fn refuse_renamed(deployment: &Deployment, known: &[LogRecord]) -> anyhow::Result<()> {
    for log in &deployment.logs {
        let name = &log.service.name;
        let mut others = known.iter().filter(|record| record.spec.name != *name);
        // What it has in common with others, it has had since it was made; each origin the database has once.
        if named(log, known).is_some() {
            continue;
        }
        let key = log.key.known()?;
        refuse_twin(deployment, log, key.as_ref())?;
        let found = others.find_map(|other| Some((other, shared(log, key.as_ref(), other)?)));
        let Some((other, what)) = found else { continue };
        let old = &other.spec.name;
        bail!(
            "the log `{name}` is in the database as `{old}`, with {what}, and would begin there a second \
             time: a log is its origin and its key, and its table a label. Call the table [log.{old}] again, or \
             give a new log a `url` with another host and another key"
        );
    }
    Ok(())
}

/// Refuses a database whose logs were made with keys that are not here: of another deployment, or before these
/// were lost. Nothing is made then, which would be another deployment's half.
pub(crate) fn refuse_without_keys(
    deployment: &Deployment,
    known: &[LogRecord],
) -> anyhow::Result<()> {
    for log in deployment.running_logs() {
        let Some(record) = named(log, known) else { continue };
        let name = &log.service.name;
        match log.key.known()? {
            Some(key) if key.spki_der() == record.spec.public_key_der => {}
            Some(_) => bail!("{}", made_with_another_key(name)),
            None => bail!(
                "the database has the log `{name}`, and {} is missing: it is the database of another deployment, \
                 or that key is lost; restore it from a backup, or name another database",
                log.key.file.display()
            ),
        }
    }
    Ok(())
}

fn made_with_another_key(name: &str) -> String {
    format!("the log `{name}` was made with another key, which is its key for ever")
}

/// What a log has in common with another one of the database.
fn shared(log: &Log, key: Option<&PublicKey>, record: &LogRecord) -> Option<String> {
    let spec = &record.spec;
    // A Rekor v1 log that is made has a tree id of its own, and signs by its host all the same.
    let same_origin =
        match Rekor1Origin::parse(&spec.origin).filter(|_| spec.kind == LogKind::Rekor1) {
            Some(origin) => log.kind == LogKind::Rekor1 && origin.host == log.service.url.host(),
            None => log.kind != LogKind::Rekor1 && log.names_with(0).origin() == spec.origin,
        };
    let same_key = key.is_some_and(|key| key.spki_der() == spec.public_key_der);
    match (same_origin, same_key) {
        (true, true) => Some(format!("the origin `{}` and its key", spec.origin)),
        (true, false) => Some(format!("the origin `{}`", spec.origin)),
        (false, true) => Some("its key".to_owned()),
        (false, false) => None,
    }
}

/// The origins of two tables are compared when they are read; a key may be a copy.
fn refuse_twin(deployment: &Deployment, log: &Log, key: Option<&PublicKey>) -> anyhow::Result<()> {
    let Some(key) = key else { return Ok(()) };
    for other in deployment.logs.iter().filter(|one| one.service.name != log.service.name) {
        if other.key.known()?.as_ref() == Some(key) {
            let (table, other) = (log.service.table(), other.service.table());
            bail!("the key of {table} is that of {other} too: each log has a key of its own");
        }
    }
    Ok(())
}

/// The log's row, which must be of this origin and key, and take nothing where the configuration says so.
/// The other way round is for readiness: the log is served, and takes nothing.
pub(crate) fn as_configured<'k>(
    log: &Log,
    known: &'k [LogRecord],
) -> anyhow::Result<&'k LogRecord> {
    let name = &log.service.name;
    let Some(record) = named(log, known) else {
        bail!(
            "the database has no log `{name}`: run `countersignd init`, unless this is the wrong database"
        );
    };
    refuse_changed(log, record, &log.names()?.spec(&log.key.public_key()?))?;
    if log.service.state == State::Frozen && !record.frozen {
        // For good: not because of a word in a file, which may be of another log.
        bail!(
            "the log `{name}` is `frozen` in the configuration and takes entries in the database: run \
             `countersignd log freeze {name}`, or correct its `state`"
        );
    }
    Ok(record)
}

/// The log's row, where there is one.
pub(crate) fn named<'k>(log: &Log, known: &'k [LogRecord]) -> Option<&'k LogRecord> {
    known.iter().find(|record| record.spec.name == log.service.name)
}

/// Origin and key are for ever: no other try helps.
pub(crate) fn refuse_changed(
    log: &Log,
    record: &LogRecord,
    expected: &LogSpec,
) -> anyhow::Result<()> {
    let (name, is) = (&log.service.name, &record.spec);
    if is.kind != expected.kind {
        bail!("the log `{name}` was made as a {} log, and stays one", is.kind);
    }
    if is.origin != expected.origin {
        bail!(
            "the origin of the log `{name}` is `{}` for ever, and its `url` would make it `{}`: give the \
             `url` the host of before, or leave this table and make the next log by another",
            is.origin,
            expected.origin
        );
    }
    if is.public_key_der != expected.public_key_der {
        bail!("{}", made_with_another_key(name));
    }
    Ok(())
}

/// What is not as it should be in the database and harms nobody who is served, each in words: logs that no table
/// names, and those that were made with the key of another when files were called by the kind.
pub(crate) fn warnings(deployment: &Deployment, known: &[LogRecord]) -> Vec<String> {
    let names = known.iter().map(|record| &record.spec.name);
    let unnamed = names.filter(|name| deployment.log(name).is_none());
    let words = |name: &String| {
        format!(
            "the database has the log `{name}`, and the configuration has no [log.{name}]: bundles with \
             its entries are verified only while there is one; with `state = \"retired\"` it needs no process"
        )
    };
    let twins = known.iter().enumerate().filter_map(|(position, one)| {
        let is_twin = |other: &&LogRecord| other.spec.public_key_der == one.spec.public_key_der;
        let first = known.iter().take(position).find(is_twin)?;
        let (first, second) = (&first.spec.name, &one.spec.name);
        Some(format!(
            "the logs `{first}` and `{second}` have one key: who has it signs for both; let the next log have \
             its own"
        ))
    });
    unnamed.map(words).chain(twins).collect()
}

/// Why a log that takes nothing is not as the configuration has it.
pub(crate) fn frozen_and_not_said(log: &Log) -> Option<String> {
    let Service { name, state, .. } = &log.service;
    state.signs().then(|| {
        format!(
            "the log `{name}` is frozen in the database and `{state}` in the configuration: write \
             `state = \"frozen\"`, so that no client is sent to it"
        )
    })
}
