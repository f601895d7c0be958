use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::get,
};
use crypto::PublicKey;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use server::{Failure, Protocol};

use super::{
    Ci, Login,
    jwt::{NotRsa, key_set},
    login::{self, MAX_BODY_LEN},
};

/// Discovery document and key set of the plain issuer and of every [`Ci`], below `base_url`; and where
/// people log in to the plain one, if they may.
///
/// # Errors
/// [`NotRsa`].
pub fn router(base_url: &str, key: &PublicKey, login: Option<Login>) -> Result<Router, NotRsa> {
    let keys = Arc::new(key_set(key)?);
    let mut plain = discovery(base_url);
    let mut router = Router::new();
    if let Some(login) = login {
        if let (Value::Object(all), Value::Object(flows)) = (&mut plain, login.discovery()) {
            all.extend(flows);
        }
        router = login::router(Arc::new(login));
    }
    let of_ci = Ci::ALL.map(|ci| (format!("/{}", ci.name()), discovery(&ci.issuer(base_url))));
    for (path, discovery) in [(String::new(), plain)].into_iter().chain(of_ci) {
        router = router
            .route(&format!("{path}/.well-known/openid-configuration"), document(discovery.into()))
            .route(&format!("{path}/.well-known/jwks"), document(Arc::clone(&keys)));
    }
    Ok(router)
}

/// Failures in the form of OAuth errors.
#[must_use]
pub fn protocol() -> Protocol {
    let render = |failure: &Failure| {
        let body = json!({"error": "invalid_request", "error_description": failure.to_string()});
        (failure.status(), Json(body)).into_response()
    };
    Protocol { name: "oidc", body_limit: MAX_BODY_LEN, timeout: Duration::from_secs(10), render }
}

/// OpenID Connect Discovery §3. Like those of CI systems it names no endpoint that would give tokens;
/// the plain issuer's are added where there are any.
fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "email"],
        "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf", "email", "email_verified"],
    })
}

fn document(value: Arc<Value>) -> axum::routing::MethodRouter {
    get(move || async move { cached(&value) })
}

/// A minute of caching: a fresh data directory on the same port has other keys.
fn cached(value: &Value) -> Response {
    const CACHING: [(HeaderName, HeaderValue); 1] =
        [(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"))];
    (CACHING, Json(value)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use crypto::{KeyType, LocalSigner, Signer};
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn each_issuer_has_its_own_discovery_document_and_keys() {
        let key = LocalSigner::generate(KeyType::Rsa2048, "oidc").unwrap();
        let router = router("http://localhost:3006", key.public_key(), None).unwrap();
        let app = server::harden(router, protocol());
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        };
        let paths = Ci::ALL.map(|ci| format!("/{}", ci.name()));
        for path in [""].into_iter().chain(paths.iter().map(String::as_str)) {
            let (status, body) = ask(&format!("{path}/.well-known/openid-configuration")).await;
            assert_eq!(status, StatusCode::OK);
            let issuer = format!("http://localhost:3006{path}");
            assert_eq!(body["issuer"], issuer);
            assert!(body.get("token_endpoint").is_none(), "nobody logs in unless it was wanted");
            assert_eq!(body["jwks_uri"], format!("{issuer}/.well-known/jwks"));
            let (_, keys) = ask(&format!("{path}/.well-known/jwks")).await;
            assert_eq!(keys["keys"][0]["kty"], "RSA");
        }
        let (status, body) = ask("/travis/.well-known/openid-configuration").await;
        assert_eq!(
            (status, &body["error_description"]),
            (StatusCode::NOT_FOUND, &"no such path".into())
        );
    }
}
