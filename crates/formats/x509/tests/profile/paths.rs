//! Chains from a leaf to a trusted root, as verifiers see them.

use moment::UnixSeconds;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use x509::{LeafError, PathError, verify_leaf_chain};

use crate::authority::{Authority, Hierarchy, NOW, after, profile};

#[test]
fn gives_the_chain_nearest_issuer_first() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let stranger = Hierarchy::new();
    let intermediates = [stranger.intermediate(), hierarchy.intermediate()];
    let roots = [stranger.root(), hierarchy.root()];
    let chain = verify_leaf_chain(leaf.der(), &intermediates, &roots, NOW).unwrap();
    assert_eq!(chain.certificates(), hierarchy.chain.certificates());
    assert_eq!(chain.issuer(), hierarchy.intermediate());
}

#[test]
fn holds_at_every_second_of_the_leafs_validity_and_at_no_other() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let at = |second| {
        verify_leaf_chain(leaf.der(), &[hierarchy.intermediate()], &[hierarchy.root()], second)
    };
    at(NOW).unwrap();
    at(after(600)).unwrap();
    let error = at(UnixSeconds(NOW.0 - 1)).unwrap_err();
    assert!(matches!(error, PathError::Path(webpki::Error::CertNotValidYet { .. })), "{error:?}");
    let error = at(after(601)).unwrap_err();
    assert!(matches!(error, PathError::Path(webpki::Error::CertExpired { .. })), "{error:?}");
}

#[test]
fn refuses_a_root_that_was_not_valid() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let late = UnixSeconds(hierarchy.chain.not_after().0 + 1);
    let intermediates = [hierarchy.intermediate()];
    let error =
        verify_leaf_chain(leaf.der(), &intermediates, &[hierarchy.root()], late).unwrap_err();
    assert!(matches!(error, PathError::NoValidRoot), "{error:?}");
    let no_roots: [&[u8]; 0] = [];
    let error = verify_leaf_chain(leaf.der(), &intermediates, &no_roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::NoValidRoot), "{error:?}");
}

#[test]
fn refuses_a_leaf_of_another_root() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let stranger = Hierarchy::new();
    let roots = [stranger.root()];
    let error =
        verify_leaf_chain(leaf.der(), &[hierarchy.intermediate()], &roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::Path(_)), "{error:?}");
    let none: [&[u8]; 0] = [];
    let error = verify_leaf_chain(leaf.der(), &none, &[hierarchy.root()], NOW).unwrap_err();
    assert!(matches!(error, PathError::Path(webpki::Error::UnknownIssuer)), "{error:?}");
}

#[test]
fn an_intermediate_may_be_the_trusted_root() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let none: [&[u8]; 0] = [];
    let chain = verify_leaf_chain(leaf.der(), &none, &[hierarchy.intermediate()], NOW).unwrap();
    assert_eq!(chain.certificates(), [hierarchy.intermediate()]);
}

#[test]
fn never_takes_a_precertificate_for_a_certificate() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.precertificate(&profile());
    let roots = [hierarchy.root()];
    let error =
        verify_leaf_chain(leaf.der(), &[hierarchy.intermediate()], &roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::Leaf(LeafError::Usage)), "{error:?}");
}

#[test]
fn refuses_leaves_that_are_not_for_signing_code() {
    let root = Authority::root();
    let mut leaf = Authority::new("leaf", &rcgen::PKCS_ECDSA_P256_SHA256);
    leaf.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let roots = [root.self_signed()];
    let none: [&[u8]; 0] = [];

    leaf.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    verify_leaf_chain(&leaf.signed_by(&root), &none, &roots, NOW).unwrap();

    leaf.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let error = verify_leaf_chain(&leaf.signed_by(&root), &none, &roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::Leaf(LeafError::Usage)), "{error:?}");

    let authority = Authority::intermediate().signed_by(&root);
    let error = verify_leaf_chain(&authority, &none, &roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::Leaf(LeafError::Usage)), "{error:?}");
}

#[test]
fn refuses_issuers_that_may_not_sign_certificates() {
    let mut root = Authority::root();
    root.params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let mut leaf = Authority::new("leaf", &rcgen::PKCS_ECDSA_P256_SHA256);
    leaf.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let none: [&[u8]; 0] = [];
    let roots = [root.self_signed()];
    let error = verify_leaf_chain(&leaf.signed_by(&root), &none, &roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::MayNotSignCertificates), "{error:?}");
}

#[test]
fn refuses_intermediates_for_another_usage() {
    let hierarchy = Hierarchy::new();
    let root = Authority::root();
    let mut intermediate = Authority::intermediate();
    intermediate.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut leaf = Authority::new("leaf", &rcgen::PKCS_ECDSA_P256_SHA256);
    leaf.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let roots = [root.self_signed(), hierarchy.root().to_vec()];
    let intermediates = [intermediate.signed_by(&root)];
    let leaf = leaf.signed_by(&intermediate);
    let error = verify_leaf_chain(&leaf, &intermediates, &roots, NOW).unwrap_err();
    assert!(matches!(error, PathError::Path(_)), "{error:?}");
}

#[test]
fn refuses_more_candidates_than_it_will_search() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let many = vec![hierarchy.intermediate(); 33];
    let error = verify_leaf_chain(leaf.der(), &many, &[hierarchy.root()], NOW).unwrap_err();
    assert!(matches!(error, PathError::TooManyCertificates), "{error:?}");
}
