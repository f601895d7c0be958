//! The JSON shapes of every API and file that Countersign speaks.
//!
//! Pure data: types, how they are read and how they are written. It verifies
//! nothing and refuses only what is not the shape. The rules are those of the
//! protobuf JSON mapping (<https://protobuf.dev/programming-guides/json/>), which
//! Fulcio, Rekor v2 and the Sigstore bundle share:
//!
//! - written in camelCase, `int64` as strings, bytes as padded standard base64,
//!   enums by name, unset members left out;
//! - read in camelCase or `snake_case`, `int64` as string or number, bytes in either
//!   base64 alphabet with or without padding, enums by name or number, `null` as absent;
//! - a member given twice is refused, known or not; so are both members of a `oneof`.
//!
//! Unknown members are refused in [`bundle`], [`dsse`] and [`rekor2`] (nothing in a bundle may
//! be overlooked; Rekor v2 answers 400), and ignored in [`fulcio`], [`rekor1`], [`trust`],
//! [`ct`], [`countersign`] and [`timestamp`]. [`rekor1`], an older API, has plain numbers and hex besides.
//!
//! - [`bundle`]: Sigstore bundle, log entries. [`dsse`]: the envelope in it, and what its signatures are over.
//! - [`trust`]: trusted root, signing config, client trust config.
//! - [`fulcio`], [`rekor1`], [`rekor2`], [`ct`], [`timestamp`]: requests and answers of the services.
//! - [`countersign`]: `countersign.json`, which is ours alone.
//! - [`rpc`]: the error body of Fulcio and Rekor v2. [`refusal`]: our word for it, beside that body.
//! - [`json`]: the one reader of JSON from outside, also of formats that are not of this crate.
//! - [`host`]: which of them is this machine. [`name`], [`inert`]: what names and URIs may hold, and how text of others is shown.

pub mod bundle;
pub mod countersign;
pub mod ct;
pub mod dsse;
pub mod fulcio;
pub mod host;
pub mod inert;
pub mod json;
pub mod name;
mod proto;
pub mod refusal;
pub mod rekor1;
pub mod rekor2;
pub mod rpc;
pub mod timestamp;
pub mod trust;

pub use proto::{Base64, HashAlgorithm, Int64, NotBase64, OutOfRange, PublicKeyDetails, Timestamp};
