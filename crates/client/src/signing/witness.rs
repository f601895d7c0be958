use entry::rekor2::Verifier;
use wire::bundle::{Rfc3161SignedTimestamp, TimestampVerificationData, TransparencyLogEntry};

use super::{SigningError, SigningRequest};
use crate::services::{ServiceError, TimestampAuthority, TransparencyLog};

/// What others say of a signature.
pub(super) struct Witnessed {
    pub(super) log_entry: Option<TransparencyLogEntry>,
    pub(super) timestamps: Option<TimestampVerificationData>,
}

/// Has the signature logged and stamped, at the same time.
pub(super) async fn witness(
    request: &SigningRequest<'_>,
    digest: &[u8],
    signature: &[u8],
    verifier: &Verifier,
) -> Result<Witnessed, SigningError> {
    let (log_entry, timestamps) =
        tokio::try_join!(log(request, digest, signature, verifier), stamp(request, signature))?;
    Ok(Witnessed { log_entry, timestamps })
}

async fn log(
    request: &SigningRequest<'_>,
    digest: &[u8],
    signature: &[u8],
    verifier: &Verifier,
) -> Result<Option<TransparencyLogEntry>, SigningError> {
    let Some(url) = request.endpoints.transparency_log.clone() else { return Ok(None) };
    let log = TransparencyLog::new(request.http.clone(), url);
    Ok(Some(log.log(digest, signature, verifier).await?))
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
