use crypto::{PublicKey, Unsigned, Unverified};
use ct::{LogEntry, PreCertEntry, Sct, SctError, encode_sct_list};
use der::{Encode, asn1::OctetString};
use spki::AlgorithmIdentifierOwned;
use thiserror::Error;

use crate::{
    CertificateChain, LeafProfile, ProfileError,
    certificate::{Tbs, assemble},
    oid,
    profile::extension,
    to_pem,
};

/// Content of the poison extension: ASN.1 NULL (RFC 6962 §3.1).
pub(crate) const POISON_CONTENT: [u8; 2] = [0x05, 0x00];

/// A precertificate that its CA has not signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedPrecertificate {
    /// Without poison and without SCT list: what the log will sign.
    tbs: Tbs,
    to_be_signed: ToBeSigned,
}

impl UnsignedPrecertificate {
    /// Fills in `profile` for the CA of `chain`.
    ///
    /// # Errors
    /// [`IssuanceError::Profile`].
    pub fn new(profile: &LeafProfile, chain: &CertificateChain) -> Result<Self, IssuanceError> {
        let tbs = profile.to_tbs(chain)?;
        let mut poisoned = tbs.clone();
        poisoned.extensions.push(extension(oid::CT_POISON, true, POISON_CONTENT.to_vec())?);
        let to_be_signed = ToBeSigned::new(&poisoned, chain.public_key())?;
        Ok(Self { tbs, to_be_signed })
    }
}

impl Unsigned for UnsignedPrecertificate {
    type Signed = Precertificate;
    type Error = IssuanceError;

    const KIND: &'static str = "precertificate";

    /// The `TBSCertificate` with poison, to be signed with the issuing key's default algorithm.
    fn bytes_to_sign(&self) -> &[u8] {
        &self.to_be_signed.tbs_der
    }

    /// # Errors
    /// [`IssuanceError::WrongIssuerKey`], [`IssuanceError::SignatureMismatch`].
    fn with_signature(
        self,
        signature: &[u8],
        issuer_key: &PublicKey,
    ) -> Result<Precertificate, IssuanceError> {
        let der = self.to_be_signed.finish(signature, issuer_key)?;
        Ok(Precertificate { tbs: self.tbs, der, issuer_key: issuer_key.clone() })
    }
}

impl Unverified for UnsignedPrecertificate {
    /// A log takes no precertificate whose signature it has not verified itself (RFC 6962 §3.1).
    fn unverified(self) -> Self {
        Self { to_be_signed: ToBeSigned { verified: false, ..self.to_be_signed }, ..self }
    }
}

/// A signed precertificate (RFC 6962 §3.1), to be submitted to a log.
#[derive(Clone, Debug)]
pub struct Precertificate {
    tbs: Tbs,
    der: Vec<u8>,
    issuer_key: PublicKey,
}

impl Precertificate {
    /// The DER to submit.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What the log will sign.
    ///
    /// # Errors
    /// [`IssuanceError::Encoding`].
    pub fn log_entry(&self) -> Result<LogEntry, IssuanceError> {
        Ok(LogEntry::Precertificate(PreCertEntry {
            issuer_key_hash: self.issuer_key.spki_sha256(),
            tbs: self.tbs.to_der()?,
        }))
    }

    /// Puts the SCT in place of the poison, after verifying it.
    ///
    /// # Errors
    /// [`IssuanceError::Sct`] when the SCT is not one of `ct_key` over this precertificate.
    pub fn with_sct(
        self,
        sct: &Sct,
        ct_key: &PublicKey,
    ) -> Result<UnsignedCertificate, IssuanceError> {
        sct.verify(&self.log_entry()?, ct_key)?;
        let list = OctetString::new(encode_sct_list(std::slice::from_ref(sct))?)?;
        let mut tbs = self.tbs;
        tbs.extensions.push(extension(oid::SCT_LIST, false, list.to_der()?)?);
        ToBeSigned::new(&tbs, &self.issuer_key).map(UnsignedCertificate)
    }
}

/// A final certificate that its CA has not signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedCertificate(ToBeSigned);

impl Unsigned for UnsignedCertificate {
    type Signed = IssuedCertificate;
    type Error = IssuanceError;

    const KIND: &'static str = "certificate";

    /// The `TBSCertificate`, to be signed with the issuing key's default algorithm.
    fn bytes_to_sign(&self) -> &[u8] {
        &self.0.tbs_der
    }

    /// # Errors
    /// [`IssuanceError::WrongIssuerKey`], [`IssuanceError::SignatureMismatch`].
    fn with_signature(
        self,
        signature: &[u8],
        issuer_key: &PublicKey,
    ) -> Result<IssuedCertificate, IssuanceError> {
        self.0.finish(signature, issuer_key).map(IssuedCertificate)
    }
}

/// A certificate whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate(Vec<u8>);

impl IssuedCertificate {
    /// The DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The DER, given away.
    #[must_use]
    pub fn into_der(self) -> Vec<u8> {
        self.0
    }

    /// PEM with final newline, see [`to_pem`].
    #[must_use]
    pub fn to_pem(&self) -> String {
        to_pem(&self.0)
    }
}

/// Why a certificate was not issued.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IssuanceError {
    /// What was asked for is outside of the profile.
    #[error("the requested certificate is outside of the profile")]
    Profile(#[from] ProfileError),
    /// The SCT is not one of the log over this precertificate.
    #[error("the signed certificate timestamp is not acceptable")]
    Sct(#[from] SctError),
    /// Signed by another key than the chain's.
    #[error("the key given is not the one of the issuing certificate")]
    WrongIssuerKey,
    /// The signer gave a signature of something else, or of another key.
    #[error("the signer's signature does not verify with the issuing key")]
    SignatureMismatch,
    /// A value has no DER encoding.
    #[error("the certificate cannot be encoded")]
    Encoding(#[from] der::Error),
}

#[derive(Clone, Debug)]
struct ToBeSigned {
    tbs_der: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    issuer_key: PublicKey,
    /// Whether its signature is to be.
    verified: bool,
}

impl ToBeSigned {
    fn new(tbs: &Tbs, issuer_key: &PublicKey) -> Result<Self, IssuanceError> {
        Ok(Self {
            tbs_der: tbs.to_der()?,
            algorithm: tbs.signature.clone(),
            issuer_key: issuer_key.clone(),
            verified: true,
        })
    }

    fn finish(self, signature: &[u8], issuer_key: &PublicKey) -> Result<Vec<u8>, IssuanceError> {
        if *issuer_key != self.issuer_key {
            return Err(IssuanceError::WrongIssuerKey);
        }
        if self.verified {
            issuer_key
                .verify(&self.tbs_der, signature)
                .map_err(|_| IssuanceError::SignatureMismatch)?;
        }
        Ok(assemble(&self.tbs_der, self.algorithm, signature)?)
    }
}
