//! What a signer asks of others: a certificate (Fulcio v2), a log entry (Rekor v2), a timestamp
//! (RFC 3161).
//!
//! One [`HttpClient`] serves any number of signings at once. Answers are bounded, redirects are
//! not followed, and no error shows a token or the credentials of a URL.

mod certificate_authority;
mod endpoints;
mod error;
mod http;
mod identity_token;
mod service_url;
#[cfg(test)]
mod tests;
mod timestamp_authority;
mod transparency_log;

pub use certificate_authority::CertificateAuthority;
pub use endpoints::Endpoints;
pub use error::{Service, ServiceError, ServiceKind};
pub use http::{HttpClient, HttpClientError, HttpLimits};
pub use identity_token::{IdentityToken, IdentityTokenError};
pub use service_url::{ServiceUrl, ServiceUrlError};
pub use timestamp_authority::{Timestamp, TimestampAuthority};
pub use transparency_log::TransparencyLog;
