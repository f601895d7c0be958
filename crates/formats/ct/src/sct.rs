use crypto::{KeyFamily, KeyType, PublicKey, SignatureAlgorithm};
use moment::UnixMillis;
use thiserror::Error;

use crate::{
    LogEntry, signed_data,
    tls::{Reader, TooLong, put_vector},
};

/// RFC 6962 §3.2 `Version.v1`.
pub(crate) const VERSION_1: u8 = 0;

/// RFC 5246 §7.4.1.4.1: hash sha256(4), signature ecdsa(3).
pub const SHA256_WITH_ECDSA: [u8; 2] = [4, 3];

/// A signed certificate timestamp of version 1: a log's word that it includes an entry (RFC 6962 §3.2).
///
/// Our log signs by ECDSA with SHA-256, the only kind that every Sigstore client takes; of others'
/// logs the rest of the table is read, RSA among it (RFC 6962 §2.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sct {
    /// SHA-256 of the log's SPKI.
    pub log_id: [u8; 32],
    /// Milliseconds since the unix epoch.
    pub timestamp: UnixMillis,
    /// Extensions of the log, mostly empty.
    pub extensions: Vec<u8>,
    /// TLS `SignatureAndHashAlgorithm` of the signature, hash first.
    pub algorithm: [u8; 2],
    /// DER `ECDSA-Sig-Value`, or an RSA signature.
    pub signature: Vec<u8>,
}

impl Sct {
    /// Writes the TLS form.
    ///
    /// # Errors
    /// [`SctError::TooLong`].
    pub fn encode(&self) -> Result<Vec<u8>, SctError> {
        let mut out = vec![VERSION_1];
        out.extend_from_slice(&self.log_id);
        out.extend_from_slice(&self.timestamp.0.to_be_bytes());
        put_vector(&mut out, 2, &self.extensions)?;
        out.extend_from_slice(&self.digitally_signed()?);
        Ok(out)
    }

    /// Reads the TLS form, which must end with the bytes.
    ///
    /// # Errors
    /// [`SctError::Malformed`], [`SctError::Version`], [`SctError::SignatureAlgorithm`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SctError> {
        let mut reader = Reader(bytes);
        if reader.u8().ok_or(SctError::Malformed)? != VERSION_1 {
            return Err(SctError::Version);
        }
        let log_id = reader.array().ok_or(SctError::Malformed)?;
        let timestamp = UnixMillis(reader.u64().ok_or(SctError::Malformed)?);
        let extensions = reader.vector16().ok_or(SctError::Malformed)?.to_vec();
        Self::from_digitally_signed(log_id, timestamp, extensions, reader.0)
    }

    /// The signature as TLS `DigitallySigned`: what `signature` of an add-chain answer holds.
    ///
    /// # Errors
    /// [`SctError::TooLong`].
    pub fn digitally_signed(&self) -> Result<Vec<u8>, SctError> {
        encode_with(self.algorithm, &self.signature)
    }

    /// Puts together an SCT from the fields of an add-chain answer (RFC 6962 §4.1).
    ///
    /// # Errors
    /// [`SctError::Malformed`], [`SctError::SignatureAlgorithm`].
    pub fn from_digitally_signed(
        log_id: [u8; 32],
        timestamp: UnixMillis,
        extensions: Vec<u8>,
        digitally_signed: &[u8],
    ) -> Result<Self, SctError> {
        let (algorithm, signature) = decode_digitally_signed(digitally_signed)?;
        Ok(Self { log_id, timestamp, extensions, algorithm, signature: signature.to_vec() })
    }

    /// Verifies that the log of `ct_key` signed this for `entry`.
    ///
    /// # Errors
    /// [`SctError::UnknownLog`], [`SctError::LogKey`], [`SctError::SignatureMismatch`].
    pub fn verify(&self, entry: &LogEntry, ct_key: &PublicKey) -> Result<(), SctError> {
        if self.log_id != ct_key.spki_sha256() {
            return Err(SctError::UnknownLog);
        }
        let message = signed_data(entry, self.timestamp, &self.extensions)?;
        let algorithm = SignatureAlgorithm::of_tls(self.algorithm, ct_key.key_type().family());
        ct_key
            .verify_with(algorithm.ok_or(SctError::LogKey)?, &message, &self.signature)
            .map_err(|_| SctError::SignatureMismatch)
    }
}

/// Writes a `SignedCertificateTimestampList` (RFC 6962 §3.3), without its OCTET STRING.
///
/// # Errors
/// [`SctError::TooLong`].
pub fn encode_list(scts: &[Sct]) -> Result<Vec<u8>, SctError> {
    let mut items = Vec::new();
    for sct in scts {
        put_vector(&mut items, 2, &sct.encode()?)?;
    }
    let mut list = Vec::new();
    put_vector(&mut list, 2, &items)?;
    Ok(list)
}

/// Reads a `SignedCertificateTimestampList`, which must hold at least one SCT and nothing after.
///
/// # Errors
/// [`SctError::Malformed`] and those of [`Sct::decode`].
pub fn decode_list(bytes: &[u8]) -> Result<Vec<Sct>, SctError> {
    let mut reader = Reader(bytes);
    let mut items = Reader(reader.vector16().ok_or(SctError::Malformed)?);
    if !reader.is_empty() || items.is_empty() {
        return Err(SctError::Malformed);
    }
    let mut scts = Vec::new();
    while !items.is_empty() {
        scts.push(Sct::decode(items.vector16().ok_or(SctError::Malformed)?)?);
    }
    Ok(scts)
}

/// Wraps an ECDSA signature with SHA-256 as TLS `DigitallySigned` (RFC 5246 §4.7).
///
/// # Errors
/// [`SctError::TooLong`].
pub fn encode_digitally_signed(signature_der: &[u8]) -> Result<Vec<u8>, SctError> {
    encode_with(SHA256_WITH_ECDSA, signature_der)
}

fn encode_with(algorithm: [u8; 2], signature: &[u8]) -> Result<Vec<u8>, SctError> {
    let mut out = algorithm.to_vec();
    put_vector(&mut out, 2, signature)?;
    Ok(out)
}

/// Takes algorithm and signature out of a TLS `DigitallySigned`, which must end with the bytes.
///
/// # Errors
/// [`SctError::Malformed`], [`SctError::SignatureAlgorithm`] for one that no key can have.
pub fn decode_digitally_signed(bytes: &[u8]) -> Result<([u8; 2], &[u8]), SctError> {
    let mut reader = Reader(bytes);
    let algorithm = reader.array::<2>().ok_or(SctError::Malformed)?;
    let families = [KeyFamily::P256, KeyFamily::Rsa];
    if !families.into_iter().any(|key| SignatureAlgorithm::of_tls(algorithm, key).is_some()) {
        return Err(SctError::SignatureAlgorithm);
    }
    let signature = reader.vector16().ok_or(SctError::Malformed)?;
    if reader.is_empty() { Ok((algorithm, signature)) } else { Err(SctError::Malformed) }
}

/// The algorithm of our CT log's signatures: SHA-256 with ECDSA on the key's curve.
pub(crate) fn log_algorithm(ct_key: &PublicKey) -> Result<SignatureAlgorithm, SctError> {
    match ct_key.key_type() {
        KeyType::EcdsaP256 => Ok(SignatureAlgorithm::EcdsaP256Sha256),
        KeyType::EcdsaP384 => Ok(SignatureAlgorithm::EcdsaP384Sha256),
        _ => Err(SctError::LogKey),
    }
}

/// Why an SCT was not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SctError {
    /// A field longer than its length prefix can say.
    #[error("a field of the SCT is too long")]
    TooLong,
    /// Cut short, empty, or with bytes after it.
    #[error("the SCT is malformed")]
    Malformed,
    /// Not version 1.
    #[error("the SCT is not of version 1")]
    Version,
    /// Neither ECDSA nor RSA, or by another hash than SHA-256, SHA-384 or SHA-512.
    #[error("the SCT's signature is of an algorithm that is not supported")]
    SignatureAlgorithm,
    /// Of another log than the key's.
    #[error("the SCT is of another log than the key")]
    UnknownLog,
    /// The log's key cannot make such a signature.
    #[error("the CT log's key is not one for the SCT's signature algorithm")]
    LogKey,
    /// Not signed by the log, or over another certificate.
    #[error("the SCT's signature does not verify")]
    SignatureMismatch,
}

impl From<TooLong> for SctError {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}
