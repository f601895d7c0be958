//! `[[ca.<name>.issuer]]`: whom the CA believes.

use identity::{IssuerConfig, IssuerKind};
use serde::Deserialize;
use toml::Value;
use url::Url;

use super::section::Section;

/// What of the rest of the file matters to issuers.
#[derive(Clone, Copy)]
pub(super) struct OfTenant<'a> {
    /// The tenant's own audience.
    pub(super) audience: Option<&'a str>,
    /// `url` of [oidc-dev].
    pub(super) provider: Option<&'a str>,
}

/// All tables, read.
#[derive(Default)]
pub(super) struct Listed {
    /// Every issuer that can be believed as configured.
    pub(super) issuers: Vec<IssuerConfig>,
    /// Where each of them stands in the file.
    pub(super) places: Vec<String>,
    /// The URL of each table, also of those that have problems of their own: they are there all the same.
    pub(super) urls: Vec<String>,
}

pub(super) fn read(sections: Vec<Section<'_>>, of_tenant: OfTenant<'_>) -> Listed {
    let mut listed = Listed::default();
    for section in sections {
        let place = section.here().to_owned();
        let url = section.peek("url").or_else(|| section.peek("url_pattern"));
        listed.urls.extend(url.map(str::to_owned));
        for issuer in issuer(section, of_tenant).unwrap_or_default() {
            listed.issuers.push(issuer);
            listed.places.push(place.clone());
        }
    }
    listed
}

/// One table: an issuer, or all those of the development provider.
fn issuer(mut section: Section<'_>, of_tenant: OfTenant<'_>) -> Option<Vec<IssuerConfig>> {
    let development = section.flag("development");
    let keys_url: Option<Url> = section.parsed("keys_url");
    if let Some(url) = &keys_url {
        check_keys_url(&mut section, url, development);
    }
    let issuers = if section.is_text("type", OIDC_DEV) {
        oidc_dev(section, development, of_tenant)?
    } else {
        vec![other(section, development, of_tenant.audience)?]
    };
    Some(match keys_url {
        None => issuers,
        Some(url) => issuers.into_iter().map(|issuer| issuer.with_keys_from(url.clone())).collect(),
    })
}

/// Refuses what would be passed over, or what would send keys' requests somewhere else than it seems.
fn check_keys_url(section: &mut Section<'_>, url: &Url, development: bool) {
    match url.scheme() {
        "https" => {}
        "http" if development => {}
        "http" => section.wrong("keys_url", "must be https unless `development = true`"),
        _ => section.wrong("keys_url", "must be an https URL"),
    }
    for (part, given) in [
        ("a user or password", !url.username().is_empty() || url.password().is_some()),
        ("a query", url.query().is_some()),
        ("a fragment", url.fragment().is_some()),
    ] {
        if given {
            // Not the URL itself: it may hold a password.
            section.wrong("keys_url", format!("must not have {part}"));
        }
    }
    if section.holds("jwks_uri") {
        section.wrong("keys_url", "and `jwks_uri` both say where the keys are: leave one out");
    }
}

/// The development identity provider with its issuer for each CI system.
const OIDC_DEV: &str = "oidc-dev";

fn oidc_dev(
    mut section: Section<'_>,
    development: bool,
    OfTenant { audience, provider }: OfTenant<'_>,
) -> Option<Vec<IssuerConfig>> {
    section.text("type");
    let url = section.required_text("url");
    if let (Some(url), Some(provider)) = (&url, provider)
        && url != provider
    {
        section.warn("url", format!(
            "`{url}` is not the `url` of [oidc-dev], `{provider}`: its tokens are of no issuer here"
        ));
    }
    if !development {
        section.wrong("type", "`oidc-dev` vouches for everybody; it needs `development = true`");
    }
    let issuers = oidc::issuers(&url?, audience);
    if let Err(error) = &issuers {
        section.wrong("url", error);
    }
    section.end();
    issuers.ok()
}

/// Read by `identity`, whose settings and messages these are.
fn other(
    mut section: Section<'_>,
    development: bool,
    audience: Option<&str>,
) -> Option<IssuerConfig> {
    let mut settings = section.rest();
    let fixed =
        settings.get("type").and_then(Value::as_str).is_some_and(IssuerKind::fixes_audience);
    if let Some(audience) = audience.filter(|_| !fixed && !settings.contains_key("audiences")) {
        let audiences = vec![Value::String(audience.to_owned())];
        settings.insert("audiences".to_owned(), Value::Array(audiences));
    }
    if development {
        settings.insert("allow_loopback_http".to_owned(), Value::Boolean(true));
    }
    match IssuerConfig::deserialize(Value::Table(settings)) {
        Ok(issuer) => {
            check_audience(&section, &issuer, audience);
            for rule in issuer.rules_never_met() {
                section.warn_here(rule);
            }
            Some(issuer)
        }
        Err(error) => {
            section.wrong_here(error.message());
            None
        }
    }
}

/// Our own client asks GitHub for what `countersign.json` names, so that is what must be taken.
fn check_audience(section: &Section<'_>, issuer: &IssuerConfig, audience: Option<&str>) {
    let Some(audience) = audience else { return };
    let asked = matches!(issuer.kind(), IssuerKind::GithubWorkflow { .. });
    if asked && !issuer.audiences().iter().any(|listed| listed == audience) {
        section.wrong(
            "audiences",
            format!("lack `{audience}`, the tenant's audience, which clients are told to ask for"),
        );
    }
}
