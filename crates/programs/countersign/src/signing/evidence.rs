use entry::rekor2::Verifier;
use wire::{
    bundle::{
        BundleContent, Rfc3161SignedTimestamp, TimestampVerificationData, TransparencyLogEntry,
    },
    rekor2::VerifierKey,
};

use super::{SigningError, SigningRequest};
use crate::services::{
    LogProtocol, ProposedEntry, RekorV1, ServiceError, ServiceUrl, TimestampAuthority,
    TransparencyLog,
};

/// A signature that others are to see.
pub(super) struct Signed<'a> {
    pub(super) content: &'a BundleContent,
    pub(super) signature: &'a [u8],
    /// Of what is signed, by the hash of the signer's key.
    pub(super) digest: &'a [u8],
    pub(super) verifier: &'a Verifier,
}

/// What others say of a signature.
pub(super) struct Evidence {
    pub(super) log_entry: Option<TransparencyLogEntry>,
    pub(super) timestamps: Option<TimestampVerificationData>,
}

/// Has the signature logged and stamped, at the same time.
pub(super) async fn gather(
    request: &SigningRequest<'_>,
    log: Option<&(ServiceUrl, LogProtocol)>,
    signed: &Signed<'_>,
) -> Result<Evidence, SigningError> {
    let (log_entry, timestamps) =
        tokio::try_join!(enter(request, log, signed), stamp(request, signed.signature))?;
    Ok(Evidence { log_entry, timestamps })
}

async fn enter(
    request: &SigningRequest<'_>,
    log: Option<&(ServiceUrl, LogProtocol)>,
    signed: &Signed<'_>,
) -> Result<Option<TransparencyLogEntry>, SigningError> {
    let Some((url, protocol)) = log else { return Ok(None) };
    let (http, url) = (request.http.clone(), url.clone());
    let entry = match protocol {
        LogProtocol::RekorV1 => {
            RekorV1::new(http, url).log(&proposed(signed)?, request.log_token).await?
        }
        LogProtocol::RekorV2 => {
            let log = TransparencyLog::new(http, url);
            log.log(signed.digest, signed.signature, signed.verifier, request.log_token).await?
        }
    };
    Ok(Some(entry))
}

fn proposed(signed: &Signed<'_>) -> Result<ProposedEntry, SigningError> {
    let verifier_pem = match signed.verifier.to_wire().key {
        VerifierKey::PublicKey(_) => signed.verifier.public_key().to_pem(),
        VerifierKey::X509Certificate(leaf) => x509::to_pem(leaf.raw_bytes.as_slice()),
    };
    Ok(match signed.content {
        BundleContent::MessageSignature(message) => {
            let digest = message.message_digest.clone().unwrap_or_default();
            ProposedEntry::hashedrekord(&digest, signed.signature, &verifier_pem)?
        }
        BundleContent::DsseEnvelope(envelope) => ProposedEntry::dsse(envelope, &verifier_pem)?,
    })
}

async fn stamp(
    request: &SigningRequest<'_>,
    signature: &[u8],
) -> Result<Option<TimestampVerificationData>, SigningError> {
    let urls = &request.endpoints.timestamp_authorities;
    if urls.is_empty() {
        return Ok(None);
    }
    let root = request.trust.ok_or(SigningError::NoTrust)?.root();
    let mut rfc3161_timestamps = Vec::with_capacity(urls.len());
    for url in urls {
        let authority = TimestampAuthority::new(request.http.clone(), url.clone());
        let stamp: Result<_, ServiceError> = authority.timestamp(signature, root).await;
        let signed_timestamp = stamp?.response_der.into();
        rfc3161_timestamps.push(Rfc3161SignedTimestamp { signed_timestamp });
    }
    Ok(Some(TimestampVerificationData { rfc3161_timestamps }))
}
