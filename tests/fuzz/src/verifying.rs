//! Whole bundles against fixed trust: only what was signed verifies.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{Signer, Unsigned, sha256};
use moment::UnixSeconds;
use provenance::{Statement, UnsignedEnvelope};
use serde_json::Value;
use tlog::SignedNote;
use verify::{
    Artifact, Conditions, ExpectedSigner, IdentityPolicy, PinnedCertificate, Trust,
    UnverifiedBundle, verify,
};
use wire::{
    HashAlgorithm,
    bundle::{
        Bundle, BundleContent, BundleMediaType, HashOutput, MessageSignature, PublicKeyIdentifier,
        VerificationContent, VerificationMaterial,
    },
};

use crate::{
    case::Case,
    certificates,
    input::{Input, joined},
    keys::ED25519,
    statements::github_statement,
    vectors,
};

pub(crate) const CASES: &[Case] = &[
    Case { run: bundle, seeds: || GOOD.iter().map(|good| good.json.clone()).collect() },
    Case { run: changed_bundle, seeds: changes },
    Case { run: trust, seeds: || vectors::folder("trusted-roots") },
    Case { run: pinned, seeds: || pinned_certificates() },
];

/// After all of the vectors were made.
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

const ARTIFACT: &[u8] = b"artifact";

/// A bundle that verifies.
struct Good {
    json: Vec<u8>,
    parsed: Bundle,
}

/// Signed here with a key, and by others with identities; the same in every run.
static GOOD: LazyLock<Vec<Good>> = LazyLock::new(|| {
    let own = [message(), attestation()].map(|content| bundle_of(content).to_json().into_bytes());
    let all = own.into_iter().chain(vectors::bundles());
    let good = all.filter_map(|json| {
        let bundle = UnverifiedBundle::parse(&json).ok()?;
        let parsed = bundle.as_wire().clone();
        accepted(&bundle).then_some(Good { json, parsed })
    });
    good.collect()
});

static TRUST: LazyLock<Vec<Trust>> = LazyLock::new(|| {
    let names = ["public-good", "staging", "go-scaffolding"];
    let files = names.iter().map(|name| ::vectors::read(format!("trusted-roots/{name}.json")));
    files.map(|json| Trust::from_json(&json).unwrap()).collect()
});

fn bundle_of(content: BundleContent) -> Bundle {
    let hint = STANDARD.encode(ED25519.public_key().spki_sha256());
    Bundle {
        media_type: BundleMediaType::V0_3,
        verification_material: VerificationMaterial {
            content: VerificationContent::PublicKey(PublicKeyIdentifier { hint }),
            tlog_entries: Vec::new(),
            timestamp_verification_data: None,
        },
        content,
    }
}

fn message() -> BundleContent {
    let digest = sha256(ARTIFACT).into();
    BundleContent::MessageSignature(MessageSignature {
        message_digest: Some(HashOutput { algorithm: HashAlgorithm::Sha2_256, digest }),
        signature: ED25519.sign_now(ARTIFACT).unwrap().into(),
    })
}

fn attestation() -> BundleContent {
    let text = String::from_utf8(github_statement()).unwrap();
    let text = text
        .replace(r#""sha256":"00""#, &format!(r#""sha256":"{}""#, hex::encode(sha256(ARTIFACT))));
    let statement = Statement::parse(text.as_bytes()).unwrap();
    let unsigned = UnsignedEnvelope::new(&statement).unwrap();
    let signature = ED25519.sign_now(unsigned.bytes_to_sign()).unwrap();
    let envelope = unsigned.with_signature(&signature, ED25519.public_key()).unwrap();
    BundleContent::DsseEnvelope(envelope)
}

fn bundle(json: &[u8]) {
    let Ok(bundle) = UnverifiedBundle::parse(json) else { return };
    let parsed = bundle.as_wire();
    let again = UnverifiedBundle::parse(parsed.to_json().as_bytes()).unwrap();
    assert_eq!(again.as_wire(), parsed);
    if accepted(&bundle) {
        let known =
            GOOD.iter().any(|good| with_unsigned_parts_of(parsed, &good.parsed) == good.parsed);
        assert!(known, "accepts what nobody signed: {}", parsed.to_json());
    }
}

/// `found` with what nobody signs, or a bundle need not have, taken from `good`.
///
/// C2SP `signed-note` has verifiers pass over lines of keys that they do not know, such as
/// witnesses': anybody can add some, and they prove nothing. No version is signed, and 0.1 demands
/// a SET alone, in place of a proof with its checkpoint.
fn with_unsigned_parts_of(found: &Bundle, good: &Bundle) -> Bundle {
    let text = |note: &str| note.parse::<SignedNote>().ok().map(|note| note.text);
    let mut found = found.clone();
    let is_0_1 = found.media_type == BundleMediaType::V0_1;
    found.media_type = good.media_type;
    let entries = &mut found.verification_material.tlog_entries;
    for (found, good) in entries.iter_mut().zip(&good.verification_material.tlog_entries) {
        if is_0_1 && found.inclusion_proof.is_none() {
            found.inclusion_proof.clone_from(&good.inclusion_proof);
        }
        let found = found.inclusion_proof.as_mut().map(|proof| &mut proof.checkpoint);
        let good = good.inclusion_proof.as_ref().map(|proof| &proof.checkpoint);
        let (Some(found), Some(good)) = (found, good) else { continue };
        let same = match (&found, good) {
            (Some(found), Some(good)) => text(&found.envelope) == text(&good.envelope),
            (None, _) => is_0_1,
            (Some(_), None) => false,
        };
        if same {
            found.clone_from(good);
        }
    }
    found
}

/// Whether anybody's authority accepts the bundle, for the artifact that it claims to be of.
fn accepted(bundle: &UnverifiedBundle) -> bool {
    let key = ED25519.public_key();
    let by_key = ExpectedSigner::Key { key, trust: None };
    let identity = IdentityPolicy::default();
    let keyless = TRUST.iter().map(|trust| ExpectedSigner::Keyless { trust, identity: &identity });
    let Some(claimed) = claimed_artifact(bundle) else { return false };
    let now = Conditions::at(NOW);
    verify(bundle, &Artifact::from_bytes(ARTIFACT), &by_key, &now).is_ok()
        | keyless.into_iter().any(|authority| verify(bundle, &claimed, &authority, &now).is_ok())
}

fn claimed_artifact(bundle: &UnverifiedBundle) -> Option<Artifact<'static>> {
    match &bundle.as_wire().content {
        BundleContent::MessageSignature(message) => {
            let digest = message.message_digest.as_ref()?.digest.as_slice();
            digest.try_into().ok().map(Artifact::from_sha256)
        }
        BundleContent::DsseEnvelope(envelope) => {
            let statement = Statement::parse(envelope.payload.as_slice()).ok()?;
            let digests = &statement.subject().first()?.digest;
            let bytes = |name: &str| hex::decode(digests.get(name)?).ok();
            match (bytes("sha256"), bytes("sha512")) {
                (Some(digest), _) => digest.try_into().ok().map(Artifact::from_sha256),
                (None, digest) => digest?.try_into().ok().map(Artifact::from_sha512),
            }
        }
    }
}

/// A good bundle of which one text, or what it encodes, was changed somewhere.
fn changed_bundle(input: &[u8]) {
    let mut input = Input(input);
    let Some(good) = GOOD.get(usize::from(input.byte())) else { return };
    let mut json: Value = serde_json::from_slice(&good.json).unwrap();
    let mut texts = Vec::new();
    collect_texts(&mut json, &mut texts);
    let at = usize::from(input.byte()) % texts.len();
    let as_text = input.byte() % 2 == 1;
    let decoded = STANDARD.decode(&*texts[at]).ok().filter(|_| !as_text);
    if let Some(mut bytes) = decoded {
        splice(&mut bytes, &mut input);
        *texts[at] = STANDARD.encode(bytes);
    } else {
        let mut bytes = texts[at].clone().into_bytes();
        splice(&mut bytes, &mut input);
        let Ok(text) = String::from_utf8(bytes) else { return };
        *texts[at] = text;
    }
    bundle(json.to_string().as_bytes());
}

fn splice(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let start = usize::from(u16::from_be_bytes(input.array())).min(bytes.len());
    let end = (start + usize::from(input.byte())).min(bytes.len());
    bytes.splice(start..end, input.0.iter().copied());
}

fn collect_texts<'a>(value: &'a mut Value, texts: &mut Vec<&'a mut String>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter_mut().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => {
            members.values_mut().for_each(|value| collect_texts(value, texts));
        }
        _ => {}
    }
}

/// Each text of each bundle with one byte replaced, and with a line appended as a note has them.
fn changes() -> Vec<Vec<u8>> {
    const REPLACE: &[u8] = &[0, 0, 9, 1, b'7'];
    const APPEND: &[u8] = b"\x01\xff\xff\x00\xe2\x80\x94 witness AAAAAAAA\n";
    let bundles = 0..u8::try_from(GOOD.len()).unwrap();
    let change = |bundle| {
        (0..24).flat_map(move |text| {
            [REPLACE, APPEND].map(|change| [&[bundle, text], change].concat())
        })
    };
    bundles.flat_map(change).collect()
}

fn trust(json: &[u8]) {
    let Ok(trust) = Trust::from_json(json) else { return };
    let identity = IdentityPolicy::default();
    for good in &*GOOD {
        let bundle = UnverifiedBundle::parse(&good.json).unwrap();
        if let Some(claimed) = claimed_artifact(&bundle) {
            let expected = ExpectedSigner::Keyless { trust: &trust, identity: &identity };
            let _ = verify(&bundle, &claimed, &expected, &Conditions::at(NOW));
        }
    }
}

fn pinned(input: &[u8]) {
    let mut input = Input(input);
    if let (Some(certificate), Some(chain)) = (input.text(), input.text())
        && let Ok(certificate) = PinnedCertificate::from_pem(certificate, chain)
        && let Some(good) = GOOD.first()
    {
        let bundle = UnverifiedBundle::parse(&good.json).unwrap();
        let expected = ExpectedSigner::Certificate { certificate: &certificate, trust: None };
        // The certificate would have to be of the bundle's key, and none is.
        assert!(
            verify(&bundle, &Artifact::from_bytes(ARTIFACT), &expected, &Conditions::at(NOW))
                .is_err()
        );
    }
}

fn pinned_certificates() -> Vec<Vec<u8>> {
    let root = x509::to_pem(&certificates::ROOT);
    let leaves = certificates::leaves();
    leaves.iter().take(1).map(|leaf| joined([x509::to_pem(leaf), root.clone()])).collect()
}
