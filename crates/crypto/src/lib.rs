//! Keys, signature verification and the one trait by which everything is signed.
//!
//! The only crate that touches the cryptographic backend (AWS-LC) and its
//! random generator. It knows `SubjectPublicKeyInfo`, PKCS#8 and the signature
//! algorithms of the Sigstore algorithm registry, and nothing of certificates.
//!
//! It refuses to: parse SEC1 or encrypted private keys, accept RSA below 2048
//! or above 4096 bits for client keys, accept curve points that are not on
//! their curve (AWS-LC checks on parsing).
//!
//! - [`PublicKey`]: a parsed SPKI that verifies messages and digests.
//! - [`Signer`]: how CA, CT, Rekor, TSA and TUF sign; [`LocalSigner`] holds its key in memory.
//! - [`digest`], [`Hasher`], [`random_bytes`]: hashing and randomness.

mod digest;
mod local;
mod public_key;
mod signer;

pub use digest::{HashAlgorithm, Hasher, digest, sha256};
pub use local::LocalSigner;
pub use public_key::{KeyError, KeyType, PublicKey, SignatureAlgorithm, SignatureError};
pub use signer::{SignNow, Signer, SignerError};

/// Returns `N` bytes from the backend's cryptographic random generator.
///
/// # Panics
/// When the operating system gives no randomness; nothing safe can follow.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    #[expect(clippy::expect_used, reason = "no secret may be made without randomness")]
    // Invariant: AWS-LC aborts by itself when the system generator fails; an error cannot be met here.
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random generator must work");
    bytes
}
