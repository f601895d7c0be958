//! Whether a sample token is signed by its issuer, for people who ask what it would get.

use std::time::Duration;

use identity::{IssuerConfig, UnverifiedClaims};

use super::{KeySource, SourceError, jwks::KeySet};
use crate::{CaConfigError, fetch::Clients};

/// Why nobody can tell whether a sample is signed by its issuer.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// Not a JWK Set with a key that tokens may be signed with.
    #[error("no JWK Set with usable keys")]
    NoKeys,
    /// The issuer cannot be asked as it is configured.
    #[error(transparent)]
    Config(#[from] CaConfigError),
    /// The issuer did not answer as it should.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Whether one of the keys of `jwks`, a JWK Set, signed `token`.
///
/// # Errors
/// [`SampleError::NoKeys`].
pub fn is_signed_by(jwks: &[u8], token: &UnverifiedClaims) -> Result<bool, SampleError> {
    let keys = KeySet::parse(jwks).ok().filter(|keys| !keys.is_empty());
    Ok(is_signed(&keys.ok_or(SampleError::NoKeys)?, token))
}

/// Whether one of the keys that `issuer` publishes now signed `token`. Asks it once, within `timeout`.
///
/// # Errors
/// [`SampleError::Config`], [`SampleError::Source`].
pub async fn is_signed_by_issuer(
    issuer: &IssuerConfig,
    token: &UnverifiedClaims,
    timeout: Duration,
) -> Result<bool, SampleError> {
    let source = KeySource::new(issuer, timeout, &mut Clients::new(timeout))?;
    let is_one_of_many = issuer.is_pattern() && !issuer.keys().is_fixed();
    let source = if is_one_of_many { source.of(token.issuer())? } else { source };
    Ok(is_signed(&source.fetch().await?, token))
}

fn is_signed(keys: &KeySet, token: &UnverifiedClaims) -> bool {
    let algorithm = token.algorithm();
    let keys = keys.candidates(token.key_id(), algorithm);
    token.is_signed(|message, signature| {
        keys.iter().any(|key| key.verifies(algorithm, message, signature))
    })
}
