//! Entries of a Rekor log: parsed within limits, verified, and made canonical.
//!
//! The log accepts nothing but a [`VerifiedEntry`], and the only way to one is to
//! show a request whose signature verifies. Its body is canonical JSON (RFC 8785),
//! which verifiers rebuild from their own bundle to find the leaf.
//!
//! It refuses to: fetch anything, log what it has not verified, take pure Ed25519
//! over a digest, judge certificates (validity and issuer are the verifier's
//! business; here a certificate only carries a key and names, and a chain is one).
//!
//! - [`rekor1`], [`rekor2`]: the kinds of Rekor v1 and v2, one file each.
//! - [`Budget`]: what verifying a request may cost.
//! - [`VerifiedEntry`], [`Signer`], [`IndexKeyKind`], [`EntryError`]: what all kinds share.

mod budget;
mod error;
mod form;
mod index_key;
pub mod rekor1;
pub mod rekor2;
mod verified;

pub use budget::Budget;
pub use error::EntryError;
pub use index_key::IndexKeyKind;
pub use verified::{Signer, VerifiedEntry};
