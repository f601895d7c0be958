//! What a signer asks of others: a certificate (Fulcio v2), a log entry (Rekor v1 or v2), a
//! timestamp (RFC 3161), and whom to trust (files of a TUF repository).
//!
//! One [`HttpClient`] serves any number of signings at once. Answers are bounded, redirects are
//! not followed, no error shows a token or the credentials of a URL, and neither leaves this machine
//! without TLS ([`PrivateUrl`]).

mod certificate_authority;
mod endpoints;
mod error;
mod http;
mod identity_token;
mod log_protocol;
mod rekor1;
mod service_url;
#[cfg(test)]
mod tests;
mod timestamp_authority;
mod transparency_log;
mod trust_repository;

pub use certificate_authority::CertificateAuthority;
pub use endpoints::{Endpoints, LogEndpoint, LogProtocol};
pub use error::{Service, ServiceError, ServiceKind};
pub use http::{HttpClient, HttpClientError, HttpLimits};
pub use identity_token::{IdentityToken, IdentityTokenError};
pub use log_protocol::ask_protocol;
pub use rekor1::{ProposedEntry, RekorV1};
pub(crate) use service_url::is_loopback;
pub use service_url::{PrivateUrl, ServiceUrl, ServiceUrlError};
pub use timestamp_authority::{Timestamp, TimestampAuthority};
pub use transparency_log::TransparencyLog;
pub use trust_repository::TrustRepository;
