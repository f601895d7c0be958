//! Timestamps, over HTTP.

use std::sync::Arc;

use crypto::{KeyType, LocalSigner};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};
use signing::{CpuPool, FixedClock};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tsa::{Tsa, TsaConfig};
use tsp::{MessageImprint, verify_response};

use crate::{NOW, Outcome, Service, audit::Lines, logging::base64_of, moody::Moody, row};

/// A service on a port of its own.
pub(crate) struct Web {
    pub(crate) url: String,
    _server: JoinSet<()>,
}

impl Web {
    pub(crate) async fn serve(router: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let shutdown = CancellationToken::new();
            server::serve(vec![listener], router, shutdown).await.unwrap();
        });
        Self { url, _server: server }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Vec<u8>) {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }
}

struct Stamping {
    web: Web,
    chain: Vec<Vec<u8>>,
}

impl Service for Stamping {
    fn kind(&self) -> String {
        "a timestamp".to_owned()
    }

    async fn ask(&self, lines: &Lines) -> Outcome {
        let digest = crypto::sha256(b"artifact");
        let request = json!({"artifactHash": base64_of(digest), "hashAlgorithm": "sha256"});
        let (status, body) = self.web.post("/api/v1/timestamp", &request).await;
        if status == 200 {
            let imprint = MessageImprint::of_message(crypto::HashAlgorithm::Sha256, b"artifact");
            verify_response(&body, &imprint, &self.chain).unwrap();
            return Outcome::Signed;
        }
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, answer.as_object().unwrap().len()), (503, 2), "{answer}");
        lines.why()
    }
}

/// A root, and a certificate for timestamps with its key.
pub(crate) fn authority() -> (Vec<Vec<u8>>, LocalSigner) {
    let params = |common_name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::OrganizationName, "countersign.test");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2045, 1, 1);
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let mut root = params("root");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mut leaf = params("TSA");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Extended key usage of timestamps alone, critical, which rcgen does not write by itself.
    let usage = vec![0x30, 0x0A, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
    let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], usage);
    usage.set_criticality(true);
    leaf.custom_extensions = vec![usage];
    let leaf_key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&root, &root_key);
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    let chain = vec![leaf.der().to_vec(), root.self_signed(&root_key).unwrap().der().to_vec()];
    (chain, LocalSigner::from_pkcs8_der(leaf_key.serialized_der(), "tsa").unwrap())
}

#[tokio::test]
async fn timestamps() {
    let (chain, signer) = authority();
    assert_eq!(crypto::Signer::public_key(&signer).key_type(), KeyType::EcdsaP256);
    let key = Moody::of(signer, |_| true);
    let config =
        TsaConfig { verify_every: 1, ..TsaConfig::new(Arc::clone(&key) as _, chain.clone()) };
    let tsa = Tsa::new(config, Arc::new(FixedClock::at(NOW)), CpuPool::new(1)).unwrap();
    let router = tsa::http::router(Arc::new(tsa));
    let web = Web::serve(server::harden(router, tsa::protocol())).await;
    row(&Stamping { web, chain }, &key).await;
}
