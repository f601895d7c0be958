//! Leaf certificates, from profile to verified PEM.

use std::process::Command;

use crypto::{KeyType, LocalSigner, Signer, Unsigned};
use ct::SctError;
use der::{Decode, Encode};
use moment::UnixSeconds;
use proptest::prelude::*;
use x509::{
    FulcioExtensions, IssuanceError, LeafProfile, LeafView, ProfileError, SanError,
    SubjectAlternativeName, UnsignedPrecertificate, oid, positive_serial_number, to_pem,
    verify_leaf_chain,
};
use x509_cert::{Certificate, ext::Extension};

use crate::authority::{Authority, Hierarchy, NOW, after, profile};

fn refused(change: impl FnOnce(&mut LeafProfile, &Hierarchy)) -> IssuanceError {
    let hierarchy = Hierarchy::new();
    let mut profile = profile();
    change(&mut profile, &hierarchy);
    UnsignedPrecertificate::new(&profile, &hierarchy.chain).unwrap_err()
}

#[test]
fn issued_certificate_says_what_was_asked() {
    let hierarchy = Hierarchy::new();
    let profile = profile();
    let leaf = LeafView::from_der(hierarchy.issue(&profile).der()).unwrap();
    assert_eq!(leaf.subject_alternative_name(), Ok(profile.subject_alternative_name));
    assert_eq!(*leaf.extensions(), profile.extensions);
    assert_eq!(*leaf.public_key(), profile.public_key);
    assert_eq!((leaf.not_before(), leaf.not_after()), (NOW, after(600)));
    assert_eq!(leaf.serial_number(), profile.serial_number);
    assert_eq!(leaf.check_usage(), Ok(()));
}

#[test]
fn extensions_have_fulcios_order_and_criticality() {
    let leaf = Hierarchy::new().issue(&profile());
    let certificate = Certificate::from_der(leaf.der()).unwrap();
    let found: Vec<_> = certificate
        .tbs_certificate()
        .extensions()
        .unwrap()
        .iter()
        .map(|extension| (extension.extn_id.to_string(), extension.critical))
        .collect();
    let expected = [
        ("2.5.29.15", true),
        ("2.5.29.37", false),
        ("2.5.29.14", false),
        ("2.5.29.35", false),
        ("2.5.29.17", true),
        ("1.3.6.1.4.1.57264.1.1", false),
        ("1.3.6.1.4.1.57264.1.2", false),
        ("1.3.6.1.4.1.57264.1.8", false),
        ("1.3.6.1.4.1.57264.1.12", false),
        ("1.3.6.1.4.1.57264.1.24", false),
        ("1.2.840.113556.1.8000.2554.61632.52211.31474.16853.39570.2058015.3925973.1.1", false),
        ("1.3.6.1.4.1.11129.2.4.2", false),
    ];
    assert_eq!(found, expected.map(|(oid, critical)| (oid.to_owned(), critical)));
}

#[test]
fn issuer_name_is_copied_byte_by_byte_and_subject_is_empty() {
    let hierarchy = Hierarchy::new();
    let leaf = Certificate::from_der(hierarchy.issue(&profile()).der()).unwrap();
    let issuer = Certificate::from_der(hierarchy.intermediate()).unwrap();
    let der = |name: &x509_cert::name::Name| name.to_der().unwrap();
    assert_eq!(der(leaf.tbs_certificate().issuer()), der(issuer.tbs_certificate().subject()));
    assert_eq!(der(leaf.tbs_certificate().subject()), [0x30, 0x00]);
}

#[test]
fn every_kind_of_ca_and_client_key_works() {
    let intermediates =
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    for algorithm in intermediates {
        let mut intermediate = Authority::intermediate();
        intermediate.key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let hierarchy = Hierarchy::of(&Authority::root(), &intermediate);
        for key_type in [KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Ed25519, KeyType::Rsa2048]
        {
            let client = LocalSigner::generate(key_type, "client").unwrap();
            let profile = LeafProfile { public_key: client.public_key().clone(), ..profile() };
            let leaf = hierarchy.issue(&profile);
            let roots = [hierarchy.root()];
            verify_leaf_chain(leaf.der(), &[hierarchy.intermediate()], &roots, NOW).unwrap();
        }
    }
}

#[test]
fn openssl_accepts_issued_certificates() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let name = format!("countersign-x509-{}", hex::encode(crypto::random_bytes::<8>()));
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).unwrap();
    let file = |name: &str, pem: String| {
        let path = directory.join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-attime", &NOW.to_string()])
        .arg("-CAfile")
        .arg(file("root.pem", to_pem(hierarchy.root())))
        .arg("-untrusted")
        .arg(file("intermediate.pem", to_pem(hierarchy.intermediate())))
        .arg(file("leaf.pem", leaf.to_pem()))
        .output();
    std::fs::remove_dir_all(&directory).unwrap();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn never_outlives_its_issuers() {
    let beyond = IssuanceError::Profile(ProfileError::BeyondIssuer);
    assert_eq!(refused(|leaf, ca| leaf.not_after.0 = ca.chain.not_after().0 + 1), beyond);
    assert_eq!(refused(|leaf, ca| leaf.not_before.0 = ca.chain.not_before().0 - 1), beyond);
    let hierarchy = Hierarchy::new();
    let not_before = hierarchy.chain.not_before();
    let not_after = hierarchy.chain.not_after();
    let profile = LeafProfile { not_before, not_after, ..profile() };
    UnsignedPrecertificate::new(&profile, &hierarchy.chain).unwrap();
}

#[test]
fn refuses_to_end_before_it_starts() {
    let error = refused(|leaf, _| leaf.not_after.0 = leaf.not_before.0 - 1);
    assert_eq!(error, IssuanceError::Profile(ProfileError::NeverValid));
}

#[test]
fn refuses_serial_numbers_that_are_not_twenty_positive_bytes() {
    for first in [0x00, 0x80, 0xff] {
        let error = refused(|leaf, _| leaf.serial_number[0] = first);
        assert_eq!(error, IssuanceError::Profile(ProfileError::SerialNumber));
    }
    for byte in [0x00, 0x3f, 0x80, 0xff] {
        let serial_number = positive_serial_number([byte; 20]);
        assert!((0x40..=0x7f).contains(&serial_number[0]));
        assert_eq!(serial_number[1..], [byte; 19]);
    }
}

#[test]
fn refuses_names_that_a_certificate_cannot_hold() {
    let error = refused(|leaf, _| {
        leaf.subject_alternative_name = SubjectAlternativeName::Email("j\u{f6}rg@a.b".to_owned());
    });
    let cause = ProfileError::SubjectAlternativeName(SanError::ForbiddenCharacter);
    assert_eq!(error, IssuanceError::Profile(cause));
}

#[test]
fn years_after_2049_are_generalized_time() {
    let mut root = Authority::root();
    let mut intermediate = Authority::intermediate();
    root.params.not_after = rcgen::date_time_ymd(2060, 1, 1);
    intermediate.params.not_after = rcgen::date_time_ymd(2060, 1, 1);
    let hierarchy = Hierarchy::of(&root, &intermediate);
    // 2049-12-31T23:59:59Z and the second after.
    let (not_before, not_after) = (UnixSeconds(2_524_607_999), UnixSeconds(2_524_608_000));
    let profile = LeafProfile { not_before, not_after, ..profile() };
    let leaf = hierarchy.issue(&profile);
    let text = String::from_utf8_lossy(leaf.der()).into_owned();
    assert!(text.contains("\u{17}\r491231235959Z\u{18}\u{f}20500101000000Z"));
    let view = LeafView::from_der(leaf.der()).unwrap();
    assert_eq!((view.not_before(), view.not_after()), (not_before, not_after));
}

#[test]
fn refuses_signatures_of_another_key_or_over_other_bytes() {
    let hierarchy = Hierarchy::new();
    let unsigned = UnsignedPrecertificate::new(&profile(), &hierarchy.chain).unwrap();
    let stranger = LocalSigner::generate(KeyType::EcdsaP256, "stranger").unwrap();
    let key = hierarchy.issuing.public_key();

    let signature = stranger.sign_now(unsigned.bytes_to_sign()).unwrap();
    let error = unsigned.clone().with_signature(&signature, key).unwrap_err();
    assert_eq!(error, IssuanceError::SignatureMismatch);
    let error = unsigned.clone().with_signature(&signature, stranger.public_key()).unwrap_err();
    assert_eq!(error, IssuanceError::WrongIssuerKey);
    let signature = hierarchy.issuing.sign_now(b"something else").unwrap();
    let error = unsigned.with_signature(&signature, key).unwrap_err();
    assert_eq!(error, IssuanceError::SignatureMismatch);
}

#[test]
fn embeds_no_sct_that_does_not_verify() {
    let hierarchy = Hierarchy::new();
    let precertificate = hierarchy.precertificate(&profile());
    let sct = hierarchy.sct(&precertificate);
    let other = hierarchy.precertificate(&LeafProfile { not_after: after(601), ..profile() });
    let stranger = LocalSigner::generate(KeyType::EcdsaP256, "stranger").unwrap();

    let error = other.with_sct(&sct, hierarchy.log.public_key()).unwrap_err();
    assert_eq!(error, IssuanceError::Sct(SctError::SignatureMismatch));
    let error = precertificate.clone().with_sct(&sct, stranger.public_key()).unwrap_err();
    assert_eq!(error, IssuanceError::Sct(SctError::UnknownLog));
    let mut later = sct.clone();
    later.timestamp.0 += 1;
    let error = precertificate.with_sct(&later, hierarchy.log.public_key()).unwrap_err();
    assert_eq!(error, IssuanceError::Sct(SctError::SignatureMismatch));
}

#[test]
fn embedded_sct_verifies_and_no_other_does() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let log_key = hierarchy.log.public_key();
    let sct = x509::verify_embedded_sct(leaf.der(), hierarchy.intermediate(), log_key).unwrap();
    assert_eq!(sct.timestamp.0, NOW.to_millis().0 + 7);
    assert_eq!(x509::single_embedded_sct(leaf.der()), Ok(sct));

    let stranger = LocalSigner::generate(KeyType::EcdsaP256, "stranger").unwrap();
    let error =
        x509::verify_embedded_sct(leaf.der(), hierarchy.intermediate(), stranger.public_key());
    assert_eq!(error, Err(x509::EmbeddedSctError::Sct(SctError::UnknownLog)));
    let error = x509::verify_embedded_sct(leaf.der(), hierarchy.root(), log_key);
    assert!(matches!(error, Err(x509::EmbeddedSctError::Leaf(_))), "{error:?}");
}

/// The extensions of a TBS without those of type `oid`, and the TBS' other bytes.
fn without(tbs_der: &[u8], oid: der::asn1::ObjectIdentifier) -> (Vec<Extension>, Vec<u8>) {
    let tbs = x509_cert::TbsCertificate::from_der(tbs_der).unwrap();
    let kept = tbs.extensions().unwrap().iter().filter(|extension| extension.extn_id != oid);
    let before = [
        tbs.serial_number().to_der().unwrap(),
        tbs.issuer().to_der().unwrap(),
        tbs.validity().to_der().unwrap(),
        tbs.subject_public_key_info().to_der().unwrap(),
    ];
    (kept.cloned().collect(), before.concat())
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("\\PC{1,40}").prop_filter("may pass for another", |text| {
        let extensions =
            FulcioExtensions { build_signer_uri: text.clone(), ..FulcioExtensions::default() };
        extensions.check().is_ok()
    })
}

fn some_name() -> impl Strategy<Value = SubjectAlternativeName> {
    prop_oneof![
        "[a-z]{1,8}@[a-z]{1,8}\\.example".prop_map(SubjectAlternativeName::Email),
        "https://[!-~]{1,60}".prop_map(SubjectAlternativeName::Uri),
        "[^!\\p{C}]{1,20}![a-z]{1,8}".prop_map(SubjectAlternativeName::OtherName),
    ]
    .prop_filter("may pass for another", |name| name.check().is_ok())
}

prop_compose! {
    fn some_profile()(
        name in some_name(),
        texts in proptest::collection::vec(some_text(), 5),
        start in 0u64..100_000_000,
        lifetime in 0u64..100_000,
        serial in any::<[u8; 20]>(),
    ) -> LeafProfile {
        let mut texts = texts.into_iter();
        LeafProfile {
            subject_alternative_name: name,
            extensions: FulcioExtensions {
                issuer: texts.next().flatten(),
                github_workflow_name: texts.next().flatten(),
                build_signer_uri: texts.next().flatten(),
                run_invocation_uri: texts.next().flatten(),
                token_subject: texts.next().flatten(),
                ..FulcioExtensions::default()
            },
            not_before: after(start),
            not_after: after(start + lifetime),
            serial_number: positive_serial_number(serial),
            ..profile()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn precertificate_without_poison_is_certificate_without_sct(profile in some_profile()) {
        let hierarchy = Hierarchy::new();
        let unsigned = UnsignedPrecertificate::new(&profile, &hierarchy.chain).unwrap();
        let poisoned = unsigned.bytes_to_sign().to_vec();
        let precertificate = hierarchy.precertificate(&profile);
        let sct = hierarchy.sct(&precertificate);
        let logged = precertificate.log_entry().unwrap();
        let last = precertificate.with_sct(&sct, hierarchy.log.public_key()).unwrap();
        let listed = last.bytes_to_sign();

        prop_assert_eq!(without(&poisoned, oid::CT_POISON), without(listed, oid::SCT_LIST));
        let ct::LogEntry::Precertificate(logged) = logged else { panic!("not a precertificate") };
        prop_assert_eq!(without(&logged.tbs, oid::CT_POISON), without(listed, oid::SCT_LIST));
        // An independent cut: the poison is the last extension, so the log's bytes are a prefix of
        // the signed ones after the two differing length headers.
        let cut = poisoned.len() - 21;
        prop_assert!(poisoned[..cut].ends_with(&logged.tbs[logged.tbs.len() - 64..]));
    }

    #[test]
    fn certificates_survive_reading(profile in some_profile()) {
        let hierarchy = Hierarchy::new();
        let leaf = hierarchy.issue(&profile);
        let view = LeafView::from_der(leaf.der()).unwrap();
        prop_assert_eq!(view.subject_alternative_name().unwrap(), profile.subject_alternative_name);
        prop_assert_eq!(view.extensions(), &profile.extensions);
        prop_assert_eq!(view.serial_number(), profile.serial_number);
    }

    #[test]
    fn mutated_certificates_never_panic_nor_verify(position in any::<usize>(), flip in 1u8..) {
        let hierarchy = Hierarchy::new();
        let mut leaf = hierarchy.issue(&profile()).into_der();
        let position = position % leaf.len();
        leaf[position] ^= flip;
        let roots = [hierarchy.root()];
        prop_assert!(verify_leaf_chain(&leaf, &[hierarchy.intermediate()], &roots, NOW).is_err());
        let key = hierarchy.log.public_key();
        prop_assert!(x509::verify_embedded_sct(&leaf, hierarchy.intermediate(), key).is_err());
        drop(LeafView::from_der(&leaf).map(|view| view.subject_alternative_name()));
    }

    #[test]
    fn cut_certificates_never_panic(length in any::<usize>()) {
        let leaf = Hierarchy::new().issue(&profile()).into_der();
        let length = length % leaf.len();
        prop_assert!(LeafView::from_der(&leaf[..length]).is_err());
    }
}
