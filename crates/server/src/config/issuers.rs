//! `[[ca.<name>.issuer]]`: whom the CA believes.

use identity::IssuerConfig;
use serde::Deserialize;
use toml::Value;
use url::Url;

use super::section::Section;
use crate::oidc;

/// Every issuer that can be believed as configured.
pub(super) fn read(sections: Vec<Section<'_>>) -> Vec<IssuerConfig> {
    sections.into_iter().filter_map(issuer).flatten().collect()
}

/// One table: an issuer, or all those of the development provider.
fn issuer(mut section: Section<'_>) -> Option<Vec<IssuerConfig>> {
    let development = section.flag("development");
    let keys_url: Option<Url> = section.parsed("keys_url");
    if keys_url.as_ref().is_some_and(|url| url.scheme() != "https") && !development {
        section.wrong("keys_url", "must be https unless `development = true`");
    }
    let issuers = if section.is_text("type", OIDC_DEV) {
        oidc_dev(section, development)?
    } else {
        vec![other(section, development)?]
    };
    Some(match keys_url {
        None => issuers,
        Some(url) => issuers.into_iter().map(|issuer| issuer.with_keys_from(url.clone())).collect(),
    })
}

/// The development identity provider with its issuer for each CI system.
const OIDC_DEV: &str = "oidc-dev";

fn oidc_dev(mut section: Section<'_>, development: bool) -> Option<Vec<IssuerConfig>> {
    section.text("type");
    let url = section.required_text("url");
    if !development {
        section.wrong("type", "`oidc-dev` vouches for everybody; it needs `development = true`");
    }
    let issuers = oidc::issuers(&url?);
    if let Err(error) = &issuers {
        section.wrong("url", error);
    }
    section.end();
    issuers.ok()
}

/// Read by `identity`, whose settings and messages these are.
fn other(mut section: Section<'_>, development: bool) -> Option<IssuerConfig> {
    let mut settings = section.rest();
    if development {
        settings.insert("allow_loopback_http".to_owned(), Value::Boolean(true));
    }
    match IssuerConfig::deserialize(Value::Table(settings)) {
        Ok(issuer) => Some(issuer),
        Err(error) => {
            section.wrong_here(error.message());
            None
        }
    }
}
