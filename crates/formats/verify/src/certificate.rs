use moment::UnixSeconds;
use provenance::CertificateClaims;
use thiserror::Error;
use x509::{FulcioExtensions, LeafView, PathError, verify_leaf_chain};

use crate::{
    Cause, Check, InstanceKind, SignerIdentity, SigningTime, Trust, VerifyError,
    check::{Failing, in_full, rfc3339},
    trust::TrustedCa,
};

/// Most certificates of a chain that the user pins.
const MAX_PINNED_CHAIN: usize = 8;

/// A certificate of the user's own CA, with the chain that makes it one.
#[derive(Debug)]
pub struct PinnedCertificate {
    pub(crate) leaf: LeafView,
    intermediates: Vec<Vec<u8>>,
    root: Vec<u8>,
}

impl PinnedCertificate {
    /// Reads the PEM of a signing certificate and of its chain, which ends in the trusted root.
    ///
    /// # Errors
    /// [`PinnedCertificateError`].
    pub fn from_pem(certificate: &str, chain: &str) -> Result<Self, PinnedCertificateError> {
        let certificates = x509::from_pem(certificate)?;
        let [leaf] = certificates.as_slice() else {
            return Err(PinnedCertificateError::NotOne(certificates.len()));
        };
        let mut intermediates = x509::from_pem(chain)?;
        if intermediates.len() > MAX_PINNED_CHAIN {
            return Err(PinnedCertificateError::ChainTooLong);
        }
        // Files with the whole chain begin with the certificate itself.
        intermediates.retain(|certificate| certificate != leaf);
        let root = intermediates.pop().ok_or(PinnedCertificateError::NoChain)?;
        Ok(Self { leaf: LeafView::from_der(leaf)?, intermediates, root })
    }

    /// Checks the chain at every one of `times`.
    pub(crate) fn check_at(&self, times: &[UnixSeconds]) -> Result<(), VerifyError> {
        for at in times {
            verify_leaf_chain(self.leaf.der(), &self.intermediates, &[&self.root], *at).map_err(
                |error| {
                    // Nothing of the bundle is judged here.
                    let late = error.is_about_time();
                    let cause = if late { Cause::OutsideValidity } else { Cause::Pinned };
                    Check::Certificate.failed_by(cause, in_full(&error))
                },
            )?;
        }
        Ok(())
    }
}

/// Why a certificate cannot be pinned.
#[derive(Debug, Error)]
pub enum PinnedCertificateError {
    /// In the file of the certificate or in that of its chain.
    #[error("not PEM certificates: {0}")]
    Pem(#[from] x509::PemError),
    /// The chain has a file of its own.
    #[error("{0} certificates were given where one is needed")]
    NotOne(usize),
    /// Nothing says what makes the certificate trusted.
    #[error("the chain has no certificate")]
    NoChain,
    /// More than eight.
    #[error("the chain has too many certificates")]
    ChainTooLong,
    /// Not a certificate that can sign.
    #[error("the signing certificate is not acceptable: {0}")]
    Leaf(#[from] x509::LeafError),
}

/// Checks that a trusted CA issued `leaf`, `brought` being what the bundle brings beside it.
///
/// What is brought is compared with the trusted chain, and never leads to one. The time is the
/// leaf's own first second: whether that was the time of signing is [`check_at_times`]' question,
/// and so a changed certificate is told from a late one.
pub(crate) fn check_brought(
    leaf: &LeafView,
    brought: &[&[u8]],
    trust: &Trust,
) -> Result<(), VerifyError> {
    let issuers = issuers_of(leaf, trust, leaf.not_before())?;
    // What is beside the leaf must be that chain: else it could say anything.
    if issuers.iter().any(|issuer| issuer.begins_with(brought)) {
        Ok(())
    } else {
        Err(Check::Certificate.failed("the bundle's chain is not the trusted one"))
    }
}

/// Checks the leaf, and that its CA was trusted, at every signing time; gives the issuer's DER.
pub(crate) fn check_at_times<'a>(
    leaf: &LeafView,
    trust: &'a Trust,
    times: &[SigningTime],
) -> Result<&'a [u8], VerifyError> {
    let mut issuing = None;
    for time in times {
        let at = time.at;
        if !(leaf.not_before()..=leaf.not_after()).contains(&at) {
            let (from, to) = (rfc3339(leaf.not_before()), rfc3339(leaf.not_after()));
            let at = rfc3339(at);
            return Err(Check::Certificate.failed_by(
                Cause::OutsideValidity,
                format!(
                    "the signature was made at {at}, the certificate was valid from {from} to {to}"
                ),
            ));
        }
        let issuers = issuers_of(leaf, trust, at)?;
        let issuer = issuers.iter().find(|issuer| issuer.window.contains(at)).ok_or_else(|| {
            let reason = format!("the CA was not to be trusted at {}", rfc3339(at));
            Check::Certificate.failed_by(Cause::OutsideValidity, reason)
        })?;
        issuing = issuer.chain.first();
    }
    issuing.map(Vec::as_slice).ok_or_else(|| {
        let reason = "nothing that the bundle holds proves when the signature was made";
        Check::Timestamp.failed_by(Cause::Incomplete, reason)
    })
}

/// Checks that a CA of `trust` issued `leaf` and a CT log of `trust` gave an SCT for it, at the
/// first second of the leaf: what a signer must know before anything is signed under it.
///
/// # Errors
/// [`Check::Certificate`], [`Check::Sct`].
pub fn check_issued(leaf: &LeafView, trust: &Trust) -> Result<(), VerifyError> {
    let issuers = issuers_of(leaf, trust, leaf.not_before())?;
    let issuer = issuers.first().and_then(|issuer| issuer.chain.first());
    check_sct(leaf, issuer.map_or(&[], Vec::as_slice), trust)
}

/// Checks that exactly one SCT is in the leaf, by a CT log trusted at that time.
pub(crate) fn check_sct(leaf: &LeafView, issuer: &[u8], trust: &Trust) -> Result<(), VerifyError> {
    let sct = x509::single_embedded_sct(leaf.der()).failing(Check::Sct)?;
    let log = trust.ct_log(&sct.log_id).ok_or_else(|| {
        let reason = "the SCT is by a CT log that is not trusted";
        trust.lacks(InstanceKind::CtLog, Check::Sct, reason)
    })?;
    if !log.window.contains(sct.timestamp.to_seconds()) {
        let reason = "the CT log was not to be trusted at the time of its SCT";
        return Err(Check::Sct.failed_by(Cause::OutsideValidity, reason));
    }
    x509::verify_embedded_sct(leaf.der(), issuer, &log.key).failing(Check::Sct)?;
    Ok(())
}

/// Who the certificate says the signer is: Fulcio's certificates have exactly one name.
pub(crate) fn identity_of(leaf: &LeafView) -> Result<SignerIdentity, VerifyError> {
    let subject = leaf.subject_alternative_name().failing(Check::Certificate)?;
    Ok(SignerIdentity {
        subject: subject.as_str().to_owned(),
        issuer: leaf.extensions().issuer.clone(),
    })
}

/// The same of a certificate that the user pinned: those of a company's own PKI may have another
/// kind of name, several, or a common name alone, and are believed for being the pinned ones.
pub(crate) fn pinned_identity_of(leaf: &LeafView) -> Option<SignerIdentity> {
    identity_of(leaf)
        .ok()
        .or_else(|| Some(SignerIdentity { subject: leaf.subject_common_name()?, issuer: None }))
}

/// What the certificate says of the build.
pub(crate) fn claims_of(extensions: &FulcioExtensions) -> CertificateClaims {
    CertificateClaims {
        issuer: extensions.issuer.clone(),
        build_signer_uri: extensions.build_signer_uri.clone(),
        runner_environment: extensions.runner_environment.clone(),
        source_repository_uri: extensions.source_repository_uri.clone(),
        source_repository_digest: extensions.source_repository_digest.clone(),
        source_repository_ref: extensions.source_repository_ref.clone(),
        source_repository_owner_uri: extensions.source_repository_owner_uri.clone(),
        build_config_uri: extensions.build_config_uri.clone(),
    }
}

/// The trusted CAs that issued the leaf, valid at `at`: each by its own chain and no other, and
/// its issuing CA alone. Several are one CA listed for several periods.
///
/// A root signs for more than one CA: a department's, a retired one's, a stolen one's. So nothing
/// but what the trusted root lists as one entry ever makes a path.
fn issuers_of<'a>(
    leaf: &LeafView,
    trust: &'a Trust,
    at: UnixSeconds,
) -> Result<Vec<&'a TrustedCa>, VerifyError> {
    let mut issuers = Vec::new();
    let mut failed = None;
    for ca in trust.authorities() {
        let Some(issuing) = ca.issuing().filter(|issuing| issuing.is_named_by(leaf)) else {
            continue;
        };
        match check_path(leaf, ca, at) {
            Ok(()) => issuers.push(ca),
            // Another instance of the same names.
            Err(_) if issuing.has_another_key_than(leaf) => {}
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        _ if !issuers.is_empty() => Ok(issuers),
        Some(error) => Err(error),
        None => {
            let reason = "no trusted CA issued the certificate";
            Err(trust.lacks(InstanceKind::CertificateAuthority, Check::Certificate, reason))
        }
    }
}

fn check_path(leaf: &LeafView, ca: &TrustedCa, at: UnixSeconds) -> Result<(), VerifyError> {
    let Some((root, intermediates)) = ca.chain.split_last() else {
        return Err(Check::Certificate.failed("the CA has no certificate"));
    };
    let chain = verify_leaf_chain(leaf.der(), intermediates, &[root], at)
        .map_err(|error| Check::Certificate.failed_by(cause_of(&error), reason_of(&error, at)))?;
    if chain.certificates() == ca.chain {
        Ok(())
    } else {
        let reason = "another CA of the chain than its issuing CA signed it";
        Err(Check::Certificate.failed_by(Cause::OtherInstance, reason))
    }
}

/// Why there is no path, for people.
fn reason_of(error: &PathError, at: UnixSeconds) -> String {
    if error.is_about_time() {
        return format!("a certificate of the chain was not valid at {}", rfc3339(at));
    }
    in_full(error)
}

/// What explains that there is no path below the very CA that the leaf names.
fn cause_of(error: &PathError) -> Cause {
    match error {
        error if error.is_about_time() => Cause::OutsideValidity,
        PathError::Authority(_) | PathError::MayNotSignCertificates => Cause::Unsupported,
        _ => Cause::Altered,
    }
}
