//! Whose tokens count: the configured issuers, their keys, and the check of a token's signature.

mod cache;
mod discovery;
mod files;
mod health;
mod jwks;
mod kept;
mod pattern;
mod probe;
mod sample;

use std::{collections::HashMap, path::Path, sync::Arc};

use futures::{StreamExt, stream};
use identity::{IssuerConfig, IssuerSet, JwsAlgorithm, KeyLocation};
use metrics::counter;
use signing::Clock;
use tracing::warn;

pub use cache::KeysError;
pub(crate) use cache::{Doubt, IssuerKeys};
pub use discovery::SourceError;
pub use files::{check_files, expired_tokens};
pub(crate) use health::words;
pub use health::{IssuerHealth, IssuerRefresh, IssuerTrouble};
pub(crate) use jwks::VerifyingKey;
pub use jwks::{KeyName, KeySetFault};
pub use kept::check_keys_dir;
pub use probe::{IssuerProbe, Probed, check_issuers, probe_issuers};
pub use sample::{SampleError, is_signed_by, is_signed_by_issuer};

use crate::{CaConfigError, OidcConfig, fetch::Clients};
use cache::{Context, Waiting};
use discovery::KeySource;
use health::Series;
use kept::KeysDir;
use pattern::PatternKeys;

/// Age in seconds at which a file of keys is read again.
const FILE_AGE_S: u64 = 1;

/// Most issuers that are asked at once for no caller's sake: each costs a descriptor or two and a
/// handshake, and a configuration may have a thousand.
const MAX_ASKED_AT_ONCE: usize = 16;

/// A directory that cannot be written to is no reason not to start: nothing depends on it but the
/// next start.
fn open_keys_dir(path: &Path, ca: &str) -> Option<KeysDir> {
    match KeysDir::open(path) {
        Ok(directory) => Some(directory),
        Err(error) => {
            counter!("countersign_ca_issuer_keys_not_kept_total", "ca" => ca.to_owned())
                .increment(1);
            warn!(
                directory = %path.display(),
                %error,
                "keys of issuers cannot be kept: a start while a provider is down will lack its \
                 keys; mend the directory (a CA's can be elsewhere: `state_dir` of [ca.<name>])"
            );
            None
        }
    }
}

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
        (ca, set): (&str, &IssuerSet),
        settings: &OidcConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, CaConfigError> {
        let mut clients = Clients::new(settings.timeout());
        let context = Context {
            settings: settings.clone(),
            ca: ca.to_owned(),
            clock: Arc::clone(clock),
            keys_dir: settings.keys_dir.as_deref().and_then(|path| open_keys_dir(path, ca)),
            waiting: Waiting::default(),
            series: Series::default(),
        };
        // Entries with one source share what is fetched from it. A pattern is none of any URL's.
        let mut sources: HashMap<(bool, String, KeyLocation), Keys> = HashMap::new();
        let mut entries = Vec::new();
        for config in set.iter().cloned() {
            let url = config.url().to_owned();
            let source = (config.is_pattern(), url, config.keys().clone());
            let keys = match sources.get(&source) {
                Some(keys) => keys.clone(),
                None => Keys::new(&config, &mut clients, &context)?,
            };
            sources.insert(source, keys.clone());
            entries.push(Arc::new(Issuer { config, keys }));
        }
        let issuers = Self { entries };
        if let Some(directory) = &context.keys_dir {
            let used = issuers.sources().into_iter().filter_map(|keys| keys.kept_in()).collect();
            directory.prune(&used);
        }
        Ok(issuers)
    }

    /// Every source that is known and not made up, once.
    fn sources(&self) -> Vec<Arc<IssuerKeys>> {
        let mut sources: Vec<Arc<IssuerKeys>> = Vec::new();
        for issuer in &self.entries {
            let of_entry = match &issuer.keys {
                Keys::Fixed(keys) => vec![Arc::clone(keys)],
                Keys::Each(pattern) => pattern.granted(),
            };
            for keys in of_entry {
                if !sources.iter().any(|known| Arc::ptr_eq(known, &keys)) {
                    sources.push(keys);
                }
            }
        }
        sources
    }

    /// Takes over what `old` knows of the same sources.
    pub(crate) fn take_over(&self, old: &Self) {
        let known = old.sources();
        for issuer in &self.entries {
            match &issuer.keys {
                Keys::Fixed(keys) => {
                    if let Some(old) = known.iter().find(|old| old.has_source_of(keys)) {
                        keys.take_over(old);
                    }
                }
                Keys::Each(pattern) => pattern.take_over(&known, |iss| issuer.config.is_of(iss)),
            }
        }
        let sources = self.sources();
        for old in known.iter().filter(|old| !sources.iter().any(|new| new.has_source_of(old))) {
            old.withdraw();
        }
    }

    /// Takes all sources out of the metrics.
    pub(crate) fn withdraw(&self) {
        for keys in self.sources() {
            keys.withdraw();
        }
    }

    /// What is known of each source.
    pub(crate) fn health(&self) -> Vec<IssuerHealth> {
        self.sources().iter().map(|keys| keys.health()).collect()
    }

    /// Fetches where it is due. Those that gave nothing the last time come last: their time-outs
    /// must not keep the others waiting.
    pub(crate) async fn tick(&self) {
        let mut sources = self.sources();
        sources.sort_by_key(|keys| keys.is_failing());
        let asking = stream::iter(sources).for_each_concurrent(MAX_ASKED_AT_ONCE, async |keys| {
            keys.tick().await;
        });
        asking.await;
    }

    /// Shows every source as metrics.
    pub(crate) fn show(&self) {
        for keys in self.sources() {
            keys.show();
        }
    }

    /// Fetches from every source, or from those of one issuer, now.
    pub(crate) async fn refresh(&self, url: Option<&str>, forget: bool) -> Vec<IssuerRefresh> {
        let mut sources: Vec<Arc<IssuerKeys>> = Vec::new();
        for issuer in &self.entries {
            let of_entry = match &issuer.keys {
                Keys::Fixed(keys) => vec![Arc::clone(keys)],
                Keys::Each(pattern) => pattern.to_refresh(&issuer.config, url, forget),
            };
            for keys in of_entry {
                let whole = url.is_none_or(|url| url == issuer.config.url());
                let wanted = whole || url.is_some_and(|url| url == keys.issuer());
                if wanted && !sources.iter().any(|known| Arc::ptr_eq(known, &keys)) {
                    sources.push(keys);
                }
            }
        }
        // All are forgotten before anybody is asked: the last one must not wait for the first.
        let begun: Vec<_> =
            sources.into_iter().map(|keys| (keys.begin_refresh(forget), keys)).collect();
        let refresh = async |(began, keys): (_, Arc<IssuerKeys>)| keys.refresh(began).await;
        stream::iter(begun).map(refresh).buffered(MAX_ASKED_AT_ONCE).collect().await
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
        let timeout = context.settings.timeout();
        let source = KeySource::new(config, timeout, clients)?;
        let mut context = context.clone();
        if config.keys().keys_file().is_some() {
            // A file costs nothing to read, and whoever changes it expects something of it.
            context.settings.refresh_after_s = FILE_AGE_S;
            context.settings.min_refresh_interval_s = FILE_AGE_S;
        }
        let keys = if config.is_pattern() && !config.keys().is_fixed() {
            Self::Each(Arc::new(PatternKeys::new(source, context)))
        } else {
            Self::Fixed(Arc::new(IssuerKeys::new(source, context)))
        };
        match &keys {
            Self::Each(pattern) => pattern.restore(|iss| config.is_of(iss)),
            Self::Fixed(keys) => keys.restore(),
        }
        Ok(keys)
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
