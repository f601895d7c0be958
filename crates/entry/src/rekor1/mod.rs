//! The entry kinds of Rekor v1: hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and 0.0.2.

mod id;

use wire::Base64;

use crate::{EntryError, VerifiedEntry};

pub use self::id::{EntryId, EntryIdError};

/// Longest request in bytes: an envelope carries its whole payload, intoto 0.0.2 twice in base64.
pub const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;

/// Kinds, and the versions of each, that are logged.
pub const SUPPORTED: &[(&str, &[&str])] =
    &[("hashedrekord", &["0.0.1"]), ("dsse", &["0.0.1"]), ("intoto", &["0.0.1", "0.0.2"])];

/// What a log may be configured to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {}

/// Reads a proposed entry, verifies every signature of it, and makes the body that upstream would log.
///
/// # Errors
/// [`EntryError`], by what is wrong with the entry.
pub fn verify_proposed(json: &[u8], _options: &Options) -> Result<VerifiedEntry, EntryError> {
    if json.len() > MAX_REQUEST_LEN {
        return Err(EntryError::RequestTooLong { limit: MAX_REQUEST_LEN });
    }
    Err(EntryError::Missing("an implementation"))
}

/// The bytes that a signed entry timestamp (SET) signs.
///
/// RFC 8785 (JCS) of `{body, integratedTime, logID, logIndex}`: `body` in base64, `integrated_time` in
/// seconds since 1970 UTC, `log_id` in hex, `log_index` over all shards.
#[must_use]
pub fn set_payload(
    body: &[u8],
    integrated_time: u64,
    log_id: &[u8; 32],
    log_index: u64,
) -> Vec<u8> {
    format!(
        r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#,
        body = Base64::from(body),
        log_id = hex::encode(log_id),
    )
    .into_bytes()
}
