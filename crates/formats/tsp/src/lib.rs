//! RFC 3161 timestamp requests and tokens in strict DER.
//!
//! Both sides of the protocol: the authority parses a request, prepares a
//! token, and finishes it with a signature; a client builds a request and
//! verifies the response against a chain that it already trusts. RFC 3161,
//! updated by RFC 5816 (`ESSCertIDv2`), over CMS (RFC 5652).
//!
//! Tokens have one profile, the one that every Sigstore client and OpenSSL
//! accept: ECDSA P-256 with SHA-256 or P-384 with SHA-384, issuer and serial
//! number, whole-second `genTime`, accuracy of one second, only the leaf
//! embedded and only when asked for, `ESSCertIDv2` with SHA-256, signed
//! attributes in DER order, no `signingTime`, defaults omitted.
//!
//! It refuses to: read BER, stamp SHA-1, copy extensions from a request,
//! answer `grantedWithMods`, trust a certificate because a token carries it,
//! or overlook bytes of a response that nothing authenticates.
//!
//! - [`TimestampRequest`], [`MessageImprint`], [`Nonce`], [`PolicyOid`]: what is asked.
//! - [`TsaChain`]: the authority's certificates and the checks on them.
//! - [`TokenProfile`] to [`UnsignedToken`] to [`TimestampResponse`]: what is granted.
//! - [`FailInfo`], [`rejection`]: what is refused.
//! - [`verify_response`], [`VerifiedTimestamp`]: the client's side.

mod certificate;
mod chain;
mod der_reader;
mod der_writer;
mod fail_info;
mod imprint;
mod nonce;
mod oid;
mod policy;
mod request;
mod response;
mod serial;
mod time;
mod token;
mod verify;

pub use chain::{ChainError, IntermediateUsage, TsaChain, ValidityPeriod};
pub use fail_info::{FailInfo, rejection};
pub use imprint::{ImprintError, MessageImprint};
pub use nonce::{Nonce, NonceError};
pub use policy::{PolicyError, PolicyOid};
pub use request::{RequestError, TimestampRequest};
pub use response::{MalformedResponse, Rejection};
pub use serial::SerialNumber;
pub use token::{TimestampResponse, TokenError, TokenProfile, UnsignedToken};
pub use verify::{VerifiedTimestamp, VerifyError, verify_response, verify_response_by};
