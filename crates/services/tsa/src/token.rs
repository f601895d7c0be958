//! A token on its way through the signing path.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crypto::{PublicKey, Unsigned};
use moment::UnixSeconds;
use signing::{KeyUse, Phase, Record};
use tracing::{debug, info};
use tsp::{SerialNumber, TimestampResponse, TokenError, UnsignedToken};

/// A token that is verified when its turn has come.
pub(crate) struct PreparedToken {
    pub(crate) token: UnsignedToken,
    pub(crate) sampling: Arc<Sampling>,
}

impl Unsigned for PreparedToken {
    type Signed = TimestampResponse;
    type Error = TokenError;

    const KIND: &'static str = UnsignedToken::KIND;

    fn bytes_to_sign(&self) -> &[u8] {
        self.token.bytes_to_sign()
    }

    fn with_signature(
        self,
        signature: &[u8],
        key: &PublicKey,
    ) -> Result<TimestampResponse, TokenError> {
        let Self { token, sampling } = self;
        if sampling.is_due() {
            let response = token.with_signature(signature, key)?;
            sampling.verified();
            return Ok(response);
        }
        let response = token.unverified().with_signature(signature, key)?;
        sampling.passed();
        Ok(response)
    }
}

/// Which tokens are verified: the first, then one in so many, and after a wrong one each until one is
/// right.
pub(crate) struct Sampling {
    every: u64,
    /// Tokens that left since one was verified, and that one.
    left: AtomicU64,
}

impl Sampling {
    /// 0 counts as 1: each.
    pub(crate) fn new(every: u32) -> Self {
        let every = u64::from(every.max(1));
        Self { every, left: AtomicU64::new(every) }
    }

    fn is_due(&self) -> bool {
        self.left.load(Ordering::Relaxed) >= self.every
    }

    fn verified(&self) {
        self.left.store(1, Ordering::Relaxed);
    }

    fn passed(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the audit trail says of a token.
pub(crate) struct Issuance {
    pub(crate) serial: SerialNumber,
    pub(crate) gen_time: UnixSeconds,
}

impl Record for Issuance {
    /// What was issued is told; that it was tried, to who looks closer.
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        let Self { serial, gen_time } = self;
        match phase {
            Phase::Signing => {
                debug!(target: "audit", { tsa.serial = %serial, key.id = key_id }, "signing a timestamp");
            }
            Phase::Signed => info!(
                target: "audit",
                { tsa.serial = %serial, tsa.gen_time = gen_time.0, key.id = key_id },
                "issued a timestamp"
            ),
        }
    }
}
