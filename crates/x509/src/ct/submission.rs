use der::Encode;
use thiserror::Error;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

use super::{
    LogEntry,
    entry::{is_poisoned, pre_entry_of},
};
use crate::{CertificateError, SctError, certificate::Certificate, oid, tls::put_vector};

/// Most certificates that one submission may have, leaf and root included.
pub const MAX_SUBMITTED_CERTIFICATES: usize = 10;

/// The roots below which a log takes certificates.
#[derive(Clone, Debug)]
pub struct AcceptedRoots(Vec<Certificate>);

impl AcceptedRoots {
    /// Reads DER certificates of roots (or of any CA that shall end a chain).
    ///
    /// # Errors
    /// [`CertificateError`] of the first that does not parse.
    pub fn from_der<C: AsRef<[u8]>>(
        roots: impl IntoIterator<Item = C>,
    ) -> Result<Self, CertificateError> {
        roots
            .into_iter()
            .map(|der| Certificate::from_der(der.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The roots as DER, for get-roots.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|root| root.der.as_slice())
    }

    fn contains(&self, certificate: &Certificate) -> bool {
        self.0.iter().any(|root| root.der == certificate.der)
    }
}

/// A submission whose chain ends in an accepted root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    entry: LogEntry,
    chain: Vec<Vec<u8>>,
}

impl Submission {
    /// What to promise and to log.
    #[must_use]
    pub fn entry(&self) -> &LogEntry {
        &self.entry
    }

    /// Whether it belongs to add-pre-chain (else to add-chain).
    #[must_use]
    pub fn is_precertificate(&self) -> bool {
        matches!(self.entry, LogEntry::Precertificate(_))
    }

    /// The DER certificates, leaf first, accepted root last (appended when it was not sent).
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// `extra_data` of get-entries: `PrecertChainEntry` or the certificate chain above the leaf
    /// (RFC 6962 §4.6).
    ///
    /// # Errors
    /// [`SctError::TooLong`]; cannot be met within the limits of [`validate_chain`].
    pub fn extra_data(&self) -> Result<Vec<u8>, SctError> {
        let mut out = Vec::new();
        let Some((leaf, issuers)) = self.chain.split_first() else {
            return Ok(out);
        };
        if self.is_precertificate() {
            put_vector(&mut out, 3, leaf)?;
        }
        let mut certificates = Vec::new();
        for issuer in issuers {
            put_vector(&mut certificates, 3, issuer)?;
        }
        put_vector(&mut out, 3, &certificates)?;
        Ok(out)
    }
}

/// Checks a submitted chain as RFC 6962 §3.1 asks of a log, and derives its entry.
///
/// Every certificate must have issued the one before it, and the last must be an accepted root
/// or be issued by one. Time is not checked: a log records what a CA did.
///
/// # Errors
/// [`SubmissionError`], by the first thing that is wrong.
pub fn validate_chain<C: AsRef<[u8]>>(
    chain: &[C],
    roots: &AcceptedRoots,
) -> Result<Submission, SubmissionError> {
    if chain.is_empty() || chain.len() > MAX_SUBMITTED_CERTIFICATES {
        return Err(SubmissionError::Length(chain.len()));
    }
    let mut certificates = chain
        .iter()
        .enumerate()
        .map(|(position, der)| {
            Certificate::from_der(der.as_ref())
                .map_err(|source| SubmissionError::Certificate { position, source })
        })
        .collect::<Result<Vec<_>, _>>()?;
    check_links(&certificates)?;
    complete(&mut certificates, roots)?;
    for (position, issuer) in certificates.iter().enumerate().skip(1) {
        check_authority(issuer, position)?;
    }
    let entry = entry_of(&certificates)?;
    Ok(Submission {
        entry,
        chain: certificates.into_iter().map(|certificate| certificate.der).collect(),
    })
}

/// Why a log refuses a chain; positions count from 0, the leaf.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SubmissionError {
    /// No certificate, or too many.
    #[error("the chain has {0} certificates, 1 to {MAX_SUBMITTED_CERTIFICATES} are possible")]
    Length(usize),
    /// A certificate does not parse, was not issued by the next one, or has a wrong poison.
    #[error("certificate {position} of the chain is not acceptable")]
    Certificate {
        /// Where in the chain.
        position: usize,
        /// What is wrong.
        #[source]
        source: CertificateError,
    },
    /// An issuer that is no CA, or not one for so many CAs below it.
    #[error("certificate {0} of the chain may not issue the one before it")]
    NotAnAuthority(usize),
    /// A precertificate signing certificate.
    #[error("certificate {0} of the chain is for signing precertificates, which is not supported")]
    PrecertificateSigning(usize),
    /// The chain consists of a root alone.
    #[error("the chain holds no certificate below an accepted root")]
    NoLeaf,
    /// The chain ends elsewhere.
    #[error("the chain does not end in an accepted root")]
    UnknownRoot,
}

fn check_links(certificates: &[Certificate]) -> Result<(), SubmissionError> {
    for (position, pair) in certificates.windows(2).enumerate() {
        if let [certificate, issuer] = pair {
            certificate
                .verify_issued_by(issuer)
                .map_err(|source| SubmissionError::Certificate { position, source })?;
        }
    }
    Ok(())
}

/// Appends the accepted root when the chain ends right below one.
fn complete(
    certificates: &mut Vec<Certificate>,
    roots: &AcceptedRoots,
) -> Result<(), SubmissionError> {
    let top = certificates.last().ok_or(SubmissionError::NoLeaf)?;
    if roots.contains(top) {
        return if certificates.len() > 1 { Ok(()) } else { Err(SubmissionError::NoLeaf) };
    }
    let issuer = roots.0.iter().find(|root| top.verify_issued_by(root).is_ok());
    certificates.push(issuer.ok_or(SubmissionError::UnknownRoot)?.clone());
    Ok(())
}

/// A certificate at `position` has `position - 1` CA certificates below it.
fn check_authority(issuer: &Certificate, position: usize) -> Result<(), SubmissionError> {
    let at = |source| SubmissionError::Certificate { position, source };
    match issuer.decoded::<BasicConstraints>().map_err(at)? {
        Some((_, constraints))
            if constraints.ca
                && constraints
                    .path_len_constraint
                    .is_none_or(|limit| usize::from(limit) + 1 >= position) => {}
        _ => return Err(SubmissionError::NotAnAuthority(position)),
    }
    match issuer.decoded::<ExtendedKeyUsage>().map_err(at)? {
        Some((_, usages)) if usages.0.contains(&oid::PRECERTIFICATE_SIGNING) => {
            Err(SubmissionError::PrecertificateSigning(position))
        }
        _ => Ok(()),
    }
}

fn entry_of(certificates: &[Certificate]) -> Result<LogEntry, SubmissionError> {
    let [leaf, issuer, ..] = certificates else {
        return Err(SubmissionError::NoLeaf);
    };
    let at = |source| SubmissionError::Certificate { position: 0, source };
    if !is_poisoned(&leaf.tbs).map_err(at)? {
        return Ok(LogEntry::Certificate(leaf.der.clone()));
    }
    let issuer_spki =
        issuer.tbs.subject_public_key_info.to_der().map_err(|source| at(source.into()))?;
    Ok(LogEntry::Precertificate(pre_entry_of(leaf, &issuer_spki).map_err(at)?))
}
