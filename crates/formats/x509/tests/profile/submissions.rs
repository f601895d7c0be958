//! What a CT log takes, and what it logs of it.

use crypto::Signer;
use der::{Decode, Encode};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use x509::CertificateError;

use crate::authority::{Authority, Hierarchy, profile};

fn accepted(hierarchy: &Hierarchy) -> x509::AcceptedChains {
    x509::AcceptedChains::from_der([hierarchy.chain.certificates()]).unwrap()
}

/// A leaf below a fresh root, with poison extensions of the given criticality and content.
fn poisoned(poisons: &[(bool, &[u8])]) -> Result<x509::Submission, x509::SubmissionError> {
    let root = Authority::root();
    let mut leaf = Authority::new("leaf", &rcgen::PKCS_ECDSA_P256_SHA256);
    leaf.params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for (critical, content) in poisons {
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 3];
        let mut poison = CustomExtension::from_oid_content(&oid, content.to_vec());
        poison.set_criticality(*critical);
        leaf.params.custom_extensions.push(poison);
    }
    let accepted = x509::AcceptedChains::from_der([[root.self_signed()]]).unwrap();
    x509::validate_chain(&[leaf.signed_by(&root)], &accepted)
}

fn cause(error: x509::SubmissionError) -> CertificateError {
    match error {
        x509::SubmissionError::Leaf(source) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn takes_a_precertificate_with_and_without_its_root() {
    let hierarchy = Hierarchy::new();
    let precertificate = hierarchy.precertificate(&profile());
    let short = [precertificate.der(), hierarchy.intermediate()];
    let long = [precertificate.der(), hierarchy.intermediate(), hierarchy.root()];
    let submission = x509::validate_chain(&short, &accepted(&hierarchy)).unwrap();
    assert_eq!(submission, x509::validate_chain(&long, &accepted(&hierarchy)).unwrap());
    assert_eq!(submission.chain(), long);
    assert!(submission.is_precertificate());
    assert_eq!(*submission.entry(), precertificate.log_entry().unwrap());
}

#[test]
fn takes_a_final_certificate_as_it_is() {
    let hierarchy = Hierarchy::new();
    let leaf = hierarchy.issue(&profile());
    let sent = [leaf.der(), hierarchy.intermediate()];
    let submission = x509::validate_chain(&sent, &accepted(&hierarchy)).unwrap();
    assert!(!submission.is_precertificate());
    assert_eq!(*submission.entry(), ct::LogEntry::Certificate(leaf.der().to_vec()));
}

#[test]
fn pre_entry_is_the_tbs_without_poison_and_the_issuers_key_hash() {
    let hierarchy = Hierarchy::new();
    let precertificate = hierarchy.precertificate(&profile());
    let issuer_spki = hierarchy.issuing.public_key().spki_der();
    let entry = x509::pre_entry(precertificate.der(), issuer_spki).unwrap();
    assert_eq!(entry.issuer_key_hash, crypto::sha256(issuer_spki));
    assert_eq!(ct::LogEntry::Precertificate(entry), precertificate.log_entry().unwrap());
    let leaf = hierarchy.issue(&profile());
    assert_eq!(x509::pre_entry(leaf.der(), issuer_spki), Err(CertificateError::NoPoison));
}

#[test]
fn refuses_poison_that_is_not_exactly_one_critical_null() {
    assert!(poisoned(&[(true, &[5, 0])]).unwrap().is_precertificate());
    let malformed = CertificateError::MalformedPoison;
    assert_eq!(cause(poisoned(&[(false, &[5, 0])]).unwrap_err()), malformed);
    assert_eq!(cause(poisoned(&[(true, &[])]).unwrap_err()), malformed);
    assert_eq!(cause(poisoned(&[(true, &[5, 0, 0])]).unwrap_err()), malformed);
    let twice = poisoned(&[(true, &[5, 0]), (true, &[5, 0])]).unwrap_err();
    assert_eq!(cause(twice), CertificateError::DuplicateExtension(x509::oid::CT_POISON));
}

#[test]
fn refuses_ber_that_is_not_der() {
    let hierarchy = Hierarchy::new();
    let precertificate = hierarchy.precertificate(&profile());
    let issuer_spki = hierarchy.issuing.public_key().spki_der();
    // The poison's TRUE as 01 instead of FF: BER allows it, DER does not.
    let mut der = precertificate.der().to_vec();
    let poison = [0x01, 0x01, 0xff, 0x04, 0x02, 0x05, 0x00];
    let at = der.windows(poison.len()).position(|window| window == poison).unwrap();
    der[at + 2] = 0x01;
    assert!(x509::pre_entry(&der, issuer_spki).is_err());
}

#[test]
fn refuses_explicit_defaults() {
    let hierarchy = Hierarchy::new();
    let certificate = x509_cert::Certificate::from_der(hierarchy.issue(&profile()).der()).unwrap();
    // SKI with `critical FALSE` written out: OBJECT IDENTIFIER 2.5.29.14, then OCTET STRING.
    let before = [0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04];
    let after = [0x30, 0x20, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x01, 0x01, 0x00, 0x04];
    let tbs = certificate.tbs_certificate().to_der().unwrap();
    let extensions = certificate.tbs_certificate().extensions().unwrap().to_der().unwrap();
    let start = tbs.len() - extensions.len() - 4;
    let mut longer = extensions.clone();
    let at = longer.windows(before.len()).position(|window| window == before).unwrap();
    longer.splice(at..at + before.len(), after);
    let mut forged = tbs[..start].to_vec();
    forged.extend_from_slice(&longer_header(0xa3, longer.len()));
    forged.extend_from_slice(&relength(&longer));
    let forged = relength(&forged);
    let mut outer = forged;
    outer.extend_from_slice(&certificate.signature_algorithm().to_der().unwrap());
    outer.extend_from_slice(&certificate.signature().to_der().unwrap());
    let der = [longer_header(0x30, outer.len()), outer].concat();
    let error = x509::embedded_scts(&der).unwrap_err();
    assert_eq!(error, x509::EmbeddedSctError::Leaf(CertificateError::NotCanonical));
}

/// A DER header with two bytes of length.
fn longer_header(tag: u8, len: usize) -> Vec<u8> {
    let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
    vec![tag, 0x82, high, low]
}

/// Corrects the four-byte header of a DER sequence after its content grew.
fn relength(der: &[u8]) -> Vec<u8> {
    [longer_header(0x30, der.len() - 4), der[4..].to_vec()].concat()
}

#[test]
fn refuses_chains_that_lead_nowhere() {
    let hierarchy = Hierarchy::new();
    let stranger = Hierarchy::new();
    let precertificate = hierarchy.precertificate(&profile());
    let refuse = |chain: &[&[u8]]| x509::validate_chain(chain, &accepted(&hierarchy)).unwrap_err();
    let sent: Vec<Vec<u8>> = Vec::new();
    let error = x509::validate_chain(&sent, &accepted(&hierarchy)).unwrap_err();
    assert_eq!(error, x509::SubmissionError::Length(0));
    let unknown = x509::SubmissionError::UnknownIssuer;
    assert_eq!(refuse(&[precertificate.der()]), unknown);
    assert_eq!(refuse(&[hierarchy.root()]), x509::SubmissionError::NoLeaf);
    let other = [precertificate.der(), stranger.intermediate(), stranger.root()];
    assert_eq!(refuse(&other), unknown);
    let gap = [precertificate.der(), hierarchy.root()];
    assert_eq!(refuse(&gap), unknown);
    let more = [precertificate.der(), hierarchy.intermediate(), hierarchy.root(), hierarchy.root()];
    assert_eq!(refuse(&more), unknown);
    assert_eq!(refuse(&[stranger.intermediate()]), unknown);
}

// Before, whatever a configured root had signed could log: a retired or a foreign department's CA.
#[test]
fn refuses_another_ca_below_the_same_root() {
    let (root, own, foreign) =
        (Authority::root(), Authority::intermediate(), Authority::intermediate());
    let (own, foreign) = (Hierarchy::of(&root, &own), Hierarchy::of(&root, &foreign));
    let precertificate = foreign.precertificate(&profile());
    for with_root in [false, true] {
        let mut sent = vec![precertificate.der(), foreign.intermediate()];
        sent.extend(with_root.then_some(foreign.root()));
        let error = x509::validate_chain(&sent, &accepted(&own)).unwrap_err();
        assert_eq!(error, x509::SubmissionError::UnknownIssuer);
        let both = [own.chain.certificates(), foreign.chain.certificates()];
        let both = x509::AcceptedChains::from_der(both).unwrap();
        x509::validate_chain(&sent, &both).unwrap();
    }
}

#[test]
fn refuses_a_leaf_and_a_ca_that_the_root_signed_itself() {
    let (root, issuing) = (Authority::root(), Authority::intermediate());
    let hierarchy = Hierarchy::of(&root, &issuing);
    let leaf = Authority::new("leaf", &rcgen::PKCS_ECDSA_P256_SHA256).signed_by(&root);
    let other = Authority::intermediate().signed_by(&root);
    for first in [&leaf, &other] {
        for sent in [vec![first.as_slice()], vec![first, hierarchy.root()]] {
            let error = x509::validate_chain(&sent, &accepted(&hierarchy)).unwrap_err();
            assert_eq!(error, x509::SubmissionError::UnknownIssuer);
        }
    }
}

#[test]
fn a_leaf_alone_finds_the_root_that_issued_it() {
    let (first, second) = (Authority::root(), Authority::root());
    let chains = [[first.self_signed()], [second.self_signed()]];
    let accepted = x509::AcceptedChains::from_der(&chains).unwrap();
    let leaf = Authority::new("leaf", &rcgen::PKCS_ECDSA_P256_SHA256).signed_by(&second);
    let submission = x509::validate_chain(std::slice::from_ref(&leaf), &accepted).unwrap();
    assert_eq!(submission.chain(), [leaf, chains[1][0].clone()]);
}

#[test]
fn refuses_more_than_ten_certificates() {
    let hierarchy = Hierarchy::new();
    let many = vec![hierarchy.root(); x509::MAX_SUBMITTED_CERTIFICATES + 1];
    let error = x509::validate_chain(&many, &accepted(&hierarchy)).unwrap_err();
    assert_eq!(error, x509::SubmissionError::Length(11));
}

#[test]
fn refuses_overlong_certificates() {
    let hierarchy = Hierarchy::new();
    let error =
        x509::validate_chain(&[vec![0x30; 16 * 1024 + 1]], &accepted(&hierarchy)).unwrap_err();
    assert_eq!(cause(error), CertificateError::TooLong);
}

#[test]
fn accepts_no_chain_of_issuers_that_are_no_authority() {
    let mut root = Authority::root();
    let mut intermediate = Authority::intermediate();
    let read = |root: &Authority, intermediate: &Authority| {
        let chain = [intermediate.signed_by(root), root.self_signed()];
        x509::AcceptedChains::from_der([chain]).map(drop)
    };
    read(&root, &intermediate).unwrap();
    intermediate.params.is_ca = IsCa::NoCa;
    let error = read(&root, &intermediate).unwrap_err();
    assert_eq!(error, x509::AcceptedChainError::NotAnAuthority(0));
    intermediate.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let error = read(&root, &intermediate).unwrap_err();
    assert_eq!(error, x509::AcceptedChainError::NotAnAuthority(1));
}

#[test]
fn accepts_no_chain_with_a_gap_or_without_a_certificate() {
    let (hierarchy, stranger) = (Hierarchy::new(), Hierarchy::new());
    let error =
        x509::AcceptedChains::from_der([[hierarchy.intermediate(), stranger.root()]]).unwrap_err();
    assert!(
        matches!(error, x509::AcceptedChainError::Certificate { position: 0, .. }),
        "{error:?}"
    );
    let none: [Vec<u8>; 0] = [];
    let error = x509::AcceptedChains::from_der([none]).unwrap_err();
    assert_eq!(error, x509::AcceptedChainError::Length(0));
    let error = x509::AcceptedChains::from_der([vec![hierarchy.root(); 10]]).unwrap_err();
    assert_eq!(error, x509::AcceptedChainError::Length(10));
}

#[test]
fn an_accepted_chain_takes_no_leaf_of_another() {
    let hierarchy = Hierarchy::new();
    let stranger = Hierarchy::new();
    let accepted = accepted(&hierarchy);
    let good =
        [hierarchy.precertificate(&profile()).der().to_vec(), hierarchy.intermediate().to_vec()];
    let first = x509::validate_chain(&good, &accepted).unwrap();
    assert_eq!(x509::validate_chain(&good, &accepted), Ok(first));
    let foreign = stranger.precertificate(&profile());
    let sent = [foreign.der(), hierarchy.intermediate()];
    let error = x509::validate_chain(&sent, &accepted).unwrap_err();
    assert_eq!(cause(error), CertificateError::SignatureMismatch);
}

#[test]
fn accepts_no_chain_of_issuers_that_may_not_sign_certificates() {
    let mut root = Authority::root();
    root.params.key_usages = vec![KeyUsagePurpose::CrlSign];
    let error = x509::AcceptedChains::from_der([[root.self_signed()]]).unwrap_err();
    assert_eq!(error, x509::AcceptedChainError::NotAnAuthority(0));
}

#[test]
fn accepts_no_chain_of_precertificate_signing_certificates() {
    let root = Authority::root();
    let mut intermediate = Authority::intermediate();
    let usage = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 11129, 2, 4, 4]);
    intermediate.params.extended_key_usages.push(usage);
    let chain = [intermediate.signed_by(&root), root.self_signed()];
    let error = x509::AcceptedChains::from_der([chain]).unwrap_err();
    assert_eq!(error, x509::AcceptedChainError::PrecertificateSigning(0));
}

/// A vector of the TLS presentation language with a length of three bytes.
fn vector24(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..], bytes].concat()
}

#[test]
fn extra_data_is_precertificate_then_chain() {
    let hierarchy = Hierarchy::new();
    let precertificate = hierarchy.precertificate(&profile());
    let leaf = hierarchy.issue(&profile());
    let issuers = [vector24(hierarchy.intermediate()), vector24(hierarchy.root())].concat();
    let extra_data = |leaf: &[u8]| {
        let sent = [leaf, hierarchy.intermediate()];
        x509::validate_chain(&sent, &accepted(&hierarchy)).unwrap().extra_data().unwrap()
    };
    assert_eq!(extra_data(leaf.der()), vector24(&issuers));
    let expected = [vector24(precertificate.der()), vector24(&issuers)].concat();
    assert_eq!(extra_data(precertificate.der()), expected);
}

#[test]
fn roots_are_given_back_as_they_came() {
    let hierarchy = Hierarchy::new();
    assert_eq!(accepted(&hierarchy).roots(), [hierarchy.root()]);
    let twice = x509::AcceptedChains::from_der([hierarchy.chain.certificates(); 2]).unwrap();
    assert_eq!(twice.roots(), [hierarchy.root()]);
    assert!(x509::AcceptedChains::from_der([[[0x30, 0x00]]]).is_err());
}

proptest! {
    #[test]
    fn mutated_precertificates_never_panic_nor_pass(position in any::<usize>(), flip in 1u8..) {
        let hierarchy = Hierarchy::new();
        let mut der = hierarchy.precertificate(&profile()).der().to_vec();
        let position = position % der.len();
        der[position] ^= flip;
        let sent = [der.as_slice(), hierarchy.intermediate()];
        prop_assert!(x509::validate_chain(&sent, &accepted(&hierarchy)).is_err());
        let _ = x509::pre_entry(&der, hierarchy.issuing.public_key().spki_der());
    }
}

#[test]
fn takes_another_certificate_of_a_served_ca_and_logs_the_known_one() {
    let (root, mut intermediate) = (Authority::root(), Authority::intermediate());
    let known = Hierarchy::of(&root, &intermediate);
    intermediate.params.not_after = rcgen::date_time_ymd(2037, 1, 1);
    let renewed = Hierarchy::of(&root, &intermediate);
    assert_ne!(known.intermediate(), renewed.intermediate());
    let precertificate = renewed.precertificate(&profile());
    let sent = [precertificate.der(), renewed.intermediate()];
    let submission = x509::validate_chain(&sent, &accepted(&known)).unwrap();
    assert_eq!(submission.chain()[1], known.intermediate());
    // The same name with another key is another CA.
    let foreign = Hierarchy::of(&root, &Authority::intermediate());
    let precertificate = foreign.precertificate(&profile());
    let sent = [precertificate.der(), foreign.intermediate()];
    let error = x509::validate_chain(&sent, &accepted(&known)).unwrap_err();
    assert_eq!(error, x509::SubmissionError::UnknownIssuer);
}
