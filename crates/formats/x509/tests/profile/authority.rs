//! A CA hierarchy and a CT log in memory, and the steps by which they issue.

use std::time::Duration;

use crypto::{KeyType, LocalSigner, Signer, Unsigned};
use ct::Sct;
use moment::{UnixMillis, UnixSeconds};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm,
    date_time_ymd,
};
use x509::{
    CertificateChain, FulcioExtensions, IssuedCertificate, LeafProfile, Precertificate,
    SubjectAlternativeName, UnsignedPrecertificate, positive_serial_number,
};

/// 2026-09-21T14:13:20Z.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

/// So many seconds after [`NOW`].
pub(crate) const fn after(seconds: u64) -> UnixSeconds {
    NOW.saturating_add(Duration::from_secs(seconds))
}

/// One CA: what its certificate shall say, and its key.
pub(crate) struct Authority {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
}

impl Authority {
    pub(crate) fn root() -> Self {
        let mut authority = Self::new("root", &PKCS_ECDSA_P384_SHA384);
        authority.params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
    }

    pub(crate) fn intermediate() -> Self {
        let mut authority = Self::new("intermediate", &PKCS_ECDSA_P256_SHA256);
        authority.params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        authority
    }

    pub(crate) fn new(common_name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "countersign.test");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2036, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        Self { params, key: KeyPair::generate_for(algorithm).unwrap() }
    }

    pub(crate) fn self_signed(&self) -> Vec<u8> {
        self.params.self_signed(&self.key).unwrap().der().to_vec()
    }

    pub(crate) fn signed_by(&self, issuer: &Self) -> Vec<u8> {
        let issuer = Issuer::from_params(&issuer.params, &issuer.key);
        self.params.signed_by(&self.key, &issuer).unwrap().der().to_vec()
    }

    pub(crate) fn signer(&self) -> LocalSigner {
        LocalSigner::from_pkcs8_der(self.key.serialized_der(), "authority").unwrap()
    }
}

/// Root, intermediate and log.
pub(crate) struct Hierarchy {
    pub(crate) chain: CertificateChain,
    pub(crate) issuing: LocalSigner,
    pub(crate) log: LocalSigner,
}

impl Hierarchy {
    pub(crate) fn new() -> Self {
        Self::of(&Authority::root(), &Authority::intermediate())
    }

    pub(crate) fn of(root: &Authority, intermediate: &Authority) -> Self {
        let certificates = vec![intermediate.signed_by(root), root.self_signed()];
        Self {
            chain: CertificateChain::from_der(certificates).unwrap(),
            issuing: intermediate.signer(),
            log: LocalSigner::generate(KeyType::EcdsaP256, "log").unwrap(),
        }
    }

    pub(crate) fn precertificate(&self, profile: &LeafProfile) -> Precertificate {
        let unsigned = UnsignedPrecertificate::new(profile, &self.chain).unwrap();
        let signature = self.issuing.sign_now(unsigned.bytes_to_sign()).unwrap();
        unsigned.with_signature(&signature, self.issuing.public_key()).unwrap()
    }

    /// What the CT log answers to a precertificate, all its checks included.
    pub(crate) fn sct(&self, precertificate: &Precertificate) -> Sct {
        let mut sent = vec![precertificate.der().to_vec()];
        sent.extend_from_slice(self.chain.certificates());
        let roots = x509::AcceptedChains::from_der([self.chain.certificates()]).unwrap();
        let submission = x509::validate_chain(&sent, &roots).unwrap();
        let unsigned =
            ct::UnsignedSct::new(submission.entry().clone(), UnixMillis(NOW.to_millis().0 + 7))
                .unwrap();
        let signature = self.log.sign_now(unsigned.bytes_to_sign()).unwrap();
        unsigned.with_signature(&signature, self.log.public_key()).unwrap()
    }

    pub(crate) fn issue(&self, profile: &LeafProfile) -> IssuedCertificate {
        let precertificate = self.precertificate(profile);
        let sct = self.sct(&precertificate);
        let unsigned = precertificate.with_sct(&sct, self.log.public_key()).unwrap();
        let signature = self.issuing.sign_now(unsigned.bytes_to_sign()).unwrap();
        unsigned.with_signature(&signature, self.issuing.public_key()).unwrap()
    }

    pub(crate) fn intermediate(&self) -> &[u8] {
        self.chain.certificates().first().unwrap()
    }

    pub(crate) fn root(&self) -> &[u8] {
        self.chain.certificates().last().unwrap()
    }
}

/// A certificate for a build, valid for ten minutes from [`NOW`].
pub(crate) fn profile() -> LeafProfile {
    let client = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
    LeafProfile {
        subject_alternative_name: SubjectAlternativeName::Uri(
            "https://ci.example/org/repo/build.yml@refs/heads/main".to_owned(),
        ),
        extensions: FulcioExtensions {
            issuer: Some("https://issuer.example".to_owned()),
            github_workflow_trigger: Some("push".to_owned()),
            source_repository_uri: Some("https://ci.example/org/repo".to_owned()),
            token_subject: Some("repo:org/repo".to_owned()),
            ref_protected: Some("true".to_owned()),
            ..FulcioExtensions::default()
        },
        public_key: client.public_key().clone(),
        not_before: NOW,
        not_after: after(600),
        serial_number: positive_serial_number([0xa5; 20]),
    }
}
