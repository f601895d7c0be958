//! Fulcio v1, which cosign 2 and gitsign speak: the same certificates as PEM text.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use server::within_limits;
use wire::fulcio::SigningCertRequestV1;

use super::{
    reply,
    request::{header_token, read_json},
};
use crate::{
    Ca, ClaimedKey, EncodedKey, IssueError, IssueRequest,
    api::{Api, Caller},
    record,
};

/// `POST /api/v1/signingCert`: 201, clients refuse any other status.
pub(super) async fn create(State(ca): State<Arc<Ca>>, request: Request) -> Response {
    // Without a line of the log: who sends too much would fill that too.
    let request = match within_limits(request).await {
        Ok(request) => request,
        Err(limited) => return reply::failure(&limited),
    };
    let caller = Caller::of(request.extensions());
    let token = header_token(request.headers());
    let request = match read_json(request).await {
        Ok(request) => request.and_then(|request| claim(request, token)),
        Err(failure) => {
            record::unread(Api::HttpV1, &caller, &failure.to_string());
            return reply::failure(&failure);
        }
    };
    match ca.answer((Api::HttpV1, caller), request).await {
        Ok(chain) => reply::pem(StatusCode::CREATED, &chain.0),
        Err(refusal) => reply::refusal(&refusal),
    }
}

/// `GET /api/v1/rootCert`
pub(super) async fn root_cert(State(ca): State<Arc<Ca>>) -> Response {
    let chains = ca.trust_bundle().chains.iter();
    let certificates: Vec<_> = chains.flat_map(|chain| &chain.certificates).collect();
    reply::pem(StatusCode::OK, &certificates)
}

fn claim(request: SigningCertRequestV1, token: Option<String>) -> Result<IssueRequest, IssueError> {
    let key = match (request.certificate_signing_request.0, request.public_key) {
        (csr, _) if !csr.is_empty() => ClaimedKey::CertificateSigningRequest(csr),
        (_, Some(public_key)) => ClaimedKey::Proven {
            public_key: EncodedKey::from_pem_or_der(public_key.content.0),
            proof_of_possession: request.signed_email_address.0,
        },
        (_, None) => {
            let missing = "one of publicKey and certificateSigningRequest is needed";
            return Err(IssueError::Request(missing.to_owned()));
        }
    };
    Ok(IssueRequest { token, key })
}
