//! The chains of the CA and the timestamp authority.
//!
//! Made once, and kept. What they must look like is checked by the crates that
//! use them (`x509::CertificateChain`, `tsp::TsaChain`), at every start.

use std::path::{Path, PathBuf};

use anyhow::Context;
use crypto::{KeyType, LocalSigner, Signer, SignerError};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm,
    SigningKey,
};
use time::{Duration, OffsetDateTime};

use crate::{
    data_dir::{Access, DataDir, read_if_present, replace},
    keys::load_or_make_file,
};

/// The one `O` of every certificate of `dev`: gh chooses the root by it.
pub(crate) const ORGANIZATION: &str = "Countersign development";

/// Where a chain is kept, and whose it is.
pub(crate) struct ChainPlace<'a> {
    /// PEM, lowest first.
    pub(crate) chain_file: PathBuf,
    /// There before the chain is; not needed afterwards.
    pub(crate) root_key_file: PathBuf,
    /// The one `O` of the certificates, and begin of their common names.
    pub(crate) organization: &'a str,
}

impl ChainPlace<'static> {
    /// The chain called `name` of `dev`.
    pub(crate) fn of_dev(data_dir: &DataDir, name: &str) -> Self {
        Self {
            chain_file: data_dir.chain_file(name),
            root_key_file: data_dir.key_file(&format!("{name}-root")),
            organization: ORGANIZATION,
        }
    }
}

/// The CA's chain as DER: issuing certificate, root.
pub(crate) fn ca_chain(
    place: &ChainPlace<'_>,
    issuing_key: &LocalSigner,
    now: u64,
) -> anyhow::Result<Vec<Vec<u8>>> {
    load_or_make_chain(place, issuing_key, |root| {
        let mut issuing = params(place.organization, "CA", now)?;
        issuing.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        issuing.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Not critical: sigstore-python refuses a critical one.
        issuing.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        Ok((root_params(place.organization, "root", now)?, issuing, root))
    })
}

/// The timestamp authority's chain as DER: signing certificate, root.
pub(crate) fn tsa_chain(
    place: &ChainPlace<'_>,
    signing_key: &LocalSigner,
    now: u64,
) -> anyhow::Result<Vec<Vec<u8>>> {
    load_or_make_chain(place, signing_key, |root| {
        let mut signing = params(place.organization, "TSA", now)?;
        signing.is_ca = IsCa::ExplicitNoCa;
        signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        signing.custom_extensions = vec![critical_time_stamping()];
        Ok((root_params(place.organization, "TSA root", now)?, signing, root))
    })
}

/// How long the certificates live: a development deployment is not rotated.
const LIFETIME: Duration = Duration::days(10 * 365);

/// How far they reach back, for clocks that tests move.
const BACKDATING: Duration = Duration::days(1);

type Plan = (CertificateParams, CertificateParams, LocalSigner);

/// The chain that is there, or a new one.
fn load_or_make_chain(
    place: &ChainPlace<'_>,
    lower_key: &LocalSigner,
    plan: impl FnOnce(LocalSigner) -> anyhow::Result<Plan>,
) -> anyhow::Result<Vec<Vec<u8>>> {
    if let Some(chain) = load_chain(&place.chain_file)? {
        return Ok(chain);
    }
    let root_key = load_or_make_file(&place.root_key_file, "root", KeyType::EcdsaP384)?;
    let (root, lower, root_key) = plan(root_key)?;
    let root = CertifiedIssuer::self_signed(root, CertificateKey(&root_key))?;
    let lower = lower.signed_by(&CertificateKey(lower_key), &root)?;
    // One file for both: a crash cannot leave half a chain.
    let text = format!("{}{}", lower.pem(), root.pem());
    replace(&place.chain_file, text.as_bytes(), Access::Everybody)?;
    Ok(vec![lower.der().to_vec(), root.der().to_vec()])
}

/// A chain as DER, if it is there.
pub(crate) fn load_chain(path: &Path) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
    let Some(text) = read_if_present(path)? else { return Ok(None) };
    let chain = x509::from_pem(&text);
    chain.map(Some).with_context(|| format!("{} holds no certificates", path.display()))
}

fn params(organization: &str, role: &str, now: u64) -> anyhow::Result<CertificateParams> {
    let now = OffsetDateTime::from_unix_timestamp(now.try_into()?)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, format!("{organization} {role}"));
    params.not_before = now.saturating_sub(BACKDATING);
    params.not_after = now.saturating_add(LIFETIME);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn root_params(organization: &str, role: &str, now: u64) -> anyhow::Result<CertificateParams> {
    let mut params = params(organization, role, now)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    Ok(params)
}

/// RFC 3161 §2.3: the one extended key usage, critical. rcgen writes its own as not critical.
fn critical_time_stamping() -> CustomExtension {
    const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
    // SEQUENCE { OBJECT IDENTIFIER 1.3.6.1.5.5.7.3.8 }
    const TIME_STAMPING: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08";
    let mut usage = CustomExtension::from_oid_content(EXTENDED_KEY_USAGE, TIME_STAMPING.to_vec());
    usage.set_criticality(true);
    usage
}

/// Lets rcgen sign with our keys.
struct CertificateKey<'a>(&'a LocalSigner);

impl PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().raw()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0.public_key().key_type() {
            KeyType::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl SigningKey for CertificateKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let refused = |_: SignerError| rcgen::Error::RemoteKeyError;
        self.0.sign_now(message).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tsp::{IntermediateUsage, TsaChain};

    use super::*;
    use crate::keys::load_or_make;

    const NOW: u64 = 1_767_225_600;

    fn data_dir() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = DataDir::create(directory.path()).unwrap();
        (directory, data_dir)
    }

    #[test]
    fn makes_a_ca_that_the_profile_accepts_and_keeps_it() {
        let (_directory, data_dir) = data_dir();
        let key = load_or_make(&data_dir, "ca", KeyType::EcdsaP256).unwrap();
        let chain = ca_chain(&ChainPlace::of_dev(&data_dir, "ca"), &key, NOW).unwrap();
        let checked = x509::CertificateChain::from_der(chain.clone()).unwrap();
        checked.check_key(key.public_key()).unwrap();
        assert_eq!(checked.not_before(), NOW - 86_400);
        assert_eq!(
            ca_chain(&ChainPlace::of_dev(&data_dir, "ca"), &key, NOW + 9_999).unwrap(),
            chain
        );
    }

    #[test]
    fn makes_a_tsa_that_the_profile_accepts_and_keeps_it() {
        let (_directory, data_dir) = data_dir();
        let key = load_or_make(&data_dir, "tsa", KeyType::EcdsaP256).unwrap();
        let chain = tsa_chain(&ChainPlace::of_dev(&data_dir, "tsa"), &key, NOW).unwrap();
        let checked = TsaChain::from_ders(&chain).unwrap();
        checked.require_issuable(key.public_key(), IntermediateUsage::Required).unwrap();
        assert_eq!(
            tsa_chain(&ChainPlace::of_dev(&data_dir, "tsa"), &key, NOW + 9_999).unwrap(),
            chain
        );
    }

    #[test]
    fn goes_on_after_a_start_that_ended_between_root_key_and_chain() {
        let (_directory, data_dir) = data_dir();
        let key = load_or_make(&data_dir, "ca", KeyType::EcdsaP256).unwrap();
        let root_key = load_or_make(&data_dir, "ca-root", KeyType::EcdsaP384).unwrap();
        let chain = ca_chain(&ChainPlace::of_dev(&data_dir, "ca"), &key, NOW).unwrap();
        let root = x509::CertificateChain::from_der(vec![chain[1].clone()]).unwrap();
        assert_eq!(root.public_key(), root_key.public_key());
    }

    #[test]
    fn never_replaces_a_chain_that_it_cannot_read() {
        let (_directory, data_dir) = data_dir();
        let key = load_or_make(&data_dir, "ca", KeyType::EcdsaP256).unwrap();
        fs::write(data_dir.chain_file("ca"), "garbage").unwrap();
        assert!(ca_chain(&ChainPlace::of_dev(&data_dir, "ca"), &key, NOW).is_err());
        assert_eq!(fs::read(data_dir.chain_file("ca")).unwrap(), b"garbage");
    }
}
