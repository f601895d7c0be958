//! An authority made for tests, and everything about it that can be made wrong.

use std::sync::Arc;

use crypto::{HashAlgorithm, LocalSigner, Signer, Unsigned};
use moment::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tsp::{
    MessageImprint, PolicyOid, SerialNumber, TimestampRequest, TokenProfile, TsaChain,
    VerifiedTimestamp, VerifyError,
};

/// [`tsp::verify_response_by`] a chain of DER.
pub(crate) fn verify_response_over(
    response_der: &[u8],
    message: &[u8],
    chain_der: &[impl AsRef<[u8]>],
) -> Result<VerifiedTimestamp, VerifyError> {
    let chain = TsaChain::from_ders(chain_der).map_err(VerifyError::Chain)?;
    tsp::verify_response_by(response_der, message, &chain)
}

/// 2026-06-04T17:43:29Z, inside the validity of every certificate made here.
pub(crate) const GEN_TIME: UnixSeconds = UnixSeconds(1_780_595_009);

/// 2024-01-01T00:00:00Z: the leaf's first second.
pub(crate) const LEAF_NOT_BEFORE: UnixSeconds = UnixSeconds(1_704_067_200);

/// 2045-01-01T00:00:00Z: the leaf's last second.
pub(crate) const LEAF_NOT_AFTER: UnixSeconds = UnixSeconds(2_366_841_600);

/// `SEQUENCE OF` timestamping.
pub(crate) const TIME_STAMPING: [u8; 12] =
    [0x30, 0x0A, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// What the certificates will be made from; tests change it before.
pub(crate) struct Plan {
    pub(crate) leaf: CertificateParams,
    pub(crate) intermediate: CertificateParams,
    pub(crate) root: CertificateParams,
    pub(crate) leaf_key: KeyPair,
}

impl Plan {
    pub(crate) fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let mut leaf = named("Test TSA");
        leaf.not_before = date_time_ymd(2024, 1, 1);
        leaf.not_after = date_time_ymd(2045, 1, 1);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.custom_extensions = vec![usage(&TIME_STAMPING, true)];
        let mut intermediate = authority("Test TSA Intermediate", 0);
        intermediate.custom_extensions = vec![usage(&TIME_STAMPING, false)];
        Self {
            leaf,
            intermediate,
            root: authority("Test TSA Root", 1),
            leaf_key: KeyPair::generate_for(algorithm).unwrap(),
        }
    }

    /// The chain in DER, leaf first.
    pub(crate) fn chain(&self) -> Vec<Vec<u8>> {
        let root_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let intermediate_key = KeyPair::generate().unwrap();
        let root = self.root.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::from_params(&self.root, &root_key);
        let intermediate = self.intermediate.signed_by(&intermediate_key, &root_issuer).unwrap();
        let issuer = Issuer::from_params(&self.intermediate, &intermediate_key);
        let leaf = self.leaf.signed_by(&self.leaf_key, &issuer).unwrap();
        [leaf, intermediate, root].iter().map(|certificate| certificate.der().to_vec()).collect()
    }

    pub(crate) fn signer(&self) -> LocalSigner {
        LocalSigner::from_pkcs8_der(self.leaf_key.serialized_der(), "test").unwrap()
    }

    pub(crate) fn build(&self) -> Authority {
        let chain = self.chain();
        let parsed = TsaChain::from_ders(&chain).unwrap();
        let profile = Arc::new(TokenProfile::new(&parsed).unwrap());
        Authority { chain, profile, signer: self.signer() }
    }
}

/// An authority that issues tokens.
pub(crate) struct Authority {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) profile: Arc<TokenProfile>,
    pub(crate) signer: LocalSigner,
}

impl Authority {
    pub(crate) fn p256() -> Self {
        Plan::new(&rcgen::PKCS_ECDSA_P256_SHA256).build()
    }

    pub(crate) fn p384() -> Self {
        Plan::new(&rcgen::PKCS_ECDSA_P384_SHA384).build()
    }

    /// A granted response at [`GEN_TIME`].
    pub(crate) fn answer(&self, request: &TimestampRequest) -> Vec<u8> {
        let serial = SerialNumber::from_random([7; 20]);
        let policy = request.policy().copied().unwrap_or(PolicyOid::SIGSTORE);
        let token = self.profile.prepare(request, &policy, GEN_TIME, serial).unwrap();
        let signature = self.signer.sign_now(token.bytes_to_sign()).unwrap();
        token.with_signature(&signature, self.signer.public_key()).unwrap().into_der()
    }
}

pub(crate) fn imprint() -> MessageImprint {
    MessageImprint::of_message(HashAlgorithm::Sha256, b"message")
}

pub(crate) fn usage(purposes_der: &[u8], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], purposes_der.to_vec());
    extension.set_criticality(critical);
    extension
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "example");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params
}

fn authority(common_name: &str, path_len: u8) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
