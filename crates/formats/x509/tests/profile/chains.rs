//! What a CA's chain must look like to be loaded.

use moment::UnixSeconds;
use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use x509::{CertificateChain, CertificateError, ChainError, PemError, to_pem};

use crate::authority::{Authority, Hierarchy};

/// Loads a chain of two after changing what its certificates say.
fn load(
    change: impl FnOnce(&mut Authority, &mut Authority),
) -> Result<CertificateChain, ChainError> {
    let mut root = Authority::root();
    let mut intermediate = Authority::intermediate();
    change(&mut root, &mut intermediate);
    CertificateChain::from_der(vec![intermediate.signed_by(&root), root.self_signed()])
}

fn refused(change: impl FnOnce(&mut Authority, &mut Authority)) -> ChainError {
    load(change).unwrap_err()
}

/// A critical extension with `content`.
fn critical(oid: &[u64], content: &[u8]) -> rcgen::CustomExtension {
    let mut extension = rcgen::CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(true);
    extension
}

#[test]
fn loads_a_chain_from_pem() {
    let hierarchy = Hierarchy::new();
    let pem: String = hierarchy.chain.certificates().iter().map(|der| to_pem(der)).collect();
    let chain = CertificateChain::from_pem(&pem).unwrap();
    assert_eq!(chain.certificates(), hierarchy.chain.certificates());
    assert_eq!(chain.public_key(), hierarchy.chain.public_key());
    assert!(!chain.subject_key_identifier().is_empty());
    // 2026-01-01 and 2036-01-01.
    assert_eq!(
        (chain.not_before(), chain.not_after()),
        (UnixSeconds(1_767_225_600), UnixSeconds(2_082_758_400))
    );
}

#[test]
fn loads_a_root_that_issues_itself() {
    let root = Authority::root();
    CertificateChain::from_der(vec![root.self_signed()]).unwrap();
}

#[test]
fn tells_whether_a_signer_holds_the_key() {
    use crypto::Signer;
    let hierarchy = Hierarchy::new();
    assert_eq!(hierarchy.chain.check_key(hierarchy.issuing.public_key()), Ok(()));
    let error = hierarchy.chain.check_key(hierarchy.log.public_key());
    assert_eq!(error, Err(ChainError::KeyMismatch));
}

#[test]
fn refuses_text_without_certificates() {
    let error = CertificateChain::from_pem("").unwrap_err();
    assert_eq!(error, ChainError::Pem(PemError::Empty));
}

#[test]
fn refuses_empty_and_overlong_chains() {
    assert_eq!(CertificateChain::from_der(Vec::new()).unwrap_err(), ChainError::Length(0));
    let many = vec![Authority::root().self_signed(); 9];
    assert_eq!(CertificateChain::from_der(many).unwrap_err(), ChainError::Length(9));
}

#[test]
fn refuses_what_is_no_certificate() {
    let error = CertificateChain::from_der(vec![vec![0x30, 0x00]]).unwrap_err();
    let broken = |error: &_| matches!(error, CertificateError::Asn1(_));
    assert!(matches!(&error, ChainError::Certificate { position: 0, source } if broken(source)));
}

#[test]
fn refuses_certificates_that_are_no_authority() {
    let error = refused(|_, intermediate| intermediate.params.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(error, ChainError::NotAnAuthority(0));
    let error = refused(|_, intermediate| intermediate.params.is_ca = IsCa::NoCa);
    assert_eq!(error, ChainError::NotAnAuthority(0));
}

#[test]
fn refuses_basic_constraints_that_are_not_critical() {
    let error = refused(|_, intermediate| {
        intermediate.params.is_ca = IsCa::NoCa;
        let constraints = vec![0x30, 0x03, 0x01, 0x01, 0xff];
        let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 19], constraints);
        intermediate.params.custom_extensions.push(extension);
    });
    assert_eq!(error, ChainError::NotAnAuthority(0));
}

#[test]
fn refuses_authorities_that_may_not_sign_certificates() {
    let error = refused(|root, _| root.params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_eq!(error, ChainError::MayNotSignCertificates(1));
    let error = refused(|_, intermediate| intermediate.params.key_usages.clear());
    assert_eq!(error, ChainError::MayNotSignCertificates(0));
}

/// A root, a company's policy CA and an issuing CA, after changing what those above say.
fn corporate(
    change: impl FnOnce(&mut Authority, &mut Authority),
) -> Result<CertificateChain, ChainError> {
    let (mut root, mut policy) = (Authority::root(), Authority::intermediate());
    policy.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    policy.params.distinguished_name.push(DnType::CommonName, "policy");
    change(&mut root, &mut policy);
    let issuing = Authority::intermediate().signed_by(&policy);
    CertificateChain::from_der(vec![issuing, policy.signed_by(&root), root.self_signed()])
}

/// RFC 5280 §4.2.1.3 and §4.2.1.12: without the extension, any use.
#[test]
fn takes_a_corporate_hierarchy_that_says_no_usage_above_the_issuing_authority() {
    corporate(|_, _| ()).unwrap();
    corporate(|root, _| root.params.key_usages.clear()).unwrap();
    corporate(|_, policy| policy.params.key_usages.clear()).unwrap();
    corporate(|_, policy| policy.params.extended_key_usages.clear()).unwrap();
    corporate(|root, policy| {
        root.params.key_usages.clear();
        policy.params.key_usages.clear();
        policy.params.extended_key_usages.clear();
    })
    .unwrap();
    // Not critical, as Microsoft's CAs have it: digitalSignature, keyCertSign, cRLSign.
    let key_usage = |bits: u8| {
        move |_: &mut Authority, policy: &mut Authority| {
            policy.params.key_usages.clear();
            let content = vec![3, 2, 1, bits];
            let usage = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 15], content);
            policy.params.custom_extensions.push(usage);
        }
    };
    corporate(key_usage(0x86)).unwrap();
    assert_eq!(corporate(key_usage(0x82)).unwrap_err(), ChainError::MayNotSignCertificates(1));
}

#[test]
fn what_a_corporate_hierarchy_does_say_still_counts() {
    let only_crls = |authority: &mut Authority| {
        authority.params.key_usages = vec![KeyUsagePurpose::CrlSign];
    };
    let error = corporate(|root, _| only_crls(root)).unwrap_err();
    assert_eq!(error, ChainError::MayNotSignCertificates(2));
    let error = corporate(|_, policy| only_crls(policy)).unwrap_err();
    assert_eq!(error, ChainError::MayNotSignCertificates(1));
    let error = corporate(|_, policy| {
        policy.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(error.unwrap_err(), ChainError::NotForCodeSigning(1));
    let error = corporate(|_, policy| policy.params.is_ca = IsCa::NoCa).unwrap_err();
    assert_eq!(error, ChainError::NotAnAuthority(1));
}

#[test]
fn refuses_path_length_that_forbids_the_intermediate() {
    let limit = |limit| {
        move |root: &mut Authority, _: &mut Authority| {
            root.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(limit));
        }
    };
    assert_eq!(refused(limit(0)), ChainError::PathLength(1));
    load(limit(1)).unwrap();
}

#[test]
fn demands_code_signing_of_intermediates() {
    let error = refused(|_, intermediate| intermediate.params.extended_key_usages.clear());
    assert_eq!(error, ChainError::NotForCodeSigning(0));
    let error = refused(|root, _| {
        root.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(error, ChainError::NotForCodeSigning(1));
}

#[test]
fn refuses_critical_extended_key_usage() {
    let error = refused(|_, intermediate| {
        intermediate.params.extended_key_usages.clear();
        let usage = [0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
        intermediate.params.custom_extensions.push(critical(&[2, 5, 29, 37], &usage));
    });
    assert_eq!(error, ChainError::CriticalExtendedKeyUsage(0));
}

#[test]
fn refuses_unknown_critical_extensions() {
    let error = refused(|root, _| {
        root.params.custom_extensions.push(critical(&[1, 3, 6, 1, 4, 1, 32473, 1], &[5, 0]));
    });
    let oid = der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1");
    assert_eq!(error, ChainError::UnknownCriticalExtension { position: 1, oid });
}

#[test]
fn demands_one_organization_throughout() {
    let organization = |name: &'static str| {
        move |_: &mut Authority, intermediate: &mut Authority| {
            let subject = &mut intermediate.params.distinguished_name;
            subject.remove(DnType::OrganizationName);
            if !name.is_empty() {
                subject.push(DnType::OrganizationName, name);
            }
        }
    };
    assert_eq!(refused(organization("another.test")), ChainError::Organization(1));
    assert_eq!(refused(organization("")), ChainError::Organization(0));
}

#[test]
fn refuses_a_link_that_is_not_one() {
    let root = Authority::root();
    let leaf = Authority::intermediate().signed_by(&Authority::root());
    let error = CertificateChain::from_der(vec![leaf, root.self_signed()]).unwrap_err();
    let source = CertificateError::SignatureMismatch;
    assert_eq!(error, ChainError::Certificate { position: 0, source });
}

#[test]
fn refuses_a_chain_in_the_wrong_order_or_without_root() {
    let hierarchy = Hierarchy::new();
    let backwards = hierarchy.chain.certificates().iter().rev().cloned().collect();
    assert!(CertificateChain::from_der(backwards).is_err());
    let error = CertificateChain::from_der(vec![hierarchy.intermediate().to_vec()]).unwrap_err();
    let source = CertificateError::IssuerName;
    assert_eq!(error, ChainError::Certificate { position: 0, source });
}

#[test]
fn refuses_certificates_that_are_never_valid_together() {
    let error = refused(|root, intermediate| {
        root.params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        intermediate.params.not_before = rcgen::date_time_ymd(2028, 1, 1);
    });
    assert_eq!(error, ChainError::Validity);
}
