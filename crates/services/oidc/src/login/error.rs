use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use signing::Overloaded;
use thiserror::Error;

/// Why a client gets no token, by the codes of RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5 and OpenID
/// Connect Core §3.1.2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum OAuthError {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("no such client: client_id must be an audience of this issuer, such as `sigstore`")]
    InvalidClient,
    #[error("{0}")]
    InvalidGrant(&'static str),
    #[error("the scope must contain `openid`")]
    InvalidScope,
    #[error("the response type must be `code`, in the query")]
    UnsupportedResponseType,
    #[error(
        "the grant type must be authorization_code or urn:ietf:params:oauth:grant-type:device_code"
    )]
    UnsupportedGrantType,
    #[error("request objects are not supported")]
    RequestNotSupported,
    #[error("somebody has to choose who to be")]
    LoginRequired,
    #[error("it was refused on the page")]
    AccessDenied,
    #[error("nobody has typed the code yet")]
    AuthorizationPending,
    #[error("asked again too soon")]
    SlowDown,
    #[error("nobody typed the code in time")]
    ExpiredToken,
    #[error("too many requests are waiting, try again")]
    Overloaded,
    #[error("the token could not be signed")]
    ServerError,
}

impl OAuthError {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::RequestNotSupported => "request_not_supported",
            Self::LoginRequired => "login_required",
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::Overloaded => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

impl From<Overloaded> for OAuthError {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

impl IntoResponse for OAuthError {
    /// RFC 6749 §5.2.
    fn into_response(self) -> Response {
        let status = match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let body = json!({"error": self.code(), "error_description": self.to_string()});
        let mut response = (status, Json(body)).into_response();
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        if self == Self::InvalidClient {
            let basic = HeaderValue::from_static("Basic realm=\"countersign\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}
