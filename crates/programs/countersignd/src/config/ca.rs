//! `[ca.<name>]`, with the issuers that it believes.

use std::path::PathBuf;

use ::ca::{CaConfig, CtConfig, OidcConfig};
use identity::{IssuerConfigError, NameConflict};
use serde::Deserialize;
use url::Url;

use super::{
    BaseUrl, Ca, KeyFile, Log,
    issuers::{self, Around, Listed},
    read::common,
    section::Section,
};
use crate::{cli::Part, deployment_dirs::DeploymentDirs, endpoints::Face};

/// A certificate authority, before it is known where its log is.
pub(super) struct OpenCa {
    url: BaseUrl,
    port: u16,
    key: KeyFile,
    settings: CaConfig,
    ct_url: Option<Url>,
    state_dir: Option<PathBuf>,
    /// Of every table of an issuer, whether it could be read or not.
    pub(super) issuer_urls: Vec<String>,
}

impl OpenCa {
    pub(super) fn settled(mut self, ct: &Log) -> Ca {
        if let Some(url) = self.ct_url.or_else(|| Url::parse(&ct.url.to_string()).ok()) {
            self.settings.ct.url = url;
        }
        Ca {
            url: self.url,
            port: self.port,
            key: self.key,
            settings: self.settings,
            state_dir: self.state_dir,
        }
    }
}

pub(super) fn read(
    mut section: Section<'_>,
    dirs: &DeploymentDirs,
    around: Around<'_>,
) -> Option<OpenCa> {
    let (url, port, key) = common(&mut section, Face::Ca, "key", dirs.key_file(Part::Ca, "ca"));
    let ct_url: Option<Url> = section.parsed("ct_url");
    let ct_timeout_ms = section.integer("ct_timeout_ms");
    let lifetime_s = section.integer("lifetime_s");
    let backdate_s = section.integer("backdate_s");
    let state_dir = section.path("state_dir");
    let oidc = section.raw("oidc").map(OidcConfig::deserialize).transpose();
    let listed = section.listed("issuer");
    let nobody = listed.is_empty();
    let Listed { issuers, places, urls } = issuers::read(listed, around);
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
    let url = url?;
    let mut settings = CaConfig::new(issuers, Url::parse(&url.to_string()).ok()?);
    settings.ct =
        CtConfig { timeout_ms: ct_timeout_ms.unwrap_or(settings.ct.timeout_ms), ..settings.ct };
    settings.lifetime_s = lifetime_s.unwrap_or(settings.lifetime_s);
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
    section.end();
    Some(OpenCa { url, port, key: key?, settings, ct_url, state_dir, issuer_urls: urls })
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
