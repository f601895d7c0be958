//! The entry kinds of Rekor v2: hashedrekord 0.0.2, and DSSE envelopes made into one.

mod dsse;
mod hashedrekord;
mod key_details;
mod verifier;

use wire::rekor2::CreateEntryRequest;

use crate::{Budget, EntryError, VerifiedEntry};

pub use self::{
    hashedrekord::{KIND, VERSION, canonical_body},
    key_details::KeyDetails,
    verifier::Verifier,
};

/// Longest request in bytes, as upstream: an envelope carries its whole payload.
pub const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;

/// What a log may be configured to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether `dsseRequestV002`, which sigstore-js and older cosign send, is made into a
    /// hashedrekord. Otherwise it is refused, as upstream does since 2.3.0.
    pub legacy_dsse: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { legacy_dsse: true }
    }
}

/// Reads the body of `POST /api/v2/log/entries`, verifies its signature and makes the entry's body.
///
/// Costs one signature verification (an envelope: at most one for each of up to ten verifiers, within
/// [`Budget::whole`]): work for a CPU pool.
///
/// # Errors
/// [`EntryError`], by what is wrong with the request.
pub fn verify_request(json: &[u8], options: &Options) -> Result<VerifiedEntry, EntryError> {
    verify_request_within(json, options, &mut Budget::whole())
}

/// Like [`verify_request`], with what is left of `budget`.
///
/// # Errors
/// [`EntryError`], by what is wrong with the request; [`EntryError::TooMuchWork`] when the budget does not suffice.
pub fn verify_request_within(
    json: &[u8],
    options: &Options,
    budget: &mut Budget,
) -> Result<VerifiedEntry, EntryError> {
    if json.len() > MAX_REQUEST_LEN {
        return Err(EntryError::RequestTooLong { limit: MAX_REQUEST_LEN });
    }
    let request = wire::json::from_slice(json).map_err(|error| EntryError::malformed(&error))?;
    match request {
        CreateEntryRequest::HashedRekord(request) => hashedrekord::verify(&request, budget),
        CreateEntryRequest::Dsse(_) if !options.legacy_dsse => Err(EntryError::DsseNotAccepted),
        CreateEntryRequest::Dsse(request) => dsse::verify(&request, budget),
    }
}
