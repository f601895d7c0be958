//! Trust material: what clients and verifiers must know of a deployment.
//!
//! Builds the trusted root, signing config and key files of one deployment from
//! its keys and chains, checks them against everything that some official client
//! demands ([`lint`]), writes them and serves them, with a page that says what to
//! type. A TUF repository ([`tuf`]) signs them for clients that were given its
//! root once. Formats: `sigstore_trustroot.proto` of the Sigstore protobuf
//! specifications, and the TUF specification 1.0; each trap of a client is a [`lint::Finding`], tested
//! by itself.
//!
//! It refuses to: see a private key other than through [`crypto::Signer`], publish
//! files that a lint finds fault with, and answer anything but 404 for what does not
//! exist (TUF clients probe for the next root and take any other answer for an error).
//!
//! - [`Deployment`]: what the files are made from.
//! - [`TrustFiles`]: the files; [`TrustFiles::write_to`] and [`router`] publish them.
//! - [`tuf::Repository`]: the repository, and what keeps it fresh.
//! - [`Anchors`]: last signed checkpoints, kept for logs that are restored elsewhere.
//! - [`lint`]: the checks, also for files of other deployments.

mod anchors;
mod cosign2;
mod deployment;
mod disk;
mod documents;
mod files;
mod http;
pub mod lint;
mod page;
mod shell;
mod targets;
pub mod tuf;

pub use anchors::{AnchoredLog, Anchors};
pub use deployment::{Authority, Deployment, Development, LogKey, State, TilesKey, UnknownState};
pub use files::{TrustError, TrustFile, TrustFiles};
pub use http::{protocol, router};
pub use shell::quoted;
