//! Keys, signature verification and the one trait by which everything is signed.
//!
//! The only crate that touches the cryptographic backend (AWS-LC) and its
//! random generator. It knows `SubjectPublicKeyInfo`, PKCS#8 and the signature
//! algorithms of the Sigstore algorithm registry, and nothing of certificates.
//!
//! It refuses to: parse SEC1 or encrypted private keys, accept RSA below 2048
//! or above 4096 bits for client keys, accept curve points that are not on
//! their curve (AWS-LC checks on parsing), keys in a second spelling, and keys
//! under which a signature says nothing: Ed25519 of small order, RSA with an
//! exponent of 1.
//!
//! - [`PublicKey`]: a parsed SPKI that verifies messages and digests.
//! - [`AuthorityKey`]: the same for keys of CAs and timestamp authorities, RSA up to 8192 bits.
//! - [`SignatureAlgorithm`]: the table of what is verified, by identifier and key.
//! - [`Signer`]: how CA, CT, Rekor, TSA and TUF sign; [`LocalSigner`] holds its key in memory.
//! - [`Unsigned`]: what waits for a signature, and takes none that does not verify.
//! - [`ScramVerifier`]: what a database keeps of a password.
//! - [`digest`], [`Hasher`], [`random_bytes`]: hashing and randomness.

mod authority_key;
mod digest;
mod local;
mod public_key;
mod scram;
mod signature_algorithm;
mod signer;
mod soundness;
mod unsigned;

pub use authority_key::{AuthorityKey, KeyFamily};
pub use digest::{HashAlgorithm, Hasher, digest, sha256};
pub use local::LocalSigner;
pub use public_key::{KeyError, KeyType, PublicKey, SignatureError};
pub use scram::ScramVerifier;
pub use signature_algorithm::SignatureAlgorithm;
pub use signer::{SignNow, Signer, SignerError};
pub use unsigned::{Unsigned, Unverified};

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
