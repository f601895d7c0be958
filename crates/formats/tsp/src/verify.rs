use crypto::{SignatureAlgorithm, SignatureError, digest};
use moment::UnixSeconds;
use thiserror::Error;

use crate::{
    ChainError, MalformedResponse, MessageImprint, Nonce, PolicyOid, Rejection, TimestampRequest,
    TsaChain,
    response::{CertificateId, Response, Token},
};

/// What a verified timestamp says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedTimestamp {
    /// When the imprint existed: Unix seconds, rounded down.
    pub gen_time: UnixSeconds,
    /// The token's serial number: content octets of its INTEGER, big-endian.
    pub serial_number: Vec<u8>,
    /// The policy under which the token was issued.
    pub policy: PolicyOid,
    /// What was stamped.
    pub imprint: MessageImprint,
    /// The nonce, as the content octets of its INTEGER.
    pub nonce: Option<Vec<u8>>,
}

impl VerifiedTimestamp {
    /// Checks that this is the answer to `request`: imprint, nonce, and policy if one was asked for.
    ///
    /// # Errors
    /// [`VerifyError::Imprint`], [`VerifyError::Nonce`], [`VerifyError::Policy`].
    pub fn answers(&self, request: &TimestampRequest) -> Result<(), VerifyError> {
        if self.imprint != *request.imprint() {
            return Err(VerifyError::Imprint);
        }
        if self.nonce.as_deref() != request.nonce().map(Nonce::as_bytes) {
            return Err(VerifyError::Nonce);
        }
        if request.policy().is_some_and(|policy| *policy != self.policy) {
            return Err(VerifyError::Policy);
        }
        Ok(())
    }
}

/// Verifies that `response_der` (a `TimeStampResp`) stamps `imprint`, signed by the leaf of
/// `trusted_chain_der` (DER, leaf first, trust anchor last).
///
/// The chain must be valid at `genTime`. Certificates inside the token are never trusted; they
/// must be members of the chain, so that nothing in the response can be changed unseen. Whether
/// the authority was trusted at `genTime` (`validFor` of a trusted root) is for the caller.
///
/// # Errors
/// [`VerifyError`], by the first check that fails.
pub fn verify_response(
    response_der: &[u8],
    imprint: &MessageImprint,
    trusted_chain_der: &[impl AsRef<[u8]>],
) -> Result<VerifiedTimestamp, VerifyError> {
    let token = granted(response_der)?;
    verify_token(&token, imprint, &trusted_chain(trusted_chain_der)?)
}

/// Verifies as [`verify_response`] does that `message` was stamped, under the hash function that the token names:
/// SHA-256, SHA-384 or SHA-512; by a chain that was read before.
///
/// # Errors
/// [`VerifyError`], by the first check that fails.
pub fn verify_response_by(
    response_der: &[u8],
    message: &[u8],
    trusted_chain: &TsaChain,
) -> Result<VerifiedTimestamp, VerifyError> {
    let token = granted(response_der)?;
    let imprint = MessageImprint::of_message(token.tst_info.imprint.algorithm(), message);
    verify_token(&token, &imprint, trusted_chain)
}

fn granted(response_der: &[u8]) -> Result<Box<Token<'_>>, VerifyError> {
    match Response::from_der(response_der)? {
        Response::Granted(token) => Ok(token),
        Response::Refused(rejection) => Err(VerifyError::Refused(rejection)),
    }
}

fn trusted_chain(certificates: &[impl AsRef<[u8]>]) -> Result<TsaChain, VerifyError> {
    TsaChain::from_ders(certificates).map_err(VerifyError::Chain)
}

fn verify_token(
    token: &Token<'_>,
    imprint: &MessageImprint,
    chain: &TsaChain,
) -> Result<VerifiedTimestamp, VerifyError> {
    let tst_info = &token.tst_info;
    if tst_info.imprint != *imprint {
        return Err(VerifyError::Imprint);
    }
    verify_signer(token, chain)?;
    verify_signature(token, chain)?;
    if !chain.validity().contains(tst_info.gen_time) {
        return Err(VerifyError::OutsideValidity);
    }
    Ok(VerifiedTimestamp {
        gen_time: tst_info.gen_time,
        serial_number: tst_info.serial_number.to_vec(),
        policy: PolicyOid::from(tst_info.policy),
        imprint: tst_info.imprint.clone(),
        nonce: tst_info.nonce.map(<[u8]>::to_vec),
    })
}

/// Checks that everything in the token that names a signer names the trusted leaf.
fn verify_signer(token: &Token<'_>, chain: &TsaChain) -> Result<(), VerifyError> {
    let leaf = chain.leaf();
    let signer = &token.signer;
    let CertificateId { algorithm, hash, issuer_serial } = &signer.certificate_id;
    let is_hash_of_leaf = digest(*algorithm, &leaf.der) == *hash;
    if signer.issuer != leaf.issuer || signer.serial_number != leaf.serial_number {
        // A foreign token has nothing of the leaf. One that has was changed, and is not to pass
        // for foreign, which a verifier may overlook.
        let carries_leaf = token.certificates.contains(&leaf.der.as_slice());
        let changed = is_hash_of_leaf || carries_leaf;
        return Err(if changed { VerifyError::TwoSigners } else { VerifyError::UntrustedSigner });
    }
    if !is_hash_of_leaf {
        return Err(VerifyError::CertificateId);
    }
    if issuer_serial.as_ref().is_some_and(|named| {
        named.issuer != leaf.issuer || named.serial_number != leaf.serial_number
    }) {
        return Err(VerifyError::CertificateId);
    }
    if token.tst_info.tsa.is_some_and(|name| name != leaf.subject) {
        return Err(VerifyError::TsaName);
    }
    if !token.certificates.iter().all(|embedded| chain.ders().any(|own| own == *embedded)) {
        return Err(VerifyError::EmbeddedCertificate);
    }
    Ok(())
}

fn verify_signature(token: &Token<'_>, chain: &TsaChain) -> Result<(), VerifyError> {
    let signer = &token.signer;
    if digest(signer.digest_algorithm, token.tst_info_der) != signer.message_digest {
        return Err(VerifyError::MessageDigest);
    }
    let key = chain.public_key();
    let algorithm = SignatureAlgorithm::of_cms(
        signer.signature_algorithm,
        signer.digest_algorithm,
        key.family(),
    )
    .ok_or(VerifyError::Algorithm)?;
    key.verify_with(algorithm, &signer.signed_attributes, signer.signature)
        .map_err(VerifyError::Signature)
}

/// Why a response is no proof of time.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VerifyError {
    /// The authority granted nothing.
    #[error("the timestamp authority refused: {0}")]
    Refused(Rejection),
    /// The response's structure is wrong.
    #[error(transparent)]
    Malformed(#[from] MalformedResponse),
    /// A fault of the trusted root, and none of the token.
    #[error("the trusted timestamp authority's chain is not usable")]
    Chain(#[source] ChainError),
    /// Something else was stamped.
    #[error("the timestamp is not of this message")]
    Imprint,
    /// The signer is not the trusted leaf.
    #[error("the timestamp is not from the trusted authority")]
    UntrustedSigner,
    /// The token names another signer than the trusted leaf, and carries the leaf or its hash.
    #[error("the timestamp names two signers")]
    TwoSigners,
    /// The signed certificate identifier is not of the trusted leaf.
    #[error("the timestamp's signing certificate attribute is not of the trusted authority")]
    CertificateId,
    /// The authority's name in the token is not the leaf's subject.
    #[error("the timestamp names another authority than its certificate")]
    TsaName,
    /// A token brings nothing that is believed; one that brings another chain is of another
    /// authority.
    #[error("the timestamp carries a certificate that is not in the trusted chain")]
    EmbeddedCertificate,
    /// Somebody changed the `TSTInfo`: time, serial number or imprint.
    #[error("the timestamp's message digest does not match its content")]
    MessageDigest,
    /// Also a digest that nobody should use any more.
    #[error("the timestamp's signature algorithm does not fit the authority's key")]
    Algorithm,
    /// Of another authority with the same names, or altered.
    #[error("the timestamp's signature does not verify")]
    Signature(#[source] SignatureError),
    /// The authority's clock was wrong, or it signed after its end.
    #[error("the timestamp authority's chain was not valid at the time of the timestamp")]
    OutsideValidity,
    /// An older answer, played again.
    #[error("the timestamp does not repeat the request's nonce")]
    Nonce,
    /// RFC 3161 §2.4.2: it is the one that was asked for, or none is granted.
    #[error("the timestamp is under another policy than the request's")]
    Policy,
}
