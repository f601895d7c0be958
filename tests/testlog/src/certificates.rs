//! A CA and what it submits to a CT log.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};

/// A CA with its key.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: Vec<u8>,
}

impl Authority {
    /// A self-signed CA of that name.
    pub fn new(common_name: &str) -> Self {
        let mut params = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, certificate }
    }

    /// Another CA, by this one.
    #[must_use]
    pub fn subordinate(&self, common_name: &str) -> Self {
        let mut subordinate = Self::new(common_name);
        let issuer = Issuer::from_params(&self.params, &self.key);
        let signed = subordinate.params.signed_by(&subordinate.key, &issuer).unwrap();
        subordinate.certificate = signed.der().to_vec();
        subordinate
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    /// A new precertificate, DER.
    pub fn precertificate(&self) -> Vec<u8> {
        let mut poison = CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 3],
            vec![0x05, 0x00],
        );
        poison.set_criticality(true);
        self.leaf(vec![poison])
    }

    /// A new certificate without SCTs, DER.
    pub fn final_certificate(&self) -> Vec<u8> {
        self.leaf(Vec::new())
    }

    fn leaf(&self, extensions: Vec<CustomExtension>) -> Vec<u8> {
        let mut params = named("leaf");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.custom_extensions = extensions;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&key, &issuer).unwrap().der().to_vec()
    }
}

/// A self-signed certificate with an extension of `length` bytes.
pub fn bulky(length: usize) -> (Vec<u8>, KeyPair) {
    let mut params = named("bulky");
    params.custom_extensions =
        vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![b'x'; length])];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().to_vec(), key)
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// A self-signed certificate with these subject alternative names: addresses and URIs.
pub fn for_names(names: &[&str]) -> (Vec<u8>, KeyPair) {
    let mut params = named("signer");
    params.subject_alt_names = names
        .iter()
        .map(|name| {
            let text = (*name).try_into().unwrap();
            if name.contains("://") { SanType::URI(text) } else { SanType::Rfc822Name(text) }
        })
        .collect();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().to_vec(), key)
}
