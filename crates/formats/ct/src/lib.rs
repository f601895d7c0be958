//! Certificate Transparency (RFC 6962): what a log signs, stores and answers.
//!
//! Bytes in the TLS presentation language (RFC 5246 §4) and nothing of certificates: how one becomes a
//! [`LogEntry`], and where it carries its SCTs, is in `x509`.
//!
//! It refuses to: read an SCT that is not of version 1 or does not end with its bytes, take a
//! signature that it has not verified.
//!
//! - [`LogEntry`], [`PreCertEntry`]: what a log includes.
//! - [`UnsignedSct`], [`Sct`], [`SctError`]: the timestamp over it.
//! - [`merkle_tree_leaf`], [`extra_data`]: what the log stores; [`TimestampedEntry`] reads it.
//! - [`UnsignedTreeHead`], [`SignedTreeHead`]: its tree heads.

mod entry;
mod sct;
mod tls;

pub use entry::{
    LogEntry, PreCertEntry, SignedTreeHead, TimestampedEntry, UnsignedSct, UnsignedTreeHead,
    extra_data, merkle_tree_leaf, signed_data, tree_head_signed_data,
};
pub use sct::{
    SHA256_WITH_ECDSA, Sct, SctError, decode_digitally_signed, decode_list as decode_sct_list,
    encode_digitally_signed, encode_list as encode_sct_list,
};
