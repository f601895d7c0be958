use std::ops::RangeInclusive;

use const_oid::db::rfc5280;
use crypto::PublicKey;
use der::{Any, asn1::ObjectIdentifier};
use moment::UnixSeconds;
use thiserror::Error;
use x509_cert::{
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
    name::Name,
};

use crate::{CertificateError, PemError, certificate::Certificate, from_pem, oid};

/// Longest chain of CA certificates accepted; public Fulcio has two.
const MAX_CHAIN_LEN: usize = 8;

/// The certificates of an issuing CA, checked as strict verifiers will check them.
///
/// Lowest CA first, root last. What a CA profile must have, and why:
/// - basic constraints, critical, `cA` true; a path length that admits the certificates below.
///   The issuing CA of a two-level chain should say `pathlen:0`.
/// - key usage, critical, with `keyCertSign`, on the issuing certificate. Those above are a company's
///   own, made long before: without key usage they are for any (RFC 5280 §4.2.1.3), and Microsoft's
///   CAs do not mark it critical; with one, `keyCertSign` is in it.
/// - extended key usage `codeSigning` on the issuing certificate, *not* critical (sigstore-python
///   refuses a critical one), whenever it is not the root itself, since verifiers nest usages. Above
///   it none is for any (RFC 5280 §4.2.1.12), and one has `codeSigning`.
/// - a subject key identifier on the issuing certificate, which leaves repeat as authority key
///   identifier, and authority key identifiers that match where present.
/// - exactly one `O` in every subject, the same throughout: the gh CLI groups trust by it.
/// - P-256, P-384 or RSA keys. P-521 and Ed25519 load, but sigstore-python refuses Ed25519 CAs:
///   warn when [`CertificateChain::public_key`] is of that type.
#[derive(Clone, Debug)]
pub struct CertificateChain {
    certificates: Vec<Vec<u8>>,
    issuer_name: Any,
    subject_key_identifier: Vec<u8>,
    public_key: PublicKey,
    not_before: UnixSeconds,
    not_after: UnixSeconds,
}

impl CertificateChain {
    /// Reads PEM `CERTIFICATE` blocks, lowest CA first, root last.
    ///
    /// # Errors
    /// [`ChainError::Pem`], and those of [`CertificateChain::from_der`].
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        Self::from_der(from_pem(text)?)
    }

    /// Takes DER certificates, lowest CA first, root last.
    ///
    /// # Errors
    /// [`ChainError`], by the first rule of the profile that a certificate breaks.
    pub fn from_der(certificates: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        if certificates.is_empty() || certificates.len() > MAX_CHAIN_LEN {
            return Err(ChainError::Length(certificates.len()));
        }
        let parsed = certificates
            .iter()
            .enumerate()
            .map(|(position, der)| {
                Certificate::from_der(der)
                    .map_err(|source| ChainError::Certificate { position, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        check_authorities(&parsed)?;
        check_links(&parsed)?;
        check_organization(&parsed)?;
        let (not_before, not_after) = common_validity(&parsed)?.into_inner();
        let issuing = parsed.first().ok_or(ChainError::Length(0))?;
        let at_issuing = |source| ChainError::Certificate { position: 0, source };
        Ok(Self {
            issuer_name: issuing.tbs.subject.clone(),
            subject_key_identifier: issuing
                .subject_key_identifier()
                .map_err(at_issuing)?
                .ok_or(ChainError::NoSubjectKeyIdentifier)?,
            public_key: issuing.public_key().map_err(at_issuing)?,
            certificates,
            not_before,
            not_after,
        })
    }

    /// The certificates as DER, issuing CA first, root last.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The key that signs leaves.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Checks that a signer holds the key of the issuing certificate.
    ///
    /// # Errors
    /// [`ChainError::KeyMismatch`].
    pub fn check_key(&self, signer_key: &PublicKey) -> Result<(), ChainError> {
        if signer_key == &self.public_key { Ok(()) } else { Err(ChainError::KeyMismatch) }
    }

    /// Subject key identifier of the issuing certificate.
    #[must_use]
    pub fn subject_key_identifier(&self) -> &[u8] {
        &self.subject_key_identifier
    }

    /// First second at which every certificate of the chain is valid.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.not_before
    }

    /// Last second at which every certificate of the chain is valid.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.not_after
    }

    /// The issuing certificate's subject, as encoded there.
    pub(crate) fn issuer_name(&self) -> &Any {
        &self.issuer_name
    }
}

/// Which rule of the CA profile a chain breaks; positions count from 0, the issuing CA.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ChainError {
    /// Not PEM certificates.
    #[error("the chain is not a PEM file of certificates")]
    Pem(#[from] PemError),
    /// None, or more than any hierarchy has.
    #[error("the chain has {0} certificates, 1 to {MAX_CHAIN_LEN} are possible")]
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
    /// Basic constraints absent, not critical or `cA` false.
    #[error("certificate {0} of the chain has no critical basic constraints with cA")]
    NotAnAuthority(usize),
    /// Key usage without `keyCertSign`; of the issuing certificate, absent or not critical too.
    #[error(
        "certificate {0} of the chain has no key usage with keyCertSign, critical where it issues leaves"
    )]
    MayNotSignCertificates(usize),
    /// More CAs below than the path length admits.
    #[error("certificate {0} of the chain has a path length that forbids those below it")]
    PathLength(usize),
    /// An extended key usage without code signing; on the issuing certificate, none at all too.
    #[error("certificate {0} of the chain lacks the extended key usage code signing")]
    NotForCodeSigning(usize),
    /// A critical extended key usage, which sigstore-python refuses.
    #[error("certificate {0} of the chain marks its extended key usage critical")]
    CriticalExtendedKeyUsage(usize),
    /// A critical extension that verifiers do not know.
    #[error("certificate {position} of the chain has an unknown critical extension {oid}")]
    UnknownCriticalExtension {
        /// Where in the chain.
        position: usize,
        /// The extension's type.
        oid: ObjectIdentifier,
    },
    /// The authority key identifier names another key than the issuer's.
    #[error("certificate {0} of the chain names another authority key than its issuer has")]
    AuthorityKeyIdentifier(usize),
    /// The issuing certificate has no subject key identifier.
    #[error("the issuing certificate has no subject key identifier")]
    NoSubjectKeyIdentifier,
    /// A subject without `O`, with several, or with another than the rest.
    #[error("certificate {0} of the chain has not exactly the one O that all must share")]
    Organization(usize),
    /// No second at which all are valid.
    #[error("the chain's certificates are never valid together")]
    Validity,
    /// The signer holds another key.
    #[error("the signing key is not the key of the issuing certificate")]
    KeyMismatch,
}

fn check_authorities(chain: &[Certificate]) -> Result<(), ChainError> {
    for (position, certificate) in chain.iter().enumerate() {
        check_authority(certificate, position)?;
        // A root that issues leaves is above its own restriction.
        let may_lack = position > 0 || chain.len() == 1;
        check_extended_key_usage(certificate, position, may_lack)?;
        refuse_unknown_critical(certificate, position)?;
    }
    Ok(())
}

/// A certificate at `position` has that many CA certificates below it.
fn check_authority(certificate: &Certificate, position: usize) -> Result<(), ChainError> {
    let at = |source| ChainError::Certificate { position, source };
    let constraints = match certificate.decoded::<BasicConstraints>().map_err(at)? {
        Some((true, constraints)) if constraints.ca => constraints,
        _ => return Err(ChainError::NotAnAuthority(position)),
    };
    if constraints.path_len_constraint.is_some_and(|limit| usize::from(limit) < position) {
        return Err(ChainError::PathLength(position));
    }
    match certificate.decoded::<KeyUsage>().map_err(at)? {
        Some((critical, usage)) if usage.key_cert_sign() && (critical || position > 0) => Ok(()),
        None if position > 0 => Ok(()),
        _ => Err(ChainError::MayNotSignCertificates(position)),
    }
}

fn check_extended_key_usage(
    certificate: &Certificate,
    position: usize,
    may_lack: bool,
) -> Result<(), ChainError> {
    let at = |source| ChainError::Certificate { position, source };
    match certificate.decoded::<ExtendedKeyUsage>().map_err(at)? {
        None if may_lack => Ok(()),
        Some((true, _)) => Err(ChainError::CriticalExtendedKeyUsage(position)),
        Some((false, usages)) if usages.0.contains(&oid::CODE_SIGNING) => Ok(()),
        _ => Err(ChainError::NotForCodeSigning(position)),
    }
}

fn refuse_unknown_critical(certificate: &Certificate, position: usize) -> Result<(), ChainError> {
    const KNOWN: [ObjectIdentifier; 3] = [
        rfc5280::ID_CE_BASIC_CONSTRAINTS,
        rfc5280::ID_CE_KEY_USAGE,
        rfc5280::ID_CE_NAME_CONSTRAINTS,
    ];
    let mut critical = certificate.tbs.extensions.iter().filter(|extension| extension.critical);
    match critical.find(|extension| !KNOWN.contains(&extension.extn_id)) {
        None => Ok(()),
        Some(unknown) => {
            Err(ChainError::UnknownCriticalExtension { position, oid: unknown.extn_id })
        }
    }
}

/// Each certificate is issued by the next one, the last by itself.
fn check_links(chain: &[Certificate]) -> Result<(), ChainError> {
    let issuers = chain.iter().skip(1).chain(chain.last());
    for (position, (certificate, issuer)) in chain.iter().zip(issuers).enumerate() {
        let at = |source| ChainError::Certificate { position, source };
        certificate.verify_issued_by(issuer).map_err(at)?;
        let named = certificate.authority_key_identifier().map_err(at)?;
        let actual = issuer.subject_key_identifier().map_err(at)?;
        if named.is_some() && actual.is_some() && named != actual {
            return Err(ChainError::AuthorityKeyIdentifier(position));
        }
    }
    Ok(())
}

fn check_organization(chain: &[Certificate]) -> Result<(), ChainError> {
    let mut shared = None;
    for (position, certificate) in chain.iter().enumerate() {
        let found = organization(certificate, position)?;
        if *shared.get_or_insert_with(|| found.clone()) != found {
            return Err(ChainError::Organization(position));
        }
    }
    Ok(())
}

fn organization(certificate: &Certificate, position: usize) -> Result<Vec<u8>, ChainError> {
    let subject: Name = certificate.tbs.subject.decode_as().map_err(|source: der::Error| {
        ChainError::Certificate { position, source: source.into() }
    })?;
    let mut organizations = subject.iter().filter(|part| part.oid == oid::ORGANIZATION_NAME);
    match (organizations.next(), organizations.next()) {
        (Some(only), None) => Ok(only.value.value().to_vec()),
        _ => Err(ChainError::Organization(position)),
    }
}

fn common_validity(chain: &[Certificate]) -> Result<RangeInclusive<UnixSeconds>, ChainError> {
    let mut common = UnixSeconds(0)..=UnixSeconds::MAX;
    for (position, certificate) in chain.iter().enumerate() {
        let own = certificate
            .validity()
            .map_err(|source| ChainError::Certificate { position, source })?;
        common = *common.start().max(own.start())..=*common.end().min(own.end());
    }
    if common.is_empty() { Err(ChainError::Validity) } else { Ok(common) }
}
