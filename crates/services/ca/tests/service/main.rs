//! The certificate authority from its socket to its log, with a real issuer of tokens and a log
//! that really checks and signs.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

extern crate ca as ca;

mod audit_trail;
mod authority;
mod cross_origin;
mod ct_log;
mod documents;
mod entries;
mod gauges;
mod grpc;
mod grpc_limits;
mod grpc_server;
mod h2_frames;
mod hostile_requests;
mod issuance;
mod issuer;
mod issuer_health;
mod jwk;
mod kept_keys;
mod key_sources;
mod keys_of_issuers;
mod limits;
mod log_failures;
mod oracle;
mod patterns;
mod proofs;
mod signer_failures;
mod stack;
mod tls_issuer;
mod token_verifier;
mod tokens;
mod v1;
