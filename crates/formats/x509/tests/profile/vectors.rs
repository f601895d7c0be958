//! Certificates that public Fulcio instances issued, below their roots.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crypto::PublicKey;
use der::Decode;
use serde_json::Value;
use x509::{
    LeafError, LeafView, SanError, SubjectAlternativeName, VerifiedChain, oid, verify_leaf_chain,
};

/// What one trusted root says about certificates.
#[derive(Default)]
struct Trust {
    roots: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
    logs: Vec<PublicKey>,
}

fn base64_at(value: &Value, pointer: &str) -> Vec<u8> {
    STANDARD.decode(value.pointer(pointer).unwrap().as_str().unwrap()).unwrap()
}

fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).unwrap()).ok()
}

fn trust() -> Trust {
    let mut trust = Trust::default();
    for name in ["public-good", "staging", "go-scaffolding"] {
        let path = vectors::path(format!("trusted-roots/{name}.json"));
        let root = read_json(&path).unwrap();
        for authority in array(&root, "/certificateAuthorities") {
            let certificates = array(authority, "/certChain/certificates");
            let mut chain: Vec<_> =
                certificates.iter().map(|der| base64_at(der, "/rawBytes")).collect();
            trust.roots.extend(chain.pop());
            trust.intermediates.append(&mut chain);
        }
        for log in array(&root, "/ctlogs") {
            let key = base64_at(log, "/publicKey/rawBytes");
            trust.logs.extend(PublicKey::from_spki_der(&key).ok());
        }
    }
    trust
}

/// Every bundle with a certificate: its file and the leaf.
fn leaves() -> Vec<(PathBuf, Vec<u8>)> {
    let mut leaves = Vec::new();
    for client in ["python", "js", "go", "cosign"] {
        for path in vectors::files(format!("bundles/{client}")) {
            let Some(bundle) = read_json(&path) else { continue };
            let chain = array(&bundle, "/verificationMaterial/x509CertificateChain/certificates");
            let leaf = bundle.pointer("/verificationMaterial/certificate").or(chain.first());
            if let Some(leaf) = leaf {
                leaves.push((path, base64_at(leaf, "/rawBytes")));
            }
        }
    }
    leaves
}

fn leaf_of(bundle: &str) -> LeafView {
    let path = vectors::path("bundles").join(bundle);
    let (_, der) = leaves().into_iter().find(|(found, _)| *found == path).unwrap();
    LeafView::from_der(&der).unwrap()
}

/// The extensions below 1.3.6.1.4.1.57264.1 as they stand in the certificate.
fn fulcio_extensions(der: &[u8]) -> Vec<(der::asn1::ObjectIdentifier, Vec<u8>)> {
    let certificate = x509_cert::Certificate::from_der(der).unwrap();
    let extensions = certificate.tbs_certificate().extensions().unwrap();
    extensions
        .iter()
        .filter(|extension| extension.extn_id.to_string().starts_with("1.3.6.1.4.1.57264.1."))
        .map(|extension| (extension.extn_id, extension.extn_value.as_bytes().to_vec()))
        .collect()
}

fn chain_of(leaf: &LeafView, trust: &Trust) -> Option<VerifiedChain> {
    verify_leaf_chain(leaf.der(), &trust.intermediates, &trust.roots, leaf.not_before()).ok()
}

#[test]
fn certificates_of_others_parse_and_encode_back() {
    let mut with_new_issuer = 0;
    for (path, der) in leaves() {
        let leaf = LeafView::from_der(&der).unwrap();
        assert_eq!(leaf.check_usage(), Ok(()), "{}", path.display());
        let name = leaf.subject_alternative_name().unwrap();
        assert_eq!(name.check(), Ok(()), "{}", path.display());
        let mut theirs = fulcio_extensions(&der);
        let mut ours = leaf.extensions().encode().unwrap();
        if theirs.iter().any(|(oid, _)| *oid == oid::ISSUER_V2) {
            with_new_issuer += 1;
        } else {
            ours.retain(|(oid, _)| *oid != oid::ISSUER_V2);
        }
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "{}", path.display());
    }
    assert!(with_new_issuer > 5, "{with_new_issuer}");
}

#[test]
fn embedded_scts_of_others_verify() {
    let trust = trust();
    let mut verified = 0;
    for (path, der) in leaves() {
        let leaf = LeafView::from_der(&der).unwrap();
        let chain = chain_of(&leaf, &trust).unwrap_or_else(|| panic!("{}", path.display()));
        let sct = x509::single_embedded_sct(&der).unwrap();
        let key = trust.logs.iter().find(|key| key.spki_sha256() == sct.log_id).unwrap();
        assert_eq!(x509::verify_embedded_sct(&der, chain.issuer(), key), Ok(sct));
        verified += 1;
    }
    assert!(verified > 10, "{verified}");
}

#[test]
fn reads_a_github_workflow_identity() {
    let leaf = leaf_of("python/bundle_v3_github.whl.sigstore");
    let extensions = leaf.extensions();
    let issuer = "https://token.actions.githubusercontent.com";
    let repository = "https://github.com/trailofbits/rfc8785.py";
    let workflow = format!("{repository}/.github/workflows/release.yml@refs/tags/v0.1.2");
    assert_eq!(extensions.issuer.as_deref(), Some(issuer));
    assert_eq!(extensions.source_repository_uri.as_deref(), Some(repository));
    assert_eq!(extensions.build_signer_uri.as_deref(), Some(workflow.as_str()));
    assert_eq!(leaf.subject_alternative_name(), Ok(SubjectAlternativeName::Uri(workflow)));
}

#[test]
fn reads_an_other_name() {
    let name = leaf_of("go/othername.sigstore.json").subject_alternative_name().unwrap();
    assert_eq!(name, SubjectAlternativeName::OtherName("foo!oidc.local".to_owned()));
}

#[test]
fn a_root_has_no_name_to_speak_for() {
    for root in trust().roots {
        let view = LeafView::from_der(&root).unwrap();
        let refused = matches!(
            view.subject_alternative_name(),
            Err(LeafError::NoSubjectAlternativeName
                | LeafError::SubjectAlternativeName(SanError::UnsupportedKind))
        );
        assert!(refused);
        assert_eq!(view.check_usage(), Err(LeafError::Usage));
    }
}
