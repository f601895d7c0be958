//! One signature, two meanings: what is signed as a file must not verify as an attestation, nor the
//! other way round.

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer, Unsigned};
use moment::UnixSeconds;
use provenance::{ResourceDescriptor, Statement, UnsignedEnvelope};
use verify::{
    Artifact, Check, Conditions, ExpectedSigner, UnverifiedBundle, Verified, VerifyError, verify,
};
use wire::{
    bundle::{
        Bundle, BundleContent, BundleMediaType, HashOutput, MessageSignature, PublicKeyIdentifier,
        VerificationContent, VerificationMaterial,
    },
    dsse::{DsseEnvelope, DsseSignature, IN_TOTO_PAYLOAD_TYPE},
};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const ARTIFACT: &[u8] = b"artifact";

const KEY_TYPES: [(KeyType, wire::HashAlgorithm, crypto::HashAlgorithm); 5] = [
    (KeyType::EcdsaP256, wire::HashAlgorithm::Sha2_256, crypto::HashAlgorithm::Sha256),
    (KeyType::EcdsaP384, wire::HashAlgorithm::Sha2_384, crypto::HashAlgorithm::Sha384),
    (KeyType::EcdsaP521, wire::HashAlgorithm::Sha2_512, crypto::HashAlgorithm::Sha512),
    (KeyType::Ed25519, wire::HashAlgorithm::Sha2_256, crypto::HashAlgorithm::Sha256),
    (KeyType::Rsa2048, wire::HashAlgorithm::Sha2_256, crypto::HashAlgorithm::Sha256),
];

fn bundle(signer: &LocalSigner, content: BundleContent) -> UnverifiedBundle {
    let hint = STANDARD.encode(signer.public_key().spki_sha256());
    let bundle = Bundle {
        media_type: BundleMediaType::V0_3,
        verification_material: VerificationMaterial {
            content: VerificationContent::PublicKey(PublicKeyIdentifier { hint }),
            tlog_entries: Vec::new(),
            timestamp_verification_data: None,
        },
        content,
    };
    UnverifiedBundle::parse(bundle.to_json().as_bytes()).unwrap()
}

fn message(signed: &[u8], signature: &[u8], declared: HashOutput) -> BundleContent {
    assert!(!signed.is_empty());
    BundleContent::MessageSignature(MessageSignature {
        message_digest: Some(declared),
        signature: signature.to_vec().into(),
    })
}

fn by_key(
    bundle: &UnverifiedBundle,
    artifact: &Artifact<'_>,
    signer: &LocalSigner,
) -> Result<Verified, VerifyError> {
    verify(
        bundle,
        artifact,
        &ExpectedSigner::Key { key: signer.public_key(), trust: None },
        &Conditions::at(NOW),
    )
}

/// A signature on an attestation that `ARTIFACT` is its subject, and the bytes that it is over.
fn attestation(signer: &LocalSigner) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let subject = ResourceDescriptor::with_sha256("artifact", &crypto::sha256(ARTIFACT));
    let statement = Statement::new(vec![subject], "https://example.com/p", 1.into()).unwrap();
    let unsigned = UnsignedEnvelope::new(&statement).unwrap();
    let encoded = unsigned.bytes_to_sign().to_vec();
    let signature = signer.sign_now(&encoded).unwrap();
    (statement.to_json().unwrap(), encoded, signature)
}

#[test]
fn a_signature_on_an_attestation_is_none_on_the_file_that_is_its_encoding() {
    for (key_type, declared, hash) in KEY_TYPES {
        let signer = LocalSigner::generate(key_type, "test").unwrap();
        let (payload, encoded, signature) = attestation(&signer);
        // The very signature is good where it was made for.
        let envelope = BundleContent::DsseEnvelope(DsseEnvelope {
            payload: payload.into(),
            payload_type: IN_TOTO_PAYLOAD_TYPE.to_owned(),
            signatures: vec![DsseSignature { sig: signature.clone().into(), keyid: String::new() }],
        });
        by_key(&bundle(&signer, envelope), &Artifact::from_bytes(ARTIFACT), &signer).unwrap();
        let digest = crypto::digest(hash, &encoded).into();
        let declared = HashOutput { algorithm: declared, digest };
        let transplanted = bundle(&signer, message(&encoded, &signature, declared));
        let file = Artifact::from_bytes(&encoded);
        let error = by_key(&transplanted, &file, &signer).unwrap_err();
        assert_eq!(error.check, Check::Signature, "{key_type:?}");
        assert!(error.to_string().contains("DSSEv1"), "{error}");
    }
}

#[test]
fn a_digest_is_enough_to_refuse_when_the_beginning_was_seen() {
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    let (_, encoded, signature) = attestation(&signer);
    let sha256 = crypto::sha256(&encoded);
    let algorithm = wire::HashAlgorithm::Sha2_256;
    let declared = HashOutput { algorithm, digest: sha256.to_vec().into() };
    let transplanted = bundle(&signer, message(&encoded, &signature, declared));
    for beginning in [&encoded[..], &encoded[..16], b"DSSEv1 "] {
        let seen = Artifact::from_sha256(sha256).with_beginning(beginning);
        let error = by_key(&transplanted, &seen, &signer).unwrap_err();
        assert_eq!(error.check, Check::Signature);
    }
    // docs/divergences.md: of a bare digest nobody can tell.
    by_key(&transplanted, &Artifact::from_sha256(sha256), &signer).unwrap();
}

#[test]
fn files_that_only_resemble_an_encoding_are_files() {
    let signer = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
    for content in ["DSSEv1", "DSSEv1\n", "DSSEv2 28 ", " DSSEv1 28 ", "dssev1 28 "] {
        let sha256 = crypto::sha256(content.as_bytes());
        let algorithm = wire::HashAlgorithm::Sha2_256;
        let declared = HashOutput { algorithm, digest: sha256.to_vec().into() };
        let signature = signer.sign_now(content.as_bytes()).unwrap();
        let signed = bundle(&signer, message(content.as_bytes(), &signature, declared));
        by_key(&signed, &Artifact::from_bytes(content.as_bytes()), &signer).unwrap();
        let digest = Artifact::from_sha256(sha256).with_beginning(content.as_bytes());
        by_key(&signed, &digest, &signer).unwrap();
    }
}
