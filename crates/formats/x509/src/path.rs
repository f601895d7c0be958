use moment::UnixSeconds;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::{
    AuthorityView, CertificateError, LeafError, LeafView, algorithm::path_algorithms,
    certificate::Certificate,
};

/// Most certificates that may be given as intermediates or as roots, to bound path building.
const MAX_CANDIDATES: usize = 32;

/// DER content of the object identifier [`crate::oid::CODE_SIGNING`].
const CODE_SIGNING_DER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// The certificates above a leaf, nearest issuer first, trusted root last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain(Vec<Vec<u8>>);

impl VerifiedChain {
    /// DER of the certificate that issued the leaf: what [`crate::verify_embedded_sct`] wants.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        self.0.first().map_or(&[], Vec::as_slice)
    }

    /// All certificates above the leaf, DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// Verifies that `leaf` was a code-signing certificate below one of `roots` at `at`.
///
/// RFC 5280 §6: signatures, validity of every certificate including the root, CA flags, path
/// lengths, name constraints, and extended key usage code signing, demanded of the leaf and of
/// each intermediate that restricts its usage. Precertificates never pass: their poison is an
/// unknown critical extension. Certificates are DER, in any order.
///
/// # Errors
/// [`PathError`], by what is wrong.
pub fn verify_leaf_chain<I: AsRef<[u8]>, R: AsRef<[u8]>>(
    leaf: &[u8],
    intermediates: &[I],
    roots: &[R],
    at: UnixSeconds,
) -> Result<VerifiedChain, PathError> {
    if intermediates.len() > MAX_CANDIDATES || roots.len() > MAX_CANDIDATES {
        return Err(PathError::TooManyCertificates);
    }
    LeafView::from_der(leaf)?.check_usage()?;
    let roots = valid_roots(roots, at)?;
    let anchors = roots
        .iter()
        .map(|root| anchor_from_trusted_cert(root).map_err(PathError::Path))
        .collect::<Result<Vec<TrustAnchor<'_>>, _>>()?;
    let intermediates: Vec<_> =
        intermediates.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(PathError::Path)?;
    let path = leaf
        .verify_for_usage(
            path_algorithms(),
            &anchors,
            &intermediates,
            UnixTime::since_unix_epoch(at.since_epoch()),
            // "If present": the leaf's own was demanded above, CAs may leave it out.
            KeyUsage::required_if_present(CODE_SIGNING_DER),
            None,
            None,
        )
        .map_err(PathError::Path)?;
    let mut certificates: Vec<Vec<u8>> =
        path.intermediate_certificates().map(|certificate| certificate.der().to_vec()).collect();
    let anchor = path.anchor();
    let root = anchors.iter().zip(&roots).find(|(candidate, _)| std::ptr::eq(*candidate, anchor));
    let (_, root) = root.ok_or(PathError::NoValidRoot)?;
    certificates.push(root.to_vec());
    refuse_issuers_that_may_not_issue(&certificates)?;
    Ok(VerifiedChain(certificates))
}

/// Why no chain leads from a leaf to a root.
#[derive(Debug, Error)]
pub enum PathError {
    /// More candidates than any trusted root has.
    #[error("more than {MAX_CANDIDATES} certificates were given")]
    TooManyCertificates,
    /// The leaf does not parse or is not for signing code.
    #[error("the leaf certificate is not acceptable")]
    Leaf(#[from] LeafError),
    /// A root or intermediate does not parse.
    #[error("a CA certificate is not acceptable")]
    Authority(#[source] CertificateError),
    /// No root was valid at that time.
    #[error("no trusted root was valid at that time")]
    NoValidRoot,
    /// A CA certificate whose key usage forbids signing certificates.
    #[error("a CA certificate of the chain may not sign certificates")]
    MayNotSignCertificates,
    /// No path, for the reason given.
    #[error("no valid chain leads to a trusted root")]
    Path(#[source] webpki::Error),
}

impl PathError {
    /// Whether a certificate had ended, or had not begun.
    #[must_use]
    pub fn is_about_time(&self) -> bool {
        use webpki::Error::{CertExpired, CertNotValidYet};
        matches!(self, Self::NoValidRoot | Self::Path(CertExpired { .. } | CertNotValidYet { .. }))
    }
}

/// The roots that are valid at `at`, which path building would not look at.
fn valid_roots<R: AsRef<[u8]>>(
    roots: &[R],
    at: UnixSeconds,
) -> Result<Vec<CertificateDer<'_>>, PathError> {
    let mut valid = Vec::new();
    for der in roots {
        let root = Certificate::from_der(der.as_ref()).map_err(PathError::Authority)?;
        if root.validity().map_err(PathError::Authority)?.contains(&at) {
            valid.push(CertificateDer::from(der.as_ref()));
        }
    }
    if valid.is_empty() { Err(PathError::NoValidRoot) } else { Ok(valid) }
}

/// RFC 5280 §6.1.4 (k) to (n), of which rustls-webpki leaves out the last, and all of the anchor.
fn refuse_issuers_that_may_not_issue(issuers: &[Vec<u8>]) -> Result<(), PathError> {
    for (below, der) in issuers.iter().enumerate() {
        let issuer = AuthorityView::from_der(der).map_err(PathError::Authority)?;
        if !issuer.may_issue(below).map_err(PathError::Authority)? {
            return Err(PathError::MayNotSignCertificates);
        }
    }
    Ok(())
}
