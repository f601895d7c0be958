//! Asks issuers as `check` does: what is wrong, and which setting changes it.

use std::{path::Path, time::Duration};

use futures::{StreamExt, stream};
use identity::{IssuerConfig, JwsAlgorithm};
use tokio::time::{Instant, timeout_at};

use super::{
    KeyName, KeySource, MAX_ASKED_AT_ONCE, SourceError, check_files, discovery::quoted,
    files::keys_of_file, health::words,
};
use crate::{CaConfig, CaConfigError, fetch::Clients};

/// Most algorithms that are repeated of what a provider advertises; there are 14 in all.
const MAX_ADVERTISED: usize = 16;

/// Longest that all issuers together are waited for: a thousand that are away would take ten minutes.
const LONGEST: Duration = Duration::from_mins(1);

/// What one entry's issuer answered.
#[derive(Clone, Debug)]
pub struct IssuerProbe {
    /// The issuer's URL, or its pattern.
    pub issuer: String,
    /// What was asked.
    pub source: String,
    /// What came of it; `Err` holds what is wrong and what to change.
    pub outcome: Result<Probed, String>,
    /// Whether it was not reached, or did not answer well, and may the next time: nothing is known to be wrong here.
    pub is_away: bool,
}

/// An issuer that gives keys.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Its keys.
    pub keys: Vec<KeyName>,
    /// Where people log in, when its document says so.
    pub authorization_endpoint: Option<String>,
    /// Algorithms that it advertises and that its entry does not allow.
    pub not_allowed: Vec<String>,
}

/// Checks what the entries name on this machine, and that no key is in two sources of one issuer;
/// asks nobody. Each problem names its issuer.
#[must_use]
pub fn check_issuers(issuers: &[IssuerConfig]) -> Vec<String> {
    let mut problems = Vec::new();
    for (position, issuer) in issuers.iter().enumerate() {
        problems.extend(check_files(issuer).iter().map(|error| explain(issuer.url(), error)));
        let keys = keys_of_file(issuer);
        for other in issuers.iter().skip(position + 1) {
            let one_issuer = other.is_of(issuer.url()) || issuer.is_of(other.url());
            if !one_issuer || other.keys() == issuer.keys() {
                continue;
            }
            if let Some(key) = keys_of_file(other).iter().find(|key| holds(&keys, key)) {
                let sources = [issuer, other].map(|entry| {
                    let file = entry.keys().keys_file().unwrap_or(Path::new(""));
                    format!("file {}", file.display())
                });
                problems.push(in_two_sources(issuer.url(), key, &sources));
            }
        }
    }
    problems
}

fn holds(keys: &[KeyName], key: &KeyName) -> bool {
    keys.iter().any(|known| known.sha256 == key.sha256)
}

fn in_two_sources(issuer: &str, key: &KeyName, [one, other]: &[String; 2]) -> String {
    let id = key.id.as_deref().unwrap_or("without id");
    let id = quoted(id);
    format!(
        "issuer {issuer}: the key {id} is in two of its sources, {one} and {other}: whose a token \
         is could not be told, so both entries would refuse it"
    )
}

/// Asks the issuers of all entries, a few at once and for a minute at most. A pattern's are not known, so nobody is asked there.
///
/// # Errors
/// When no HTTP client can be made.
pub async fn probe_issuers(config: &CaConfig) -> Result<Vec<IssuerProbe>, CaConfigError> {
    let timeout = config.oidc.timeout();
    let mut clients = Clients::new(timeout);
    let mut asked = Vec::new();
    for issuer in &config.issuers {
        if !issuer.is_pattern() || issuer.keys().is_fixed() {
            asked.push((issuer, KeySource::new(issuer, timeout, &mut clients)?));
        }
    }
    let end = Instant::now() + LONGEST;
    let probing = asked.iter().map(|(issuer, source)| async {
        // Which of two entries of one URL is meant, its source tells.
        let name = format!("{}, keys from {}", issuer.url(), source.describe());
        let (outcome, is_away) = match timeout_at(end, probe(issuer, source)).await {
            Ok(Ok(outcome)) => {
                (outcome.map_err(|problem| format!("issuer {name}: {problem}")), false)
            }
            Ok(Err(error)) => (Err(explain(&name, &error)), !error.is_permanent()),
            Err(_) => {
                let longest = LONGEST.as_secs();
                (Err(format!("issuer {name}: no answer within {longest} s of all of them")), true)
            }
        };
        IssuerProbe { issuer: issuer.url().to_owned(), source: source.describe(), outcome, is_away }
    });
    let mut probes: Vec<_> = stream::iter(probing).buffered(MAX_ASKED_AT_ONCE).collect().await;
    refuse_shared_keys(&asked, &mut probes);
    Ok(probes)
}

/// The same key in two sources of one issuer.
fn refuse_shared_keys(asked: &[(&IssuerConfig, KeySource)], probes: &mut [IssuerProbe]) {
    for later in 1..asked.len() {
        let (before, rest) = probes.split_at_mut(later);
        let (Some(probe), Some((issuer, _))) = (rest.first_mut(), asked.get(later)) else { return };
        let Ok(probed) = &probe.outcome else { continue };
        let others = before
            .iter()
            .zip(asked)
            .filter(|(_, (other, _))| other.url() == issuer.url() && other.keys() != issuer.keys());
        let known =
            others.filter_map(|(other, _)| Some((&other.source, other.outcome.as_ref().ok()?)));
        let shared = known
            .flat_map(|(source, other)| other.keys.iter().map(move |key| (source, key)))
            .find(|(_, key)| holds(&probed.keys, key));
        if let Some((source, key)) = shared {
            let sources = [source.clone(), probe.source.clone()];
            probe.outcome = Err(in_two_sources(issuer.url(), key, &sources));
        }
    }
}

async fn probe(
    issuer: &IssuerConfig,
    source: &KeySource,
) -> Result<Result<Probed, String>, SourceError> {
    let metadata = source.metadata().await?;
    let keys = source.fetch().await?;
    if keys.is_empty() {
        return Err(SourceError::Withdrawn);
    }
    let allowed = issuer.algorithms();
    let listed = |names: &[&str]| names.join("`, `");
    let allowed_names: Vec<&str> = allowed.iter().map(|algorithm| algorithm.name()).collect();
    if !allowed.iter().any(|algorithm| !keys.candidates(None, *algorithm).is_empty()) {
        let fitting = JwsAlgorithm::ALL.iter();
        let fitting = fitting.filter(|algorithm| !keys.candidates(None, **algorithm).is_empty());
        let fitting: Vec<&str> = fitting.map(|algorithm| algorithm.name()).collect();
        return Ok(Err(format!(
            "its keys sign with `{}`, and only `{}` may be used: set `algorithms`",
            listed(&fitting),
            listed(&allowed_names)
        )));
    }
    let advertised = metadata
        .as_ref()
        .and_then(|metadata| metadata.id_token_signing_alg_values_supported.as_deref());
    let is_allowed = |name: &&String| {
        JwsAlgorithm::from_name(name).is_some_and(|algorithm| allowed.contains(&algorithm))
    };
    let advertised = advertised.unwrap_or_default();
    let not_allowed: Vec<String> = advertised
        .iter()
        .filter(|name| !is_allowed(name))
        .take(MAX_ADVERTISED)
        .map(|name| quoted(name))
        .collect();
    if !advertised.is_empty() && !advertised.iter().any(|name| is_allowed(&name)) {
        return Ok(Err(format!(
            "it signs with `{}` by its document, and only `{}` may be used: set `algorithms`",
            not_allowed.join("`, `"),
            listed(&allowed_names)
        )));
    }
    Ok(Ok(Probed {
        keys: keys.names(),
        authorization_endpoint: metadata.and_then(|metadata| metadata.authorization_endpoint),
        not_allowed,
    }))
}

fn explain(issuer: &str, error: &SourceError) -> String {
    let advice = error.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
    format!("issuer {issuer}: {}{advice}", words(error))
}
