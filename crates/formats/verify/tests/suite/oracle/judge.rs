//! `sigstore-verify`, the Rust library of the Sigstore project: another team's code over the same
//! bytes. It shares no parsing with us; nothing of it is in what ships.

use sigstore_verify::{
    PublicKeyVerificationPolicy, VerificationPolicy, Verifier,
    trust_root::TrustedRoot,
    types::{Artifact, Bundle, DerPublicKey},
};

/// Who must have signed.
#[derive(Clone, Copy)]
pub(crate) enum Signer<'a> {
    /// An identity and its issuer; anybody whom a trusted CA certified where it is none.
    Certified(Option<(&'a str, &'a str)>),
    /// The holder of a key: DER of its `SubjectPublicKeyInfo`, and whether a log must have seen it.
    Key(&'a [u8], bool),
}

/// Their verdict: the reason of a refusal.
pub(crate) fn judge(
    bundle: &str,
    artifact: Artifact<'_>,
    signer: Signer<'_>,
    trusted_root: &str,
) -> Result<(), String> {
    let root = TrustedRoot::from_json(trusted_root).map_err(said)?;
    let verifier = Verifier::new(&root).map_err(said)?;
    let bundle = Bundle::from_json(bundle).map_err(said)?;
    let verified = match signer {
        Signer::Certified(who) => {
            let policy = match who {
                Some((identity, issuer)) => VerificationPolicy::new(identity, issuer),
                None => VerificationPolicy::any_identity(),
            };
            verifier.verify(artifact, &bundle, &policy)
        }
        Signer::Key(spki_der, logged) => {
            let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(spki_der.to_vec()));
            let policy = if logged { policy } else { policy.skip_tlog_unsafe() };
            verifier.verify(artifact, &bundle, &policy)
        }
    };
    verified.map(drop).map_err(said)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
