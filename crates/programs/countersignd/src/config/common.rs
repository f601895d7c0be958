//! What the tables of all services have: URL, port, tenant, state, times, key.

use crypto::KeyType;
use server::Allowance;
use trust::State;
use wire::Timestamp;

use super::{
    limits,
    section::Section,
    tenants::Tenants,
    values::{BaseUrl, KeyFile},
};
use crate::{
    anchors::AnchorPlace,
    deployment::{Key, Kind, Service},
    deployment_dirs::{DeploymentDirs, Stem},
};

/// What the rest of the file says that matters to every service.
pub(super) struct Around<'a, 'p> {
    pub(super) dirs: &'a DeploymentDirs,
    pub(super) tenants: &'a Tenants<'p>,
    /// `url` of [oidc-dev].
    pub(super) provider: Option<&'a str>,
    /// Of logs that name none.
    pub(super) anchors: &'a [AnchorPlace],
}

/// One table of a service, by its name in the file.
pub(super) struct Table<'p> {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether no other is of its kind.
    pub(super) only: bool,
    pub(super) section: Section<'p>,
}

impl<'p> Table<'p> {
    /// The tables `kind.<name>`, of which there must be one.
    pub(super) fn all(file: &mut Section<'p>, kind: Kind) -> Vec<Self> {
        let tables = file.named(kind.table());
        if tables.is_empty() {
            file.wrong(kind.table(), format!("[{}.<name>] is missing", kind.table()));
        }
        let only = tables.len() == 1;
        let tables = tables.into_iter();
        tables.map(|(name, section)| Self { name, kind, only, section }).collect()
    }

    /// How its files begin.
    pub(super) fn stem(&self) -> Stem {
        if !is_file_name(&self.name) {
            let what = if self.kind.table() == "log" { "log" } else { "service" };
            self.section.wrong_here(format!(
                "a {what}'s name has 1 to 64 letters, digits, `-`, `_` and `.`, not at first, and does not end \
                 in `.tmp`"
            ));
        }
        Stem::of(self.kind, &self.name, self.only)
    }

    /// What every service has.
    pub(super) fn service(&mut self, around: &Around<'_, '_>) -> Option<Service> {
        let Self { name, kind, only, section } = self;
        let url: Option<BaseUrl> = section.required("url", Section::parsed);
        let port = section.integer("port").unwrap_or(kind.default_port());
        let shared = matches!(kind, Kind::Log(_) | Kind::Tsa);
        let tenant = around.tenants.owner(section, shared);
        let state = section.parsed("state").unwrap_or_default();
        let Validity { from: valid_from, until: valid_until } = validity(section, state);
        // Nobody writes to a trust repository.
        let per_peer = match kind {
            Kind::Trust => Allowance::default(),
            _ => limits::allowance(section, "per_peer", true),
        };
        let word = kind.word();
        let label = match kind {
            _ if *only => word.to_owned(),
            Kind::Log(_) => format!("log {name}"),
            _ => format!("{word} {name}"),
        };
        Some(Service {
            name: name.clone(),
            kind: *kind,
            label,
            tenant,
            url: url?,
            port,
            state,
            valid_from,
            valid_until,
            per_peer,
        })
    }

    /// A key, in the file that `setting` names or in `usual`.
    pub(super) fn key(
        &mut self,
        setting: &'static str,
        (name, key_type): (String, KeyType),
        usual: std::path::PathBuf,
    ) -> Option<Key> {
        let section = &mut self.section;
        let named = section.has(setting).then(|| section.parsed::<KeyFile>(setting));
        let file = match named {
            None => usual,
            Some(named) => named?.0,
        };
        let setting = format!("`{setting}` of [{}]", section.here());
        Some(Key { file, name, kind: key_type, setting, public_file: None })
    }

    /// How the audit trail calls its key.
    pub(super) fn key_name(&self) -> String {
        if self.only || self.name == "default" {
            self.kind.word().to_owned()
        } else {
            self.name.clone()
        }
    }
}

/// From when, and until when, verifiers take what a service signed.
struct Validity {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

fn validity(section: &mut Section<'_>, state: State) -> Validity {
    let mut moment = |key: &'static str| {
        let text = section.text(key)?;
        let moment = Timestamp::parse(&text);
        if moment.is_none() {
            section.wrong(key, format!("`{text}` is no time like 2026-01-31T00:00:00Z"));
        }
        moment
    };
    let (from, until) = (moment("valid_from"), moment("valid_until"));
    match (from, until) {
        (Some(from), Some(until)) if until < from => {
            section.wrong("valid_until", "is before `valid_from`");
        }
        (_, Some(_)) if state.signs() => section.wrong(
            "valid_until",
            format!("is of a service that is frozen or retired, and this one is {state}"),
        ),
        (_, None) if !state.signs() && !section.was_given("valid_until") => {
            section.warn_here(format!(
                "{state}, and without `valid_until` verifiers take what its key signs for ever"
            ));
        }
        _ => {}
    }
    Validity { from, until }
}

/// Files are called by it, and temporary ones by it with `.tmp`.
pub(super) fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let good = (1..=64).contains(&name.len()) && name.bytes().all(plain);
    good && !name.starts_with('.') && name.strip_suffix(".tmp").is_none()
}
