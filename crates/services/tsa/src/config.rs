use std::{sync::Arc, time::Duration};

use crypto::Signer;
use thiserror::Error;
use tsp::{ChainError, IntermediateUsage, PolicyOid, TokenError};

/// What a timestamp authority is made of.
pub struct TsaConfig {
    /// The leaf's key.
    pub signer: Arc<dyn Signer>,
    /// Certificates in DER, leaf first, self-signed root last.
    pub chain: Vec<Vec<u8>>,
    /// The policy of tokens for requests that name none; always accepted.
    pub policy: PolicyOid,
    /// Further policies that a request may name.
    pub accepted_policies: Vec<PolicyOid>,
    /// One token in this many is verified before it leaves; 1 is each, 0 counts as 1. The first
    /// always is, and the next ones after a wrong one; all are if the key is not in memory.
    pub verify_every: u32,
    /// Whether intermediates must be marked for timestamping.
    pub intermediate_usage: IntermediateUsage,
    /// How far the clock may be behind the latest time stamped, before nothing is stamped
    /// any more.
    pub max_clock_step_back: Duration,
    /// Whether it only tells its chain, and stamps nothing.
    pub frozen: bool,
}

impl TsaConfig {
    /// Sigstore's policy, one token in 256 verified, the accuracy of one second that tokens
    /// declare as the bound for the clock.
    #[must_use]
    pub fn new(signer: Arc<dyn Signer>, chain: Vec<Vec<u8>>) -> Self {
        Self {
            signer,
            chain,
            policy: PolicyOid::SIGSTORE,
            accepted_policies: Vec::new(),
            verify_every: 256,
            intermediate_usage: IntermediateUsage::Required,
            max_clock_step_back: Duration::from_secs(1),
            frozen: false,
        }
    }
}

/// Why an authority cannot start.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The certificates are not ones that clients accept.
    #[error("the timestamp authority's certificate chain is not usable")]
    Chain(#[from] ChainError),
    /// The key is not of a type that clients accept.
    #[error("the timestamp authority's key is not usable")]
    Key(#[source] TokenError),
    /// Each kind of key has one algorithm in tokens; a signer of another would have every token
    /// refused.
    #[error("the signer's algorithm is not the one for its key in timestamp tokens")]
    Algorithm,
}
