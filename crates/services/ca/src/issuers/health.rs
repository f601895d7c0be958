use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::gauge;
use moment::UnixSeconds;

use super::{KeyName, SourceError};

/// What is known of one source of keys.
#[derive(Clone, Debug)]
pub struct IssuerHealth {
    /// The CA that believes it.
    pub ca: String,
    /// The issuer's URL.
    pub issuer: String,
    /// Its `url` or `url_pattern` in the configuration, which hides who of a pattern it is.
    pub entry: String,
    /// Where its keys come from.
    pub source: String,
    /// The keys that tokens are verified with now.
    pub keys: Vec<KeyName>,
    /// How long ago they were fetched; `None` while there are none.
    pub age: Option<Duration>,
    /// Until when they count if the issuer gives no others; `None` while there are none.
    pub expires: Option<UnixSeconds>,
    /// Why the last fetch failed; `None` when it did not, or there was none.
    pub failure: Option<Arc<SourceError>>,
}

/// What is wrong with a source of keys, in one word; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssuerTrouble {
    /// No keys, and nobody was asked for them.
    NotAsked,
    /// It gave no keys the last time, and may the next time.
    Away,
    /// It gives none until somebody changes something.
    Misconfigured,
}

impl IssuerTrouble {
    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Away => "away",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl IssuerHealth {
    /// What is wrong; `None` when nothing is known to be. This much anybody may know.
    #[must_use]
    pub fn trouble(&self) -> Option<IssuerTrouble> {
        match &self.failure {
            Some(failure) if failure.is_permanent() => Some(IssuerTrouble::Misconfigured),
            Some(_) => Some(IssuerTrouble::Away),
            None => self.age.is_none().then_some(IssuerTrouble::NotAsked),
        }
    }

    /// What is wrong and what there is instead, for those who run the CA.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let trouble = self.trouble()?.name();
        let reason = self.failure.as_ref().map(|failure| format!(" ({})", failure.reason()));
        let reason = reason.unwrap_or_default();
        let keys = match self.age {
            None => "no keys".to_owned(),
            Some(age) => format!("keys of {} s ago", age.as_secs()),
        };
        Some(format!("{trouble}{reason}: {keys}"))
    }

    /// By these it is shown: two CAs may believe one issuer, and one has its keys while the other has not.
    fn labels(&self) -> [(&'static str, String); 3] {
        [("issuer", &self.issuer), ("source", &self.source), ("ca", &self.ca)]
            .map(|(label, value)| (label, value.clone()))
    }

    /// Shows it as metrics.
    pub(super) fn record(&self) {
        let labels = self.labels();
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        gauge!("countersign_ca_issuer_keys", &labels).set(count);
        // What is not there has no age: the last one would look like keys that are used.
        let age_s = self.age.map(|age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
        gauge!("countersign_ca_issuer_keys_age_seconds", &labels)
            .set(age_s.map_or(f64::NAN, f64::from));
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats; seconds fit")]
        let expires = self.expires.map_or(f64::NAN, |at| at.0 as f64);
        gauge!("countersign_ca_issuer_keys_expiry_timestamp_seconds", &labels).set(expires);
        gauge!("countersign_ca_issuer_failing", &labels).set(u32::from(self.failure.is_some()));
    }

    /// Takes it out of the metrics, as far as that can be done.
    pub(super) fn withdraw(&self) {
        let labels = self.labels();
        for name in [
            "countersign_ca_issuer_keys",
            "countersign_ca_issuer_keys_age_seconds",
            "countersign_ca_issuer_keys_expiry_timestamp_seconds",
            "countersign_ca_issuer_failing",
        ] {
            gauge!(name, &labels).set(f64::NAN);
        }
    }
}

/// Most issuers of patterns that have ever been shown as metrics: a series lasts as long as the
/// process, and patterns take in new issuers as long as those grant tokens.
const MAX_SERIES: usize = 1024;

/// The issuers of patterns that are shown as metrics.
#[derive(Clone, Default)]
pub(super) struct Series(Arc<Mutex<HashSet<String>>>);

impl Series {
    /// Whether `issuer` is one of them, or becomes one.
    pub(super) fn has_room_for(&self, issuer: &str) -> bool {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.contains(issuer) || (shown.len() < MAX_SERIES && shown.insert(issuer.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_issuers_of_patterns_are_ever_shown() {
        let series = Series::default();
        let shown = (0..5000).filter(|number| series.has_room_for(&number.to_string())).count();
        assert_eq!(shown, MAX_SERIES);
        assert!(series.clone().has_room_for("0") && !series.has_room_for("4999"));
    }
}
