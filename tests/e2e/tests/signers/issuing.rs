//! Precertificates and certificates.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ca::{Ca, CaConfig, CaParts, ClaimedKey, EncodedKey, IssueError, IssueRequest};
use crypto::{KeyType, LocalSigner, Signer};
use moment::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use serde_json::json;
use signing::Clock;
use tempfile::TempDir;
use x509::{CertificateChain, IssuanceError};

use crate::{NOW, Outcome, Service, audit::Lines, logging::Ct, moody::Moody, row, stamping::Web};

/// A root and an issuing CA.
pub(crate) struct Authority {
    pub(crate) chain: CertificateChain,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut root = named("root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = named("issuing CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages.clone_from(&root.key_usages);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let issuer = Issuer::from_params(&root, &root_key);
        let certificates = vec![
            params.signed_by(&key, &issuer).unwrap().der().to_vec(),
            root.self_signed(&root_key).unwrap().der().to_vec(),
        ];
        Self { chain: CertificateChain::from_der(certificates).unwrap(), params, key }
    }

    pub(crate) fn signer(&self) -> LocalSigner {
        LocalSigner::from_pkcs8_der(self.key.serialized_der(), "issuing CA").unwrap()
    }

    /// A certificate that no log has seen.
    pub(crate) fn leaf(&self) -> Vec<u8> {
        let mut params = named("leaf");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    /// A leaf with its issuers, as a log is given it.
    pub(crate) fn submission(&self, leaf: &[u8]) -> Vec<Vec<u8>> {
        [&[leaf.to_vec()], self.chain.certificates()].concat()
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "countersign.test");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    params
}

const ISSUER: &str = "https://idp.test";
const EMAIL: &str = "some.one@example.com";

/// A CA with its log and an identity provider.
struct Issuing {
    kind: &'static str,
    ca: Ca,
    chain: CertificateChain,
    ct: Ct,
    provider: LocalSigner,
    _log: Web,
    _directory: TempDir,
}

impl Issuing {
    async fn start(kind: &'static str, minds: fn(&[u8]) -> bool) -> (Self, Arc<Moody>) {
        let authority = Authority::new();
        let (chain, key) = (authority.chain.clone(), Moody::of(authority.signer(), minds));
        let log_key = LocalSigner::generate(KeyType::EcdsaP256, "ct").unwrap();
        let ct = Ct::start(Arc::new(log_key), authority).await;
        let log = Web::serve(server::harden(
            ctlog::http::router(ct.service.clone()),
            ctlog::http::protocol(),
        ))
        .await;
        let directory = tempfile::tempdir().unwrap();
        let provider = LocalSigner::generate(KeyType::Ed25519, "provider").unwrap();
        let keys_file = directory.path().join("keys.json");
        let x = URL_SAFE_NO_PAD.encode(provider.public_key().raw());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1", "use": "sig"});
        std::fs::write(&keys_file, json!({"keys": [jwk]}).to_string()).unwrap();
        let issuer = json!({"type": "email", "url": ISSUER, "audiences": ["sigstore"],
            "open_to_all": true, "algorithms": ["EdDSA"], "keys_file": keys_file});
        let issuers = vec![serde_json::from_value(issuer).unwrap()];
        let parts = CaParts {
            signer: Arc::clone(&key) as Arc<dyn Signer>,
            chain: chain.clone(),
            ct_public_key: ct.running.log.public_key().clone(),
            clock: Arc::clone(&ct.running.clock) as Arc<dyn Clock>,
            cpu: ct.running.cpu.clone(),
        };
        let ca = Ca::new(CaConfig::new(issuers, log.url.parse().unwrap()), parts).unwrap();
        (Self { kind, ca, chain, ct, provider, _log: log, _directory: directory }, key)
    }

    fn token(&self) -> String {
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let header = encode(json!({"alg": "EdDSA", "kid": "k1"}).to_string());
        let claims = json!({"iss": ISSUER, "aud": "sigstore", "iat": NOW, "exp": NOW + 300,
            "sub": "17", "email": EMAIL, "email_verified": true});
        let message = format!("{header}.{}", encode(claims.to_string()));
        let signature = self.provider.sign_now(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Service for Issuing {
    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    async fn ask(&self, _: &Lines) -> Outcome {
        let key = LocalSigner::generate(KeyType::EcdsaP256, "client").unwrap();
        let claimed = ClaimedKey::Proven {
            public_key: EncodedKey::Pem(key.public_key().to_pem()),
            proof_of_possession: key.sign_now(EMAIL.as_bytes()).unwrap(),
        };
        let request = IssueRequest { token: Some(self.token()), key: claimed };
        let issued = match self.ca.issue(request).await {
            Ok(issued) => issued,
            Err(IssueError::Signer(error)) => return (&error).into(),
            Err(IssueError::Issuance(IssuanceError::SignatureMismatch)) => return Outcome::Wrong,
            Err(other) => panic!("{other:?}"),
        };
        let leaf = x509::from_pem(&issued.0[0]).unwrap().remove(0);
        let [intermediate, root] = self.chain.certificates() else { panic!("two certificates") };
        x509::verify_leaf_chain(&leaf, &[intermediate], &[root], UnixSeconds(NOW)).unwrap();
        let log_key = self.ct.running.log.public_key();
        x509::verify_embedded_sct(&leaf, intermediate, log_key).unwrap();
        Outcome::Signed
    }

    /// A precertificate is out with the log; without its certificate it may be.
    async fn given_out(&self) -> String {
        let log = &self.ct.running.log;
        if self.kind == "precertificate" { log.checkpoint().note.clone() } else { String::new() }
    }
}

/// DER of the poison's and of the SCT list's identifier, 1.3.6.1.4.1.11129.2.4.3 and .2.
const POISON: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x03];
const SCT_LIST: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];

fn has(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn precertificates() {
    let (issuing, key) = Issuing::start("precertificate", |message| has(message, POISON)).await;
    row(&issuing, &key).await;
}

#[tokio::test]
async fn certificates() {
    let (issuing, key) = Issuing::start("certificate", |message| has(message, SCT_LIST)).await;
    row(&issuing, &key).await;
}
