//! Whether the log at `ct_url` is there, and is the one whose key the CA has.

use std::sync::{Mutex, PoisonError};

use crypto::{PublicKey, Unsigned};
use ct::UnsignedTreeHead;
use moment::UnixMillis;
use reqwest::Client;
use tracing::{info, warn};
use url::Url;
use wire::ct::GetSthResponse;

use super::{CtClient, CtError, MAX_ANSWER_LEN, address, client_of};
use crate::{CaConfigError, CtConfig, FetchError, fetch, issuers::words};

/// What is wrong with the log of a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtTrouble {
    /// As configured.
    pub url: String,
    /// Whether it may pass; else the URL is of something that is not the log.
    pub is_outage: bool,
    /// What it answered the last time, on one line.
    pub words: String,
    /// How often it gave none in a row. One is any network's.
    pub failures: u32,
}

impl CtTrouble {
    /// In one word, as of issuers. This much anybody may know.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        if self.is_outage { "away" } else { "misconfigured" }
    }
}

/// Asks the log at `config` for its tree head, which `key` must have signed.
///
/// # Errors
/// When no HTTP client can be made; within, what is wrong.
pub async fn probe_ct_log(
    config: &CtConfig,
    key: &PublicKey,
) -> Result<Result<(), CtError>, CaConfigError> {
    let url = address(config, "get-sth")?;
    let client = client_of(config, &url)?;
    Ok(ask(&client, &url, key).await)
}

async fn ask(client: &Client, url: &Url, key: &PublicKey) -> Result<(), CtError> {
    let answer =
        fetch::get_as(client, url, None, MAX_ANSWER_LEN).await.map_err(|error| match error {
            FetchError::Status(status) => CtError::Status { status, said: String::new() },
            error => error.into(),
        })?;
    let answer: GetSthResponse = wire::json::from_slice(&answer).map_err(|_| CtError::Answer)?;
    let root = <[u8; 32]>::try_from(answer.sha256_root_hash.0).map_err(|_| CtError::Answer)?;
    let (_, signature) = ct::decode_digitally_signed(&answer.tree_head_signature.0)?;
    let head = UnsignedTreeHead::new(UnixMillis(answer.timestamp), answer.tree_size, root);
    let (signature, key) = (signature.to_vec(), key.clone());
    let verified = tokio::task::spawn_blocking(move || head.with_signature(&signature, &key));
    verified.await.map_err(|_| CtError::Deadline)??;
    Ok(())
}

/// What is known of it.
#[derive(Default)]
pub(super) struct Health(Mutex<Option<CtTrouble>>);

impl CtClient {
    /// What is wrong with the log, as of the last answer.
    pub(crate) fn trouble(&self) -> Option<CtTrouble> {
        self.health.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it who it is.
    pub(crate) async fn probe(&self, key: &PublicKey) {
        let asked = tokio::time::timeout(self.deadline, ask(&self.client, &self.head_url, key));
        let outcome = asked.await.unwrap_or(Err(CtError::Deadline));
        self.note(outcome.as_ref().map(drop));
    }

    /// Keeps what came of asking it, and says so in the log when that changes.
    pub(crate) fn note(&self, outcome: Result<(), &CtError>) {
        let mut known = self.health.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = known.as_ref().map_or(0, |known| known.failures);
        let trouble = match outcome {
            Ok(()) => None,
            // It was not asked.
            Err(CtError::CircuitOpen { .. }) => return,
            Err(error) => Some(CtTrouble {
                url: self.base.to_string(),
                is_outage: error.is_outage(),
                words: words(error),
                failures: failures.saturating_add(1),
            }),
        };
        let changed = known.as_ref().map(CtTrouble::name) != trouble.as_ref().map(CtTrouble::name);
        match &trouble {
            Some(CtTrouble { url, words, .. }) if changed => {
                warn!(ct_url = %url, error = %words, "no SCTs by the CT log at `ct_url`");
            }
            None if changed => info!(ct_url = %self.base, "the CT log at `ct_url` answers"),
            _ => {}
        }
        *known = trouble;
    }
}
