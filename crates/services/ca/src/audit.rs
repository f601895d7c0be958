//! The trail of every use of the CA's key: an event before and after each signature.
//!
//! Fields name what is certified; tokens, keys and other claims never appear.

use identity::{IssuerConfig, Principal, VerifiedClaims};
use signing::{KeyUse, Record};
use tracing::{info, warn};
use x509::LeafProfile;

use crate::record::CertificateFacts;

/// Says of a token that is granted that `dry_run_claims` would refuse it, once they are
/// `required_claims`; and for which claim, but not its value.
pub(crate) fn dry_run(verified: &VerifiedClaims, issuer: &IssuerConfig, principal: &Principal) {
    if let Some(claim) = verified.dry_run(issuer) {
        warn!(
            target: "audit",
            {
                ca.issuer = verified.issuer(),
                ca.subject = principal.extensions.token_subject.as_deref().unwrap_or_default(),
                ca.subject_alternative_name = principal.san.as_str(),
                ca.claim = claim,
            },
            "dry run: claim `{claim}` is not what dry_run_claims demand; the token is granted"
        );
    }
}

/// The fields of one issuance, rendered once.
pub(crate) struct Trail {
    issuer: String,
    subject: String,
    subject_alternative_name: String,
    serial_number: String,
    key_sha256: String,
}

impl Trail {
    pub(crate) fn new(profile: &LeafProfile) -> Self {
        let extensions = &profile.extensions;
        Self {
            issuer: extensions.issuer.clone().unwrap_or_default(),
            subject: extensions.token_subject.clone().unwrap_or_default(),
            subject_alternative_name: profile.subject_alternative_name.as_str().to_owned(),
            serial_number: hex::encode(profile.serial_number),
            key_sha256: hex::encode(profile.public_key.spki_sha256()),
        }
    }

    /// What the request's own line says of the certificate.
    pub(crate) fn certificate(&self) -> CertificateFacts {
        CertificateFacts {
            serial_number: self.serial_number.clone(),
            subject_alternative_name: self.subject_alternative_name.clone(),
        }
    }
}

impl Record for Trail {
    fn write(&self, KeyUse { phase, signs, key_id }: KeyUse<'_>) {
        info!(
            target: "audit",
            {
                ca.step = phase.as_str(),
                ca.signs = signs,
                ca.issuer = self.issuer,
                ca.subject = self.subject,
                ca.subject_alternative_name = self.subject_alternative_name,
                ca.serial_number = self.serial_number,
                ca.key_sha256 = self.key_sha256,
                ca.signer = key_id,
            },
            "certificate authority key in use"
        );
    }
}
