//! The certificate authority service: OIDC identities to short-lived certificates.
//!
//! Speaks Fulcio v2 over HTTP and gRPC, and v1 over HTTP. A caller shows an identity token and proves that it holds a key;
//! it gets a certificate for that key, valid for minutes, that names the token's identity and
//! holds the SCT of a Certificate Transparency log.
//!
//! It refuses to: trust an issuer that is not configured, issue without a verified SCT, issue
//! beyond its own certificates' validity, certify weak keys, log tokens, and keep any state that
//! an issuance depends on. Rules of identity are in crate `identity`, of certificates in `x509`.
//!
//! - [`CaConfig`], [`CtConfig`], [`OidcConfig`]: settings. [`CaParts`]: keys, chain, clock, threads.
//! - [`Ca`]: the one use case, [`Ca::issue`], and the published documents.
//! - [`IssueRequest`]: what a caller shows, whichever way it came.
//! - [`IssueError`]: why there is no certificate, and whose fault it is.
//! - [`TokenVerifier`]: the same tokens for another service, which certifies nobody.
//! - `api`, `record`, `explain`: what all APIs do, the one log line of a request, and what a refusal says.
//! - [`http`]: the routes of all APIs, `grpc` among them; [`protocol`]: how the shared layers answer for this service.
//! - `issuers`: discovery, keys and their cache. `ct`: the log's client and its circuit breaker.

mod admission;
#[cfg(test)]
mod answers;
mod api;
mod audit;
mod config;
mod ct;
mod error;
mod explain;
mod fetch;
mod grpc;
pub mod http;
mod issuers;
mod record;
mod request;
mod service;
mod tokens;

pub use self::ct::{CtError, CtTrouble, probe_ct_log};
pub use config::{CaConfig, CaConfigError, CaParts, CtConfig, OidcConfig};
pub use error::IssueError;
pub use explain::audience_refusal;
pub use fetch::{FetchError, FetchKind};
pub use http::protocol;
pub use issuers::{
    IssuerHealth, IssuerProbe, IssuerRefresh, IssuerTrouble, KeyName, KeySetFault, KeysError,
    Probed, SampleError, SourceError, check_files, check_issuers, check_keys_dir, expired_tokens,
    is_signed_by, is_signed_by_issuer, probe_issuers,
};
pub use request::{ClaimedKey, EncodedKey, IssueRequest};
pub use service::{Ca, IssuedChain};
pub use tokens::{TokenBearer, TokenVerifier};
