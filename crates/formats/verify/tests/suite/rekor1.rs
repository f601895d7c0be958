//! Entries of a Rekor v1 log of one leaf, made here: what it logged must be what the bundle holds.

use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use moment::UnixSeconds;
use serde_json::{Value, json};
use verify::{
    Artifact, Check, Conditions, ExpectedSigner, PinnedCertificate, Trust, UnverifiedBundle,
    Verified, VerifyError, verify,
};

use crate::support::{
    ARTIFACT, LOGGED, Log, NOW, ORIGIN, after, base64_of, bundle, dsse, envelope, hash,
    hashedrekord, intoto, message, pem_of, signer,
};

fn by_key(bundle: &Value, key: &PublicKey, trust: &Trust) -> Result<Verified, VerifyError> {
    let bundle = UnverifiedBundle::parse(bundle.to_string().as_bytes())?;
    let expected = ExpectedSigner::Key { key, trust: Some(trust) };
    verify(&bundle, &Artifact::from_bytes(ARTIFACT), &expected, &Conditions::at(NOW))
}

/// The certificate of an own CA for `signer`'s key, and the CA's.
fn own_certificate(signer: &LocalSigner) -> PinnedCertificate {
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::new(vec![]).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    root.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    root.distinguished_name.push(rcgen::DnType::CommonName, "own root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let issuer = rcgen::Issuer::from_params(&root, root_key);
    let mut leaf = rcgen::CertificateParams::new(vec![]).unwrap();
    leaf.subject_alt_names =
        vec![rcgen::SanType::Rfc822Name("release@acme.example".try_into().unwrap())];
    leaf.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::CodeSigning];
    leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let key = rcgen::KeyPair::from_pem(&signer.to_pkcs8_pem()).unwrap();
    PinnedCertificate::from_pem(&leaf.signed_by(&key, &issuer).unwrap().pem(), &root_pem).unwrap()
}

fn by_certificate(
    bundle: &Value,
    certificate: &PinnedCertificate,
    trust: &Trust,
) -> Result<Verified, VerifyError> {
    let bundle = UnverifiedBundle::parse(bundle.to_string().as_bytes())?;
    let expected = ExpectedSigner::Certificate { certificate, trust: Some(trust) };
    verify(&bundle, &Artifact::from_bytes(ARTIFACT), &expected, &Conditions::at(NOW))
}

#[test]
fn accepts_every_kind_with_set_and_proof() {
    let (log, signer) = (Log::new(), signer(KeyType::EcdsaP256));
    let (key, trust) = (signer.public_key(), log.trust());
    let (message, envelope) = (message(&signer), envelope(&signer));
    let pem = pem_of(&signer);
    for (content, body) in [
        (&message, hashedrekord(&message, &pem)),
        (&envelope, dsse(&envelope, &pem)),
        (&envelope, intoto(&envelope, &pem)),
    ] {
        let bundle = bundle(key, content, &log.entry(&body, LOGGED, ORIGIN));
        let verified = by_key(&bundle, key, &trust).unwrap();
        for check in [Check::Set, Check::InclusionProof, Check::Checkpoint] {
            assert!(verified.checks.contains(&check), "{check} of {}", body["kind"]);
        }
        assert_eq!(verified.times.len(), 1);
        assert_eq!(verified.logged[0].origin, ORIGIN);
        let certificate = own_certificate(&signer);
        by_certificate(&bundle, &certificate, &trust).unwrap();
    }
}

#[test]
fn accepts_keys_that_other_verifiers_do_not_know() {
    let log = Log::new();
    for (key_type, hash, name, spelled) in [
        (KeyType::EcdsaP384, crypto::HashAlgorithm::Sha384, "sha384", "SHA2_384"),
        (KeyType::EcdsaP521, crypto::HashAlgorithm::Sha512, "sha512", "SHA2_512"),
    ] {
        let signer = signer(key_type);
        let digest = crypto::digest(hash, ARTIFACT);
        let signature = base64_of(signer.sign_now(ARTIFACT).unwrap());
        let message = json!({"signature": signature,
            "messageDigest": {"algorithm": spelled, "digest": base64_of(&digest)}});
        let mut body = hashedrekord(&message, &pem_of(&signer));
        body["spec"]["data"]["hash"] = json!({"algorithm": name, "value": hex::encode(&digest)});
        let key = signer.public_key();
        let bundle = bundle(key, &message, &log.entry(&body, LOGGED, ORIGIN));
        by_key(&bundle, key, &log.trust()).unwrap();
    }
}

#[test]
fn rejects_an_entry_that_is_about_something_else() {
    let (log, signer, other) =
        (Log::new(), signer(KeyType::EcdsaP256), self::signer(KeyType::EcdsaP256));
    let (key, trust, certificate) = (signer.public_key(), log.trust(), own_certificate(&signer));
    let (message, envelope) = (message(&signer), envelope(&signer));
    let pem = pem_of(&signer);
    let (of_file, of_dsse) = (hashedrekord(&message, &pem), dsse(&envelope, &pem));
    let of_intoto = intoto(&envelope, &pem);
    let with = |body: &Value, place: &str, value: Value| {
        let mut body = body.clone();
        *body.pointer_mut(place).unwrap() = value;
        body
    };
    let foreign = json!(base64_of(other.sign_now(ARTIFACT).unwrap()));
    let two = |signature: &Value| json!([signature, signature]);
    let bodies = [
        (&message, with(&of_file, "/spec/data/hash", hash(b"other"))),
        (&message, with(&of_file, "/spec/data/hash/algorithm", json!("sha512"))),
        (&message, with(&of_file, "/spec/signature/content", foreign.clone())),
        (&message, hashedrekord(&message, &pem_of(&other))),
        (&message, with(&of_file, "/spec", json!({"more": 1}))),
        (&message, of_dsse.clone()),
        (&envelope, of_file.clone()),
        (&envelope, dsse(&envelope, &pem_of(&other))),
        (&envelope, with(&of_dsse, "/spec/payloadHash", hash(b"other"))),
        (&envelope, with(&of_dsse, "/spec/envelopeHash/algorithm", json!("sha1"))),
        (&envelope, with(&of_dsse, "/spec/signatures/0/signature", foreign.clone())),
        (&envelope, with(&of_dsse, "/spec/signatures", two(&of_dsse["spec"]["signatures"][0]))),
        (&envelope, with(&of_dsse, "/spec/signatures", json!([]))),
        (&envelope, intoto(&envelope, &pem_of(&other))),
        (&envelope, with(&of_intoto, "/spec/content/payloadHash", hash(b"other"))),
        (&envelope, with(&of_intoto, "/spec/content/envelope/payloadType", json!("text/plain"))),
        (&envelope, with(&of_intoto, "/spec/content/envelope/signatures/0/sig", foreign)),
    ];
    for (content, body) in bodies {
        let bundle = bundle(key, content, &log.entry(&body, LOGGED, ORIGIN));
        let error = by_key(&bundle, key, &trust).unwrap_err();
        assert_eq!(error.check, Check::LogEntry, "{body}: {error}");
        let error = by_certificate(&bundle, &certificate, &trust).unwrap_err();
        assert_eq!(error.check, Check::LogEntry, "{body}: {error}");
    }
}

#[test]
fn rejects_a_body_that_holds_more_than_is_compared() {
    let (log, signer) = (Log::new(), signer(KeyType::EcdsaP256));
    let (message, envelope) = (message(&signer), envelope(&signer));
    let pem = pem_of(&signer);
    for (content, body, places) in [
        (
            &message,
            hashedrekord(&message, &pem),
            &["", "/spec", "/spec/data", "/spec/signature"][..],
        ),
        (&envelope, dsse(&envelope, &pem), &["", "/spec", "/spec/signatures/0"]),
        (&envelope, intoto(&envelope, &pem), &["/spec/content", "/spec/content/envelope"]),
    ] {
        for place in places {
            let mut body = body.clone();
            body.pointer_mut(place).unwrap()["unseen"] = json!(1);
            let bundle = bundle(signer.public_key(), content, &log.entry(&body, LOGGED, ORIGIN));
            let error = by_key(&bundle, signer.public_key(), &log.trust()).unwrap_err();
            assert_eq!(error.check, Check::LogEntry, "{place}: {error}");
        }
    }
}

#[test]
fn rejects_what_the_log_did_not_sign_or_prove() {
    let (log, signer) = (Log::new(), signer(KeyType::EcdsaP256));
    let (key, trust) = (signer.public_key(), log.trust());
    let message = message(&signer);
    let body = hashedrekord(&message, &pem_of(&signer));
    let good = log.entry(&body, LOGGED, ORIGIN);
    let other = Log::new().entry(&body, LOGGED, ORIGIN);
    let late = log.entry(&body, after(LOGGED, 1), ORIGIN);
    let zeros = json!(base64_of([0; 32]));
    for (place, value, check) in [
        ("/integratedTime", json!(after(LOGGED, 1).to_string()), Check::Set),
        ("/logIndex", json!("8"), Check::Set),
        ("/inclusionPromise", other["inclusionPromise"].clone(), Check::Set),
        ("/inclusionPromise", late["inclusionPromise"].clone(), Check::Set),
        ("/inclusionProof/logIndex", json!("1"), Check::InclusionProof),
        ("/inclusionProof/treeSize", json!("2"), Check::InclusionProof),
        ("/inclusionProof/rootHash", zeros.clone(), Check::InclusionProof),
        ("/inclusionProof/hashes", json!([zeros]), Check::InclusionProof),
        (
            "/inclusionProof/checkpoint",
            other["inclusionProof"]["checkpoint"].clone(),
            Check::Checkpoint,
        ),
        ("/logId", other["logId"].clone(), Check::LogEntry),
        ("/kindVersion/kind", json!("dsse"), Check::LogEntry),
        ("/kindVersion/version", json!("0.0.3"), Check::LogEntry),
    ] {
        let mut entry = good.clone();
        *entry.pointer_mut(place).unwrap() = value;
        let error = by_key(&bundle(key, &message, &entry), key, &trust).unwrap_err();
        assert_eq!(error.check, check, "{place}: {error}");
    }
    for (entry, check) in [
        (log.entry(&body, after(NOW, 61), ORIGIN), Check::Set),
        (log.entry(&body, UnixSeconds(0), ORIGIN), Check::Set),
        (log.entry(&body, LOGGED, "localhost"), Check::Checkpoint),
        (log.entry(&body, LOGGED, "localhost - x"), Check::Checkpoint),
        // Before the log was to be trusted.
        (log.entry(&body, UnixSeconds(1_700_000_000), ORIGIN), Check::LogEntry),
    ] {
        let error = by_key(&bundle(key, &message, &entry), key, &trust).unwrap_err();
        assert_eq!(error.check, check, "{error}");
    }
}
