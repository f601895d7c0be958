use crypto::{KeyType, LocalSigner, Signer};
use entry::rekor2::Verifier;
use serde_json::{Value, json};

use super::{Server, quick_http, response};
use crate::services::{
    CertificateAuthority, IdentityToken, ServiceError, TransparencyLog,
    identity_token::tests::token_of,
};

fn token() -> IdentityToken {
    token_of(r#"{"email":"a@b.example","sub":"42"}"#)
}

async fn certify(answer: &Value) -> (Result<Vec<Vec<u8>>, ServiceError>, Server) {
    let server = Server::always(response("200 OK", "", answer.to_string().as_bytes())).await;
    let authority = CertificateAuthority::new(quick_http(), server.url());
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let proof = key.sign_now(CertificateAuthority::challenge(&token()).as_bytes()).unwrap();
    (authority.certificate(&token(), key.public_key(), proof).await, server)
}

fn malformed<T: std::fmt::Debug>(result: Result<T, ServiceError>, reason: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, ServiceError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn asks_fulcio_with_token_key_and_proof() {
    let chain = json!({"certificates": [x509::to_pem(b"leaf").trim_end(), x509::to_pem(b"ca")]});
    let answer = json!({"signedCertificateEmbeddedSct": {"chain": chain}});
    let (certificates, server) = certify(&answer).await;
    assert_eq!(certificates.unwrap(), [b"leaf".to_vec(), b"ca".to_vec()]);
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.starts_with("post /api/v2/signingcert "));
    let request: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(request["credentials"]["oidcIdentityToken"], token().compact());
    let key = &request["publicKeyRequest"]["publicKey"]["content"];
    let key = crypto::PublicKey::from_pem(key.as_str().unwrap()).unwrap();
    let proof = request["publicKeyRequest"]["proofOfPossession"].as_str().unwrap();
    let proof = wire::Base64::decode(proof).unwrap();
    x509::proof::verify_challenge(&key, "a@b.example", proof.as_slice()).unwrap();
}

#[tokio::test]
async fn rejects_what_is_no_certificate() {
    let embedded = |certificates: Value| json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": certificates}}});
    let pem = x509::to_pem(b"leaf");
    for (answer, reason) in [
        (json!({}), "not a certificate"),
        (json!("text"), "not a certificate"),
        (embedded(json!([])), "chain is empty"),
        (embedded(json!(["text"])), "a certificate: "),
        (embedded(json!(vec![pem.clone(); 9])), "chain is too long"),
        (
            json!({"signedCertificateDetachedSct": {"chain": {"certificates": [pem]}}}),
            "beside the certificate",
        ),
    ] {
        malformed(certify(&answer).await.0, reason);
    }
}

#[tokio::test]
async fn asks_rekor_for_a_hashedrekord() {
    let entry = json!({
        "logIndex": "7", "logId": {"keyId": "AAAA"}, "integratedTime": "0", "inclusionPromise": null,
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "inclusionProof": {"logIndex": "7", "rootHash": "AAAA", "treeSize": "8", "hashes": [],
            "checkpoint": {"envelope": "text"}},
        "canonicalizedBody": "e30="
    });
    let server = Server::always(response("201 Created", "", entry.to_string().as_bytes())).await;
    let log = TransparencyLog::new(quick_http(), server.url());
    let key = LocalSigner::generate(KeyType::EcdsaP384, "test").unwrap();
    let signature = key.sign_now(b"message").unwrap();
    let digest = crypto::digest(crypto::HashAlgorithm::Sha384, b"message");
    let verifier = Verifier::from_public_key(key.public_key());
    let logged = log.log(&digest, &signature, &verifier).await.unwrap();
    assert_eq!((logged.log_index, logged.inclusion_promise), (wire::Int64(7), None));
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.starts_with("post /api/v2/log/entries "));
    // The log's own verification is the judge of the request.
    let options = entry::rekor2::Options { legacy_dsse: false };
    let verified = entry::rekor2::verify_request(&seen.body, &options).unwrap();
    let expected = entry::rekor2::canonical_body(&digest, &signature, &verifier);
    assert_eq!(verified.body(), expected);
}

#[tokio::test]
async fn rejects_what_is_no_log_entry() {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    for answer in [&b"[]"[..], b"", br#"{"logIndex":"x"}"#, br#"{"unknown":1}"#] {
        let server = Server::always(response("201 Created", "", answer)).await;
        let log = TransparencyLog::new(quick_http(), server.url());
        let verifier = Verifier::from_public_key(key.public_key());
        malformed(log.log(&[0; 32], b"signature", &verifier).await, "not a log entry");
    }
}
