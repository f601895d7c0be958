use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use crypto::SignerError;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use url::form_urlencoded;
use wire::Base64;

use super::{Grant, Login, TOKEN_LIFETIME_S, Who, error::OAuthError, form::Form, guard};
use crate::TokenRequest;

/// RFC 8628 §3.4.
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// `POST /token`, RFC 6749 §4.1.3 and RFC 8628 §3.4.
pub(super) async fn give(State(login): State<Arc<Login>>, request: Request) -> Response {
    match login.give(request).await {
        // RFC 6749 §5.1.
        Ok(tokens) => (NO_STORE, Json(tokens)).into_response(),
        Err(error) => error.into_response(),
    }
}

const NO_STORE: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// That a program on this machine asks, and no page.
pub(super) fn check_program(request: &Request) -> Result<(), OAuthError> {
    guard::host(request)
        .map_err(|_| OAuthError::InvalidRequest("for this machine alone: use http://localhost"))?;
    guard::program(request)
        .map_err(|_| OAuthError::InvalidRequest("pages of the web get no tokens here"))
}

impl Login {
    async fn give(&self, request: Request) -> Result<Value, OAuthError> {
        check_program(&request)?;
        let headers = request.headers().clone();
        let form = Form::of_body(request).await?;
        let client = self.client(&headers, &form)?;
        let (client, who, nonce) = match form.text("grant_type") {
            Some("authorization_code") => {
                let grant = self.redeem(client.as_deref(), &form)?;
                (grant.client, grant.who, grant.nonce)
            }
            Some(DEVICE_GRANT) => {
                let (client, who) = self.poll(client.as_deref(), &form)?;
                (client, who, None)
            }
            _ => return Err(OAuthError::UnsupportedGrantType),
        };
        self.tokens(client, who, nonce).await
    }

    /// The client that asks: by name in the body, or as the user of Basic (RFC 6749 §2.3.1). All are
    /// public, and send an empty secret or one that somebody told them: whatever it is, it is none.
    pub(super) fn client(
        &self,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Option<String>, OAuthError> {
        let basic = match headers.get(header::AUTHORIZATION) {
            None => None,
            Some(value) => Some(basic_user(value).ok_or(OAuthError::InvalidClient)?),
        };
        let id = match (basic, form.text("client_id")) {
            (Some(basic), Some(named)) if basic != named => return Err(OAuthError::InvalidClient),
            (Some(basic), _) => basic,
            (None, Some(named)) => named.to_owned(),
            (None, None) => return Ok(None),
        };
        self.known_client(&id).map(Some)
    }

    /// Exchanges a code, which is gone with the first try, whoever made it (RFC 6749 §4.1.2).
    fn redeem(&self, client: Option<&str>, form: &Form) -> Result<Grant, OAuthError> {
        let code = form.text("code").unwrap_or_default();
        let grant = self.waiting().codes.take(self.clock.now(), code);
        let grant =
            grant.ok_or(OAuthError::InvalidGrant("no such code, or it was used or late"))?;
        if client != Some(&grant.client) {
            return Err(OAuthError::InvalidGrant("the code is another client's"));
        }
        if !form.text("redirect_uri").is_some_and(|text| grant.redirect.is(text)) {
            return Err(OAuthError::InvalidGrant("redirect_uri is not that of the code"));
        }
        if !grant.challenge.is_met_by(form) {
            return Err(OAuthError::InvalidGrant("code_verifier is not that of the code"));
        }
        Ok(grant)
    }

    /// The same token twice but for the nonce: clients disagree on which one says who one is.
    async fn tokens(
        &self,
        client: String,
        who: Who,
        nonce: Option<String>,
    ) -> Result<Value, OAuthError> {
        let (email, subject) = match who {
            Who::Email(email) => (Some(email), None),
            Who::Subject(subject) => (None, Some(subject)),
        };
        let request = TokenRequest {
            ci: None,
            subject,
            email,
            audience: client,
            overrides: Vec::new(),
            lifetime_s: TOKEN_LIFETIME_S,
        };
        let (base_url, now) = (self.base_url.clone(), self.clock.now());
        let access = request.claims(&base_url, now);
        let mut id = request.claims(&base_url, now);
        if let Some(nonce) = nonce {
            id.insert("nonce".to_owned(), nonce.into());
        }
        let minter = Arc::clone(&self.minter);
        let mint = move || Ok::<_, SignerError>((minter.mint(access)?, minter.mint(id)?));
        let (access, id) = self.cpu.run(mint).await?.map_err(|error| {
            tracing::error!(error = error.to_string(), "cannot sign a token");
            OAuthError::ServerError
        })?;
        Ok(json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME_S,
            "id_token": id,
            "scope": "openid email",
        }))
    }
}

/// The user of `Basic`, without the escapes that RFC 6749 §2.3.1 puts into it.
fn basic_user(value: &HeaderValue) -> Option<String> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(Base64::decode_line(credentials.trim()).ok()?.0).ok()?;
    let (user, _) = decoded.split_once(':')?;
    if user.contains(['&', '=']) {
        return None;
    }
    form_urlencoded::parse(user.as_bytes()).next().map(|(user, _)| user.into_owned())
}
