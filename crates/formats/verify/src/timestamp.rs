use moment::UnixSeconds;
use tsp::{VerifiedTimestamp, VerifyError as TokenError, verify_response_by};

use crate::{
    Cause, Check, InstanceKind, MAX_CLOCK_SKEW, Trust, UnverifiedBundle, VerifyError,
    check::rfc3339, trust::TrustedTsa,
};

/// A moment at which the signature is proved to have existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningTime {
    /// Rounded down.
    pub at: UnixSeconds,
    /// Who says so.
    pub source: TimeSource,
}

/// Who says when a signature existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// A timestamp authority (RFC 3161).
    TimestampAuthority,
    /// A Rekor v1 log, by its SET.
    Log,
}

/// What the timestamps of a bundle prove.
#[derive(Debug, Default)]
pub(crate) struct Stamped {
    pub(crate) times: Vec<SigningTime>,
    /// How many authorities stamped: one that did so twice counts once.
    pub(crate) authorities: usize,
    /// How many timestamps are of authorities that the trusted root does not list.
    pub(crate) unknown: usize,
}

/// Checks every timestamp of the bundle.
///
/// One that a trusted authority's name is on must hold, and is not outweighed by others. One of an
/// authority that is not listed proves nothing; where nothing else does, the caller says so.
pub(crate) fn check(
    bundle: &UnverifiedBundle,
    trust: &Trust,
    now: UnixSeconds,
) -> Result<Stamped, VerifyError> {
    let mut stamped = Stamped::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    for response in bundle.timestamps() {
        let Some((stamp, authority)) = check_one(response, bundle.signature(), trust)? else {
            stamped.unknown += 1;
            continue;
        };
        let at = stamp.gen_time;
        check_not_future(Check::Timestamp, Told { at, now })?;
        stamped.times.push(SigningTime { at, source: TimeSource::TimestampAuthority });
        let key = authority.chain.public_key().spki_der();
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    stamped.authorities = seen.len();
    Ok(stamped)
}

/// The error that there are timestamps, and not one of them is of a listed authority.
pub(crate) fn all_unknown(trust: &Trust) -> VerifyError {
    let reason = if trust.timestamp_authorities().is_empty() {
        "the trusted root has no timestamp authority that can be used".to_owned()
    } else {
        TokenError::UntrustedSigner.to_string()
    };
    trust.lacks(InstanceKind::TimestampAuthority, Check::Timestamp, reason)
}

/// A time that a proof tells, beside this machine's.
pub(crate) struct Told {
    pub(crate) at: UnixSeconds,
    pub(crate) now: UnixSeconds,
}

/// Refuses a time that this machine's clock has not reached, but for [`MAX_CLOCK_SKEW`].
pub(crate) fn check_not_future(check: Check, Told { at, now }: Told) -> Result<(), VerifyError> {
    if at <= now.saturating_add(MAX_CLOCK_SKEW) {
        return Ok(());
    }
    let ahead = at.saturating_since(now).as_secs();
    let at = rfc3339(at);
    let reason = format!("its time {at} is {ahead} seconds ahead of this machine's clock");
    Err(check.failed_by(Cause::Clocks, reason))
}

/// The verified timestamp and whose it is; `None` where no listed authority's name is on it.
fn check_one<'a>(
    response: &[u8],
    signature: &[u8],
    trust: &'a Trust,
) -> Result<Option<(VerifiedTimestamp, &'a TrustedTsa)>, VerifyError> {
    let mut failed = None;
    for authority in trust.timestamp_authorities() {
        match verify_response_by(response, signature, &authority.chain) {
            Ok(stamp) if authority.window.contains(stamp.gen_time) => {
                return Ok(Some((stamp, authority)));
            }
            Ok(stamp) => {
                let at = rfc3339(stamp.gen_time);
                let reason = format!("the timestamp authority was not to be trusted at {at}");
                failed = Some(Check::Timestamp.failed_by(Cause::OutsideValidity, reason));
            }
            // Another authority's: the next may be its own.
            Err(TokenError::UntrustedSigner) => {}
            Err(error) => {
                let cause = match error {
                    TokenError::OutsideValidity => Cause::OutsideValidity,
                    TokenError::Algorithm | TokenError::Malformed(_) => Cause::Unsupported,
                    _ => Cause::Altered,
                };
                return Err(Check::Timestamp.failed_by(cause, error));
            }
        }
    }
    failed.map_or(Ok(None), Err)
}
