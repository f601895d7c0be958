use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::PublicKey;
use moment::UnixSeconds;
use provenance::ResourceDescriptor;
use serde_json::json;
use verify::Check;
use wire::{bundle::BundleContent, trust::TrustedRoot};

use super::*;
use crate::services::{LogEndpoint, ServiceUrl};

/// After the vectors were made.
fn now() -> UnixSeconds {
    UnixSeconds(1_800_000_000)
}

fn token() -> IdentityToken {
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"42"}"#);
    IdentityToken::parse(&format!("e30.{claims}.AA")).unwrap()
}

fn statement(digests: &[(&str, &str)]) -> Statement {
    let digest = digests.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let subject =
        ResourceDescriptor { name: "app".to_owned(), uri: None, digest: digest.collect() };
    Statement::new(vec![subject], "https://example.com/p", json!({"a": 1})).unwrap()
}

/// With services that nobody runs.
fn endpoints() -> Endpoints {
    let url = || ServiceUrl::parse("http://127.0.0.1:9").unwrap();
    Endpoints {
        certificate_authority: Some(url()),
        transparency_log: Some(LogEndpoint { url: url(), protocol: Some(LogProtocol::RekorV2) }),
        timestamp_authorities: vec![url()],
    }
}

async fn sign_with(
    payload: Payload<'_>,
    signer: Signer<'_>,
    (endpoints, trust): (&Endpoints, Option<&Trust>),
) -> Result<SignedBundle, SigningError> {
    let http = HttpClient::new().unwrap();
    let request = SigningRequest {
        payload,
        signer,
        endpoints,
        log_token: None,
        trust,
        http: &http,
        clock: now,
    };
    sign(&request).await
}

fn empty_trust() -> Trust {
    Trust::from_root(TrustedRoot::default()).unwrap()
}

#[tokio::test]
async fn signs_artifacts_and_statements_with_every_kind_of_key() {
    let statement = statement(&[("sha256", &hex::encode(crypto::sha256(b"artifact")))]);
    for key_type in [
        KeyType::EcdsaP256,
        KeyType::EcdsaP384,
        KeyType::EcdsaP521,
        KeyType::Ed25519,
        KeyType::Rsa2048,
    ] {
        let key = LocalSigner::generate(key_type, "test").unwrap();
        for payload in [Payload::Artifact(b"artifact"), Payload::Statement(&statement)] {
            let nobody = (&Endpoints::default(), None);
            let signed = sign_with(payload, Signer::Key(&key), nobody).await.unwrap();
            assert!(signed.verified.checks.contains(&Check::Signature));
            assert_eq!(signed.json, signed.bundle.to_json());
            let hint = STANDARD.encode(key.public_key().spki_sha256());
            assert!(signed.json.contains(&hint));
        }
    }
}

#[tokio::test]
async fn signs_statements_that_name_their_subject_by_sha512_alone() {
    let digest = hex::encode(crypto::digest(crypto::HashAlgorithm::Sha512, b"artifact"));
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let nobody = (&Endpoints::default(), None);
    let statement = statement(&[("sha1", "00"), ("sha512", &digest)]);
    sign_with(Payload::Statement(&statement), Signer::Key(&key), nobody).await.unwrap();
}

#[tokio::test]
async fn rejects_statements_that_nobody_could_verify() {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    for digests in [[("sha1", "00")], [("sha256", "00")], [("sha256", "not hex")]] {
        let statement = statement(&digests);
        let nobody = (&Endpoints::default(), None);
        let error = sign_with(Payload::Statement(&statement), Signer::Key(&key), nobody).await;
        let error = error.unwrap_err();
        assert!(matches!(error, SigningError::SubjectDigest), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

/// Such a statement's encoding, as a file.
fn encoding() -> Vec<u8> {
    let statement = statement(&[("sha256", &hex::encode(crypto::sha256(b"other")))]);
    wire::dsse::pae(wire::dsse::IN_TOTO_PAYLOAD_TYPE, &statement.to_json().unwrap())
}

#[tokio::test]
async fn signs_no_file_that_is_an_attestation_once_encoded() {
    for key_type in [KeyType::EcdsaP256, KeyType::Ed25519, KeyType::Rsa2048] {
        let key = LocalSigner::generate(key_type, "test").unwrap();
        for file in [&encoding()[..], b"DSSEv1 ", b"DSSEv1 0  0 "] {
            let nobody = (&Endpoints::default(), None);
            let result = sign_with(Payload::Artifact(file), Signer::Key(&key), nobody).await;
            let error = result.unwrap_err();
            assert!(matches!(error, SigningError::AttestationAsFile), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
        let nobody = (&Endpoints::default(), None);
        sign_with(Payload::Artifact(b"DSSEv1\n"), Signer::Key(&key), nobody).await.unwrap();
    }
    let (token, trust) = (token(), empty_trust());
    let trusted = (&endpoints(), Some(&trust));
    let file = encoding();
    let result = sign_with(Payload::Artifact(&file), Signer::Keyless(&token), trusted).await;
    assert!(matches!(result.unwrap_err(), SigningError::AttestationAsFile), "before any service");
}

#[tokio::test]
async fn shows_no_authority_a_name_that_is_an_attestation_once_encoded() {
    let subject = String::from_utf8(encoding()).unwrap();
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": subject }).to_string());
    let token = IdentityToken::parse(&format!("e30.{claims}.AA")).unwrap();
    let trust = empty_trust();
    let trusted = (&endpoints(), Some(&trust));
    let result = sign_with(Payload::Artifact(b"a"), Signer::Keyless(&token), trusted).await;
    let error = result.unwrap_err();
    assert!(matches!(error, SigningError::AttestationAsName), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn signs_a_given_statement_byte_for_byte() {
    let digest = hex::encode(crypto::sha256(b"artifact"));
    let json = format!(
        "{{ \"predicate\":1.50, \"subject\":[{{\"digest\":{{\"sha256\":\"{digest}\"}}}}],\n \
         \"predicateType\":\"https://example.com/p\", \"_type\":\"https://in-toto.io/Statement/v1\"}}\n"
    );
    let given = GivenStatement::parse(json.clone().into()).unwrap();
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let nobody = (&Endpoints::default(), None);
    let signed = sign_with(Payload::Given(&given), Signer::Key(&key), nobody).await.unwrap();
    let BundleContent::DsseEnvelope(envelope) = signed.bundle.content else {
        panic!("no envelope")
    };
    assert_eq!(envelope.payload.as_slice(), json.as_bytes());
}

#[tokio::test]
async fn uses_no_service_without_trust() {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let token = token();
    for signer in [Signer::Keyless(&token), Signer::Key(&key)] {
        let result = sign_with(Payload::Artifact(b"a"), signer, (&endpoints(), None)).await;
        let error = result.unwrap_err();
        assert!(matches!(error, SigningError::NoTrust), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[tokio::test]
async fn demands_every_service_for_keyless_signing() {
    let trust = empty_trust();
    let token = token();
    for (endpoints, missing) in [
        (
            Endpoints { certificate_authority: None, ..endpoints() },
            ServiceKind::CertificateAuthority,
        ),
        (Endpoints { transparency_log: None, ..endpoints() }, ServiceKind::TransparencyLog),
        (
            Endpoints { timestamp_authorities: Vec::new(), ..endpoints() },
            ServiceKind::TimestampAuthority,
        ),
    ] {
        let trusted = (&endpoints, Some(&trust));
        let result = sign_with(Payload::Artifact(b"a"), Signer::Keyless(&token), trusted).await;
        let error = result.unwrap_err();
        assert!(matches!(error, SigningError::NoService(kind) if kind == missing), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[tokio::test]
async fn sends_no_token_in_plain_text_to_another_machine() {
    let (trust, token) = (empty_trust(), token());
    let remote = ServiceUrl::parse("http://ca.example:5555").unwrap();
    let endpoints = Endpoints { certificate_authority: Some(remote), ..endpoints() };
    let trusted = (&endpoints, Some(&trust));
    let keyless = sign_with(Payload::Artifact(b"a"), Signer::Keyless(&token), trusted).await;
    let error = keyless.unwrap_err();
    assert!(matches!(error, SigningError::CertificateAuthorityUrl(_)), "{error}");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("http://ca.example:5555"), "{error}");
}

#[tokio::test]
async fn does_not_send_ed25519_signatures_to_a_log() {
    let key = LocalSigner::generate(KeyType::Ed25519, "test").unwrap();
    let trust = empty_trust();
    let trusted = (&endpoints(), Some(&trust));
    let error = sign_with(Payload::Artifact(b"a"), Signer::Key(&key), trusted).await.unwrap_err();
    assert!(matches!(error, SigningError::Ed25519Logged), "{error}");
}

#[test]
fn takes_only_its_signers_signature() {
    let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let other = LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap();
    let statement = statement(&[("sha256", &"00".repeat(32))]);
    for payload in [Payload::Artifact(b"a"), Payload::Statement(&statement)] {
        let unsigned = Unsigned::new(payload).unwrap();
        let signature = other.sign_now(unsigned.bytes_to_sign()).unwrap();
        let error = unsigned.with_signature(&signature, key.public_key()).unwrap_err();
        assert!(matches!(error, SigningError::Signature(_)), "{error}");
    }
}

#[test]
fn declares_the_digest_by_which_the_key_signs() {
    for (key_type, algorithm) in [
        (KeyType::EcdsaP256, wire::HashAlgorithm::Sha2_256),
        (KeyType::EcdsaP384, wire::HashAlgorithm::Sha2_384),
        (KeyType::EcdsaP521, wire::HashAlgorithm::Sha2_512),
        (KeyType::Ed25519, wire::HashAlgorithm::Sha2_256),
    ] {
        let key = LocalSigner::generate(key_type, "test").unwrap();
        let unsigned = Unsigned::new(Payload::Artifact(b"a")).unwrap();
        let signature = key.sign_now(unsigned.bytes_to_sign()).unwrap();
        let content = unsigned.with_signature(&signature, key.public_key()).unwrap();
        let BundleContent::MessageSignature(message) = content else { panic!("not a message") };
        assert_eq!(message.message_digest.unwrap().algorithm, algorithm);
    }
}

/// A certificate of the public instance, its key, and the root that it is of.
fn vector() -> (Vec<u8>, PublicKey, TrustedRoot) {
    let bundle = vectors::read("bundles/js/bundleV03-dsse.sigstore");
    let root = vectors::read("trusted-roots/public-good.json");
    let bundle = Bundle::from_json(&bundle).unwrap();
    let content = bundle.verification_material.content;
    let VerificationContent::Certificate(leaf) = content else { panic!("no certificate") };
    let leaf = leaf.raw_bytes.0;
    let key = x509::LeafView::from_der(&leaf).unwrap().public_key().clone();
    (leaf, key, serde_json::from_slice(&root).unwrap())
}

#[test]
fn accepts_a_certificate_of_our_key_by_a_trusted_authority() {
    let (leaf, key, root) = vector();
    let trust = Trust::from_root(root).unwrap();
    let certified = Certified::check(std::slice::from_ref(&leaf), &key, &trust).unwrap();
    assert_eq!(certified.der(), leaf);
    let identity = certified.exact_identity();
    assert!(identity.subject.is_some() && identity.issuer.is_some());
}

#[test]
fn rejects_certificates_that_are_not_ours_or_not_trusted() {
    let (leaf, key, root) = vector();
    let other = LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap();
    let check = |chain: &[Vec<u8>], key: &PublicKey, root: &TrustedRoot| {
        let trust = Trust::from_root(root.clone()).unwrap();
        Certified::check(chain, key, &trust).unwrap_err()
    };
    let chain = [leaf];
    assert!(matches!(check(&[], &key, &root), CertificateError::Empty));
    assert!(matches!(check(&[b"x".to_vec()], &key, &root), CertificateError::Leaf(_)));
    assert!(matches!(check(&chain, other.public_key(), &root), CertificateError::AnotherKey));
    let no_authority = TrustedRoot { certificate_authorities: Vec::new(), ..root.clone() };
    let untrusted = |error, failed| matches!(error, CertificateError::Untrusted(error) if error.check == failed);
    assert!(untrusted(check(&chain, &key, &no_authority), Check::Certificate));
    let no_log = TrustedRoot { ctlogs: Vec::new(), ..root.clone() };
    assert!(untrusted(check(&chain, &key, &no_log), Check::Sct));
    let mut other_log = root;
    for log in &mut other_log.ctlogs {
        log.public_key.raw_bytes = other.public_key().spki_der().to_vec().into();
    }
    assert!(untrusted(check(&chain, &key, &other_log), Check::Sct));
}
