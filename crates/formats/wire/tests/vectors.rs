//! Files that other implementations wrote: each is read, and written again it says the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its vectors has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use wire::{
    Timestamp,
    bundle::{Bundle, BundleContent, BundleMediaType, VerificationContent},
    trust::{
        CertificateAuthority, ClientTrustConfig, ServiceSelector, SigningConfig, TrustedRoot,
        TrustedRootMediaType,
    },
};

/// Bundles that are no bundles in shape, not only in substance.
const MISSHAPEN: &[&str] = &["bundle_invalid_version.txt.sigstore"];

#[test]
fn every_bundle_of_the_clients_survives_a_round_trip() {
    let mut count = 0;
    for path in files("bundles", |name| name.contains(".sigstore") || name.contains(".json")) {
        if !MISSHAPEN.iter().any(|name| path.ends_with(name)) {
            round_trip::<Bundle>(&path);
            count += 1;
        }
    }
    assert!(count == 0 || count > 25, "{count}");
}

#[test]
fn rejects_bundle_of_unknown_media_type() {
    for path in files("bundles", |name| MISSHAPEN.contains(&name)) {
        let error = Bundle::from_json(&fs::read(path).unwrap()).unwrap_err();
        assert!(error.to_string().contains("unknown variant"), "{error}");
    }
}

#[test]
fn reads_what_a_rekor_v2_bundle_says() {
    for path in files("bundles/python", |name| name == "staging-rekor-v2.txt.sigstore.json") {
        let bundle = Bundle::from_json(&fs::read(path).unwrap()).unwrap();
        assert_eq!(bundle.media_type, BundleMediaType::V0_3);
        assert!(matches!(bundle.content, BundleContent::MessageSignature(_)));
        let material = bundle.verification_material;
        assert!(matches!(material.content, VerificationContent::Certificate(_)));
        let [entry] = material.tlog_entries.as_slice() else { panic!("not one entry") };
        assert_eq!((entry.log_index.0, entry.integrated_time.0), (645, 0));
        assert_eq!(entry.log_id.key_id.as_slice().len(), 32);
        assert_eq!(entry.inclusion_proof.as_ref().unwrap().tree_size.0, 646);
        assert_eq!(material.timestamp_verification_data.unwrap().rfc3161_timestamps.len(), 1);
    }
}

#[test]
fn every_trusted_root_survives_a_round_trip() {
    let sound = |name: &str| !name.contains("badtype");
    for path in files("trusted-roots", sound) {
        round_trip::<TrustedRoot>(&path);
    }
    for path in files("tuf", |name| name.contains("trusted_root.json")) {
        let root: TrustedRoot = round_trip(&path);
        assert_eq!(root.media_type, TrustedRootMediaType::V0_1Legacy);
        assert!(!root.tlogs.is_empty() && !root.timestamp_authorities.is_empty());
    }
}

#[test]
fn rejects_trusted_root_of_unknown_media_type() {
    for path in files("trusted-roots", |name| name.contains("badtype")) {
        serde_json::from_slice::<TrustedRoot>(&fs::read(path).unwrap()).unwrap_err();
    }
}

#[test]
fn every_signing_config_survives_a_round_trip() {
    let mut paths = files("signing-config", |_| true);
    paths.extend(files("tuf", |name| name.contains("signing_config") && name.contains("v0.2")));
    for path in paths {
        let config: SigningConfig = round_trip(&path);
        assert_eq!(config.rekor_tlog_config.unwrap().selector, ServiceSelector::Any);
    }
}

#[test]
fn rejects_signing_config_of_version_0_1() {
    for path in files("tuf", |name| name == "signing_config.json") {
        serde_json::from_slice::<SigningConfig>(&fs::read(path).unwrap()).unwrap_err();
    }
}

#[test]
fn trust_config_and_authority_survive_a_round_trip() {
    for path in files("tsa", |name| name == "trust_config.json") {
        round_trip::<ClientTrustConfig>(&path);
    }
    for path in files("tsa", |name| name == "ca.json") {
        round_trip::<CertificateAuthority>(&path);
    }
}

fn round_trip<T: DeserializeOwned + Serialize>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    let value: T =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let written = normal(serde_json::to_value(&value).unwrap());
    assert_eq!(written, normal(serde_json::from_str(&text).unwrap()), "{}", path.display());
    value
}

/// What two JSON texts that say the same in protobuf have in common: camelCase names, times in their
/// shortest spelling, no members of default value.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (camel_case(&name), normal(member)))
            .filter(|(_, member)| !is_default(member))
            .collect(),
        Value::Array(elements) => elements.into_iter().map(normal).collect(),
        Value::String(text) => match Timestamp::parse(&text) {
            Some(moment) => moment.to_string().into(),
            None => text.into(),
        },
        other => other,
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        all.push_str(&word[..1].to_uppercase());
        all.push_str(&word[1..]);
        all
    })
}

/// The files below `folder` whose names are wanted; at least one.
fn files(folder: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = vectors::files(folder);
    found.retain(|path| wanted(path.file_name().unwrap().to_str().unwrap()));
    assert!(!found.is_empty(), "no such vectors below {folder}");
    found
}
