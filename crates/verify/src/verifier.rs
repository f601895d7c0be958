use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use crypto::{KeyType, PublicKey};
use entry::rekor2;
use provenance::{CertificateClaims, Statement};
use wire::bundle::BundleContent;
use x509::LeafView;

use crate::{
    Artifact, Check, IdentityPolicy, LoggedAt, PinnedCertificate, SignerIdentity, SigningTime,
    Trust, UnverifiedBundle, VerifyError, certificate,
    check::Failing,
    log::{self, Logged},
    second,
    signature::{self, Signed},
    timestamp,
};

/// Who may have signed, and what makes that believable.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// The holder of a short-lived certificate: an identity, by a CA of `trust`.
    Keyless {
        /// Logs, CAs and timestamp authorities.
        trust: &'a Trust,
        /// Who.
        identity: &'a IdentityPolicy,
    },
    /// The holder of a key.
    Key {
        /// Which.
        key: &'a PublicKey,
        /// Needed when the bundle holds a log entry or timestamp, since each must be verified.
        trust: Option<&'a Trust>,
    },
    /// The holder of a certificate of the user's own CA.
    Certificate {
        /// Which, and its chain.
        certificate: &'a PinnedCertificate,
        /// As for a key.
        trust: Option<&'a Trust>,
    },
}

impl<'a> Authority<'a> {
    fn trust(&self) -> Option<&'a Trust> {
        match self {
            Self::Keyless { trust, .. } => Some(trust),
            Self::Key { trust, .. } | Self::Certificate { trust, .. } => *trust,
        }
    }
}

/// What a bundle proves.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The checks that passed, in order.
    pub checks: Vec<Check>,
    /// Who signed, by certificate; none for a key.
    pub identity: Option<SignerIdentity>,
    /// What the certificate says of the build; none for a key.
    pub claims: Option<CertificateClaims>,
    /// The key that signed.
    pub key: PublicKey,
    /// When, at least one for a certificate of Fulcio's kind.
    pub times: Vec<SigningTime>,
    /// Where it was logged.
    pub logged: Option<LoggedAt>,
    /// The signed statement; none for a signature over the artifact itself.
    pub statement: Option<Statement>,
}

/// Whether a bundle can only be verified with the artifact's bytes, not with its SHA-256 alone:
/// signatures by Ed25519, and by keys that hash otherwise.
#[must_use]
pub fn needs_artifact_bytes(bundle: &UnverifiedBundle, authority: &Authority<'_>) -> bool {
    match &bundle.bundle.content {
        BundleContent::DsseEnvelope(envelope) => {
            // A statement by SHA-512 alone, as npm writes them; read here only to choose.
            let statement = Statement::parse(envelope.payload.as_slice());
            statement.is_ok_and(|statement| {
                statement.subject().iter().any(|subject| !subject.digest.contains_key("sha256"))
            })
        }
        BundleContent::MessageSignature(message) => {
            let key = match authority {
                Authority::Key { key, .. } => Some(key.key_type()),
                Authority::Certificate { certificate, .. } => {
                    Some(certificate.leaf.public_key().key_type())
                }
                Authority::Keyless { .. } => None,
            };
            let declared = message.message_digest.as_ref().map(|digest| digest.algorithm);
            key == Some(KeyType::Ed25519) || declared != Some(wire::HashAlgorithm::Sha2_256)
        }
    }
}

/// Verifies that `bundle` is `authority`'s signature on `artifact`, at unix second `now`.
///
/// Whatever the bundle holds is checked, also what `authority` does not demand.
///
/// # Errors
/// [`VerifyError`], naming the first check that failed.
pub fn verify(
    bundle: &UnverifiedBundle,
    artifact: &Artifact<'_>,
    authority: &Authority<'_>,
    now: u64,
) -> Result<Verified, VerifyError> {
    let mut passed = vec![Check::Format];
    let signer = Signer::of(bundle, authority, &mut passed)?;
    let signed = signature::check(bundle, artifact, &signer.key, &mut passed)?;
    let times = check_times(bundle, authority.trust(), now, &mut passed)?;
    signer.check_at(&times, authority, now, &mut passed)?;
    let logged = check_log(bundle, authority, &signer, &signed, (&times, &mut passed))?;
    // It knows no pinned certificates.
    let pinned = matches!(authority, Authority::Certificate { .. });
    if let (Some(trust), false) = (authority.trust(), pinned) {
        let certified = signer.leaf.is_some();
        if second::check(bundle, artifact, &signer.key, certified, trust)? {
            passed.push(Check::SecondVerifier);
        }
    }
    let identity = signer.leaf.as_ref().map(certificate::identity_of).transpose()?;
    if let (Authority::Keyless { identity: policy, .. }, Some(found)) = (authority, &identity) {
        policy.check(found)?;
        passed.push(Check::Identity);
    }
    Ok(Verified {
        checks: passed,
        identity,
        claims: signer.leaf.as_ref().map(|leaf| certificate::claims_of(leaf.extensions())),
        key: signer.key,
        times,
        logged,
        statement: signed.statement,
    })
}

/// Whose signature it must be.
struct Signer {
    key: PublicKey,
    /// Absent for a bare key.
    leaf: Option<LeafView>,
    /// What the bundle brings beside the leaf: a part of the trusted chain.
    more: Vec<Vec<u8>>,
}

impl Signer {
    /// Takes the signer from the bundle, as far as `authority` lets it name one.
    fn of(
        bundle: &UnverifiedBundle,
        authority: &Authority<'_>,
        passed: &mut Vec<Check>,
    ) -> Result<Self, VerifyError> {
        match authority {
            Authority::Keyless { trust, .. } => {
                let certificates = bundle.certificates();
                let Some((leaf, more)) = certificates.split_first() else {
                    let reason = "the bundle is signed by a bare key, not by an identity";
                    return Err(Check::Certificate.failed(reason));
                };
                let leaf = LeafView::from_der(leaf).failing(Check::Certificate)?;
                certificate::check_issued(&leaf, more, trust)?;
                let more = more.iter().map(|der| der.to_vec()).collect();
                Ok(Self { key: leaf.public_key().clone(), leaf: Some(leaf), more })
            }
            Authority::Key { key, .. } => {
                check_hint(bundle, key)?;
                passed.push(Check::PublicKey);
                Ok(Self { key: (*key).clone(), leaf: None, more: Vec::new() })
            }
            Authority::Certificate { certificate, .. } => {
                let leaf = certificate.leaf.clone();
                match bundle.certificates().as_slice() {
                    [] => check_hint(bundle, leaf.public_key())?,
                    [own] if *own == leaf.der() => {}
                    _ => return Err(Check::Certificate.failed("the bundle holds another one")),
                }
                Ok(Self { key: leaf.public_key().clone(), leaf: Some(leaf), more: Vec::new() })
            }
        }
    }

    /// Checks the certificate at the times of signing.
    fn check_at(
        &self,
        times: &[SigningTime],
        authority: &Authority<'_>,
        now: u64,
        passed: &mut Vec<Check>,
    ) -> Result<(), VerifyError> {
        match (authority, &self.leaf) {
            (Authority::Certificate { certificate, .. }, _) => {
                let mut at: Vec<u64> = times.iter().map(|time| time.at).collect();
                if at.is_empty() {
                    // Nothing proves when it was made, so the certificate must hold today.
                    at.push(now);
                }
                certificate.check_at(&at)?;
                passed.push(Check::Certificate);
            }
            (Authority::Keyless { trust, .. }, Some(leaf)) => {
                let more: Vec<&[u8]> = self.more.iter().map(Vec::as_slice).collect();
                let issuer = certificate::check_at_times(leaf, &more, trust, times)?;
                passed.push(Check::Certificate);
                certificate::check_sct(leaf, &issuer, trust)?;
                passed.push(Check::Sct);
            }
            _ => {}
        }
        Ok(())
    }

    /// What stands for the signer in a log entry of this bundle.
    fn verifier(&self, bundle: &UnverifiedBundle) -> Result<rekor2::Verifier, VerifyError> {
        match bundle.certificates().first() {
            Some(leaf) => rekor2::Verifier::from_certificate(leaf).failing(Check::LogEntry),
            None => Ok(rekor2::Verifier::from_public_key(&self.key)),
        }
    }
}

/// Checks that the bundle names `key`, in one of the ways in which clients write its SHA-256.
fn check_hint(bundle: &UnverifiedBundle, key: &PublicKey) -> Result<(), VerifyError> {
    let Some(hint) = bundle.key_hint() else {
        let reason = "the bundle is signed by a certificate, not by a bare key";
        return Err(Check::PublicKey.failed(reason));
    };
    let hash = key.spki_sha256();
    let spellings = [STANDARD.encode(hash), format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))];
    if spellings.iter().any(|spelling| spelling == hint) {
        Ok(())
    } else {
        Err(Check::PublicKey.failed("the bundle names another key"))
    }
}

fn check_times(
    bundle: &UnverifiedBundle,
    trust: Option<&Trust>,
    now: u64,
    passed: &mut Vec<Check>,
) -> Result<Vec<SigningTime>, VerifyError> {
    let mut times = Vec::new();
    if !bundle.timestamps().is_empty() {
        let trust = trust.ok_or_else(|| no_trust(Check::Timestamp))?;
        times = timestamp::check(bundle, trust, now)?;
        passed.push(Check::Timestamp);
    }
    if let Some(entry) = bundle.log_entry() {
        times.extend(log::promised_time(entry, now)?);
    }
    Ok(times)
}

fn check_log(
    bundle: &UnverifiedBundle,
    authority: &Authority<'_>,
    signer: &Signer,
    signed: &Signed,
    (times, passed): (&[SigningTime], &mut Vec<Check>),
) -> Result<Option<LoggedAt>, VerifyError> {
    let Some(entry) = bundle.log_entry() else {
        return match authority {
            Authority::Keyless { .. } => Err(Check::LogEntry
                .failed("the bundle has none, so nobody else has seen the signature")),
            _ => Ok(None),
        };
    };
    let trust = authority.trust().ok_or_else(|| no_trust(Check::LogEntry))?;
    let verifier = signer.verifier(bundle)?;
    let logged = Logged { bundle, verifier: &verifier, digest: &signed.digest };
    let at = log::check_entry(entry, &logged, trust, passed)?;
    log::check_log_at(entry, trust, times)?;
    Ok(Some(at))
}

fn no_trust(check: Check) -> VerifyError {
    check.failed("the bundle holds one, and no trusted root was given to verify it by")
}
