//! `countersignd check`: the issuers, as far as this machine tells, and as they answer.

use anyhow::{Context, anyhow};
use ca::{IssuerProbe, Probed};
use moment::UnixSeconds;

use crate::{
    admin,
    cli::Asks,
    data_dir::ISSUER_KEYS,
    deployment::{Authority, Deployment},
    fsck::report,
    output,
};

/// Whether all issuers of a CA are as configured, and answer where they are asked.
pub(super) async fn check(
    deployment: &Deployment,
    authority: &Authority,
    asks: Asks,
    now: UnixSeconds,
) -> anyhow::Result<bool> {
    let settings = &authority.settings;
    for file in ca::expired_tokens(&settings.issuers, now) {
        output::print(&format!(
            "warning: the token in {} has expired: whoever renews it has to, before it is sent",
            file.display()
        ));
    }
    let problems = ca::check_issuers(&settings.issuers);
    let mut sound = problems.is_empty();
    for problem in problems {
        report("issuers", &Err(anyhow!(problem)));
    }
    let label = &authority.service.label;
    match asks {
        Asks::Nobody => {
            output::print(&format!("{label}: issuers and CT log not asked (`--offline`)"));
            return Ok(sound);
        }
        Asks::Issuers => output::print(&format!("{label}: CT log not asked; `--online` does")),
        Asks::All => {}
    }
    for issuer in settings.issuers.iter().filter(|issuer| issuer.is_pattern()) {
        output::print(&format!("issuers: {} is a pattern, nobody is asked", issuer.url()));
    }
    for probe in ca::probe_issuers(settings).await? {
        let IssuerProbe { issuer, source, outcome, is_away } = probe;
        let outcome =
            outcome.and_then(|probed| describe((deployment, authority), &issuer, &source, probed));
        match outcome {
            // It is of this very configuration, and started with the rest.
            Err(problem) if is_away && asks != Asks::All && is_own(deployment, &issuer) => {
                output::print(&format!("warning: {problem}: [oidc-dev] does not run"));
            }
            Err(problem) if is_away => {
                let away = "away, which may pass; `--offline` asks nobody";
                sound &= report("issuers", &Err(anyhow!("{problem} ({away})")));
            }
            outcome => sound &= report("issuers", &outcome.map_err(|problem| anyhow!(problem))),
        }
    }
    Ok(sound)
}

/// Whether `issuer` is the development provider of the same configuration, which plays several.
fn is_own(deployment: &Deployment, issuer: &str) -> bool {
    let Some(provider) = &deployment.provider else { return false };
    let own = provider.url.to_string();
    let rest = issuer.strip_prefix(own.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the CT log answers where the CA asks it, and is the one that it is told to believe.
pub(super) async fn ct_log(
    deployment: &Deployment,
    authority: &Authority,
) -> anyhow::Result<String> {
    let (name, url) = (&authority.ct_log, &authority.settings.ct.url);
    let log = deployment.log(name).with_context(|| format!("there is no [log.{name}]"))?;
    let asked = ca::probe_ct_log(&authority.settings.ct, &log.key.public_key()?).await?;
    let table = authority.service.table();
    let mend = || format!("`ct_url` of {table}, {url}, is not where [log.{name}] answers");
    asked.with_context(mend)?;
    Ok(format!("{url} is `{name}`"))
}

/// Where the CA keeps what it may lose. It would start without, and lack it when it is needed.
pub(super) fn check_state(authority: &Authority) -> bool {
    let (directory, table) = (&authority.state_dir, authority.service.table());
    let usable = || {
        admin::check_path(&admin::socket_in(directory))?;
        ca::check_keys_dir(&directory.join(ISSUER_KEYS)).map_err(|error| {
            anyhow!("{error}; mend it, or name another place as `state_dir` of {table}")
        })?;
        Ok(format!("keys of issuers and orders in {}", directory.display()))
    };
    report(&format!("{} state", authority.service.label), &usable())
}

/// Whether an issuer's own document was read: a file or a key set says nothing of where people log in.
fn is_document(source: &str) -> bool {
    source.ends_with("/.well-known/openid-configuration")
}

fn describe(
    (deployment, authority): (&Deployment, &Authority),
    issuer: &str,
    source: &str,
    probed: Probed,
) -> Result<String, String> {
    let Probed { keys, authorization_endpoint, not_allowed } = probed;
    let of_tenant =
        deployment.repositories.iter().filter(|one| one.service.tenant == authority.service.tenant);
    let mut logins = of_tenant.map(|one| one.oidc_url.trim_end_matches('/'));
    let people = logins.any(|login| login == issuer.trim_end_matches('/'));
    if people && is_document(source) && authorization_endpoint.is_none() {
        return Err(format!(
            "issuer {issuer}: people log in there by `oidc_url` of [trust.<name>], and its document has \
             no authorization_endpoint: set `oidc_url` to a provider for people"
        ));
    }
    let refused = match not_allowed.as_slice() {
        [] => String::new(),
        names => {
            let names = names.join("`, `");
            format!("; tokens signed with `{names}` would be refused (`algorithms`)")
        }
    };
    Ok(format!("issuer {issuer}: {} keys from {source}{refused}", keys.len()))
}

#[cfg(test)]
mod tests {
    use super::is_document;

    /// With `keys_url` `check --online` said that the development provider's document lacks something, and had not read it.
    #[test]
    fn a_key_set_says_nothing_of_where_people_log_in() {
        assert!(is_document("https://sso.example/realms/acme/.well-known/openid-configuration"));
        assert!(!is_document("http://oidc-dev:3006/.well-known/jwks"));
    }
}
