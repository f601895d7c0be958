//! Good bundles, and how each is verified on the command line.

use std::path::Path;

use crypto::PublicKey;
use serde_json::Value;
use wire::bundle::{Bundle, BundleContent, VerificationContent};

/// Bundle, trusted root, key.
const VECTORS: [(&str, &str, Option<&str>); 22] = [
    ("cosign/oci-attestation.sigstore.json", "public-good", None),
    ("go/bundle-provenance.json", "public-good", None),
    ("go/bundle-publish.json", "public-good", Some("go/publish_key.pub")),
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
    ("js/bundleV03-intoto.sigstore", "public-good", None),
    ("python/Python-3.12.5.tgz.sigstore", "public-good", None),
    ("python/a.dsse.staging-rekor-v2.txt.sigstore.json", "staging", None),
    ("python/bundle_v3.txt.sigstore", "staging", None),
    ("python/bundle_v3_alt.txt.sigstore", "staging", None),
    ("python/bundle_v3_github.whl.sigstore", "public-good", None),
    ("python/staging-rekor-v2.txt.sigstore.json", "staging", None),
];

pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) bundle: Value,
    pub(crate) root: Vec<u8>,
    pub(crate) key: Option<PublicKey>,
    /// What the bundle is about, where it says so by SHA-512 alone, as npm's do.
    pub(crate) sha512: Option<[u8; 64]>,
    who: Vec<String>,
    what: String,
}

impl Sample {
    fn new(name: &str, json: &[u8], root: Vec<u8>, key: Option<&Path>) -> Self {
        let parsed = Bundle::from_json(json).unwrap();
        let who = key.map_or_else(
            || signer_of(&parsed),
            |key| vec!["--key".to_owned(), key.display().to_string()],
        );
        let key =
            key.map(|path| PublicKey::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap());
        let (what, sha512) = about(&parsed.content);
        let bundle = serde_json::from_slice(json).unwrap();
        Self { name: name.to_owned(), bundle, root, key, sha512, who, what }
    }

    /// By the protocol of the conformance suite, which asks for no kind of predicate.
    pub(crate) fn arguments(&self, bundle: &Path, root: &Path) -> Vec<String> {
        let mut arguments =
            ["countersign", "conformance", "verify-bundle", "--bundle"].map(str::to_owned).to_vec();
        arguments.push(bundle.display().to_string());
        arguments.extend(self.who.iter().cloned());
        arguments.extend(["--trusted-root".to_owned(), root.display().to_string()]);
        arguments.push(format!("sha256:{}", self.what));
        arguments
    }
}

/// The vectors, and what a directory named by the environment holds.
pub(crate) fn all() -> Vec<Sample> {
    let of_vector = |(name, root, key): &(&'static str, &str, Option<&str>)| {
        let json = vectors::read(format!("bundles/{name}"));
        let root = vectors::read(format!("trusted-roots/{root}.json"));
        let key = key.map(|key| vectors::path("bundles").join(key));
        Sample::new(name, &json, root, key.as_deref())
    };
    let mut samples: Vec<Sample> = VECTORS.iter().map(of_vector).collect();
    let more = std::env::vars().find(|(name, _)| name == "COUNTERSIGN_MUTATION_BUNDLES");
    for entry in more.iter().flat_map(|(_, path)| std::fs::read_dir(path).unwrap()) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(stem) = name.strip_suffix(".sigstore.json") else { continue };
        let beside = |suffix: &str| path.with_file_name(format!("{stem}{suffix}"));
        let key = Some(beside(".pub")).filter(|key| key.exists());
        let root = std::fs::read(beside(".root.json")).unwrap();
        samples.push(Sample::new(stem, &std::fs::read(&path).unwrap(), root, key.as_deref()));
    }
    samples
}

/// The options that demand the very signer of the bundle.
fn signer_of(bundle: &Bundle) -> Vec<String> {
    let leaf = match &bundle.verification_material.content {
        VerificationContent::Certificate(leaf) => leaf.raw_bytes.as_slice(),
        VerificationContent::X509CertificateChain(chain) => {
            chain.certificates[0].raw_bytes.as_slice()
        }
        VerificationContent::PublicKey(_) => panic!("a key must be given"),
    };
    let leaf = x509::LeafView::from_der(leaf).unwrap();
    let subject = leaf.subject_alternative_name().unwrap().as_str().to_owned();
    let issuer = leaf.extensions().issuer.clone().unwrap();
    let option = |name: &str, value| [name.to_owned(), value];
    [option("--certificate-identity", subject), option("--certificate-oidc-issuer", issuer)]
        .concat()
}

/// What the bundle claims to be about: SHA-256 in hex, else SHA-512.
fn about(content: &BundleContent) -> (String, Option<[u8; 64]>) {
    match content {
        BundleContent::MessageSignature(message) => {
            (hex::encode(message.message_digest.as_ref().unwrap().digest.as_slice()), None)
        }
        BundleContent::DsseEnvelope(envelope) => {
            let statement = provenance::Statement::parse(envelope.payload.as_slice()).unwrap();
            let digests = &statement.subject()[0].digest;
            if let Some(digest) = digests.get("sha256") {
                return (digest.clone(), None);
            }
            let digest = hex::decode(&digests["sha512"]).unwrap();
            (String::new(), Some(digest.try_into().unwrap()))
        }
    }
}
