use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use crypto::{KeyType, PublicKey};
use entry::rekor2;
use moment::UnixSeconds;
use provenance::{CertificateClaims, Statement};
use wire::bundle::BundleContent;
use x509::{FulcioExtensions, LeafView};

use crate::{
    Artifact, Cause, Check, IdentityPolicy, LoggedAt, PinnedCertificate, SignerIdentity,
    SigningTime, Trust, UnverifiedBundle, VerifyError, certificate,
    check::Failing,
    log,
    signature::{self, Signed},
    timestamp,
};

/// Who must have signed, and what makes that believable.
#[derive(Clone, Copy, Debug)]
pub enum ExpectedSigner<'a> {
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

impl<'a> ExpectedSigner<'a> {
    fn trust(&self) -> Option<&'a Trust> {
        match self {
            Self::Keyless { trust, .. } => Some(trust),
            Self::Key { trust, .. } | Self::Certificate { trust, .. } => *trust,
        }
    }
}

/// Under what conditions a bundle is taken.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'a> {
    /// The time by this machine's clock; it may be [`MAX_CLOCK_SKEW`] behind others'.
    pub now: UnixSeconds,
    /// How many timestamp authorities must have stamped the signature. When it is not said, one
    /// proof of time is demanded for a certificate of Fulcio's kind, by an authority or a log.
    pub min_timestamps: Option<usize>,
    /// How many logs must have shown the signature; never less than one for a certificate of
    /// Fulcio's kind.
    pub min_logs: Option<usize>,
    /// A name of the demanded key that the bundle may give in place of the key's digest.
    pub key_name: Option<&'a str>,
}

impl Conditions<'_> {
    /// The usual ones, at `now`.
    #[must_use]
    pub const fn at(now: UnixSeconds) -> Self {
        Self { now, min_timestamps: None, min_logs: None, key_name: None }
    }
}

/// How far another's clock may be ahead of this machine's: else what was signed just
/// now would fail where the clock is a little behind.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// What a bundle proves.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The checks that passed, in order.
    pub checks: Vec<Check>,
    /// Who signed, by certificate; none for a key, and for a pinned certificate that names nobody.
    pub identity: Option<SignerIdentity>,
    /// What the certificate says of the build; none for a key.
    pub claims: Option<CertificateClaims>,
    /// All that the certificate says beside its name; none for a key.
    pub extensions: Option<FulcioExtensions>,
    /// The key that signed.
    pub key: PublicKey,
    /// When, at least one for a certificate of Fulcio's kind.
    pub times: Vec<SigningTime>,
    /// Where it was logged: one for each trusted log.
    pub logged: Vec<LoggedAt>,
    /// What was passed over, for want of trust in who made it.
    pub passed_over: PassedOver,
    /// The signed statement; none for a signature over the artifact itself.
    pub statement: Option<Statement>,
}

/// Evidence by others than the trusted root lists, beside evidence that sufficed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Timestamps of unknown authorities.
    pub timestamps: usize,
    /// Entries of unknown logs.
    pub log_entries: usize,
}

/// Whether a bundle can only be verified with the artifact's bytes, not with its SHA-256 alone:
/// signatures by Ed25519, and by keys that hash otherwise.
#[must_use]
pub fn needs_artifact_bytes(bundle: &UnverifiedBundle, expected: &ExpectedSigner<'_>) -> bool {
    match &bundle.bundle.content {
        BundleContent::DsseEnvelope(envelope) => {
            // A statement by SHA-512 alone, as npm writes them; read here only to choose.
            let statement = Statement::parse(envelope.payload.as_slice());
            statement.is_ok_and(|statement| {
                statement.subject().iter().any(|subject| !subject.digest.contains_key("sha256"))
            })
        }
        BundleContent::MessageSignature(message) => {
            let key = match expected {
                ExpectedSigner::Key { key, .. } => Some(key.key_type()),
                ExpectedSigner::Certificate { certificate, .. } => {
                    Some(certificate.leaf.public_key().key_type())
                }
                ExpectedSigner::Keyless { .. } => None,
            };
            let declared = message.message_digest.as_ref().map(|digest| digest.algorithm);
            key == Some(KeyType::Ed25519) || declared != Some(wire::HashAlgorithm::Sha2_256)
        }
    }
}

/// Verifies that `bundle` is the signature of `expected` on `artifact`.
///
/// Whatever the bundle holds is checked, also what `expected` does not demand; evidence by logs
/// and authorities that are not listed is passed over where listed ones suffice.
///
/// # Errors
/// [`VerifyError`], naming the first check that failed and what explains it.
pub fn verify(
    bundle: &UnverifiedBundle,
    artifact: &Artifact<'_>,
    expected: &ExpectedSigner<'_>,
    conditions: &Conditions<'_>,
) -> Result<Verified, VerifyError> {
    let mut passed = vec![Check::Format];
    let signer = Signer::of(bundle, expected, conditions, &mut passed)?;
    let signed = signature::check(bundle, artifact, &signer.key, &mut passed)
        .map_err(|error| signer.or_another_key(bundle, error))?;
    let evidence = Evidence::of(bundle, expected, &signer, &signed, (conditions, &mut passed))?;
    signer.check_at(&evidence.times, expected, conditions.now, &mut passed)?;
    if let Some(trust) = expected.trust() {
        log::check_at_times(bundle, trust, &evidence.times, conditions.now)?;
    }
    let identity = match (expected, &signer.leaf) {
        (ExpectedSigner::Keyless { identity: policy, .. }, Some(leaf)) => {
            let found = certificate::identity_of(leaf)?;
            policy.check(&found)?;
            passed.push(Check::Identity);
            Some(found)
        }
        (_, leaf) => leaf.as_ref().and_then(certificate::pinned_identity_of),
    };
    Ok(Verified {
        checks: passed,
        identity,
        claims: signer.leaf.as_ref().map(|leaf| certificate::claims_of(leaf.extensions())),
        extensions: signer.leaf.as_ref().map(|leaf| leaf.extensions().clone()),
        key: signer.key,
        times: evidence.times,
        logged: evidence.logged,
        passed_over: evidence.passed_over,
        statement: signed.statement,
    })
}

/// Whose signature it must be.
struct Signer {
    key: PublicKey,
    /// Absent for a bare key.
    leaf: Option<LeafView>,
}

impl Signer {
    /// Takes the signer from the bundle, as far as `expected` lets it name one.
    fn of(
        bundle: &UnverifiedBundle,
        expected: &ExpectedSigner<'_>,
        conditions: &Conditions<'_>,
        passed: &mut Vec<Check>,
    ) -> Result<Self, VerifyError> {
        match expected {
            ExpectedSigner::Keyless { trust, .. } => {
                let certificates = bundle.certificates();
                let Some((leaf, brought)) = certificates.split_first() else {
                    let reason = "the bundle is signed by a bare key, not by an identity";
                    return Err(Check::Certificate.failed_by(Cause::OtherSigningMethod, reason));
                };
                let leaf = LeafView::from_der(leaf).failing(Check::Certificate)?;
                certificate::check_brought(&leaf, brought, trust)?;
                Ok(Self { key: leaf.public_key().clone(), leaf: Some(leaf) })
            }
            ExpectedSigner::Key { key, .. } => {
                check_hint(bundle, key, conditions.key_name)?;
                passed.push(Check::PublicKey);
                Ok(Self { key: (*key).clone(), leaf: None })
            }
            ExpectedSigner::Certificate { certificate, .. } => {
                let leaf = certificate.leaf.clone();
                match bundle.certificates().as_slice() {
                    [] => check_hint(bundle, leaf.public_key(), conditions.key_name)?,
                    [own] if *own == leaf.der() => {}
                    _ => {
                        let reason = "the bundle holds another one";
                        return Err(Check::Certificate.failed_by(Cause::OtherSigner, reason));
                    }
                }
                Ok(Self { key: leaf.public_key().clone(), leaf: Some(leaf) })
            }
        }
    }

    /// Checks the certificate at the times of signing.
    fn check_at(
        &self,
        times: &[SigningTime],
        expected: &ExpectedSigner<'_>,
        now: UnixSeconds,
        passed: &mut Vec<Check>,
    ) -> Result<(), VerifyError> {
        match (expected, &self.leaf) {
            (ExpectedSigner::Certificate { certificate, .. }, _) => {
                let mut at: Vec<UnixSeconds> = times.iter().map(|time| time.at).collect();
                if at.is_empty() {
                    // Nothing proves when it was made, so the certificate must hold today.
                    at.push(now);
                }
                certificate.check_at(&at)?;
                passed.push(Check::Certificate);
            }
            (ExpectedSigner::Keyless { trust, .. }, Some(leaf)) => {
                let issuer = certificate::check_at_times(leaf, trust, times)?;
                passed.push(Check::Certificate);
                certificate::check_sct(leaf, issuer, trust)?;
                passed.push(Check::Sct);
            }
            _ => {}
        }
        Ok(())
    }

    /// A signature that fails may be of another key, where the bundle names its key in another way
    /// than by a digest.
    fn or_another_key(&self, bundle: &UnverifiedBundle, error: VerifyError) -> VerifyError {
        let untied = bundle.key_hint().is_some_and(|hint| !is_digest_of(&self.key, hint));
        if error.check == Check::Signature && error.cause == Cause::Altered && untied {
            return VerifyError { cause: Cause::OtherSigner, ..error };
        }
        error
    }

    /// What stands for the signer in a log entry of this bundle.
    fn verifier(&self, bundle: &UnverifiedBundle) -> Result<rekor2::Verifier, VerifyError> {
        match bundle.certificates().first() {
            Some(leaf) => rekor2::Verifier::from_certificate(leaf).failing(Check::LogEntry),
            None => Ok(rekor2::Verifier::from_public_key(&self.key)),
        }
    }
}

/// Checks that the bundle names `key`.
///
/// Nobody signs a hint, so it must be seen to be of the key: a digest in one of the spellings that
/// clients use, the name that the user gave, or one that the envelope repeats as its key id (npm
/// names its keys so; Rekor v1 logs that id).
fn check_hint(
    bundle: &UnverifiedBundle,
    key: &PublicKey,
    name: Option<&str>,
) -> Result<(), VerifyError> {
    let Some(hint) = bundle.key_hint() else {
        let reason = "the bundle is signed by a certificate, not by a bare key";
        return Err(Check::PublicKey.failed_by(Cause::OtherSigningMethod, reason));
    };
    let is_digest = is_digest_of(key, hint);
    let is_repeated = !hint.is_empty() && bundle.key_id() == Some(hint);
    if is_digest || is_repeated || name == Some(hint) {
        return Ok(());
    }
    let reason = format!("the bundle names key `{hint}`, which is no digest of the demanded key");
    Err(Check::PublicKey.failed_by(Cause::OtherSigner, reason))
}

fn is_digest_of(key: &PublicKey, hint: &str) -> bool {
    let digests = [key.spki_sha256(), crypto::sha256(key.to_pem().as_bytes())];
    digests.iter().flat_map(spellings).any(|spelling| spelling == hint)
}

/// The spellings of a SHA-256 that clients use: base64 (cosign, sigstore-go), hex, and with the
/// algorithm before it (OpenSSH, npm).
fn spellings(digest: &[u8; 32]) -> [String; 5] {
    let hex = hex::encode(digest);
    let unpadded = STANDARD_NO_PAD.encode(digest);
    [
        STANDARD.encode(digest),
        format!("SHA256:{unpadded}"),
        format!("sha256:{hex}"),
        format!("SHA256:{hex}"),
        hex,
    ]
}

/// Who saw the signature, and when.
#[derive(Default)]
struct Evidence {
    times: Vec<SigningTime>,
    logged: Vec<LoggedAt>,
    passed_over: PassedOver,
}

impl Evidence {
    /// Checks timestamps and log entries, and that there are as many as demanded.
    fn of(
        bundle: &UnverifiedBundle,
        expected: &ExpectedSigner<'_>,
        signer: &Signer,
        signed: &Signed,
        (conditions, passed): (&Conditions<'_>, &mut Vec<Check>),
    ) -> Result<Self, VerifyError> {
        let mut evidence = Self::default();
        let mut authorities = 0;
        if !bundle.timestamps().is_empty() {
            let trust = expected.trust().ok_or_else(|| no_trust(Check::Timestamp))?;
            let stamped = timestamp::check(bundle, trust, conditions.now)?;
            if stamped.authorities > 0 {
                passed.push(Check::Timestamp);
            }
            authorities = stamped.authorities;
            evidence.times = stamped.times;
            evidence.passed_over.timestamps = stamped.unknown;
        }
        if !bundle.log_entries().is_empty() {
            let trust = expected.trust().ok_or_else(|| no_trust(Check::LogEntry))?;
            let verifier = signer.verifier(bundle)?;
            let logged = log::Logged { bundle, verifier: &verifier, digest: &signed.digest };
            let shown = log::check(&logged, trust, conditions.now, passed)?;
            if shown.logged.is_empty() {
                return Err(log::all_unknown(trust));
            }
            evidence.times.extend(shown.times);
            evidence.logged = shown.logged;
            evidence.passed_over.log_entries = shown.unknown;
        }
        if let (Some(trust), true) = (expected.trust(), evidence.times.is_empty())
            && evidence.passed_over.timestamps > 0
        {
            return Err(timestamp::all_unknown(trust));
        }
        let least = usize::from(matches!(expected, ExpectedSigner::Keyless { .. }));
        let logs = conditions.min_logs.unwrap_or(least).max(least);
        let logs = Count { demanded: logs, found: evidence.logged.len() };
        demand(Check::LogEntry, "trusted log", logs)?;
        let demanded = conditions.min_timestamps.unwrap_or(0);
        let stamps = Count { demanded, found: authorities };
        demand(Check::Timestamp, "trusted timestamp authority", stamps)?;
        Ok(evidence)
    }
}

/// How many proofs of one kind there must be, and are.
struct Count {
    demanded: usize,
    found: usize,
}

fn demand(check: Check, what: &str, Count { demanded, found }: Count) -> Result<(), VerifyError> {
    if found >= demanded {
        return Ok(());
    }
    let reason = match found {
        0 => format!("the bundle has the word of no {what}"),
        _ => format!("the bundle has the word of {found} {what}, and {demanded} were demanded"),
    };
    Err(check.failed_by(Cause::Incomplete, reason))
}

fn no_trust(check: Check) -> VerifyError {
    let reason = "the bundle holds one, and no trusted root was given to verify it by";
    check.failed_by(Cause::NoTrust, reason)
}
