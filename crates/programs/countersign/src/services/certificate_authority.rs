use wire::fulcio::{
    Credentials, KeyRequest, PublicKey, PublicKeyRequest, SigningCertRequest, SigningCertResponse,
};

use super::{
    HttpClient, IdentityToken, PrivateUrl, Service, ServiceError, ServiceKind,
    http::{Call, SentToken},
};

/// Most certificates of an answer: a leaf, its CA, a root, and a few more above.
const MAX_CERTIFICATES: usize = 8;

/// A Fulcio v2.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    http: HttpClient,
    service: Service,
}

impl CertificateAuthority {
    /// The CA below the base URL `url`, which is sent the token.
    #[must_use]
    pub fn new(http: HttpClient, url: PrivateUrl) -> Self {
        let service = Service { kind: ServiceKind::CertificateAuthority, url: url.into() };
        Self { http, service }
    }

    /// Asks for a certificate of `public_key` by the holder of `token`: DER, leaf first.
    ///
    /// `proof` is the key's signature over [`CertificateAuthority::challenge`] of the token.
    /// The answer is only read here; see [`crate::signing`] for the checks.
    ///
    /// # Errors
    /// [`ServiceError`]; [`ServiceError::Malformed`] also for an SCT beside the certificate, which
    /// has no place in a bundle.
    pub async fn certificate(
        &self,
        token: &IdentityToken,
        public_key: &crypto::PublicKey,
        proof: Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, ServiceError> {
        let body = self.request_body(token, public_key, proof)?;
        let answer = self
            .http
            .post(&Call {
                service: &self.service,
                url: self.service.url.join("/api/v2/signingCert"),
                content_type: "application/json",
                accept: "application/json",
                body,
                token: Some(SentToken::InBody(token)),
                // Each certificate is one more in the CT log, and a token may count once.
                repeatable: false,
            })
            .await?;
        self.read(&answer)
    }

    /// What the key must sign to prove that the caller holds it.
    #[must_use]
    pub fn challenge(token: &IdentityToken) -> &str {
        token.challenge()
    }

    fn request_body(
        &self,
        token: &IdentityToken,
        public_key: &crypto::PublicKey,
        proof: Vec<u8>,
    ) -> Result<Vec<u8>, ServiceError> {
        let request = SigningCertRequest {
            credentials: Some(Credentials { oidc_identity_token: token.compact().to_owned() }),
            key: KeyRequest::PublicKeyRequest(PublicKeyRequest {
                public_key: PublicKey {
                    // A hint that servers do not read; every client writes one.
                    algorithm: "ECDSA".to_owned(),
                    content: public_key.to_pem(),
                },
                proof_of_possession: proof.into(),
            }),
        };
        serde_json::to_vec(&request)
            .map_err(|error| self.service.malformed(format!("no request for it: {error}")))
    }

    fn read(&self, answer: &[u8]) -> Result<Vec<Vec<u8>>, ServiceError> {
        let answer: SigningCertResponse = wire::json::from_slice(answer)
            .map_err(|error| self.service.malformed(format!("not a certificate: {error}")))?;
        if matches!(answer, SigningCertResponse::SignedCertificateDetachedSct(_)) {
            return Err(self
                .service
                .malformed("the SCT is beside the certificate instead of in it"));
        }
        let pems = answer.certificates();
        if pems.len() > MAX_CERTIFICATES {
            return Err(self.service.malformed("the certificate chain is too long"));
        }
        let mut certificates = Vec::with_capacity(pems.len());
        for pem in pems {
            let ders = x509::from_pem(pem)
                .map_err(|error| self.service.malformed(format!("a certificate: {error}")))?;
            certificates.extend(ders);
        }
        if certificates.is_empty() {
            return Err(self.service.malformed("the certificate chain is empty"));
        }
        Ok(certificates)
    }
}
