//! From the messages of gRPC to the service's own types, and back.

use wire::fulcio;

use super::proto::dev::sigstore::fulcio::v2::{
    CertificateChain, Configuration, CreateSigningCertificateRequest, Credentials, OidcIssuer,
    SigningCertificate, SigningCertificateEmbeddedSct, TrustBundle,
    create_signing_certificate_request::Key, credentials::Credentials as Token,
    oidc_issuer::Issuer, signing_certificate::Certificate,
};
use crate::{ClaimedKey, EncodedKey, IssueError, IssueRequest, IssuedChain};

/// The token in the message wins over the one in the metadata.
pub(super) fn claim(
    request: CreateSigningCertificateRequest,
    metadata_token: Option<String>,
) -> Result<IssueRequest, IssueError> {
    let token = request.credentials.and_then(|credentials| credentials.credentials);
    let token = token.map(|Token::OidcIdentityToken(token)| token);
    let key = match request.key {
        Some(Key::PublicKeyRequest(request)) => ClaimedKey::Proven {
            public_key: EncodedKey::Pem(request.public_key.unwrap_or_default().content),
            proof_of_possession: request.proof_of_possession,
        },
        Some(Key::CertificateSigningRequest(pem)) => ClaimedKey::CertificateSigningRequest(pem),
        None => {
            let missing = "one of public_key_request and certificate_signing_request is needed";
            return Err(IssueError::Request(missing.to_owned()));
        }
    };
    Ok(IssueRequest { token: token.filter(|token| !token.is_empty()).or(metadata_token), key })
}

impl From<IssuedChain> for SigningCertificate {
    fn from(issued: IssuedChain) -> Self {
        let chain = Some(CertificateChain { certificates: issued.0 });
        let embedded = SigningCertificateEmbeddedSct { chain };
        Self { certificate: Some(Certificate::SignedCertificateEmbeddedSct(embedded)) }
    }
}

impl From<&fulcio::TrustBundle> for TrustBundle {
    fn from(bundle: &fulcio::TrustBundle) -> Self {
        let chains = bundle.chains.iter();
        let chains =
            chains.map(|chain| CertificateChain { certificates: chain.certificates.clone() });
        Self { chains: chains.collect() }
    }
}

impl From<&fulcio::Configuration> for Configuration {
    fn from(configuration: &fulcio::Configuration) -> Self {
        Self { issuers: configuration.issuers.iter().map(OidcIssuer::from).collect() }
    }
}

impl From<&fulcio::IssuerConfiguration> for OidcIssuer {
    fn from(issuer: &fulcio::IssuerConfiguration) -> Self {
        let url = issuer.issuer_url.clone().map(Issuer::IssuerUrl);
        let wildcard = || issuer.wildcard_issuer_url.clone().map(Issuer::WildcardIssuerUrl);
        Self {
            issuer: url.or_else(wildcard),
            audience: issuer.audience.clone(),
            challenge_claim: issuer.challenge_claim.clone(),
            spiffe_trust_domain: issuer.spiffe_trust_domain.clone(),
            issuer_type: issuer.issuer_type.clone(),
            subject_domain: issuer.subject_domain.clone(),
            skip_email_verification: issuer.skip_email_verification,
        }
    }
}

impl std::fmt::Debug for Credentials {
    /// Never shows the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}
