//! An OpenID provider behind TLS with a root of its own, which may ask who asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use crypto::KeyType;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

use crate::jwk::TokenKey;

pub(crate) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(crate) const JWKS: &str = "/openid/v1/jwks";

pub(crate) struct TlsIssuer {
    pub(crate) port: u16,
    pub(crate) root_pem: String,
    pub(crate) key: TokenKey,
    state: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// Head of each request.
    requests: Vec<String>,
    /// Status and body by path.
    answers: HashMap<String, (u16, String)>,
    /// What must be shown.
    token: Option<String>,
}

/// How the server's certificate is.
#[derive(Default)]
pub(crate) struct Certificate {
    pub(crate) expired: bool,
    pub(crate) other_name: bool,
    /// Whether whoever asks must have one too.
    pub(crate) mutual: bool,
}

impl TlsIssuer {
    pub(crate) async fn start(issuer: impl Fn(u16) -> String, certificate: Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (root_pem, acceptor) = acceptor(&certificate);
        let key = TokenKey::generate(KeyType::EcdsaP256);
        let state = Arc::new(Mutex::new(State::default()));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, acceptor, Arc::clone(&state)));
        let this = Self { port, root_pem, key, state, _server: server };
        let keys = format!("https://127.0.0.1:{port}{JWKS}");
        this.answer(DISCOVERY, 200, &json!({"issuer": issuer(port), "jwks_uri": keys}));
        this.answer(JWKS, 200, &json!({"keys": [this.key.jwk("k1")]}));
        this
    }

    pub(crate) fn answer(&self, path: &str, status: u16, body: &Value) {
        let answer = (status, body.to_string());
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    pub(crate) fn demand(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.to_owned());
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn acceptor(certificate: &Certificate) -> (String, TlsAcceptor) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let names = if certificate.other_name {
        vec!["other.example".to_owned()]
    } else {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    };
    let mut leaf = CertificateParams::new(names).unwrap();
    if certificate.expired {
        leaf.not_before = OffsetDateTime::UNIX_EPOCH;
        leaf.not_after = OffsetDateTime::UNIX_EPOCH + time::Duration::days(9);
    }
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(root_certificate.der().clone()).unwrap();
    let clients = if certificate.mutual {
        let demanding =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        demanding.build().unwrap()
    } else {
        WebPkiClientVerifier::no_client_auth()
    };
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (root_certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        connections.spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                exchange(stream, &state).await;
            }
        });
    }
}

/// One request a connection.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &Mutex<State>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, body) = {
        let mut state = state.lock().unwrap();
        let shown = state.token.as_ref().is_none_or(|token| {
            head.to_ascii_lowercase().contains(&format!("authorization: bearer {token}\r\n"))
        });
        state.requests.push(head);
        let answer = state.answers.get(&path).cloned();
        if shown { answer.unwrap_or((404, String::new())) } else { (403, String::new()) }
    };
    let location = if status == 302 { format!("location: {body}\r\n") } else { String::new() };
    let answer = format!(
        "HTTP/1.1 {status} x\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
