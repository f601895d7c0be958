use entry::rekor2::Verifier;
use wire::{
    bundle::TransparencyLogEntry,
    rekor2::{CreateEntryRequest, HashedRekordRequest, Signature},
};

use super::{
    HttpClient, IdentityToken, Service, ServiceError, ServiceKind, ServiceUrl,
    http::{Call, SentToken},
};

/// A Rekor v2.
#[derive(Clone, Debug)]
pub struct TransparencyLog {
    http: HttpClient,
    service: Service,
}

impl TransparencyLog {
    /// The log below the base URL `url`.
    #[must_use]
    pub fn new(http: HttpClient, url: ServiceUrl) -> Self {
        Self { http, service: Service { kind: ServiceKind::TransparencyLog, url } }
    }

    /// Logs that `signature` by `verifier` is over the message with this `digest`, and gives the
    /// entry with its proof; only read here, verified with the finished bundle.
    ///
    /// `token` is sent with it, to a log whose writers have one.
    ///
    /// Asking twice does no harm: the log gives the entry that it has.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn log(
        &self,
        digest: &[u8],
        signature: &[u8],
        verifier: &Verifier,
        token: Option<&IdentityToken>,
    ) -> Result<TransparencyLogEntry, ServiceError> {
        let request = CreateEntryRequest::HashedRekord(HashedRekordRequest {
            digest: digest.to_vec().into(),
            signature: Some(Signature {
                content: signature.to_vec().into(),
                verifier: Some(verifier.to_wire()),
            }),
        });
        let body = serde_json::to_vec(&request)
            .map_err(|error| self.service.malformed(format!("no request for it: {error}")))?;
        let answer = self
            .http
            .post(&Call {
                service: &self.service,
                url: self.service.url.join("/api/v2/log/entries"),
                content_type: "application/json",
                accept: "application/json",
                body,
                token: token.map(SentToken::Bearer),
                repeatable: true,
            })
            .await?;
        let entry: TransparencyLogEntry = wire::json::from_slice(&answer)
            .map_err(|error| self.service.malformed(format!("not a log entry: {error}")))?;
        if entry.inclusion_proof.is_none() {
            return Err(self.service.malformed("not a log entry: it has no inclusion proof"));
        }
        Ok(entry)
    }
}
