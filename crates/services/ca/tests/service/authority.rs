//! A root and an issuing CA.

use crypto::LocalSigner;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
};
use time::OffsetDateTime;
use x509::CertificateChain;

/// A chain valid from `not_before` to `not_after` (unix seconds), and the key of its issuing CA.
pub(crate) fn authority(not_before: u64, not_after: u64) -> (CertificateChain, LocalSigner) {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "countersign.test");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = OffsetDateTime::from_unix_timestamp(not_before.cast_signed()).unwrap();
        params.not_after = OffsetDateTime::from_unix_timestamp(not_after.cast_signed()).unwrap();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        params
    };
    let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut root = params("root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut intermediate = params("intermediate");
    intermediate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    intermediate.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];

    let issuer = Issuer::from_params(&root, &root_key);
    let certificates = vec![
        intermediate.signed_by(&key, &issuer).unwrap().der().to_vec(),
        root.self_signed(&root_key).unwrap().der().to_vec(),
    ];
    let signer = LocalSigner::from_pkcs8_der(key.serialized_der(), "issuing-ca").unwrap();
    (CertificateChain::from_der(certificates).unwrap(), signer)
}
