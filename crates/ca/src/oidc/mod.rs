//! Whose tokens count: the configured issuers, their keys, and the check of a token's signature.

mod cache;
mod discovery;
mod jwks;
mod pattern;

use std::{collections::HashMap, sync::Arc, time::Duration};

use identity::{IssuerConfig, IssuerSet, JwsAlgorithm, KeyLocation};
use service::Clock;

pub use cache::KeysError;
pub(crate) use cache::{Doubt, IssuerKeys};
pub use discovery::SourceError;
pub(crate) use jwks::VerifyingKey;

use crate::{CaConfigError, OidcConfig, fetch::Clients};
use cache::Context;
use discovery::KeySource;
use pattern::PatternKeys;

/// The trusted issuers with their keys, in the order of configuration.
pub(crate) struct Issuers {
    entries: Vec<Arc<Issuer>>,
}

/// One entry of the configuration.
pub(crate) struct Issuer {
    pub(crate) config: IssuerConfig,
    keys: Keys,
}

#[derive(Clone)]
enum Keys {
    /// Of one issuer, or of all of a pattern.
    Fixed(Arc<IssuerKeys>),
    /// Of each issuer of a pattern by itself.
    Each(Arc<PatternKeys>),
}

impl Issuers {
    pub(crate) fn new(
        set: &IssuerSet,
        settings: &OidcConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, CaConfigError> {
        let mut clients = Clients::new(Duration::from_millis(settings.timeout_ms));
        let context = Context { settings: settings.clone(), clock: Arc::clone(clock) };
        // Entries with one source share what is fetched from it.
        let mut sources: HashMap<(String, KeyLocation), Keys> = HashMap::new();
        let mut entries = Vec::new();
        for config in set.iter().cloned() {
            let source = (config.url().to_owned(), config.keys().clone());
            let keys = match sources.get(&source) {
                Some(keys) => keys.clone(),
                None => Keys::new(&config, &mut clients, &context)?,
            };
            sources.insert(source, keys.clone());
            entries.push(Arc::new(Issuer { config, keys }));
        }
        Ok(Self { entries })
    }

    /// Every entry that may be about tokens with this `iss`.
    pub(crate) fn candidates(&self, iss: &str) -> Vec<Arc<Issuer>> {
        self.entries.iter().filter(|issuer| issuer.config.is_of(iss)).cloned().collect()
    }
}

impl Keys {
    fn new(
        config: &IssuerConfig,
        clients: &mut Clients,
        context: &Context,
    ) -> Result<Self, CaConfigError> {
        let source = KeySource::new(config, clients)?;
        let context = context.clone();
        Ok(if config.is_pattern() && !config.keys().is_fixed() {
            Self::Each(Arc::new(PatternKeys::new(source, context)))
        } else {
            Self::Fixed(Arc::new(IssuerKeys::new(source, context)))
        })
    }
}

impl Issuer {
    /// The keys that are known now and may have signed a token of `iss`; waits for nobody.
    pub(crate) fn keys_at_hand(
        &self,
        iss: &str,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
    ) -> Vec<VerifyingKey> {
        match &self.keys {
            Keys::Fixed(keys) => keys.at_hand(key_id, algorithm),
            Keys::Each(pattern) => pattern.at_hand(iss, key_id, algorithm),
        }
    }

    /// The same after the issuer was asked again, if it may be; never empty.
    pub(crate) async fn renewed_keys(
        &self,
        iss: &str,
        key_id: Option<&str>,
        algorithm: JwsAlgorithm,
        doubt: Doubt,
    ) -> Result<Vec<VerifyingKey>, KeysError> {
        match &self.keys {
            Keys::Fixed(keys) => keys.renewed(key_id, algorithm, doubt).await,
            Keys::Each(pattern) => pattern.renewed(iss, key_id, algorithm, doubt).await,
        }
    }

    /// To be told when a token of `iss` becomes a certificate.
    pub(crate) fn note_granted(&self, iss: &str) {
        if let Keys::Each(pattern) = &self.keys {
            pattern.note_granted(iss);
        }
    }
}
