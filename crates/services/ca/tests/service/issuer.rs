//! An OpenID provider on a loopback socket, which can also behave badly.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use crypto::KeyType;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinSet};

use crate::jwk::TokenKey;

/// How a document is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    AsIs,
    Json(Value),
    RedirectTo(String),
    Status(u16),
    /// Bytes without end.
    Endless,
    /// Nothing, ever.
    Silence,
    /// As is, once it is told.
    Held(Arc<Notify>),
}

/// A running provider. Its key has the id `k1`.
pub(crate) struct TestIssuer {
    pub(crate) url: String,
    pub(crate) key: TokenKey,
    state: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<Value>>,
    discovery: Mutex<Answer>,
    jwks: Mutex<Answer>,
    fetches: AtomicUsize,
    discoveries: AtomicUsize,
}

impl TestIssuer {
    pub(crate) async fn start(key_type: KeyType) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = TokenKey::generate(key_type);
        let state = Arc::new(Shared {
            url: url.clone(),
            keys: Mutex::new(vec![key.jwk("k1")]),
            discovery: Mutex::new(Answer::AsIs),
            jwks: Mutex::new(Answer::AsIs),
            fetches: AtomicUsize::new(0),
            discoveries: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(jwks))
            .route("/realms/{realm}/.well-known/openid-configuration", get(realm))
            .with_state(Arc::clone(&state));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, key, state, _server: server }
    }

    pub(crate) fn answer_discovery(&self, answer: Answer) {
        *self.state.discovery.lock().unwrap() = answer;
    }

    pub(crate) fn answer_jwks(&self, answer: Answer) {
        *self.state.jwks.lock().unwrap() = answer;
    }

    pub(crate) fn publish(&self, keys: Vec<Value>) {
        *self.state.keys.lock().unwrap() = keys;
    }

    /// How often the keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    /// How often a realm's metadata were asked for.
    pub(crate) fn discoveries(&self) -> usize {
        self.state.discoveries.load(Ordering::SeqCst)
    }

    /// A token of this issuer with its own key and header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.key.token(&json!({"alg": self.key.algorithm(), "kid": "k1"}), claims)
    }
}

async fn discovery(State(state): State<Arc<Shared>>) -> Response {
    let answer = state.discovery.lock().unwrap().clone();
    let metadata = json!({"issuer": state.url, "jwks_uri": format!("{}/keys", state.url)});
    give(answer, metadata).await
}

/// Realms are issuers of their own below one host; those that are made up are not there.
async fn realm(State(state): State<Arc<Shared>>, Path(realm): Path<String>) -> Response {
    state.discoveries.fetch_add(1, Ordering::SeqCst);
    if realm.starts_with("made-up") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let answer = state.discovery.lock().unwrap().clone();
    let issuer = format!("{}/realms/{realm}", state.url);
    give(answer, json!({"issuer": issuer, "jwks_uri": format!("{}/keys", state.url)})).await
}

async fn jwks(State(state): State<Arc<Shared>>) -> Response {
    state.fetches.fetch_add(1, Ordering::SeqCst);
    let answer = state.jwks.lock().unwrap().clone();
    let keys = state.keys.lock().unwrap().clone();
    give(answer, json!({ "keys": keys })).await
}

async fn give(answer: Answer, as_is: Value) -> Response {
    match answer {
        Answer::AsIs => Json(as_is).into_response(),
        Answer::Json(value) => Json(value).into_response(),
        Answer::RedirectTo(url) => Redirect::temporary(&url).into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Endless => {
            let kibibyte = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024]));
            Body::from_stream(futures::stream::repeat_with(kibibyte)).into_response()
        }
        Answer::Silence => std::future::pending().await,
        Answer::Held(told) => {
            told.notified().await;
            Json(as_is).into_response()
        }
    }
}
