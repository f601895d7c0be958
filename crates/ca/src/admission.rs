//! From a request to what will be certified: an identity, a key, and the proof that they belong
//! together. Everything here costs CPU time and nothing waits, so it runs as one job.

use crypto::PublicKey;
use identity::{Principal, UnverifiedClaims};
use x509::{lint, proof};

use crate::{
    ClaimedKey, EncodedKey, IssueError, audit,
    oidc::{Issuer, VerifyingKey},
};

/// An identity that showed a valid token and holds the key.
pub(crate) struct Admitted {
    pub(crate) principal: Principal,
    pub(crate) public_key: PublicKey,
}

/// Verifies the token, then that the key is sound and held by whoever holds the token.
pub(crate) fn admit(
    token: UnverifiedClaims,
    issuer: &Issuer,
    keys: &[VerifyingKey],
    key: &ClaimedKey,
    now: u64,
) -> Result<Admitted, IssueError> {
    let algorithm = token.algorithm();
    let verified = token.verify(&issuer.config, now, |message, signature| {
        keys.iter().any(|key| key.verifies(algorithm, message, signature))
    })?;
    let principal = verified.principal(&issuer.config)?;
    audit::dry_run(&verified, &issuer.config, &principal);
    let public_key = match key {
        ClaimedKey::Proven { public_key, proof_of_possession } => {
            proven_key(public_key, proof_of_possession, &principal)?
        }
        ClaimedKey::CertificateSigningRequest(pem) => {
            let key = proof::parse_csr(pem)?;
            lint::client_key(&key)?;
            key
        }
    };
    Ok(Admitted { principal, public_key })
}

/// Reads the key and verifies its signature over one of the token's texts. The cheap checks of
/// the key come first: a weak key's signature proves nothing.
fn proven_key(
    key: &EncodedKey,
    signature: &[u8],
    principal: &Principal,
) -> Result<PublicKey, IssueError> {
    let key = match key {
        EncodedKey::Pem(text) => PublicKey::from_pem(text)?,
        EncodedKey::Der(der) => PublicKey::from_spki_der(der)?,
    };
    lint::client_key(&key)?;
    let proven = principal
        .challenges
        .iter()
        .any(|challenge| proof::verify_challenge(&key, challenge, signature).is_ok());
    if proven { Ok(key) } else { Err(IssueError::Proof) }
}
