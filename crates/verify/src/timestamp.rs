use tsp::{VerifiedTimestamp, VerifyError as TokenError, verify_response_over};

use crate::{Check, Trust, UnverifiedBundle, VerifyError};

/// How far the clocks of a timestamp authority and of a verifier may differ, in seconds: else what
/// was signed just now would fail where the clock is a little behind.
const MAX_CLOCK_SKEW_S: u64 = 60;

/// A moment at which the signature is proved to have existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningTime {
    /// Unix seconds, rounded down.
    pub at: u64,
    /// Who says so.
    pub source: TimeSource,
}

/// Who says when a signature existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// A timestamp authority (RFC 3161).
    TimestampAuthority,
    /// A Rekor v1 log, by its inclusion promise.
    Log,
}

/// Checks every timestamp of the bundle; one that fails is not outweighed by others.
pub(crate) fn check(
    bundle: &UnverifiedBundle,
    trust: &Trust,
    now: u64,
) -> Result<Vec<SigningTime>, VerifyError> {
    let signature = bundle.signature();
    bundle
        .timestamps()
        .into_iter()
        .map(|response| {
            let at = check_one(response, signature, trust)?.gen_time;
            if at > now.saturating_add(MAX_CLOCK_SKEW_S) {
                return Err(Check::Timestamp.failed(format!("its time {at} is in the future")));
            }
            Ok(SigningTime { at, source: TimeSource::TimestampAuthority })
        })
        .collect()
}

fn check_one(
    response: &[u8],
    signature: &[u8],
    trust: &Trust,
) -> Result<VerifiedTimestamp, VerifyError> {
    let mut reason: Box<dyn std::error::Error + Send + Sync> =
        "the trusted root has no usable timestamp authority".into();
    for authority in trust.timestamp_authorities() {
        match verify_response_over(response, signature, &authority.chain) {
            Ok(stamp) if authority.window.is_none_or(|window| window.contains(stamp.gen_time)) => {
                return Ok(stamp);
            }
            Ok(stamp) => {
                let at = stamp.gen_time;
                reason = format!("the timestamp authority was not to be trusted at {at}").into();
            }
            // Another authority's: the next may be its own.
            Err(TokenError::UntrustedSigner) => {
                reason = TokenError::UntrustedSigner.into();
            }
            Err(error) => return Err(Check::Timestamp.failed(error)),
        }
    }
    Err(Check::Timestamp.failed(reason))
}
