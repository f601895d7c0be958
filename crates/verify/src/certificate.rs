use provenance::CertificateClaims;
use thiserror::Error;
use x509::{FulcioExtensions, LeafView, VerifiedChain, ct, verify_leaf_chain};

use crate::{
    Check, SignerIdentity, SigningTime, Trust, VerifyError, check::Failing, trust::TrustedCa,
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
        let root = intermediates.pop().ok_or(PinnedCertificateError::NoChain)?;
        Ok(Self { leaf: LeafView::from_der(leaf)?, intermediates, root })
    }

    /// Checks the chain at every one of `times`.
    pub(crate) fn check_at(&self, times: &[u64]) -> Result<(), VerifyError> {
        for at in times {
            verify_leaf_chain(self.leaf.der(), &self.intermediates, &[&self.root], *at)
                .map_err(|error| Check::Certificate.failed(chained(&error)))?;
        }
        Ok(())
    }
}

/// Why a certificate cannot be pinned.
#[derive(Debug, Error)]
pub enum PinnedCertificateError {
    /// Not PEM of certificates.
    #[error("not PEM certificates: {0}")]
    Pem(#[from] x509::PemError),
    /// The signing certificate must be one.
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

/// Checks that a trusted CA issued `leaf`, `more` being what the bundle brings beside it.
///
/// The time is the leaf's own first second: whether that was the time of signing is
/// [`check_at_times`]' question, and so a changed certificate is told from a late one.
pub(crate) fn check_issued(
    leaf: &LeafView,
    more: &[&[u8]],
    trust: &Trust,
) -> Result<(), VerifyError> {
    let (_, chain) = trusted_chain(leaf, more, trust.authorities(), leaf.not_before())?;
    // What is beside the leaf must be the very chain: else it could say anything.
    let brought =
        more.iter().copied().eq(chain.certificates().iter().map(Vec::as_slice).take(more.len()));
    if brought {
        Ok(())
    } else {
        Err(Check::Certificate.failed("the bundle's chain is not the trusted one"))
    }
}

/// Checks the leaf, and that its CA was trusted, at every signing time; gives the issuer's DER.
pub(crate) fn check_at_times(
    leaf: &LeafView,
    more: &[&[u8]],
    trust: &Trust,
    times: &[SigningTime],
) -> Result<Vec<u8>, VerifyError> {
    let mut issuer = None;
    for time in times {
        let at = time.at;
        if !(leaf.not_before()..=leaf.not_after()).contains(&at) {
            return Err(Check::Certificate.failed(format!(
                "the signature was made at {at}, the certificate was valid from {} to {}",
                leaf.not_before(),
                leaf.not_after()
            )));
        }
        let (authority, chain) = trusted_chain(leaf, more, trust.authorities(), at)?;
        if authority.window.is_some_and(|window| !window.contains(at)) {
            return Err(Check::Certificate.failed(format!("the CA was not to be trusted at {at}")));
        }
        issuer = Some(chain.issuer().to_vec());
    }
    issuer.ok_or_else(|| Check::Timestamp.failed("nothing proves when the signature was made"))
}

/// Checks that exactly one SCT is in the leaf, by a CT log trusted at that time.
pub(crate) fn check_sct(leaf: &LeafView, issuer: &[u8], trust: &Trust) -> Result<(), VerifyError> {
    let sct = ct::single_embedded_sct(leaf.der()).failing(Check::Sct)?;
    let log = trust
        .ct_log(&sct.log_id)
        .ok_or_else(|| Check::Sct.failed("the promise is by a CT log that is not trusted"))?;
    if !log.window.contains(sct.timestamp_ms / 1000) {
        return Err(
            Check::Sct.failed("the CT log was not to be trusted at the time of its promise")
        );
    }
    ct::verify_embedded_sct(leaf.der(), issuer, &log.key).failing(Check::Sct)?;
    Ok(())
}

/// Who the certificate says the signer is.
pub(crate) fn identity_of(leaf: &LeafView) -> Result<SignerIdentity, VerifyError> {
    let subject = leaf.subject_alternative_name().failing(Check::Certificate)?;
    Ok(SignerIdentity {
        subject: subject.as_str().to_owned(),
        issuer: leaf.extensions().issuer.clone(),
    })
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

/// The first trusted CA from which a chain leads to the leaf.
fn trusted_chain<'a>(
    leaf: &LeafView,
    more: &[&[u8]],
    authorities: &'a [TrustedCa],
    at: u64,
) -> Result<(&'a TrustedCa, VerifiedChain), VerifyError> {
    let mut reason = "the trusted root has no certificate authority".to_owned();
    for authority in authorities {
        let Some((root, intermediates)) = authority.chain.split_last() else { continue };
        let intermediates: Vec<&[u8]> =
            intermediates.iter().map(Vec::as_slice).chain(more.iter().copied()).collect();
        match verify_leaf_chain(leaf.der(), &intermediates, &[root], at) {
            Ok(chain) => return Ok((authority, chain)),
            Err(error) => reason = chained(&error),
        }
    }
    Err(Check::Certificate.failed(reason))
}

/// An error with its causes, in one line.
fn chained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
