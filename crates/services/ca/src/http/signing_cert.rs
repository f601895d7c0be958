use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use server::within_limits;
use wire::fulcio::{
    CertificateChain, EmbeddedSct, KeyRequest, SigningCertRequest, SigningCertResponse,
};

use super::{
    reply,
    request::{header_token, read_json},
};
use crate::{
    Ca, ClaimedKey, EncodedKey, IssueRequest,
    api::{Api, Caller},
    record,
};

/// `POST /api/v2/signingCert`
pub(super) async fn create(State(ca): State<Arc<Ca>>, request: Request) -> Response {
    // Without a line of the log: who sends too much would fill that too.
    let request = match within_limits(request).await {
        Ok(request) => request,
        Err(limited) => return reply::failure(&limited),
    };
    let caller = Caller::of(request.extensions());
    let header_token = header_token(request.headers());
    let request = match read_json(request).await {
        Ok(request) => request.map(|request| claim(request, header_token)),
        Err(failure) => {
            record::unread(Api::HttpV2, &caller, &failure.to_string());
            return reply::failure(&failure);
        }
    };
    match ca.answer((Api::HttpV2, caller), request).await {
        // One member and no other: sigstore-rs reads the answer as a tagged union.
        Ok(chain) => reply::json(&SigningCertResponse::SignedCertificateEmbeddedSct(EmbeddedSct {
            chain: CertificateChain { certificates: chain.0 },
        })),
        Err(refusal) => reply::refusal(&refusal),
    }
}

/// The token in the body wins over the one in the header.
fn claim(request: SigningCertRequest, header_token: Option<String>) -> IssueRequest {
    let body_token = request.credentials.map(|credentials| credentials.oidc_identity_token);
    let key = match request.key {
        KeyRequest::PublicKeyRequest(request) => ClaimedKey::Proven {
            public_key: EncodedKey::Pem(request.public_key.content),
            proof_of_possession: request.proof_of_possession.0,
        },
        KeyRequest::CertificateSigningRequest(pem) => ClaimedKey::CertificateSigningRequest(pem.0),
    };
    IssueRequest { token: body_token.filter(|token| !token.is_empty()).or(header_token), key }
}
