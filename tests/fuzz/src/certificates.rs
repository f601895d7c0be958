//! Certificates, requests for them, and SCTs.

use std::sync::LazyLock;

use const_oid::ObjectIdentifier;
use crypto::{Signer, Unsigned, sha256};
use ct::Sct;
use moment::{UnixMillis, UnixSeconds};
use wire::bundle::{Bundle, VerificationContent};
use x509::{
    CertificateChain, FulcioExtensions, LeafProfile, LeafView, SubjectAlternativeName,
    UnsignedPrecertificate, positive_serial_number, proof::parse_csr, verify_leaf_chain,
};

use crate::{
    case::Case,
    der,
    input::{Input, joined},
    keys::{ED25519, P256},
    vectors,
};

pub(crate) const CASES: &[Case] = &[
    Case { run: leaf, seeds: leaves },
    Case { run: embedded, seeds: leaves },
    Case { run: precertificate, seeds: || vec![issue(&NAMES[0]).precertificate] },
    Case { run: submission, seeds: submissions },
    Case { run: path, seeds: || vec![joined([&issue(&NAMES[0]).leaf, &*ROOT])] },
    Case { run: chain, seeds: || vec![joined([&*ROOT])] },
    Case { run: pem_text, seeds: || vec![x509::to_pem(&ROOT).into()] },
    Case { run: request_pem, seeds: || vec![der::request(&ED25519).into()] },
    Case { run: request_der, seeds: request_ders },
    Case { run: extensions, seeds: || vec![joined(["\u{8}", "\u{c}\u{1}a", "\u{1}", "a"])] },
    Case { run: sct_list, seeds: || vec![ct::encode_sct_list(&[some_sct(), some_sct()]).unwrap()] },
    Case { run: sct, seeds: || vec![some_sct().encode().unwrap()] },
    Case { run: signed_name, seeds: || vec![some_sct().digitally_signed().unwrap()] },
];

/// Within the validity of [`ROOT`].
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

/// The CA of every certificate here; the same bytes in every run.
pub(crate) static ROOT: LazyLock<Vec<u8>> = LazyLock::new(|| der::root(&ED25519));

static ACCEPTED: LazyLock<x509::AcceptedChains> =
    LazyLock::new(|| x509::AcceptedChains::from_der([[&*ROOT]]).unwrap());

static NAMES: LazyLock<[SubjectAlternativeName; 3]> = LazyLock::new(|| {
    [
        SubjectAlternativeName::Uri("https://ci.example/o/r@refs/heads/main".to_owned()),
        SubjectAlternativeName::Email("alice@acme.example".to_owned()),
        SubjectAlternativeName::OtherName("user!acme.example".to_owned()),
    ]
});

struct Issued {
    precertificate: Vec<u8>,
    leaf: Vec<u8>,
}

/// Issues as the CA does: precertificate, SCT, certificate.
fn issue(name: &SubjectAlternativeName) -> Issued {
    let chain = CertificateChain::from_der(vec![ROOT.clone()]).unwrap();
    let profile = LeafProfile {
        subject_alternative_name: name.clone(),
        extensions: FulcioExtensions {
            issuer: Some("https://issuer.example".to_owned()),
            source_repository_uri: Some("https://ci.example/o/r".to_owned()),
            ..FulcioExtensions::default()
        },
        public_key: P256.public_key().clone(),
        not_before: NOW,
        not_after: UnixSeconds(NOW.0 + 600),
        serial_number: positive_serial_number([7; 20]),
    };
    let unsigned = UnsignedPrecertificate::new(&profile, &chain).unwrap();
    let signature = ED25519.sign_now(unsigned.bytes_to_sign()).unwrap();
    let made = unsigned.with_signature(&signature, ED25519.public_key()).unwrap();
    let precertificate = made.der().to_vec();
    let unsigned = ct::UnsignedSct::new(made.log_entry().unwrap(), NOW.to_millis()).unwrap();
    let signature = P256.sign_now(unsigned.bytes_to_sign()).unwrap();
    let sct = unsigned.with_signature(&signature, P256.public_key()).unwrap();
    let unsigned = made.with_sct(&sct, P256.public_key()).unwrap();
    let signature = ED25519.sign_now(unsigned.bytes_to_sign()).unwrap();
    let leaf = unsigned.with_signature(&signature, ED25519.public_key()).unwrap().into_der();
    Issued { precertificate, leaf }
}

/// Leaves of every kind of name, and those of real bundles.
pub(crate) fn leaves() -> Vec<Vec<u8>> {
    let own = NAMES.iter().map(|name| issue(name).leaf);
    let bundles = vectors::bundles();
    let read = bundles.iter().filter_map(|json| Bundle::from_json(json).ok());
    own.chain(read.flat_map(|bundle| match bundle.verification_material.content {
        VerificationContent::Certificate(one) => vec![one.raw_bytes.0],
        VerificationContent::X509CertificateChain(chain) => {
            chain.certificates.into_iter().map(|one| one.raw_bytes.0).collect()
        }
        VerificationContent::PublicKey(_) => Vec::new(),
    }))
    .collect()
}

/// A certificate that reads is kept to the byte, and two readers see one key in it.
fn leaf(der: &[u8]) {
    let Ok(view) = LeafView::from_der(der) else { return };
    assert_eq!(view.der(), der);
    let _ = (view.subject_alternative_name().map(|name| name.check()), view.check_usage());
    same_again(view.extensions());
    if let Ok(verifier) = entry::rekor2::Verifier::from_certificate(der) {
        assert_eq!(verifier.public_key(), view.public_key());
    }
    // A certificate is final or a precertificate, never both.
    let poisoned = x509::pre_entry(der, view.public_key().spki_der()).is_ok();
    assert!(!(poisoned && view.check_usage().is_ok()));
}

/// The SCT inside a certificate holds only for the certificate that the log saw.
fn embedded(der: &[u8]) {
    if let Ok(sct) = x509::single_embedded_sct(der) {
        assert_eq!(x509::embedded_scts(der), Ok(vec![sct.clone()]));
        if let Ok(verified) = x509::verify_embedded_sct(der, &ROOT, P256.public_key()) {
            assert_eq!((&verified, verified.timestamp), (&sct, NOW.to_millis()));
        }
    }
}

fn precertificate(der: &[u8]) {
    let issuer = ED25519.public_key().spki_der();
    let Ok(entry) = x509::pre_entry(der, issuer) else { return };
    assert_eq!(entry.issuer_key_hash, sha256(issuer));
    // What is signed is shorter by the poison at least, and has none left to take out.
    assert!(entry.tbs.len() + 20 < der.len());
    assert!(x509::pre_entry(&entry.tbs, issuer).is_err());
    let entry = ct::LogEntry::Precertificate(entry);
    let leaf = ct::merkle_tree_leaf(&entry, UnixMillis(NOW.0), &[]).unwrap();
    assert_eq!(leaf, ct::signed_data(&entry, UnixMillis(NOW.0), &[]).unwrap());
    assert_eq!(ct::TimestampedEntry::of_leaf(&leaf).unwrap().entry, entry);
}

fn submission(input: &[u8]) {
    let sent = parts(input);
    let Ok(submission) = x509::validate_chain(&sent, &ACCEPTED) else { return };
    assert_eq!(submission.chain().first().map(Vec::as_slice), sent.first().copied());
    assert_eq!(submission.chain().last(), Some(&*ROOT));
    let as_precertificate = x509::pre_entry(sent[0], ED25519.public_key().spki_der());
    assert!(!submission.is_precertificate() || as_precertificate.is_ok());
    let extra = submission.extra_data().unwrap();
    assert!(submission.chain().iter().skip(1).all(|issuer| contains(&extra, issuer)));
    // Asked again it is remembered, and the same.
    assert_eq!(x509::validate_chain(&sent, &ACCEPTED), Ok(submission));
}

fn submissions() -> Vec<Vec<u8>> {
    let Issued { precertificate, leaf } = issue(&NAMES[0]);
    vec![joined([&precertificate, &*ROOT]), joined([&leaf]), joined([&precertificate])]
}

/// No chain leads to a root whose key signed nothing of the kind.
fn path(input: &[u8]) {
    let mut input = Input(input);
    let (leaf, more) = (input.bytes(), parts(input.0));
    for at in [NOW, UnixSeconds(NOW.0 + 601), UnixSeconds(0)] {
        if let Ok(chain) = verify_leaf_chain(leaf, &more, &[&*ROOT], at) {
            assert_eq!(chain.certificates().last(), Some(&*ROOT));
            assert_eq!(at, NOW);
            LeafView::from_der(leaf).unwrap().check_usage().unwrap();
        }
    }
}

fn chain(input: &[u8]) {
    let certificates: Vec<Vec<u8>> = parts(input).iter().map(|der| der.to_vec()).collect();
    let Ok(chain) = CertificateChain::from_der(certificates.clone()) else { return };
    assert_eq!(chain.certificates(), certificates);
    assert!(chain.not_before() <= chain.not_after());
    let pem: String = certificates.iter().map(|der| x509::to_pem(der)).collect();
    assert_eq!(CertificateChain::from_pem(&pem).unwrap().certificates(), certificates);
}

fn pem_text(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(certificates) = x509::from_pem(text) else { return };
    let again: String = certificates.iter().map(|der| x509::to_pem(der)).collect();
    assert_eq!(x509::from_pem(&again), Ok(certificates));
}

/// Only the holder of a key can ask for a certificate of it.
fn request_pem(pem: &[u8]) {
    if let Ok(key) = parse_csr(pem) {
        let _ = x509::lint::client_key(&key);
    }
}

fn request_der(der: &[u8]) {
    request_pem(pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der)).as_bytes());
}

fn request_ders() -> Vec<Vec<u8>> {
    vec![pem::parse(der::request(&ED25519)).unwrap().into_contents()]
}

/// Pairs of the last arc below 1.3.6.1.4.1.57264.1 and a content.
fn extensions(input: &[u8]) {
    let mut input = Input(input);
    let mut pairs = Vec::new();
    while !input.is_empty() {
        let arc = input.bytes().first().copied().unwrap_or_default();
        let id = ObjectIdentifier::new(&format!("1.3.6.1.4.1.57264.1.{arc}")).unwrap();
        pairs.push((id, input.bytes()));
    }
    if let Ok(parsed) = FulcioExtensions::parse(pairs) {
        same_again(&parsed);
    }
}

fn same_again(extensions: &FulcioExtensions) {
    if let Ok(encoded) = extensions.encode() {
        let pairs = encoded.iter().map(|(id, content)| (*id, content.as_slice()));
        let again = FulcioExtensions::parse(pairs).unwrap();
        // An empty text is written as absent.
        let named = extensions.named().filter(|(_, value)| !value.is_empty());
        assert!(again.named().eq(named));
    }
}

fn sct_list(bytes: &[u8]) {
    if let Ok(scts) = ct::decode_sct_list(bytes) {
        assert_eq!(ct::encode_sct_list(&scts).unwrap(), bytes);
    }
}

fn sct(bytes: &[u8]) {
    if let Ok(sct) = Sct::decode(bytes) {
        assert_eq!(sct.encode().unwrap(), bytes);
    }
}

fn signed_name(bytes: &[u8]) {
    if let Ok(sct) = Sct::from_digitally_signed([0; 32], UnixMillis(0), Vec::new(), bytes) {
        assert_eq!(sct.digitally_signed().unwrap(), bytes);
    }
}

fn some_sct() -> Sct {
    Sct {
        log_id: [7; 32],
        timestamp: UnixMillis(NOW.0),
        extensions: vec![1],
        algorithm: ct::SHA256_WITH_ECDSA,
        signature: vec![0x30, 6, 2, 1, 1, 2, 1, 1],
    }
}

fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut input = Input(input);
    let mut parts = Vec::new();
    while !input.is_empty() {
        parts.push(input.bytes());
    }
    parts
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
