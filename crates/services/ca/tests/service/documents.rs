//! What the authority publishes about itself, and paths that do not exist.

use axum::body::Body;
use ca::{Ca, CaConfig, CaConfigError, CaParts};
use crypto::{KeyType, LocalSigner, Signer};
use http::Request;
use identity::IssuerKind;
use serde_json::json;
use signing::CpuPool;

use crate::{
    authority::authority,
    stack::{NOW, Stack, YEAR, uri_kind},
};

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn trust_bundle_has_the_chain_with_final_newlines() {
    let stack = Stack::start().await;
    let reply = stack.send(get("/api/v2/trustBundle")).await;
    let pems: Vec<String> =
        stack.chain.certificates().iter().map(|der| x509::to_pem(der)).collect();
    assert!(pems.iter().all(|pem| pem.ends_with("-----END CERTIFICATE-----\n")));
    assert_eq!(reply.json(), json!({"chains": [{"certificates": pems}]}));
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn configuration_describes_each_issuer_in_full() {
    let email = Stack::start().await;
    let reply = email.send(get("/api/v2/configuration")).await;
    assert_eq!(
        reply.json(),
        json!({"issuers": [{
            "issuerUrl": email.issuer.url, "audience": "sigstore", "challengeClaim": "email",
            "spiffeTrustDomain": "", "issuerType": "email", "subjectDomain": "",
            "skipEmailVerification": false
        }]})
    );
    let uri = Stack::of_kind(uri_kind()).await;
    let issuer = uri.send(get("/api/v2/configuration")).await.json()["issuers"][0].clone();
    assert_eq!(issuer["issuerType"], "uri");
    assert_eq!(issuer["challengeClaim"], "sub");
    assert_eq!(issuer["subjectDomain"], "http://127.0.0.1");
    let entra = Stack::of_kind(IssuerKind::Email { skip_verification: true }).await;
    let issuer = entra.send(get("/api/v2/configuration")).await.json()["issuers"][0].clone();
    assert_eq!(issuer["skipEmailVerification"], true);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_have_fulcios_answers() {
    let stack = Stack::start().await;
    for path in ["/", "/api/v2", "/api/v2/signingcert", "/api/v3/signingCert", "/version"] {
        stack.send(get(path)).await.refused(404, 5);
    }
    stack.send(get("/api/v2/signingCert")).await.refused(501, 12);
    for path in ["/api/v2/trustBundle", "/api/v2/configuration"] {
        let request = Request::post(path).body(Body::empty()).unwrap();
        stack.send(request).await.refused(501, 12);
    }
}

#[tokio::test]
async fn does_not_start_with_parts_that_do_not_fit() {
    let start = |change: fn(&mut CaConfig, &mut CaParts)| {
        let (chain, signer) = authority(NOW - YEAR, NOW + YEAR);
        let log = LocalSigner::generate(KeyType::EcdsaP256, "log").unwrap();
        let mut parts = CaParts {
            signer: std::sync::Arc::new(signer),
            chain,
            ct_public_key: log.public_key().clone(),
            clock: std::sync::Arc::new(signing::FixedClock::at(NOW)),
            cpu: CpuPool::new(1),
        };
        let mut config = CaConfig::new(Vec::new(), "http://127.0.0.1:1".parse().unwrap());
        change(&mut config, &mut parts);
        Ca::new(config, parts).map(|_| ())
    };
    assert!(start(|_, _| {}).is_ok());
    let foreign = start(|_, parts| {
        let key = LocalSigner::generate(KeyType::EcdsaP256, "foreign").unwrap();
        parts.signer = std::sync::Arc::new(key);
    });
    assert!(matches!(foreign, Err(CaConfigError::Chain(_))));
    let wrong_log = start(|_, parts| {
        let key = LocalSigner::generate(KeyType::Ed25519, "log").unwrap();
        parts.ct_public_key = key.public_key().clone();
    });
    assert!(matches!(wrong_log, Err(CaConfigError::CtKey)));
    let lifetime = start(|config, _| config.lifetime_s = 0);
    assert!(matches!(lifetime, Err(CaConfigError::Lifetime(0))));
    let backdate = start(|config, _| config.backdate_s = 600);
    assert!(matches!(backdate, Err(CaConfigError::Backdate(600))));
    let url = start(|config, _| config.ct.url = "ftp://127.0.0.1".parse().unwrap());
    assert!(matches!(url, Err(CaConfigError::CtUrl(_))));
}

#[test]
fn configuration_is_strict() {
    let sound = json!({"issuers": [], "ct": {"url": "http://127.0.0.1:6962"}});
    let read = |value: serde_json::Value| serde_json::from_value::<CaConfig>(value);
    let config = read(sound.clone()).unwrap();
    assert_eq!((config.lifetime_s, config.backdate_s, config.ct.timeout_ms), (600, 5, 5000));
    for (name, value) in
        [("lifetime", json!(5)), ("oidc", json!({"timeout": 1})), ("ct", json!({}))]
    {
        let mut changed = sound.clone();
        changed[name] = value;
        assert!(read(changed).is_err(), "{name}");
    }
}
