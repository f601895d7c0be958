use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::{PublicKey, SignatureAlgorithm};

/// A signing key, wherever it lives: in memory, on a PKCS#11 token, in a KMS.
///
/// The only way by which the CA, the CT log, Rekor, the TSA and TUF sign.
#[async_trait]
pub trait Signer: Send + Sync + 'static {
    /// Signs exactly `message` (not its digest) with [`Signer::algorithm`].
    ///
    /// ECDSA signatures are DER (`ECDSA-Sig-Value`, RFC 3279 §2.2.3), Ed25519 is 64 raw bytes.
    ///
    /// # Errors
    /// [`SignerError::Unavailable`] when the key's backend does not answer,
    /// [`SignerError::Refused`] when it answers and will not sign.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;

    /// The signing half of a key in memory, so that who is on a thread for computing already can
    /// sign there. `None`, the default, for keys that have to be waited for.
    fn in_memory(&self) -> Option<&dyn SignNow> {
        None
    }

    /// How long a signature is waited for; then it is [`SignerError::Late`].
    fn time_limit(&self) -> Duration {
        SIGNING_TIME
    }

    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The algorithm of every signature this signer makes.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// A name for logs and metrics; never secret.
    fn key_id(&self) -> &str;
}

/// The one limit of every key: a remote one answers in tens of milliseconds, and no service gives
/// its caller less than twice this.
const SIGNING_TIME: Duration = Duration::from_secs(5);

/// A key that signs on the thread of the caller; it can do nothing else, least of all be read.
pub trait SignNow: Send + Sync {
    /// [`Signer::sign`] without waiting.
    ///
    /// # Errors
    /// [`SignerError::Refused`] when the backend fails.
    fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// Why a signer gave no signature.
#[derive(Debug, Error)]
pub enum SignerError {
    /// The key's backend (a file, an HSM, a KMS) gave no answer, or none in time; trying again may help.
    #[error("signing key {key_id} is unavailable: {reason}")]
    Unavailable {
        /// [`Signer::key_id`].
        key_id: String,
        /// What the backend said; holds no secret.
        reason: String,
    },
    /// The backend did not answer in time; trying again may help.
    #[error("signing key {key_id} gave no answer in {limit:?}")]
    Late {
        /// [`Signer::key_id`].
        key_id: String,
        /// [`Signer::time_limit`].
        limit: Duration,
    },
    /// The backend answered and will not sign: permission, policy or algorithm; trying again does not help.
    #[error("signing key {key_id} refused to sign: {reason}")]
    Refused {
        /// [`Signer::key_id`].
        key_id: String,
        /// What the backend said; holds no secret.
        reason: String,
    },
}

impl SignerError {
    /// Whether trying again may help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }
}
