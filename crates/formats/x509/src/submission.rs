use crypto::{AuthorityKey, sha256};
use ct::{LogEntry, PreCertEntry, SctError, extra_data};
use der::Encode;
use thiserror::Error;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::{
    CertificateError,
    certificate::{Certificate, Tbs},
    issuance::POISON_CONTENT,
    oid,
};

/// Most certificates that one submission may have, leaf and root included.
pub const MAX_SUBMITTED_CERTIFICATES: usize = 10;

/// The chains of the CAs whose certificates a log takes.
///
/// A chain, not a root: what else a root once signed, a retired or a foreign department's CA, is
/// no CA that this log serves, and its certificates have no business here. Chains are verified
/// once; of a submission they are compared.
#[derive(Debug)]
pub struct AcceptedChains(Vec<Issuers>);

impl AcceptedChains {
    /// Reads chains of DER certificates: issuing CA first, root (or what shall end a chain) last.
    ///
    /// # Errors
    /// [`AcceptedChainError`] of the first that cannot have issued anything.
    pub fn from_der<L: AsRef<[C]>, C: AsRef<[u8]>>(
        chains: impl IntoIterator<Item = L>,
    ) -> Result<Self, AcceptedChainError> {
        let chains = chains.into_iter().map(|chain| Issuers::from_der(chain.as_ref()));
        Ok(Self(chains.collect::<Result<_, _>>()?))
    }

    /// The roots as DER, each once, for get-roots.
    #[must_use]
    pub fn roots(&self) -> Vec<&[u8]> {
        let mut roots: Vec<&[u8]> = Vec::new();
        for root in self.0.iter().filter_map(|issuers| issuers.chain.last()) {
            if !roots.contains(&root.as_slice()) {
                roots.push(root);
            }
        }
        roots
    }

    fn contains(&self, der: &[u8]) -> bool {
        self.0.iter().flat_map(|issuers| &issuers.chain).any(|known| known == der)
    }

    /// The chains that `sent` is, with its root or without.
    fn matching<C: AsRef<[u8]>>(&self, sent: &[C]) -> impl Iterator<Item = &Issuers> {
        self.0.iter().filter(move |issuers| {
            let without_root = issuers.chain.len().saturating_sub(1);
            let mut pairs = issuers.chain.iter().zip(sent).enumerate();
            [issuers.chain.len(), without_root].contains(&sent.len())
                && pairs.all(|(position, (own, sent))| {
                    own == sent.as_ref() || (position == 0 && issuers.is_reissued(sent.as_ref()))
                })
        })
    }
}

/// A submission by a CA that the log serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    entry: LogEntry,
    chain: Vec<Vec<u8>>,
}

impl Submission {
    /// What the SCT signs and the log keeps.
    #[must_use]
    pub fn entry(&self) -> &LogEntry {
        &self.entry
    }

    /// Whether it belongs to add-pre-chain (else to add-chain).
    #[must_use]
    pub fn is_precertificate(&self) -> bool {
        matches!(self.entry, LogEntry::Precertificate(_))
    }

    /// The DER certificates, leaf first, root last (appended when it was not sent).
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
        let Some((leaf, issuers)) = self.chain.split_first() else {
            return Ok(Vec::new());
        };
        extra_data(self.is_precertificate().then_some(leaf), issuers)
    }
}

/// Checks a submitted chain as RFC 6962 §3.1 asks of a log, and derives its entry.
///
/// What is above the leaf must be one of `accepted`, whose root may be left out, and must have
/// issued the leaf; the issuing CA's certificate may be another one of the same name and key, and
/// the known one is logged. Time is not checked: a log records what a CA did.
///
/// # Errors
/// [`SubmissionError`], by the first thing that is wrong.
pub fn validate_chain<C: AsRef<[u8]>>(
    chain: &[C],
    accepted: &AcceptedChains,
) -> Result<Submission, SubmissionError> {
    let length = SubmissionError::Length(chain.len());
    let (leaf, sent) = chain.split_first().ok_or(length)?;
    if chain.len() > MAX_SUBMITTED_CERTIFICATES {
        return Err(SubmissionError::Length(chain.len()));
    }
    let leaf = Certificate::from_der(leaf.as_ref()).map_err(SubmissionError::Leaf)?;
    if accepted.contains(&leaf.der) {
        return Err(SubmissionError::NoLeaf);
    }
    let issuers = issuers_of(&leaf, sent, accepted)?;
    let entry = if is_poisoned(&leaf.tbs).map_err(SubmissionError::Leaf)? {
        let entry = pre_entry_of(&leaf, issuers.key.spki_der()).map_err(SubmissionError::Leaf)?;
        LogEntry::Precertificate(entry)
    } else {
        LogEntry::Certificate(leaf.der.clone())
    };
    let chain = std::iter::once(leaf.der).chain(issuers.chain.iter().cloned()).collect();
    Ok(Submission { entry, chain })
}

/// Why a log refuses a submission.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SubmissionError {
    /// No certificate, or too many.
    #[error("the chain has {0} certificates, 1 to {MAX_SUBMITTED_CERTIFICATES} are possible")]
    Length(usize),
    /// The leaf does not parse, was not issued by the next certificate, or has a wrong poison.
    #[error("the first certificate is not acceptable")]
    Leaf(#[source] CertificateError),
    /// A certificate of a CA that this log serves is the first.
    #[error("the chain holds no certificate below a CA that this log serves")]
    NoLeaf,
    /// Another CA, though perhaps below the same root.
    #[error("the issuing chain is not one of a CA that this log serves")]
    UnknownIssuer,
}

/// Why a chain cannot be one whose certificates are taken; positions count from 0, the issuing CA.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AcceptedChainError {
    /// No certificate, or more than could be submitted with a leaf.
    #[error("the chain has {0} certificates, 1 to {max} are possible", max = MAX_SUBMITTED_CERTIFICATES - 1)]
    Length(usize),
    /// A certificate does not parse, or was not issued by the next one.
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
}

/// The verified certificates above a leaf, root last.
#[derive(Debug)]
struct Issuers {
    name: der::Any,
    key: AuthorityKey,
    chain: Vec<Vec<u8>>,
}

impl Issuers {
    /// Whether `der` is another certificate of the issuing CA: its name and its key. Nothing of it
    /// is believed or logged; a CA whose certificate was renewed goes on while its log still has the
    /// old one.
    fn is_reissued(&self, der: &[u8]) -> bool {
        Certificate::from_der(der).is_ok_and(|sent| {
            sent.tbs.subject == self.name && sent.authority_key().is_ok_and(|key| key == self.key)
        })
    }

    fn from_der<C: AsRef<[u8]>>(chain: &[C]) -> Result<Self, AcceptedChainError> {
        let length = AcceptedChainError::Length(chain.len());
        if chain.len() >= MAX_SUBMITTED_CERTIFICATES {
            return Err(length);
        }
        let certificates = chain
            .iter()
            .enumerate()
            .map(|(position, der)| {
                Certificate::from_der(der.as_ref())
                    .map_err(|source| AcceptedChainError::Certificate { position, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let issuing = certificates.first().ok_or(length)?;
        check_links(&certificates)?;
        for (position, issuer) in certificates.iter().enumerate() {
            check_authority(issuer, position)?;
        }
        Ok(Self {
            name: issuing.tbs.subject.clone(),
            key: issuing
                .authority_key()
                .map_err(|source| AcceptedChainError::Certificate { position: 0, source })?,
            chain: certificates.iter().map(|certificate| certificate.der.clone()).collect(),
        })
    }
}

/// The accepted chain that was sent and issued `leaf`.
///
/// Several can have been sent at once only where each is a root alone, and so nothing was.
fn issuers_of<'a, C: AsRef<[u8]>>(
    leaf: &Certificate,
    sent: &[C],
    accepted: &'a AcceptedChains,
) -> Result<&'a Issuers, SubmissionError> {
    let mut reason = SubmissionError::UnknownIssuer;
    for issuers in accepted.matching(sent) {
        match leaf.verify_issued(&issuers.name, &issuers.key) {
            Ok(()) => return Ok(issuers),
            // Nobody said that it was this one.
            Err(_) if sent.is_empty() => {}
            Err(error) => reason = SubmissionError::Leaf(error),
        }
    }
    Err(reason)
}

fn check_links(issuers: &[Certificate]) -> Result<(), AcceptedChainError> {
    for (position, pair) in issuers.windows(2).enumerate() {
        if let [certificate, issuer] = pair {
            certificate
                .verify_issued_by(issuer)
                .map_err(|source| AcceptedChainError::Certificate { position, source })?;
        }
    }
    Ok(())
}

/// A certificate at `position` has that many CA certificates below it.
fn check_authority(issuer: &Certificate, position: usize) -> Result<(), AcceptedChainError> {
    let at = |source| AcceptedChainError::Certificate { position, source };
    let may_issue = issuer.may_issue(position).map_err(at)?;
    let extended_usage = issuer.decoded::<ExtendedKeyUsage>().map_err(at)?;
    if !may_issue {
        return Err(AcceptedChainError::NotAnAuthority(position));
    }
    match extended_usage {
        Some((_, usages)) if usages.0.contains(&oid::PRECERTIFICATE_SIGNING) => {
            Err(AcceptedChainError::PrecertificateSigning(position))
        }
        _ => Ok(()),
    }
}

/// Derives what a log signs from a precertificate: its `TBSCertificate` without the poison.
///
/// `issuer_spki` is the DER `SubjectPublicKeyInfo` of the CA, which signed the precertificate
/// itself; precertificate signing certificates are not supported.
///
/// # Errors
/// [`CertificateError`] when it is not canonical DER, and when it does not hold exactly one
/// critical poison with an ASN.1 NULL, or holds an SCT list.
pub fn pre_entry(precert_der: &[u8], issuer_spki: &[u8]) -> Result<PreCertEntry, CertificateError> {
    let precertificate = Certificate::from_der(precert_der)?;
    pre_entry_of(&precertificate, issuer_spki)
}

fn pre_entry_of(
    precertificate: &Certificate,
    issuer_spki: &[u8],
) -> Result<PreCertEntry, CertificateError> {
    if !is_poisoned(&precertificate.tbs)? {
        return Err(CertificateError::NoPoison);
    }
    if precertificate.extension(oid::SCT_LIST).is_some() {
        return Err(CertificateError::SctInPrecertificate);
    }
    // Parsing proved that encoding gives the same bytes, so leaving one out cuts just that one.
    let tbs = precertificate.tbs.without(oid::CT_POISON).to_der()?;
    Ok(PreCertEntry { issuer_key_hash: sha256(issuer_spki), tbs })
}

/// Whether a certificate is a precertificate.
fn is_poisoned(tbs: &Tbs) -> Result<bool, CertificateError> {
    let mut poisons = tbs.extensions_of(oid::CT_POISON);
    match (poisons.next(), poisons.next()) {
        (None, _) => Ok(false),
        (Some(poison), None)
            if poison.critical && poison.extn_value.as_bytes() == POISON_CONTENT =>
        {
            Ok(true)
        }
        _ => Err(CertificateError::MalformedPoison),
    }
}
