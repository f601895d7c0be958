//! A token on its way through the signing path.

use moment::UnixSeconds;
use signing::{KeyUse, Phase, Record};
use tracing::{debug, info};
use tsp::SerialNumber;

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
