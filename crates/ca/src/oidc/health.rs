use std::sync::Arc;

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
    /// What is wrong, in words; `None` when nothing is known to be.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let kind = if failure.is_permanent() { "misconfigured" } else { "away" };
        let since = match self.age_s {
            None => "no keys".to_owned(),
            Some(age_s) => format!("keys of {age_s} s ago"),
        };
        let advice = failure.advice().map(|advice| format!(" ({advice})")).unwrap_or_default();
        Some(format!("{kind}, {since}: {}{advice}", words(failure.as_ref())))
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
