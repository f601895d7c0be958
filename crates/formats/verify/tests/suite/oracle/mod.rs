//! Every vector, judged by us and by another implementation; each difference is listed with its
//! reason, and fails the test when it vanishes.

mod judge;

use crypto::PublicKey;
use sigstore_verify::types::{self, ArtifactDigest, HashAlgorithm};
use verify::{Conditions, ExpectedSigner, IdentityPolicy, Trust, UnverifiedBundle, verify};

use self::judge::{Signer, judge};
use crate::{
    support::NOW,
    vectors::{claimed_artifact, trusted_root},
};

/// Bundle, trusted root, and key where a key signed.
const VECTORS: [(&str, &str, Option<&str>); 36] = [
    ("cosign/oci-attestation.sigstore.json", "public-good", None),
    ("go/bundle-provenance.json", "public-good", None),
    ("go/bundle-publish.json", "public-good", Some("go/publish_key.pub")),
    ("go/dsse-2sigs.sigstore.json", "public-good", None),
    ("go/dsse.sigstore.json", "public-good", None),
    ("go/othername.sigstore.json", "go-scaffolding", None),
    (
        "go/public-key-validity.sigstore.json",
        "go-public-key-validity",
        Some("go/public-key-validity.pem"),
    ),
    ("go/sigstore.js@2.0.0-provenance.sigstore.json", "public-good", None),
    ("js/bundleV01-dsse-no-proof.sigstore", "public-good", None),
    ("js/bundleV01-dsse-with-proof.sigstore", "public-good", None),
    ("js/bundleV01-full-cert-chain.sigstore", "public-good", None),
    ("js/bundleV01-intoto-no-proof.sigstore", "public-good", None),
    ("js/bundleV01-intoto-with-proof.sigstore", "public-good", None),
    ("js/bundleV02-dsse.sigstore", "public-good", None),
    ("js/bundleV02-intoto.sigstore", "public-good", None),
    ("js/bundleV03-dsse.sigstore", "public-good", None),
    ("js/bundleV03-dsse.sigstore", "staging", None),
    ("js/bundleV03-intoto.sigstore", "public-good", None),
    ("python/Python-3.12.5.tgz.sigstore", "public-good", None),
    ("python/a.dsse.staging-rekor-v2.txt.sigstore.json", "staging", None),
    ("python/bundle.duplicate.sigstore", "tsa", None),
    ("python/bundle.many_timestamp.sigstore", "tsa", None),
    ("python/bundle.txt.late_timestamp.sigstore", "tsa", None),
    ("python/bundle.txt.sigstore", "tsa", None),
    ("python/bundle.txt.sigstore", "staging", None),
    ("python/bundle_cve_2022_36056.txt.sigstore", "staging", None),
    ("python/bundle_invalid_version.txt.sigstore", "staging", None),
    ("python/bundle_no_cert_v1.txt.sigstore", "staging", None),
    ("python/bundle_no_checkpoint.txt.sigstore", "staging", None),
    ("python/bundle_no_log_entry.txt.sigstore", "public-good", None),
    ("python/bundle_v3.txt.sigstore", "staging", None),
    ("python/bundle_v3.txt.sigstore", "public-good", None),
    ("python/bundle_v3_alt.txt.sigstore", "staging", None),
    ("python/bundle_v3_github.whl.sigstore", "public-good", None),
    ("python/bundle_v3_no_signed_time.txt.sigstore.json", "staging", None),
    ("python/staging-rekor-v2.txt.sigstore.json", "staging", None),
];

/// Where the two disagree: bundle, trusted root, whether we accept, and why.
const DIFFERENCES: &[(&str, &str, bool, &str)] = &[(
    "python/Python-3.12.5.tgz.sigstore",
    "public-good",
    true,
    "version 0.1 demands the SET alone, and clients of its time left the checkpoint out; \
     sigstore-python and cosign take it",
)];

#[test]
fn agrees_with_the_oracle_but_for_the_listed_differences() {
    let mut unexplained = Vec::new();
    println!("| bundle | trusted root | verify | oracle | why |\n|---|---|---|---|---|");
    for (name, root, key) in VECTORS {
        let json = String::from_utf8(vectors::read(format!("bundles/{name}"))).unwrap();
        let trusted = String::from_utf8(trusted_root(root)).unwrap();
        let key = key.map(|path| {
            let pem = vectors::read(format!("bundles/{path}"));
            PublicKey::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap()
        });
        let ours = ours(&json, &trusted, key.as_ref());
        let theirs = theirs(&json, &trusted, key.as_ref());
        let why = DIFFERENCES.iter().find(|known| (known.0, known.1) == (name, root));
        let differ = ours.is_ok() != theirs.is_ok();
        if differ != why.is_some() || why.is_some_and(|why| why.2 != ours.is_ok()) {
            unexplained.push(format!("{name} by {root}: we {ours:?}, they {theirs:?}"));
        }
        let (why, shown) = (why.map_or("", |why| why.3), |verdict: &Result<(), String>| {
            verdict
                .as_ref()
                .map_or_else(|reason| reason.replace(['|', '\n'], " "), |()| "good".into())
        });
        println!("| {name} | {root} | {} | {} | {why} |", shown(&ours), shown(&theirs));
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

fn ours(json: &str, root: &str, key: Option<&PublicKey>) -> Result<(), String> {
    let trust = Trust::from_json(root.as_bytes()).unwrap();
    let bundle = UnverifiedBundle::parse(json.as_bytes()).map_err(|error| error.to_string())?;
    let identity = IdentityPolicy::default();
    let expected = match key {
        Some(key) => ExpectedSigner::Key { key, trust: Some(&trust) },
        None => ExpectedSigner::Keyless { trust: &trust, identity: &identity },
    };
    verify(&bundle, &claimed_artifact(&bundle), &expected, &Conditions::at(NOW))
        .map(drop)
        .map_err(|error| error.to_string())
}

fn theirs(json: &str, root: &str, key: Option<&PublicKey>) -> Result<(), String> {
    // What the bundle claims, read as leniently as can be: the vectors' artifacts are not at hand.
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    let artifact = claimed_digest(&value).ok_or("it claims no digest")?;
    let artifact = types::Artifact::from_digest(artifact);
    let logged = value["verificationMaterial"]["tlogEntries"].get(0).is_some();
    let signer = key.map_or(Signer::Certified(None), |key| Signer::Key(key.spki_der(), logged));
    judge(json, artifact, signer, root)
}

fn claimed_digest(bundle: &serde_json::Value) -> Option<ArtifactDigest> {
    let decode = |value: &serde_json::Value| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.decode(value.as_str()?).ok()
    };
    if let Some(digest) = decode(&bundle["messageSignature"]["messageDigest"]["digest"]) {
        return ArtifactDigest::new(HashAlgorithm::Sha2256, digest).ok();
    }
    let payload = decode(&bundle["dsseEnvelope"]["payload"])?;
    let statement: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let digests = &statement["subject"][0]["digest"];
    [("sha256", HashAlgorithm::Sha2256), ("sha512", HashAlgorithm::Sha2512)].into_iter().find_map(
        |(name, algorithm)| {
            ArtifactDigest::new(algorithm, hex::decode(digests[name].as_str()?).ok()?).ok()
        },
    )
}
