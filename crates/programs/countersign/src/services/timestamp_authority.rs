use moment::UnixSeconds;
use tsp::{FailInfo, MessageImprint, Nonce, Rejection, TimestampRequest, VerifyError};
use wire::trust::TrustedRoot;

use super::{HttpClient, Service, ServiceError, ServiceKind, ServiceUrl, http::Call};

/// An RFC 3161 timestamp authority.
#[derive(Clone, Debug)]
pub struct TimestampAuthority {
    http: HttpClient,
    service: Service,
}

/// A timestamp that answers its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// DER `TimeStampResp`.
    pub response_der: Vec<u8>,
    /// When it was made.
    pub gen_time: UnixSeconds,
}

impl TimestampAuthority {
    /// The authority at the complete URL `url`.
    #[must_use]
    pub fn new(http: HttpClient, url: ServiceUrl) -> Self {
        Self { http, service: Service { kind: ServiceKind::TimestampAuthority, url } }
    }

    /// Has the SHA-256 of `message` stamped, and checks the answer against the request and the
    /// authorities of `trusted_root`.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn timestamp(
        &self,
        message: &[u8],
        trusted_root: &TrustedRoot,
    ) -> Result<Timestamp, ServiceError> {
        let request = self.request(message)?;
        let response_der = self
            .http
            .post(&Call {
                service: &self.service,
                url: self.service.url.verbatim(),
                content_type: "application/timestamp-query",
                accept: "application/timestamp-reply",
                body: request.to_der(),
                token: None,
                repeatable: true,
            })
            .await?;
        let gen_time = self.check(&response_der, &request, trusted_root)?;
        Ok(Timestamp { response_der, gen_time })
    }

    fn request(&self, message: &[u8]) -> Result<TimestampRequest, ServiceError> {
        let imprint = MessageImprint::of_message(crypto::HashAlgorithm::Sha256, message);
        let nonce = Nonce::from_unsigned(&crypto::random_bytes::<8>())
            .map_err(|error| self.service.malformed(format!("no request for it: {error}")))?;
        Ok(TimestampRequest::new(imprint).with_nonce(nonce).with_certificates(true))
    }

    fn check(
        &self,
        response_der: &[u8],
        request: &TimestampRequest,
        trusted_root: &TrustedRoot,
    ) -> Result<UnixSeconds, ServiceError> {
        let mut error = VerifyError::UntrustedSigner;
        for authority in &trusted_root.timestamp_authorities {
            let chain = &authority.cert_chain.certificates;
            let chain: Vec<&[u8]> = chain.iter().map(|one| one.raw_bytes.as_slice()).collect();
            let verified = tsp::verify_response(response_der, request.imprint(), &chain)
                .and_then(|stamp| stamp.answers(request).map(|()| stamp.gen_time));
            match verified {
                Ok(gen_time) => return Ok(gen_time),
                // Another authority's, or one that this program cannot use: the next may be its own.
                Err(VerifyError::UntrustedSigner | VerifyError::Chain(_)) => {}
                Err(other) => {
                    error = other;
                    break;
                }
            }
        }
        Err(self.error_of(error))
    }

    fn error_of(&self, error: VerifyError) -> ServiceError {
        match error {
            VerifyError::Refused(rejection) if is_for_now(&rejection) => {
                self.service.unreachable(rejection.to_string())
            }
            VerifyError::Refused(rejection) => self.service.refused(rejection.to_string(), None),
            VerifyError::Malformed(malformed) => self.service.malformed(malformed.to_string()),
            other => self.service.untrusted(other.to_string()),
        }
    }
}

/// Whether the authority's own state, rather than the request, is in the way.
fn is_for_now(rejection: &Rejection) -> bool {
    matches!(rejection.fail_info, Some(FailInfo::TimeNotAvailable | FailInfo::SystemFailure))
}
