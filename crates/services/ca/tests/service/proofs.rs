//! Keys and proofs of possession.

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer};
use der::{Decode, Encode, asn1::Uint};
use p384::{
    ecdsa::{DerSignature, SigningKey, signature::hazmat::PrehashSigner},
    pkcs8::EncodePrivateKey,
};
use serde_json::json;

use crate::stack::{EMAIL, Stack, client_key, raw_request, request};

#[derive(der::Sequence)]
struct RsaPublicKey {
    modulus: Uint,
    public_exponent: Uint,
}

fn rsa_pem(modulus: &[u8], public_exponent: u8) -> String {
    let key = RsaPublicKey {
        modulus: Uint::new(modulus).unwrap(),
        public_exponent: Uint::new(&[public_exponent]).unwrap(),
    };
    let der = key.to_der().unwrap();
    let lines = STANDARD.encode(der);
    format!("-----BEGIN RSA PUBLIC KEY-----\n{lines}\n-----END RSA PUBLIC KEY-----\n")
}

fn rsa_modulus() -> Vec<u8> {
    let key = LocalSigner::generate(KeyType::Rsa2048, "client").unwrap();
    RsaPublicKey::from_der(key.public_key().raw()).unwrap().modulus.as_bytes().to_vec()
}

#[tokio::test]
async fn accepts_every_kind_of_client_key() {
    let stack = Stack::start().await;
    for key_type in [
        KeyType::EcdsaP256,
        KeyType::EcdsaP384,
        KeyType::EcdsaP521,
        KeyType::Ed25519,
        KeyType::Rsa2048,
    ] {
        let key = LocalSigner::generate(key_type, "client").unwrap();
        let reply = stack.post(request(&stack.token(), &key, EMAIL).to_string()).await;
        assert_eq!(stack.verified_leaf(&reply).public_key(), key.public_key(), "{key_type:?}");
    }
}

#[tokio::test]
async fn p384_proofs_use_sha384_and_no_other_hash() {
    let stack = Stack::start().await;
    let key = SigningKey::from_slice(&crypto::random_bytes::<48>()).unwrap();
    let pkcs8 = p384::SecretKey::from(&key).to_pkcs8_der().unwrap();
    let sha384 = LocalSigner::from_pkcs8_der(pkcs8.as_bytes(), "client").unwrap();
    let sha256: DerSignature = key.sign_prehash(&crypto::sha256(EMAIL.as_bytes())).unwrap();
    let public_key = sha384.public_key().to_pem();
    let body = raw_request(&stack.token(), &public_key, sha256.as_bytes());
    let refused = stack.post(body.to_string()).await.refused(400, 3);
    assert!(refused.contains("proof of possession"), "{refused}");

    stack.verified_leaf(&stack.post(request(&stack.token(), &sha384, EMAIL).to_string()).await);
}

#[tokio::test]
async fn refuses_proofs_over_anything_else() {
    let stack = Stack::start().await;
    for challenge in ["", "some.one@example.com", "user-1", &stack.issuer.url, "sigstore"] {
        let body = request(&stack.token(), &client_key(), challenge).to_string();
        let refused = stack.post(body).await.refused(400, 3);
        assert!(refused.contains("proof of possession"), "{challenge}: {refused}");
    }
}

#[tokio::test]
async fn refuses_a_proof_by_another_key_and_none() {
    let stack = Stack::start().await;
    let proof = client_key().sign(EMAIL.as_bytes()).await.unwrap();
    let pem = client_key().public_key().to_pem();
    for proof in [proof.as_slice(), &[], &[0; 64], &[0x30, 6, 2, 1, 0, 2, 1, 0]] {
        stack.post(raw_request(&stack.token(), &pem, proof).to_string()).await.refused(400, 3);
    }
}

#[tokio::test]
async fn an_unverified_email_is_no_challenge() {
    let stack = Stack::of_kind(crate::stack::uri_kind()).await;
    let subject = format!("{}/robot", stack.issuer.url);
    let claims = stack.claims(&json!({"sub": subject, "email_verified": false}));
    let token = stack.issuer.token(&claims);
    stack.post(request(&token, &client_key(), EMAIL).to_string()).await.refused(400, 3);
    stack.verified_leaf(&stack.post(request(&token, &client_key(), &subject).to_string()).await);
}

#[tokio::test]
async fn refuses_weak_and_invalid_keys() {
    let stack = Stack::start().await;
    let mut of_2047_bits = rsa_modulus();
    of_2047_bits[0] = 0x7f;
    let mut even = rsa_modulus();
    even[255] &= 0xfe;
    let sound = client_key();
    let mut off_curve = sound.public_key().spki_der().to_vec();
    *off_curve.last_mut().unwrap() ^= 1;
    let pem = |der: &[u8]| {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    };
    let p224 = "ME4wEAYHKoZIzj0CAQYFK4EEACEDOgAEtwyBNTv0lGVKQTLJIhOn4RCjGVBuVbGlVLOJnJGWo0hmQz0Z\
                2dU0DkCrYNyv0U8HRXuTlOXPpSE=";
    for (key, message) in [
        (rsa_pem(&rsa_modulus(), 3), "exponent"),
        (rsa_pem(&rsa_modulus(), 1), "exponent"),
        (rsa_pem(&even, 3), "even"),
        (rsa_pem(&of_2047_bits, 3), "2047"),
        (rsa_pem(&rsa_modulus()[..128], 3), "1024"),
        (pem(&off_curve), "invalid"),
        (
            format!("-----BEGIN PUBLIC KEY-----\n{p224}\n-----END PUBLIC KEY-----\n"),
            "not acceptable",
        ),
        (pem(b"garbage"), "SubjectPublicKeyInfo"),
        (sound.public_key().to_pem().replace("PUBLIC", "PRIVATE"), "not the expected kind"),
        (STANDARD.encode(sound.public_key().spki_der()), "PEM"),
        (String::new(), "PEM"),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), "PEM"),
        ("A".repeat(20_000), "too long"),
    ] {
        let proof = sound.sign(EMAIL.as_bytes()).await.unwrap();
        let reply = stack.post(raw_request(&stack.token(), &key, &proof).to_string()).await;
        let refused = reply.refused(400, 3);
        assert!(refused.contains(message), "{key}: {refused}");
    }
    assert_eq!(stack.log.submissions(), 0);
}

/// PEM of an SPKI, its algorithm in hex.
fn spki_pem(algorithm: &str, raw: &[u8]) -> String {
    let bits = der::asn1::BitString::from_bytes(raw).unwrap().to_der().unwrap();
    let content = [hex::decode(algorithm).unwrap(), bits].concat();
    let der = der::Any::new(der::Tag::Sequence, content).unwrap().to_der().unwrap();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

// Issue 8: they were certified, and the proof below, R = identity and S = 0, was one for every
// challenge and would then have been a signature of every artifact.
#[tokio::test]
async fn refuses_ed25519_keys_of_small_order() {
    let stack = Stack::start().await;
    let identity = [&[1][..], &[0; 31]].concat();
    let order_two = [&[0xec][..], &[0xff; 30], &[0x7f]].concat();
    let order_eight =
        hex::decode("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a").unwrap();
    let not_canonical = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
    let minus_zero = [&[1][..], &[0; 30], &[0x80]].concat();
    let proof = [&identity[..], &[0; 32]].concat();
    for raw in [&identity, &order_two, &order_eight, &not_canonical, &minus_zero] {
        let key = spki_pem("300506032b6570", raw);
        let reply = stack.post(raw_request(&stack.token(), &key, &proof).to_string()).await;
        let refused = reply.refused(400, 3);
        assert!(refused.contains("canonical point"), "{raw:?}: {refused}");
    }
    assert_eq!(stack.log.submissions(), 0);
}

#[tokio::test]
async fn refuses_second_spellings_of_a_key() {
    let stack = Stack::start().await;
    let key = client_key();
    let proof = key.sign(EMAIL.as_bytes()).await.unwrap();
    let point = key.public_key().raw();
    let compressed = [&[2 | (point[64] & 1)], &point[1..33]].concat();
    let hybrid = [&[6 | (point[64] & 1)], &point[1..]].concat();
    for raw in [compressed, hybrid] {
        let pem = spki_pem("301306072a8648ce3d020106082a8648ce3d030107", &raw);
        let reply = stack.post(raw_request(&stack.token(), &pem, &proof).to_string()).await;
        let refused = reply.refused(400, 3);
        assert!(refused.contains("not uncompressed"), "{refused}");
    }
    let rsa = LocalSigner::generate(KeyType::Rsa2048, "client").unwrap();
    let proof = rsa.sign(EMAIL.as_bytes()).await.unwrap();
    let pem = spki_pem("300b06092a864886f70d010101", rsa.public_key().raw());
    let reply = stack.post(raw_request(&stack.token(), &pem, &proof).to_string()).await;
    let refused = reply.refused(400, 3);
    assert!(refused.contains("parameters"), "{refused}");
    assert_eq!(stack.log.submissions(), 0);
}

#[tokio::test]
async fn refuses_broken_certificate_signing_requests() {
    let stack = Stack::start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let pem = request.pem().unwrap();
    let mut forged = request.der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        STANDARD.encode(forged)
    );
    let cut = pem.get(..pem.len() / 2).unwrap().to_owned();
    for csr in [forged, cut, String::new(), "garbage".to_owned(), "A".repeat(20_000)] {
        let body = json!({
            "credentials": {"oidcIdentityToken": stack.token()},
            "certificateSigningRequest": STANDARD.encode(&csr)
        });
        let refused = stack.post(body.to_string()).await.refused(400, 3);
        assert!(refused.contains("signing request"), "{refused}");
    }
    assert_eq!(stack.log.submissions(), 0);
}
