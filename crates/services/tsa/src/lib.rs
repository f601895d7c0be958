//! The RFC 3161 timestamp authority service.
//!
//! `POST /api/v1/timestamp` takes a DER request or Sigstore's JSON one and
//! answers with a `TimeStampResp` in DER; `GET /api/v1/timestamp/certchain` gives
//! the certificates as PEM. What a token looks like is crate `tsp`'s business;
//! here are the key, the clock, the policies and HTTP.
//!
//! It refuses to: stamp while its clock is behind a time that it already
//! stamped, or outside the validity of its chain; issue under a policy that is
//! not configured; start with a chain that some client would not accept.
//!
//! - [`TsaConfig`], [`Tsa`]: the use cases.
//! - [`http`]: routes. [`protocol`]: limits, and failures in this protocol's form.

mod clock_gate;
mod config;
pub mod http;
mod refusal;
mod token;
mod tsa;

pub use clock_gate::NotReady;
pub use config::{ConfigError, TsaConfig};
pub use http::protocol;
pub use tsa::Tsa;
