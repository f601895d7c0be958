use std::sync::Arc;

use metrics::gauge;

use super::{KeyName, SourceError};

/// What is known of one source of keys.
#[derive(Clone, Debug)]
pub struct IssuerHealth {
    /// The issuer's URL.
    pub issuer: String,
    /// Where its keys come from.
    pub source: String,
    /// The keys that tokens are verified with now.
    pub keys: Vec<KeyName>,
    /// Seconds since they were fetched; `None` while there are none.
    pub age_s: Option<u64>,
    /// Why the last fetch failed; `None` when it did not, or there was none.
    pub failure: Option<Arc<SourceError>>,
}

impl IssuerHealth {
    /// What is wrong, in words that anybody may see; `None` when nothing is known to be.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let keys = match self.age_s {
            None => "no keys".to_owned(),
            Some(age_s) => format!("keys of {age_s} s ago"),
        };
        match &self.failure {
            Some(failure) => {
                let kind = if failure.is_permanent() { "misconfigured" } else { "away" };
                Some(format!("{kind} ({}): {keys}", failure.reason()))
            }
            None if self.age_s.is_none() => Some("not asked yet: no keys".to_owned()),
            None => None,
        }
    }

    /// Shows it as metrics, by issuer and source.
    pub(super) fn record(&self) {
        let labels = [("issuer", self.issuer.clone()), ("source", self.source.clone())];
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        gauge!("ca_issuer_keys", &labels).set(count);
        if let Some(age_s) = self.age_s {
            let age_s = u32::try_from(age_s).unwrap_or(u32::MAX);
            gauge!("ca_issuer_keys_age_seconds", &labels).set(age_s);
        }
        gauge!("ca_issuer_failing", &labels).set(u32::from(self.failure.is_some()));
    }
}

/// What became of a forced fetch.
#[derive(Clone, Debug)]
pub struct IssuerRefresh {
    /// The issuer's URL.
    pub issuer: String,
    /// Where its keys come from.
    pub source: String,
    /// The keys that were known before.
    pub before: Vec<KeyName>,
    /// Those that are known now.
    pub after: Vec<KeyName>,
    /// Why there are no newer ones.
    pub failure: Option<String>,
}

/// An error with its causes on one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.ends_with(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    wire::inert::escape(&text).into_owned()
}
