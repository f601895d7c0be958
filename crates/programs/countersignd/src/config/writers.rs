//! `writers` of `[log.<name>]`: who may write to a Rekor log.

use std::path::{Path, PathBuf};

use identity::IssuerConfig;
use server::Allowance;
use store::LogKind;
use toml::Value;

use super::{ca::OpenCa, limits, logs::OpenLog, section::Section};
use crate::deployment::{ListedWriters, Writers};

/// Most entries of a list: a house has some CAs, and a key for each of what signs without them.
const MAX_LISTED: usize = 256;

/// What to write, for who has written nothing or something else.
const FORMS: &str = "write `writers = \"open\"` (whoever reaches its port may fill the disk), or a list of `\"ca:NAME\"` \
                     (certificates of a [ca.NAME]), `\"key:/FILE.pem\"` (a public key) and `\"issuer:URL\"` (callers with \
                     a token of an issuer that a [ca.<name>] believes)";

/// As the file has it; what it names is looked up when all tables are read.
#[derive(Default)]
pub(super) struct OpenWriters {
    /// `None` is everybody.
    listed: Option<Named>,
}

#[derive(Default)]
struct Named {
    per_issuer: Allowance,
    per_subject: Allowance,
    authorities: Vec<String>,
    keys: Vec<PathBuf>,
    issuers: Vec<String>,
    audience: Option<String>,
}

/// Reads it of a Rekor log. One that takes nothing need not say who may write.
pub(super) fn read(section: &mut Section<'_>, kind: LogKind, signs: bool) -> OpenWriters {
    if kind == LogKind::Ct {
        return OpenWriters::default();
    }
    let (writers, audience) = (section.raw("writers"), section.text("writers_audience"));
    let named = match writers {
        None if signs => {
            section.wrong("writers", format!("is missing: {FORMS}"));
            None
        }
        None => None,
        Some(Value::String(open)) if open == "open" => None,
        Some(Value::Array(listed)) => Some(named(section, &listed)),
        Some(_) => {
            section.wrong("writers", FORMS);
            None
        }
    };
    let per_issuer = limits::allowance(section, "per_issuer", true);
    let per_subject = limits::allowance(section, "per_subject", true);
    let identities =
        named.as_ref().is_some_and(|named| named.authorities.len() + named.issuers.len() > 0);
    for (key, allowance) in [("per_issuer", &per_issuer), ("per_subject", &per_subject)] {
        if allowance.is_some() && !identities {
            let why = "is of identities that are verified, and `writers` name no `ca:NAME` or `issuer:URL`";
            section.wrong(key, why);
        }
    }
    let named = named.map(|named| Named { per_issuer, per_subject, ..named });
    match (named, audience) {
        (Some(named), audience) if audience.is_none() || !named.issuers.is_empty() => {
            OpenWriters { listed: Some(Named { audience, ..named }) }
        }
        (named, None) => OpenWriters { listed: named },
        (named, Some(_)) => {
            let why = "is of tokens, and `writers` name no `issuer:URL`";
            section.wrong("writers_audience", why);
            OpenWriters { listed: named }
        }
    }
}

fn named(section: &Section<'_>, listed: &[Value]) -> Named {
    let mut named = Named::default();
    if listed.is_empty() || listed.len() > MAX_LISTED {
        section.wrong("writers", format!("must be 1 to {MAX_LISTED}: {FORMS}"));
    }
    for value in listed {
        let parts = value.as_str().and_then(|text| text.split_once(':'));
        match parts {
            Some(("ca", name)) if !name.is_empty() => named.authorities.push(name.to_owned()),
            Some(("key", path)) if Path::new(path).is_absolute() => named.keys.push(path.into()),
            Some(("key", path)) => {
                section.wrong("writers", format!("`{path}` is not an absolute path"));
            }
            Some(("issuer", url)) if !url.is_empty() => named.issuers.push(url.to_owned()),
            _ => section.wrong("writers", format!("{value}: {FORMS}")),
        }
    }
    named
}

/// Looks up what is named, and notes what is not there.
pub(super) fn settle(open: &OpenLog<'_>, authorities: &[OpenCa<'_>]) -> Writers {
    let OpenLog { log, section, writers } = open;
    let Some(named) = &writers.listed else { return Writers::Open };
    let serves = |ca: &&OpenCa<'_>| {
        ca.authority.service.tenant.iter().any(|tenant| log.service.is_of(tenant))
    };
    let own: Vec<&OpenCa<'_>> = authorities.iter().filter(serves).collect();
    for name in &named.authorities {
        if !own.iter().any(|ca| ca.authority.service.name == *name) {
            section.wrong("writers", format!("`ca:{name}`: there is no [ca.{name}] of its tenant"));
        }
    }
    let audience = named.audience.clone().unwrap_or_else(|| log.service.url.to_string());
    let issuers = issuers(section, &own, (&named.issuers, &audience));
    Writers::Listed(ListedWriters {
        authorities: named.authorities.clone(),
        keys: named.keys.clone(),
        issuers,
        audience,
        per_issuer: named.per_issuer,
        per_subject: named.per_subject,
    })
}

/// The issuers of these URLs as their CA has them, for tokens to the log alone: each URL with its entries.
fn issuers(
    section: &Section<'_>,
    authorities: &[&OpenCa<'_>],
    (urls, audience): (&[String], &str),
) -> Vec<Vec<IssuerConfig>> {
    let all = || authorities.iter().flat_map(|ca| &ca.authority.settings.issuers);
    // Else whoever runs the log, or reads what is sent to it, could have certificates by it.
    if !urls.is_empty() && all().any(|one| one.audiences().iter().any(|own| own == audience)) {
        section.wrong(
            "writers_audience",
            format!("`{audience}` is an audience of a CA: a token for the log would be good for certificates"),
        );
    }
    let mut found = Vec::new();
    for url in urls {
        let of_url = |ca: &&OpenCa<'_>| {
            let entries = ca.authority.settings.issuers.iter().filter(|one| one.url() == url);
            entries.cloned().collect::<Vec<_>>()
        };
        let Some(entries) = authorities.iter().map(of_url).find(|entries| !entries.is_empty())
        else {
            // One that could not be read was told.
            if !authorities.iter().any(|ca| ca.issuer_urls.contains(url)) {
                let why = format!("`issuer:{url}` is the `url` of no issuer of a CA of its tenant");
                section.wrong("writers", why);
            }
            continue;
        };
        let for_log = entries.into_iter().map(|entry| entry.for_service(audience));
        match for_log.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => found.push(entries),
            Err(error) => section.wrong("writers", format!("`issuer:{url}`: {error}")),
        }
    }
    found
}

/// Gives each log who may write to it.
pub(super) fn settle_all(logs: &mut [OpenLog<'_>], authorities: &[OpenCa<'_>]) {
    for open in logs {
        let writers = settle(open, authorities);
        open.log.options.writers = writers;
    }
}
