use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crypto::{AuthorityKey, sha256};
use thiserror::Error;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::{
    LogEntry,
    entry::{is_poisoned, pre_entry_of},
};
use crate::{CertificateError, SctError, certificate::Certificate, oid, tls::put_vector};

/// Most certificates that one submission may have, leaf and root included.
pub const MAX_SUBMITTED_CERTIFICATES: usize = 10;

/// Most issuer chains remembered as verified; a log serves one or two CAs.
const MAX_REMEMBERED_CHAINS: usize = 32;

/// The roots below which a log takes certificates.
///
/// Remembers the issuer chains that it has verified: a CA sends the same one with every leaf,
/// and verifying its P-384 signatures would cost more than all the rest of a submission.
#[derive(Debug)]
pub struct AcceptedRoots {
    roots: Vec<Certificate>,
    verified: RwLock<HashMap<[u8; 32], Arc<Issuers>>>,
}

impl AcceptedRoots {
    /// Reads DER certificates of roots (or of any CA that shall end a chain).
    ///
    /// # Errors
    /// [`CertificateError`] of the first that does not parse.
    pub fn from_der<C: AsRef<[u8]>>(
        roots: impl IntoIterator<Item = C>,
    ) -> Result<Self, CertificateError> {
        let roots = roots.into_iter().map(|der| Certificate::from_der(der.as_ref()));
        Ok(Self { roots: roots.collect::<Result<_, _>>()?, verified: RwLock::default() })
    }

    /// The roots as DER, for get-roots.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.roots.iter().map(|root| root.der.as_slice())
    }

    fn contains(&self, certificate: &Certificate) -> bool {
        self.roots.iter().any(|root| root.der == certificate.der)
    }

    fn issuer_of(&self, certificate: &Certificate) -> Option<&Certificate> {
        self.roots.iter().find(|root| certificate.verify_issued_by(root).is_ok())
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<Arc<Issuers>> {
        // A panic elsewhere cannot leave the map half-written: it is inserted into as a whole.
        self.verified.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn remember(&self, key: [u8; 32], issuers: &Arc<Issuers>) {
        let mut verified = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        if verified.len() < MAX_REMEMBERED_CHAINS {
            verified.insert(key, Arc::clone(issuers));
        }
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
    let length = SubmissionError::Length(chain.len());
    let (leaf, sent) = chain.split_first().ok_or(length)?;
    if chain.len() > MAX_SUBMITTED_CERTIFICATES {
        return Err(SubmissionError::Length(chain.len()));
    }
    let at = |source| SubmissionError::Certificate { position: 0, source };
    let leaf = Certificate::from_der(leaf.as_ref()).map_err(at)?;
    let issuers = match sent {
        [] => Arc::new(root_above(&leaf, roots)?),
        sent => issuers_of(sent, roots)?,
    };
    leaf.verify_issued(&issuers.name, &issuers.key).map_err(at)?;
    let entry = if is_poisoned(&leaf.tbs).map_err(at)? {
        LogEntry::Precertificate(pre_entry_of(&leaf, issuers.key.spki_der()).map_err(at)?)
    } else {
        LogEntry::Certificate(leaf.der.clone())
    };
    let chain = std::iter::once(leaf.der).chain(issuers.chain.iter().cloned()).collect();
    Ok(Submission { entry, chain })
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

/// The verified certificates above a leaf, accepted root last.
#[derive(Debug)]
struct Issuers {
    name: der::Any,
    key: AuthorityKey,
    chain: Vec<Vec<u8>>,
}

/// The issuers of a leaf that was sent alone.
fn root_above(leaf: &Certificate, roots: &AcceptedRoots) -> Result<Issuers, SubmissionError> {
    if roots.contains(leaf) {
        return Err(SubmissionError::NoLeaf);
    }
    let root = roots.issuer_of(leaf).ok_or(SubmissionError::UnknownRoot)?;
    verified(std::slice::from_ref(root))
}

/// The issuers that were sent, verified now or before.
fn issuers_of<C: AsRef<[u8]>>(
    sent: &[C],
    roots: &AcceptedRoots,
) -> Result<Arc<Issuers>, SubmissionError> {
    let remembered_as = digest_of(sent);
    if let Some(issuers) = roots.remembered(&remembered_as) {
        return Ok(issuers);
    }
    let mut certificates = sent
        .iter()
        .zip(1..)
        .map(|(der, position)| {
            Certificate::from_der(der.as_ref())
                .map_err(|source| SubmissionError::Certificate { position, source })
        })
        .collect::<Result<Vec<_>, _>>()?;
    check_links(&certificates)?;
    complete(&mut certificates, roots)?;
    let issuers = Arc::new(verified(&certificates)?);
    roots.remember(remembered_as, &issuers);
    Ok(issuers)
}

/// One name for a list of byte strings: the hash of their hashes.
fn digest_of<C: AsRef<[u8]>>(certificates: &[C]) -> [u8; 32] {
    let digests: Vec<_> = certificates.iter().map(|der| sha256(der.as_ref())).collect();
    sha256(digests.as_flattened())
}

fn check_links(issuers: &[Certificate]) -> Result<(), SubmissionError> {
    for (position, pair) in (1..).zip(issuers.windows(2)) {
        if let [certificate, issuer] = pair {
            certificate
                .verify_issued_by(issuer)
                .map_err(|source| SubmissionError::Certificate { position, source })?;
        }
    }
    Ok(())
}

/// Appends the accepted root when the chain ends right below one.
fn complete(issuers: &mut Vec<Certificate>, roots: &AcceptedRoots) -> Result<(), SubmissionError> {
    let top = issuers.last().ok_or(SubmissionError::UnknownRoot)?;
    if roots.contains(top) {
        return Ok(());
    }
    let root = roots.issuer_of(top).ok_or(SubmissionError::UnknownRoot)?;
    issuers.push(root.clone());
    Ok(())
}

/// Checks that linked issuers may issue what they issued.
fn verified(issuers: &[Certificate]) -> Result<Issuers, SubmissionError> {
    for (position, issuer) in (1..).zip(issuers) {
        check_authority(issuer, position)?;
    }
    let issuing = issuers.first().ok_or(SubmissionError::UnknownRoot)?;
    Ok(Issuers {
        name: issuing.tbs.subject.clone(),
        key: issuing
            .authority_key()
            .map_err(|source| SubmissionError::Certificate { position: 1, source })?,
        chain: issuers.iter().map(|issuer| issuer.der.clone()).collect(),
    })
}

/// A certificate at `position` has `position - 1` CA certificates below it.
fn check_authority(issuer: &Certificate, position: usize) -> Result<(), SubmissionError> {
    let at = |source| SubmissionError::Certificate { position, source };
    let constraints = issuer.decoded::<BasicConstraints>().map_err(at)?;
    let usage = issuer.decoded::<KeyUsage>().map_err(at)?;
    let extended_usage = issuer.decoded::<ExtendedKeyUsage>().map_err(at)?;
    let may_issue = constraints.is_some_and(|(_, constraints)| {
        let limit = constraints.path_len_constraint;
        constraints.ca && limit.is_none_or(|limit| usize::from(limit) + 1 >= position)
    });
    if !may_issue || usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
        return Err(SubmissionError::NotAnAuthority(position));
    }
    match extended_usage {
        Some((_, usages)) if usages.0.contains(&oid::PRECERTIFICATE_SIGNING) => {
            Err(SubmissionError::PrecertificateSigning(position))
        }
        _ => Ok(()),
    }
}
