use const_oid::ObjectIdentifier;
use crypto::{AuthorityKey, KeyError, PublicKey};
use moment::UnixSeconds;
use thiserror::Error;
use x509_cert::ext::pkix::KeyUsage;

use crate::{
    certificate::TsaCertificate,
    oid::{ID_KP_ANY, ID_KP_TIME_STAMPING},
};

/// Most certificates in a chain: leaf, a few intermediates, root.
const MAX_CHAIN_LEN: usize = 8;

/// The certificates of a timestamp authority, leaf first, trust anchor last.
///
/// A value of this type holds: each certificate is issued and signed by the next; all but the
/// leaf are CAs allowed to be one at their place; the leaf is none and has timestamping as its
/// only extended key usage. Whether the chain was valid is a question of time: see
/// [`TsaChain::validity`]. Extended key usage need not be critical here, since authorities
/// whose chains clients trust (GitHub's of 2023) left that out; [`TsaChain::require_issuable`]
/// insists on it for our own.
#[derive(Clone, Debug)]
pub struct TsaChain {
    leaf: TsaCertificate,
    issuers: Vec<TsaCertificate>,
}

impl TsaChain {
    /// Reads certificates in DER, leaf first.
    ///
    /// # Errors
    /// [`ChainError`] for the first rule that is broken.
    pub fn from_ders(certificates: &[impl AsRef<[u8]>]) -> Result<Self, ChainError> {
        if certificates.len() > MAX_CHAIN_LEN {
            return Err(ChainError::TooLong);
        }
        let mut parsed = certificates.iter().map(|der| TsaCertificate::from_der(der.as_ref()));
        let leaf = parsed.next().ok_or(ChainError::Empty)??;
        let issuers = parsed.collect::<Result<Vec<_>, _>>()?;
        let chain = Self { leaf, issuers };
        chain.check_leaf()?;
        chain.check_issuers()?;
        Ok(chain)
    }

    /// Checks what an authority needs before it issues its first token: clients look for these.
    ///
    /// # Errors
    /// [`ChainError::NoIssuer`], [`ChainError::AnchorNotSelfSigned`] (sigstore-js wants a root at
    /// the end), [`ChainError::UsageNotCritical`] (RFC 3161 §2.3), [`ChainError::LeafKeyUsage`],
    /// [`ChainError::IntermediateUsage`], [`ChainError::OtherKey`].
    pub fn require_issuable(
        &self,
        key: &PublicKey,
        intermediates: IntermediateUsage,
    ) -> Result<(), ChainError> {
        let (root, between) = self.issuers.split_last().ok_or(ChainError::NoIssuer)?;
        if root.issuer != root.subject || root.check_signed_by(&root.public_key).is_err() {
            return Err(ChainError::AnchorNotSelfSigned);
        }
        if !self.leaf.extended_key_usage.as_ref().is_some_and(|usage| usage.critical) {
            return Err(ChainError::UsageNotCritical);
        }
        if !self.leaf.key_usage.is_some_and(signs_only) {
            return Err(ChainError::LeafKeyUsage);
        }
        let unmarked = between.iter().any(|certificate| certificate.extended_key_usage.is_none());
        if intermediates == IntermediateUsage::Required && unmarked {
            return Err(ChainError::IntermediateUsage);
        }
        if self.leaf.public_key != *key.as_authority_key() {
            return Err(ChainError::OtherKey);
        }
        Ok(())
    }

    /// The period in which every certificate of the chain is valid.
    #[must_use]
    pub fn validity(&self) -> ValidityPeriod {
        self.issuers.iter().fold(self.leaf.validity, |period, issuer| ValidityPeriod {
            not_before: period.not_before.max(issuer.validity.not_before),
            not_after: period.not_after.min(issuer.validity.not_after),
        })
    }

    /// The certificates in DER, leaf first.
    pub fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates().map(|certificate| certificate.der.as_slice())
    }

    /// The key that signs tokens.
    #[must_use]
    pub const fn public_key(&self) -> &AuthorityKey {
        &self.leaf.public_key
    }

    pub(crate) const fn leaf(&self) -> &TsaCertificate {
        &self.leaf
    }

    fn certificates(&self) -> impl Iterator<Item = &TsaCertificate> {
        std::iter::once(&self.leaf).chain(&self.issuers)
    }

    fn check_leaf(&self) -> Result<(), ChainError> {
        if self.leaf.is_ca() {
            return Err(ChainError::LeafIsCa);
        }
        // Exactly one purpose, and an unknown second one counts: RFC 3161 §2.3 says "only one".
        match &self.leaf.extended_key_usage {
            Some(usage) if usage.purposes == [ID_KP_TIME_STAMPING] => Ok(()),
            _ => Err(ChainError::LeafUsage),
        }
    }

    fn check_issuers(&self) -> Result<(), ChainError> {
        for (depth, (certificate, issuer)) in self.certificates().zip(&self.issuers).enumerate() {
            if certificate.issuer != issuer.subject {
                return Err(ChainError::Order);
            }
            check_authority(issuer, depth)?;
            certificate.check_signed_by(&issuer.public_key)?;
        }
        Ok(())
    }
}

/// Checks that `issuer` may stand `depth` CAs above the leaf, RFC 5280 §6.1.4.
fn check_authority(issuer: &TsaCertificate, depth: usize) -> Result<(), ChainError> {
    let constraints = issuer.basic_constraints.as_ref().filter(|constraints| constraints.ca);
    let constraints = constraints.ok_or(ChainError::IssuerIsNoCa)?;
    if constraints.path_len_constraint.is_some_and(|limit| usize::from(limit) < depth) {
        return Err(ChainError::PathLength);
    }
    if issuer.key_usage.as_ref().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(ChainError::IssuerIsNoCa);
    }
    let stamps = |purpose: &ObjectIdentifier| [ID_KP_TIME_STAMPING, ID_KP_ANY].contains(purpose);
    match &issuer.extended_key_usage {
        Some(usage) if !usage.purposes.iter().any(stamps) => Err(ChainError::IntermediateUsage),
        _ => Ok(()),
    }
}

/// Whether a key may sign and do nothing else.
fn signs_only(usage: KeyUsage) -> bool {
    (usage.digital_signature() || usage.non_repudiation())
        && !(usage.key_encipherment()
            || usage.data_encipherment()
            || usage.key_agreement()
            || usage.key_cert_sign()
            || usage.crl_sign())
}

/// From when to when, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidityPeriod {
    /// First second.
    pub not_before: UnixSeconds,
    /// Last second.
    pub not_after: UnixSeconds,
}

impl ValidityPeriod {
    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: UnixSeconds) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

/// Whether certificates between leaf and root must be marked for timestamping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntermediateUsage {
    /// They must have timestamping among their extended key usages; sigstore-go's verifier wants it.
    #[default]
    Required,
    /// They may have no extended key usage at all, as those of many corporate hierarchies.
    Optional,
}

/// Why certificates are no chain of a timestamp authority.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ChainError {
    /// A chain has the leaf at least.
    #[error("the chain has no certificate")]
    Empty,
    /// More than 8 certificates, or one above 16 KiB.
    #[error("the chain or one of its certificates is too long")]
    TooLong,
    /// Not DER of X.509.
    #[error("a certificate is not valid DER")]
    Malformed,
    /// A public key that cannot be used.
    #[error("a certificate's key is not usable")]
    Key(#[source] KeyError),
    /// RFC 5280 §4.2 has verifiers refuse it.
    #[error("a certificate has the critical extension {0}, which is not understood")]
    CriticalExtension(String),
    /// The order is leaf first; a root first is the usual mistake.
    #[error("the first certificate is a CA, not a timestamping leaf")]
    LeafIsCa,
    /// RFC 3161 §2.3 demands `id-kp-timeStamping` and nothing beside it.
    #[error("the leaf's extended key usage is not timestamping alone")]
    LeafUsage,
    /// RFC 3161 §2.3 demands it, and OpenSSL checks.
    #[error("the leaf's extended key usage is not critical")]
    UsageNotCritical,
    /// The leaf's key usage allows no signatures, or more than them.
    #[error("the leaf's key usage must be digital signature alone")]
    LeafKeyUsage,
    /// A certificate is not issued by the one after it.
    #[error("the certificates are not in order, leaf first and root last")]
    Order,
    /// An issuer that may not issue certificates.
    #[error("an issuer in the chain is not a CA")]
    IssuerIsNoCa,
    /// More CAs below one than it allows.
    #[error("the chain is longer than a CA in it allows")]
    PathLength,
    /// An issuer that may not issue for timestamping.
    #[error("an intermediate certificate's extended key usage lacks timestamping")]
    IntermediateUsage,
    /// SHA-1, for example, or ECDSA below an RSA key.
    #[error(
        "a certificate is signed by algorithm {0}, which is not supported with its issuer's key"
    )]
    SignatureAlgorithm(ObjectIdentifier),
    /// A signature that does not verify.
    #[error("a certificate is not signed by the one after it")]
    Signature,
    /// A leaf alone.
    #[error("the chain needs the leaf and at least its issuer")]
    NoIssuer,
    /// Clients take the last certificate of the trusted root for the anchor.
    #[error("the last certificate is not a self-signed root")]
    AnchorNotSelfSigned,
    /// Every token would be refused; so the service does not start.
    #[error("the signing key is not the key of the leaf")]
    OtherKey,
}
