//! `[ca.<name>]`, with the issuers that it believes.

use ::ca::{CaConfig, CtConfig, OidcConfig};
use crypto::KeyType;
use identity::{IssuerConfigError, NameConflict};
use serde::Deserialize;
use url::Url;

use super::{
    common::{Around, Table},
    issuers::{self, Listed, OfTenant},
    limits,
    section::Section,
};
use crate::{
    certificates::ChainPlace,
    cli::Part,
    deployment::{Authority, Kind},
};

/// A certificate authority, before it is known where its log is.
pub(super) struct OpenCa<'p> {
    pub(super) authority: Authority,
    /// As the file names it.
    pub(super) ct_log: Option<String>,
    pub(super) ct_url: Option<Url>,
    /// Of every table of an issuer, whether it could be read or not.
    pub(super) issuer_urls: Vec<String>,
    pub(super) section: Section<'p>,
}

pub(super) fn read<'p>(file: &mut Section<'p>, around: &Around<'_, '_>) -> Vec<Option<OpenCa<'p>>> {
    Table::all(file, Kind::Ca).into_iter().map(|table| one(table, around)).collect()
}

fn one<'p>(mut table: Table<'p>, around: &Around<'_, '_>) -> Option<OpenCa<'p>> {
    let dirs = around.dirs;
    let service = table.service(around);
    let stem = table.stem();
    let (name, usual) = (table.key_name(), dirs.key_file(Part::Ca, &stem, ""));
    let key = table.key("key", (name, KeyType::EcdsaP256), usual);
    let section = &mut table.section;
    let owner = service.as_ref().and_then(|service| service.tenant.as_deref());
    let owner = owner.and_then(|name| around.tenants.named(name));
    let organization = section.text("organization");
    let organization = organization.or_else(|| owner?.organization.clone());
    let state_dir = section.path("state_dir");
    let ct_log = section.text("ct_log");
    let ct_url: Option<Url> = section.parsed("ct_url");
    let of_tenant = OfTenant {
        audience: owner.and_then(|tenant| tenant.audience.as_deref()),
        provider: around.provider,
    };
    let url = service.as_ref().and_then(|service| Url::parse(&service.url.to_string()).ok());
    let signs = service.as_ref().is_none_or(|service| service.state.signs());
    let (settings, issuer_urls) = settings(section, (of_tenant, signs), url);
    section.end();
    let chain = ChainPlace {
        file: dirs.public_file(&stem, "_chain.pem"),
        root_key_file: dirs.offline_key_file(&stem),
        // Without one the tenant's table has a problem of its own.
        organization: organization.unwrap_or_default(),
    };
    let state_dir = state_dir.unwrap_or_else(|| dirs.ca_state(&table.name, table.only));
    let authority = Authority {
        service: service?,
        key: key?,
        chain,
        settings: settings?,
        ct_log: String::new(),
        state_dir,
    };
    Some(OpenCa { authority, ct_log, ct_url, issuer_urls, section: table.section })
}

/// Whom it believes and what it issues, with the URL of each table of an issuer. `url` stands for that of
/// the log, which is not known yet.
fn settings(
    section: &mut Section<'_>,
    (of_tenant, signs): (OfTenant<'_>, bool),
    url: Option<Url>,
) -> (Option<CaConfig>, Vec<String>) {
    let ct_timeout_ms = section.integer("ct_timeout_ms");
    let lifetime_s = section.integer("lifetime_s");
    let backdate_s = section.integer("backdate_s");
    let per_issuer = limits::allowance(section, "per_issuer", false);
    let per_subject = limits::allowance(section, "per_subject", false);
    let oidc = section.raw("oidc").map(OidcConfig::deserialize).transpose();
    let listed = section.listed("issuer");
    // One that issues nothing believes nobody.
    let nobody = listed.is_empty() && signs;
    let Listed { issuers, places, urls } = issuers::read(listed, of_tenant);
    let conflicts = identity::name_conflicts(&issuers);
    for NameConflict { position, error } in &conflicts {
        if !is_of_a_table_with_problems(error, &urls) {
            section.wrong_at(places.get(*position).map_or("issuer", String::as_str), error);
        }
    }
    if nobody {
        section.wrong("issuer", "nobody would be believed; add [[ca.<name>.issuer]]");
    }
    if let Err(error) = &oidc {
        section.wrong("oidc", error.message());
    }
    let Some(url) = url else { return (None, urls) };
    let mut settings = CaConfig::new(issuers, url);
    settings.ct =
        CtConfig { timeout_ms: ct_timeout_ms.unwrap_or(settings.ct.timeout_ms), ..settings.ct };
    settings.lifetime_s = lifetime_s.unwrap_or(settings.lifetime_s);
    (settings.per_issuer, settings.per_subject) = (per_issuer, per_subject);
    settings.backdate_s = backdate_s.unwrap_or(settings.backdate_s);
    if let Ok(Some(oidc)) = oidc {
        settings.oidc = oidc;
    }
    match settings.check() {
        Err(::ca::CaConfigError::Issuers(error))
            if conflicts.iter().any(|conflict| conflict.error == error) => {}
        Err(error) => section.wrong_here(error),
        Ok(()) => {}
    }
    (Some(settings), urls)
}

/// Whether somebody is called missing who is there, with a problem that was told.
fn is_of_a_table_with_problems(error: &IssuerConfigError, urls: &[String]) -> bool {
    let tables = |wanted: &String| urls.iter().filter(|url| *url == wanted).count();
    match error {
        IssuerConfigError::SharesWithNobody { url, .. } => tables(url) > 0,
        IssuerConfigError::SharesWithItself(url) => tables(url) > 1,
        _ => false,
    }
}
