//! The entry kinds of Rekor v1: hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.1 and 0.0.2.
//!
//! The body is the JSON that upstream's server would have made of the same proposed entry, made
//! canonical (RFC 8785): clients compare its members with their bundle's, and its leaf hash is the
//! entry's id. Unlike in Rekor v2, keys and certificates are PEM, and a payload is never in the body.

mod chain;
mod dsse;
mod envelope;
mod hashedrekord;
mod id;
mod intoto;
mod proposed;
mod search;
mod statement;
mod verifier;

use std::{collections::HashSet, hash::Hash};

use crypto::{PublicKey, SignatureError, Unsigned};
use moment::UnixSeconds;
use tlog::LeafIndex;
use wire::Base64;

use self::{proposed::Proposed, verifier::Verifier};
use crate::{Budget, EntryError, IndexKeyKind, VerifiedEntry};

pub use self::{
    id::{EntryId, EntryIdError},
    search::{Search, search_keys},
};

/// Longest request in bytes, as for Rekor v2: an envelope carries its whole payload.
pub const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;

/// Longest body in bytes: what an entry bundle of the tree's tiles can hold.
pub const MAX_BODY_LEN: usize = tlog::MAX_ENTRY_LEN;

/// Most search keys of one entry, as the log's stores have it; only envelopes with many subjects have more.
pub const MAX_INDEX_KEYS: usize = 64;

/// Kinds, and the versions of each, that can be logged.
pub const SUPPORTED: &[(&str, &[&str])] = &[
    (hashedrekord::KIND, &[hashedrekord::VERSION]),
    (dsse::KIND, &[dsse::VERSION]),
    (intoto::KIND, &[intoto::VERSION_1, intoto::VERSION_2]),
];

/// What a log may be configured to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether kind dsse is taken: what most clients make of an attestation.
    pub dsse: bool,
    /// Whether kind intoto is taken: what older clients make of an attestation.
    pub intoto: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { dsse: true, intoto: true }
    }
}

/// Reads the body of `POST /api/v1/log/entries`, verifies every signature of it, and makes the body
/// that upstream would log.
///
/// Costs at most [`Budget::whole`], and mostly one signature verification: work for a CPU pool.
///
/// # Errors
/// [`EntryError`], by what is wrong with the entry.
pub fn verify_proposed(json: &[u8], options: &Options) -> Result<VerifiedEntry, EntryError> {
    verify_proposed_within(json, options, &mut Budget::whole())
}

/// Like [`verify_proposed`], with what is left of `budget`.
///
/// # Errors
/// [`EntryError`], by what is wrong with the entry; [`EntryError::TooMuchWork`] when the budget does not suffice.
pub fn verify_proposed_within(
    json: &[u8],
    options: &Options,
    budget: &mut Budget,
) -> Result<VerifiedEntry, EntryError> {
    if json.len() > MAX_REQUEST_LEN {
        return Err(EntryError::RequestTooLong { limit: MAX_REQUEST_LEN });
    }
    let proposed = Proposed::parse(json)?;
    match (&*proposed.kind, &*proposed.version) {
        (hashedrekord::KIND, hashedrekord::VERSION) => hashedrekord::verify(proposed.spec, budget),
        (dsse::KIND, dsse::VERSION) if options.dsse => dsse::verify(proposed.spec, budget),
        (intoto::KIND, intoto::VERSION_1) if options.intoto => {
            intoto::verify_1(proposed.spec, budget)
        }
        (intoto::KIND, intoto::VERSION_2) if options.intoto => {
            intoto::verify_2(proposed.spec, budget)
        }
        (kind, version) => Err(EntryError::unsupported(kind, version, *options)),
    }
}

/// The bytes that a signed entry timestamp (SET) signs.
///
/// RFC 8785 (JCS) of `{body, integratedTime, logID, logIndex}`: `body` in base64, `integrated_time` as
/// a number, `log_id` in hex, `log_index` 0-based over all shards.
#[must_use]
pub fn set_payload(
    body: &[u8],
    integrated_time: UnixSeconds,
    log_id: &[u8; 32],
    log_index: LeafIndex,
) -> Vec<u8> {
    let (body, log_id) = (Base64::from(body), hex::encode(log_id));
    format!(
        r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#,
    )
    .into_bytes()
}

/// A signed entry timestamp (SET) that its log has not signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedSet {
    payload: Vec<u8>,
}

impl UnsignedSet {
    /// Prepares the SET of the entry of `body`; units as for [`set_payload`].
    #[must_use]
    pub fn new(
        body: &[u8],
        integrated_time: UnixSeconds,
        log_id: &[u8; 32],
        log_index: LeafIndex,
    ) -> Self {
        Self { payload: set_payload(body, integrated_time, log_id, log_index) }
    }
}

impl Unsigned for UnsignedSet {
    /// The signature: all else is beside it in an answer.
    type Signed = Vec<u8>;
    type Error = SignatureError;

    const KIND: &'static str = "set";

    fn bytes_to_sign(&self) -> &[u8] {
        &self.payload
    }

    /// # Errors
    /// [`SignatureError`].
    fn with_signature(
        self,
        signature: &[u8],
        log_key: &PublicKey,
    ) -> Result<Vec<u8>, SignatureError> {
        log_key.verify(&self.payload, signature)?;
        Ok(signature.to_vec())
    }
}

impl Options {
    /// The kinds and versions that are taken, as in `hashedrekord 0.0.1, dsse 0.0.1`.
    pub(crate) fn supported(self) -> String {
        let taken = |kind: &str| match kind {
            dsse::KIND => self.dsse,
            intoto::KIND => self.intoto,
            _ => true,
        };
        SUPPORTED
            .iter()
            .filter(|(kind, _)| taken(kind))
            .flat_map(|(kind, versions)| {
                versions.iter().map(move |version| format!("{kind} {version}"))
            })
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The entry of a body whose signatures are verified.
///
/// Search keys are kept in their order, without repetition, up to [`MAX_INDEX_KEYS`]: those first
/// that every entry of the kind has.
fn entry_of(
    kind: &'static str,
    version: &'static str,
    body: String,
    keys: impl IntoIterator<Item = (IndexKeyKind, String)>,
    verifiers: &[&Verifier],
) -> Result<VerifiedEntry, EntryError> {
    if body.len() > MAX_BODY_LEN {
        return Err(EntryError::BodyTooLong { length: body.len(), limit: MAX_BODY_LEN });
    }
    let index_keys = distinct(keys);
    let signers = verifiers.iter().map(|verifier| verifier.signer()).collect();
    Ok(VerifiedEntry::new(kind, version, body.into_bytes(), (index_keys, signers)))
}

/// The first [`MAX_INDEX_KEYS`] of `items`, without repetition, in their order.
///
/// A statement may name one digest a hundred thousand times: each is looked up once, not compared with all.
fn distinct<T: Clone + Eq + Hash>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).take(MAX_INDEX_KEYS).collect()
}
