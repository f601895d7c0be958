//! Whose tokens count: the configured issuers, their keys, and the check of a token's signature.

mod cache;
mod discovery;
mod jwks;
mod sample;

use std::{collections::HashMap, sync::Arc, time::Duration};

use identity::{IssuerConfig, IssuerSet};
use service::Clock;

pub(crate) use cache::IssuerKeys;
pub use cache::KeysError;
pub(crate) use discovery::KeySource;
pub use discovery::SourceError;
pub(crate) use jwks::VerifyingKey;
pub use sample::{SampleError, is_signed_by, is_signed_by_issuer};

use crate::{CaConfigError, OidcConfig, fetch::Clients};

/// The trusted issuers with their keys.
pub(crate) struct Issuers {
    by_url: HashMap<String, Arc<Issuer>>,
}

/// One trusted issuer.
pub(crate) struct Issuer {
    pub(crate) config: IssuerConfig,
    pub(crate) keys: Arc<IssuerKeys>,
}

impl Issuers {
    pub(crate) fn new(
        set: &IssuerSet,
        settings: &OidcConfig,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, CaConfigError> {
        let mut clients = Clients::new(Duration::from_millis(settings.timeout_ms));
        let mut by_url = HashMap::new();
        for config in set.iter().cloned() {
            let source = KeySource::new(&config, &mut clients)?;
            let keys = Arc::new(IssuerKeys::new(source, settings.clone(), Arc::clone(clock)));
            by_url.insert(config.url().to_owned(), Arc::new(Issuer { config, keys }));
        }
        Ok(Self { by_url })
    }

    pub(crate) fn find(&self, iss: &str) -> Option<Arc<Issuer>> {
        self.by_url.get(iss).cloned()
    }
}
