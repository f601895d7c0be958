//! Bundles by bare keys and by certificates of the user's own CA, made here, without any service.

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, PublicKey, Signer, Unsigned};
use moment::UnixSeconds;
use provenance::{ResourceDescriptor, Statement, UnsignedEnvelope};
use verify::{
    Artifact, Cause, Check, Conditions, ExpectedSigner, PinnedCertificate, UnverifiedBundle,
    Verified, VerifyError, needs_artifact_bytes, verify,
};
use wire::{
    HashAlgorithm,
    bundle::{
        Bundle, BundleContent, BundleMediaType, HashOutput, MessageSignature, PublicKeyIdentifier,
        VerificationContent, VerificationMaterial, X509Certificate,
    },
};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
/// When the certificates here have ended.
const LATE: UnixSeconds = UnixSeconds(2_200_000_000);
const ARTIFACT: &[u8] = b"artifact";

const KEY_TYPES: [(KeyType, HashAlgorithm); 5] = [
    (KeyType::EcdsaP256, HashAlgorithm::Sha2_256),
    (KeyType::EcdsaP384, HashAlgorithm::Sha2_384),
    (KeyType::EcdsaP521, HashAlgorithm::Sha2_512),
    (KeyType::Ed25519, HashAlgorithm::Sha2_256),
    (KeyType::Rsa2048, HashAlgorithm::Sha2_256),
];

fn signer(key_type: KeyType) -> LocalSigner {
    LocalSigner::generate(key_type, "test").unwrap()
}

fn key_material(key: &PublicKey) -> VerificationContent {
    let hint = STANDARD.encode(key.spki_sha256());
    VerificationContent::PublicKey(PublicKeyIdentifier { hint })
}

fn bundle(material: VerificationContent, content: BundleContent) -> Bundle {
    Bundle {
        media_type: BundleMediaType::V0_3,
        verification_material: VerificationMaterial {
            content: material,
            tlog_entries: Vec::new(),
            timestamp_verification_data: None,
        },
        content,
    }
}

fn message(signer: &LocalSigner, algorithm: HashAlgorithm) -> BundleContent {
    let hash = match algorithm {
        HashAlgorithm::Sha2_384 => crypto::HashAlgorithm::Sha384,
        HashAlgorithm::Sha2_512 => crypto::HashAlgorithm::Sha512,
        _ => crypto::HashAlgorithm::Sha256,
    };
    let digest = crypto::digest(hash, ARTIFACT).into();
    BundleContent::MessageSignature(MessageSignature {
        message_digest: Some(HashOutput { algorithm, digest }),
        signature: signer.sign_now(ARTIFACT).unwrap().into(),
    })
}

fn attestation(signer: &LocalSigner) -> BundleContent {
    let subject = ResourceDescriptor::with_sha256("artifact", &crypto::sha256(ARTIFACT));
    let statement = Statement::new(vec![subject], "https://example.com/p", 1.into()).unwrap();
    let unsigned = UnsignedEnvelope::new(&statement).unwrap();
    let signature = signer.sign_now(unsigned.bytes_to_sign()).unwrap();
    let envelope = unsigned.with_signature(&signature, signer.public_key()).unwrap();
    BundleContent::DsseEnvelope(envelope)
}

fn by_key(bundle: &Bundle, artifact: &[u8], key: &PublicKey) -> Result<Verified, VerifyError> {
    let bundle = UnverifiedBundle::parse(bundle.to_json().as_bytes())?;
    let expected = ExpectedSigner::Key { key, trust: None };
    verify(&bundle, &Artifact::from_bytes(artifact), &expected, &Conditions::at(NOW))
}

#[test]
fn accepts_blobs_and_attestations_of_every_key_type() {
    for (key_type, hash) in KEY_TYPES {
        let signer = signer(key_type);
        let key = signer.public_key();
        let blob = bundle(key_material(key), message(&signer, hash));
        let verified = by_key(&blob, ARTIFACT, key).unwrap();
        let expected = [Check::Format, Check::PublicKey, Check::Digest, Check::Signature];
        assert_eq!(verified.checks, expected);
        let attested = bundle(key_material(key), attestation(&signer));
        assert!(by_key(&attested, ARTIFACT, key).unwrap().statement.is_some());
    }
}

#[test]
fn rejects_another_artifact_key_or_signature() {
    for (key_type, hash) in KEY_TYPES {
        let signer = signer(key_type);
        let key = signer.public_key();
        let other = self::signer(key_type);
        for content in [message(&signer, hash), attestation(&signer)] {
            let good = bundle(key_material(key), content.clone());
            assert_eq!(by_key(&good, b"other", key).unwrap_err().check, Check::Digest);
            let error = by_key(&good, ARTIFACT, other.public_key()).unwrap_err();
            assert_eq!(error.check, Check::PublicKey);
            let claimed = bundle(key_material(other.public_key()), content);
            let error = by_key(&claimed, ARTIFACT, other.public_key()).unwrap_err();
            assert_eq!(error.check, Check::Signature);
        }
    }
}

#[test]
fn asks_for_the_artifact_itself_only_where_a_digest_is_not_enough() {
    for (key_type, hash) in KEY_TYPES {
        let signer = signer(key_type);
        let key = signer.public_key();
        let json = bundle(key_material(key), message(&signer, hash)).to_json();
        let parsed = UnverifiedBundle::parse(json.as_bytes()).unwrap();
        let expected = ExpectedSigner::Key { key, trust: None };
        let digest = Artifact::from_sha256(crypto::sha256(ARTIFACT));
        let enough = verify(&parsed, &digest, &expected, &Conditions::at(NOW)).is_ok();
        assert_eq!(needs_artifact_bytes(&parsed, &expected), !enough, "{key_type:?}");
        assert_eq!(enough, matches!(key_type, KeyType::EcdsaP256 | KeyType::Rsa2048));
    }
}

#[test]
fn accepts_the_ways_in_which_clients_name_a_key_and_no_other() {
    let signer = signer(KeyType::EcdsaP256);
    let key = signer.public_key();
    let with_hint = |hint: String| {
        let material = VerificationContent::PublicKey(PublicKeyIdentifier { hint });
        by_key(&bundle(material, message(&signer, HashAlgorithm::Sha2_256)), ARTIFACT, key)
    };
    let hash = STANDARD.encode(key.spki_sha256());
    let hex = hex::encode(key.spki_sha256());
    for hint in [
        hash.clone(),
        format!("SHA256:{}", hash.trim_end_matches('=')),
        hex.clone(),
        format!("sha256:{hex}"),
        hex::encode(crypto::sha256(key.to_pem().as_bytes())),
    ] {
        with_hint(hint).unwrap();
    }
    for hint in [String::new(), "my key".to_owned(), hash.to_lowercase()] {
        let error = with_hint(hint).unwrap_err();
        assert_eq!((error.check, error.cause), (Check::PublicKey, Cause::OtherSigner));
    }
}

#[test]
fn accepts_a_name_of_the_key_that_the_user_gives_or_the_envelope_repeats() {
    let signer = signer(KeyType::EcdsaP256);
    let key = signer.public_key();
    let named = |content: BundleContent| {
        let hint = "release key".to_owned();
        bundle(VerificationContent::PublicKey(PublicKeyIdentifier { hint }), content)
    };
    let blob = named(message(&signer, HashAlgorithm::Sha2_256));
    let parsed = UnverifiedBundle::parse(blob.to_json().as_bytes()).unwrap();
    let by_name = |key_name| {
        let conditions = Conditions { key_name, ..Conditions::at(NOW) };
        let expected = ExpectedSigner::Key { key, trust: None };
        verify(&parsed, &Artifact::from_bytes(ARTIFACT), &expected, &conditions)
    };
    by_name(Some("release key")).unwrap();
    for other in [None, Some("release"), Some("")] {
        assert_eq!(by_name(other).unwrap_err().check, Check::PublicKey);
    }
    let mut repeated = named(attestation(&signer));
    assert_eq!(by_key(&repeated, ARTIFACT, key).unwrap_err().check, Check::PublicKey);
    if let BundleContent::DsseEnvelope(envelope) = &mut repeated.content {
        "release key".clone_into(&mut envelope.signatures[0].keyid);
    }
    by_key(&repeated, ARTIFACT, key).unwrap();
}

#[test]
fn rejects_what_a_key_bundle_may_not_hold() {
    let signer = signer(KeyType::EcdsaP256);
    let key = signer.public_key();
    let mut older = bundle(key_material(key), message(&signer, HashAlgorithm::Sha2_256));
    older.media_type = BundleMediaType::V0_2;
    assert_eq!(by_key(&older, ARTIFACT, key).unwrap_err().check, Check::Format);
    let mut named = bundle(key_material(key), attestation(&signer));
    if let BundleContent::DsseEnvelope(envelope) = &mut named.content {
        "other key".clone_into(&mut envelope.signatures[0].keyid);
    }
    assert_eq!(by_key(&named, ARTIFACT, key).unwrap_err().check, Check::PublicKey);
    let mut odd = bundle(key_material(key), attestation(&signer));
    if let BundleContent::DsseEnvelope(envelope) = &mut odd.content {
        "text/plain".clone_into(&mut envelope.payload_type);
    }
    assert_eq!(by_key(&odd, ARTIFACT, key).unwrap_err().check, Check::Statement);
}

#[test]
fn accepts_an_ordinary_certificate_that_has_a_common_name_alone() {
    let signer = signer(KeyType::EcdsaP256);
    let ca = own_ca_of(&signer, true, |leaf| {
        leaf.subject_alt_names.clear();
        leaf.distinguished_name.push(rcgen::DnType::CommonName, "Acme Release Signing");
    });
    // The file may hold the whole chain.
    let whole = format!("{}{}", ca.leaf_pem, ca.root_pem);
    for chain in [&ca.root_pem, &whole] {
        let pinned = PinnedCertificate::from_pem(&ca.leaf_pem, chain).unwrap();
        let expected = ExpectedSigner::Certificate { certificate: &pinned, trust: None };
        let json = bundle(key_material(signer.public_key()), attestation(&signer)).to_json();
        let parsed = UnverifiedBundle::parse(json.as_bytes()).unwrap();
        let artifact = Artifact::from_bytes(ARTIFACT);
        let verified = verify(&parsed, &artifact, &expected, &Conditions::at(NOW)).unwrap();
        assert_eq!(verified.identity.unwrap().subject, "Acme Release Signing");
    }
}

#[test]
fn accepts_a_pinned_certificate_whatever_names_it_has() {
    let signer = signer(KeyType::EcdsaP256);
    let dns = |name: &str| rcgen::SanType::DnsName(name.try_into().unwrap());
    for names in [vec![], vec![dns("build.acme.example")], vec![dns("a.example"), dns("b.example")]]
    {
        let ca = own_ca_of(&signer, true, |leaf| {
            leaf.distinguished_name = rcgen::DistinguishedName::new();
            leaf.subject_alt_names = names;
        });
        let pinned = PinnedCertificate::from_pem(&ca.leaf_pem, &ca.root_pem).unwrap();
        let expected = ExpectedSigner::Certificate { certificate: &pinned, trust: None };
        let json = bundle(key_material(signer.public_key()), attestation(&signer)).to_json();
        let parsed = UnverifiedBundle::parse(json.as_bytes()).unwrap();
        let artifact = Artifact::from_bytes(ARTIFACT);
        let verified = verify(&parsed, &artifact, &expected, &Conditions::at(NOW)).unwrap();
        assert_eq!(verified.identity, None);
    }
}

/// A CA of one's own: root, and a signing certificate for `signer`'s key.
struct OwnCa {
    root_pem: String,
    leaf_pem: String,
    leaf_der: Vec<u8>,
}

fn own_ca(signer: &LocalSigner, for_code: bool) -> OwnCa {
    own_ca_of(signer, for_code, |_| {})
}

fn own_ca_of(
    signer: &LocalSigner,
    for_code: bool,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> OwnCa {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose,
    };
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(vec![]).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    root.distinguished_name.push(rcgen::DnType::CommonName, "own root");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let issuer = rcgen::Issuer::from_params(&root, root_key);
    let mut leaf = CertificateParams::new(vec![]).unwrap();
    leaf.subject_alt_names =
        vec![rcgen::SanType::Rfc822Name("release@acme.example".try_into().unwrap())];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if for_code {
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    }
    leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(2030, 1, 1);
    change(&mut leaf);
    let key = KeyPair::from_pem(&signer.to_pkcs8_pem()).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    OwnCa { root_pem, leaf_pem: leaf.pem(), leaf_der: leaf.der().to_vec() }
}

#[test]
fn accepts_the_holder_of_a_certificate_of_the_own_ca() {
    let signer = signer(KeyType::EcdsaP256);
    let ca = own_ca(&signer, true);
    let pinned = PinnedCertificate::from_pem(&ca.leaf_pem, &ca.root_pem).unwrap();
    let expected = ExpectedSigner::Certificate { certificate: &pinned, trust: None };
    let certificate = X509Certificate { raw_bytes: ca.leaf_der.into() };
    for material in
        [key_material(signer.public_key()), VerificationContent::Certificate(certificate)]
    {
        let json = bundle(material, attestation(&signer)).to_json();
        let parsed = UnverifiedBundle::parse(json.as_bytes()).unwrap();
        let artifact = Artifact::from_bytes(ARTIFACT);
        let verified = verify(&parsed, &artifact, &expected, &Conditions::at(NOW)).unwrap();
        assert_eq!(verified.identity.unwrap().subject, "release@acme.example");
        // Without a timestamp the certificate must be valid now.
        let late = verify(&parsed, &artifact, &expected, &Conditions::at(LATE)).unwrap_err();
        assert_eq!(late.check, Check::Certificate);
    }
}

#[test]
fn rejects_a_certificate_of_another_ca_key_or_purpose() {
    let signer = signer(KeyType::EcdsaP256);
    let other = self::signer(KeyType::EcdsaP256);
    let (ca, foreign) = (own_ca(&signer, true), own_ca(&other, true));
    let json = bundle(key_material(signer.public_key()), attestation(&signer)).to_json();
    let parsed = UnverifiedBundle::parse(json.as_bytes()).unwrap();
    let by = |leaf: &str, root: &str| {
        let pinned = PinnedCertificate::from_pem(leaf, root).unwrap();
        let expected = ExpectedSigner::Certificate { certificate: &pinned, trust: None };
        verify(&parsed, &Artifact::from_bytes(ARTIFACT), &expected, &Conditions::at(NOW))
    };
    by(&ca.leaf_pem, &ca.root_pem).unwrap();
    assert_eq!(by(&ca.leaf_pem, &foreign.root_pem).unwrap_err().check, Check::Certificate);
    assert_eq!(by(&foreign.leaf_pem, &foreign.root_pem).unwrap_err().check, Check::PublicKey);
    let purposeless = own_ca(&signer, false);
    let error = by(&purposeless.leaf_pem, &purposeless.root_pem).unwrap_err();
    assert_eq!(error.check, Check::Certificate);
}

#[test]
fn refuses_to_pin_what_is_no_certificate_with_a_chain() {
    let ca = own_ca(&signer(KeyType::EcdsaP256), true);
    PinnedCertificate::from_pem("", &ca.root_pem).unwrap_err();
    PinnedCertificate::from_pem(&ca.leaf_pem, "").unwrap_err();
    PinnedCertificate::from_pem(&format!("{0}{0}", ca.leaf_pem), &ca.root_pem).unwrap_err();
}
