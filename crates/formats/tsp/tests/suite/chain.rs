use crypto::{KeyType, LocalSigner, Signer};
use moment::UnixSeconds;
use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use tsp::{ChainError, IntermediateUsage, TsaChain, ValidityPeriod};

use crate::support::{LEAF_NOT_AFTER, LEAF_NOT_BEFORE, Plan, TIME_STAMPING, usage};

const CODE_SIGNING: [u8; 12] =
    [0x30, 0x0A, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

fn plan() -> Plan {
    Plan::new(&PKCS_ECDSA_P256_SHA256)
}

#[track_caller]
fn unreadable(change: impl FnOnce(&mut Plan), expected: &ChainError) {
    let mut plan = plan();
    change(&mut plan);
    assert_eq!(&TsaChain::from_ders(&plan.chain()).unwrap_err(), expected);
}

#[track_caller]
fn unissuable(change: impl FnOnce(&mut Plan), expected: &ChainError) {
    let mut plan = plan();
    change(&mut plan);
    let chain = TsaChain::from_ders(&plan.chain()).unwrap();
    let key = plan.signer();
    let error = chain.require_issuable(key.public_key(), IntermediateUsage::Required);
    assert_eq!(&error.unwrap_err(), expected);
}

#[test]
fn accepts_leaf_intermediate_and_root() {
    let plan = plan();
    let chain = TsaChain::from_ders(&plan.chain()).unwrap();
    chain.require_issuable(plan.signer().public_key(), IntermediateUsage::Required).unwrap();
    assert_eq!(chain.public_key(), plan.signer().public_key().as_authority_key());
    assert_eq!(chain.ders().count(), 3);
}

#[test]
fn is_valid_while_every_certificate_is() {
    let mut plan = plan();
    let validity = TsaChain::from_ders(&plan.chain()).unwrap().validity();
    assert_eq!(validity, ValidityPeriod { not_before: LEAF_NOT_BEFORE, not_after: LEAF_NOT_AFTER });
    plan.root.not_after = rcgen::date_time_ymd(2030, 1, 1);
    plan.intermediate.not_before = rcgen::date_time_ymd(2025, 1, 1);
    let validity = TsaChain::from_ders(&plan.chain()).unwrap().validity();
    assert_eq!(
        validity,
        ValidityPeriod {
            not_before: UnixSeconds(1_735_689_600),
            not_after: UnixSeconds(1_893_456_000)
        }
    );
    assert!(validity.contains(validity.not_before) && validity.contains(validity.not_after));
    assert!(!validity.contains(UnixSeconds(validity.not_before.0 - 1)));
    assert!(!validity.contains(UnixSeconds(validity.not_after.0 + 1)));
}

#[test]
fn rejects_no_certificates_too_many_and_no_der() {
    assert_eq!(TsaChain::from_ders(&[[0u8; 0]; 0]).unwrap_err(), ChainError::Empty);
    let leaf = plan().chain().swap_remove(0);
    assert_eq!(TsaChain::from_ders(&vec![leaf; 9]).unwrap_err(), ChainError::TooLong);
    assert_eq!(TsaChain::from_ders(&[vec![0u8; 16 * 1024 + 1]]).unwrap_err(), ChainError::TooLong);
    assert_eq!(TsaChain::from_ders(&[b"certificate"]).unwrap_err(), ChainError::Malformed);
    let mut trailing = plan().chain();
    trailing[0].push(0);
    assert_eq!(TsaChain::from_ders(&trailing).unwrap_err(), ChainError::Malformed);
}

#[test]
fn rejects_a_ca_as_leaf() {
    let ca = |plan: &mut Plan| plan.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    unreadable(ca, &ChainError::LeafIsCa);
}

#[test]
fn rejects_a_leaf_for_anything_but_timestamping_alone() {
    let both = [&[0x30, 0x14], &TIME_STAMPING[2..], &CODE_SIGNING[2..]].concat();
    let with_unknown =
        [&[0x30, 0x0F], &TIME_STAMPING[2..], &[0x06, 0x03, 0x2A, 0x03, 0x04]].concat();
    let none = |plan: &mut Plan| plan.leaf.custom_extensions.clear();
    unreadable(none, &ChainError::LeafUsage);
    for purposes in [CODE_SIGNING.to_vec(), both, with_unknown] {
        let other = |plan: &mut Plan| plan.leaf.custom_extensions = vec![usage(&purposes, true)];
        unreadable(other, &ChainError::LeafUsage);
    }
}

#[test]
fn rejects_an_unknown_critical_extension() {
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    let add = |plan: &mut Plan| plan.leaf.custom_extensions.push(unknown);
    unreadable(add, &ChainError::CriticalExtension("1.2.3.4".to_owned()));
}

#[test]
fn rejects_certificates_out_of_order_or_of_another_hierarchy() {
    let mut chain = plan().chain();
    chain.swap(1, 2);
    assert_eq!(TsaChain::from_ders(&chain).unwrap_err(), ChainError::Order);
    // The same names, other keys.
    let (mut mixed, other) = (plan().chain(), plan().chain());
    mixed[1].clone_from(&other[1]);
    assert_eq!(TsaChain::from_ders(&mixed).unwrap_err(), ChainError::Signature);
}

#[test]
fn rejects_issuers_that_may_not_issue() {
    let no_ca = |plan: &mut Plan| plan.intermediate.is_ca = IsCa::ExplicitNoCa;
    unreadable(no_ca, &ChainError::IssuerIsNoCa);
    let no_cert_sign =
        |plan: &mut Plan| plan.intermediate.key_usages = vec![KeyUsagePurpose::CrlSign];
    unreadable(no_cert_sign, &ChainError::IssuerIsNoCa);
    let short = |plan: &mut Plan| plan.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    unreadable(short, &ChainError::PathLength);
    let other = |plan: &mut Plan| {
        plan.intermediate.custom_extensions = vec![usage(&CODE_SIGNING, false)];
    };
    unreadable(other, &ChainError::IntermediateUsage);
}

#[test]
fn issues_with_a_critical_usage_only() {
    let lax = |plan: &mut Plan| plan.leaf.custom_extensions = vec![usage(&TIME_STAMPING, false)];
    unissuable(lax, &ChainError::UsageNotCritical);
}

#[test]
fn issues_with_a_key_that_only_signs() {
    for usages in [
        vec![],
        vec![KeyUsagePurpose::KeyAgreement],
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment],
    ] {
        let other = |plan: &mut Plan| plan.leaf.key_usages = usages;
        unissuable(other, &ChainError::LeafKeyUsage);
    }
}

#[test]
fn issues_under_unmarked_intermediates_only_when_told() {
    let unmark = |plan: &mut Plan| plan.intermediate.custom_extensions.clear();
    unissuable(unmark, &ChainError::IntermediateUsage);
    let mut plan = plan();
    unmark(&mut plan);
    let chain = TsaChain::from_ders(&plan.chain()).unwrap();
    chain.require_issuable(plan.signer().public_key(), IntermediateUsage::Optional).unwrap();
}

#[test]
fn issues_with_the_key_of_the_leaf_only() {
    let chain = TsaChain::from_ders(&plan().chain()).unwrap();
    let other = LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap();
    assert_eq!(
        chain.require_issuable(other.public_key(), IntermediateUsage::Required),
        Err(ChainError::OtherKey)
    );
}

#[test]
fn issues_under_a_chain_that_ends_in_its_root_only() {
    let plan = plan();
    let signer = plan.signer();
    let ders = plan.chain();
    for (len, error) in [(1, ChainError::NoIssuer), (2, ChainError::AnchorNotSelfSigned)] {
        let chain = TsaChain::from_ders(&ders[..len]).unwrap();
        let result = chain.require_issuable(signer.public_key(), IntermediateUsage::Required);
        assert_eq!(result, Err(error));
    }
}
