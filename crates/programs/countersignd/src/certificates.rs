//! The chains of the CA and the timestamp authority.
//!
//! Made once, and kept. What they must look like is checked by the crates that
//! use them (`x509::CertificateChain`, `tsp::TsaChain`), at every start.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use crypto::{KeyType, LocalSigner, Signer, SignerError};
use moment::UnixSeconds;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm,
    SigningKey,
};
use time::{Duration, OffsetDateTime};

use crate::{
    data_dir::{Access, create, read_if_present, remove_unfinished},
    deployment::not_made,
    keys::load_or_make_file,
};

/// Where a chain is kept, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct ChainPlace {
    /// PEM, lowest first.
    pub(crate) file: PathBuf,
    /// There before the chain is; not needed afterwards.
    pub(crate) root_key_file: PathBuf,
    /// The one `O` of the certificates, and begin of their common names: gh chooses the root by it.
    pub(crate) organization: String,
}

impl ChainPlace {
    /// The chain, as DER, which must be there.
    pub(crate) fn load(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        load_chain(&self.file)?.with_context(|| not_made(&self.file))
    }
}

/// The CA's chain as DER: issuing certificate, root.
pub(crate) fn ca_chain(
    place: &ChainPlace,
    issuing_key: &LocalSigner,
    now: UnixSeconds,
) -> anyhow::Result<Vec<Vec<u8>>> {
    load_or_make_chain(place, issuing_key, |root| {
        let mut issuing = params(&place.organization, "CA", now)?;
        issuing.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        issuing.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Not critical: sigstore-python refuses a critical one.
        issuing.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let above = root_params(&place.organization, "root", now)?;
        Ok(Plan { root: above, root_key: root, lower: issuing })
    })
}

/// The timestamp authority's chain as DER: signing certificate, root.
pub(crate) fn tsa_chain(
    place: &ChainPlace,
    signing_key: &LocalSigner,
    now: UnixSeconds,
) -> anyhow::Result<Vec<Vec<u8>>> {
    load_or_make_chain(place, signing_key, |root| {
        let mut signing = params(&place.organization, "TSA", now)?;
        signing.is_ca = IsCa::ExplicitNoCa;
        signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        signing.custom_extensions = vec![critical_time_stamping()];
        let above = root_params(&place.organization, "TSA root", now)?;
        Ok(Plan { root: above, root_key: root, lower: signing })
    })
}

/// Refuses an organization by which the chain was not made: it stands in the certificates for ever.
///
/// Known of chains that were made here alone, by the common names of [`params`]; a company's own PKI
/// calls itself as it likes.
pub(crate) fn refuse_another_organization(
    place: &ChainPlace,
    chain: &[Vec<u8>],
) -> anyhow::Result<()> {
    let (Some(lowest), Some(root)) = (chain.first(), chain.last()) else { return Ok(()) };
    let names = |der: &[u8]| {
        let certificate = x509::AuthorityView::from_der(der).ok()?;
        Some((certificate.subject_organization()?, certificate.subject_common_name()?))
    };
    let (Some((made_for, lowest)), Some((_, root))) = (names(lowest), names(root)) else {
        return Ok(());
    };
    let role = lowest.strip_prefix(&made_for).unwrap_or_default();
    let above = root.strip_prefix(&made_for).unwrap_or_default();
    let is_ours = matches!((role, above), (" CA", " root") | (" TSA", " TSA root"));
    if is_ours && made_for != place.organization {
        bail!(
            "`organization` is `{}`, and the chain {} was made for `{made_for}`, which stands in certificates \
             for ever: write that, or give the new name to another CA or TSA, with a table of its own",
            place.organization,
            place.file.display()
        );
    }
    Ok(())
}

/// How long the certificates live: a development deployment is not rotated.
const LIFETIME: Duration = Duration::days(10 * 365);

/// How far they reach back, for clocks that tests move.
pub(crate) const BACKDATING: Duration = Duration::days(1);

/// What goes into a new chain.
struct Plan {
    root: CertificateParams,
    root_key: LocalSigner,
    lower: CertificateParams,
}

/// The chain that is there, or a new one.
fn load_or_make_chain(
    place: &ChainPlace,
    lower_key: &LocalSigner,
    plan: impl FnOnce(LocalSigner) -> anyhow::Result<Plan>,
) -> anyhow::Result<Vec<Vec<u8>>> {
    remove_unfinished(&place.file)?;
    if let Some(chain) = load_chain(&place.file)? {
        return Ok(chain);
    }
    let root_key = load_or_make_file(&place.root_key_file, "root", KeyType::EcdsaP384)?;
    let Plan { root, root_key, lower } = plan(root_key)?;
    let root = CertifiedIssuer::self_signed(root, CertificateKey(&root_key))?;
    let lower = lower.signed_by(&CertificateKey(lower_key), &root)?;
    // One file for both: a crash cannot leave half a chain.
    let text = format!("{}{}", lower.pem(), root.pem());
    create(&place.file, text.as_bytes(), Access::Everybody)?;
    Ok(vec![lower.der().to_vec(), root.der().to_vec()])
}

/// A chain as DER, if it is there.
pub(crate) fn load_chain(path: &Path) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
    let Some(text) = read_if_present(path)? else { return Ok(None) };
    let chain = x509::from_pem(&text);
    chain.map(Some).with_context(|| format!("{} holds no certificates", path.display()))
}

fn params(organization: &str, role: &str, now: UnixSeconds) -> anyhow::Result<CertificateParams> {
    let now = OffsetDateTime::from_unix_timestamp(now.0.try_into()?)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, format!("{organization} {role}"));
    params.not_before = now.saturating_sub(BACKDATING);
    params.not_after = now.saturating_add(LIFETIME);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn root_params(
    organization: &str,
    role: &str,
    now: UnixSeconds,
) -> anyhow::Result<CertificateParams> {
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

    const LATER: UnixSeconds = UnixSeconds(1_767_235_599);
    const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

    /// A place in an empty directory, and the key of its lowest certificate.
    fn place() -> (tempfile::TempDir, ChainPlace, LocalSigner) {
        let directory = tempfile::tempdir().unwrap();
        let place = ChainPlace {
            file: directory.path().join("chain.pem"),
            root_key_file: directory.path().join("root.pem"),
            organization: "Acme".to_owned(),
        };
        (directory, place, LocalSigner::generate(KeyType::EcdsaP256, "ca").unwrap())
    }

    #[test]
    fn makes_a_ca_that_the_profile_accepts_and_keeps_it() {
        let (_directory, place, key) = place();
        let chain = ca_chain(&place, &key, NOW).unwrap();
        let checked = x509::CertificateChain::from_der(chain.clone()).unwrap();
        checked.check_key(key.public_key()).unwrap();
        assert_eq!(checked.not_before().0, NOW.0 - 86_400);
        assert_eq!(ca_chain(&place, &key, LATER).unwrap(), chain);
        assert_eq!(place.load().unwrap(), chain);
    }

    #[test]
    fn makes_a_tsa_that_the_profile_accepts_and_keeps_it() {
        let (_directory, place, key) = place();
        let chain = tsa_chain(&place, &key, NOW).unwrap();
        let checked = TsaChain::from_ders(&chain).unwrap();
        checked.require_issuable(key.public_key(), IntermediateUsage::Required).unwrap();
        assert_eq!(tsa_chain(&place, &key, LATER).unwrap(), chain);
    }

    #[test]
    fn goes_on_after_a_start_that_ended_between_root_key_and_chain() {
        let (_directory, place, key) = place();
        let root = load_or_make_file(&place.root_key_file, "root", KeyType::EcdsaP384).unwrap();
        let chain = ca_chain(&place, &key, NOW).unwrap();
        let made = x509::CertificateChain::from_der(vec![chain[1].clone()]).unwrap();
        assert_eq!(made.public_key(), root.public_key());
    }

    /// The setting had no effect any more, and `check` said nothing.
    #[test]
    fn an_organization_by_which_a_chain_was_not_made_is_refused() {
        for make in [ca_chain, tsa_chain] {
            let (_directory, mut place, key) = place();
            let chain = make(&place, &key, NOW).unwrap();
            refuse_another_organization(&place, &chain).unwrap();
            place.organization = "Acme Two".to_owned();
            let said = refuse_another_organization(&place, &chain).unwrap_err().to_string();
            assert!(said.contains("was made for `Acme`"), "{said}");
            // Of a company's own PKI: its names are its own.
            refuse_another_organization(&place, &chain[..1]).unwrap();
        }
    }

    #[test]
    fn never_replaces_a_chain_that_it_cannot_read() {
        let (_directory, place, key) = place();
        fs::write(&place.file, "garbage").unwrap();
        assert!(ca_chain(&place, &key, NOW).is_err());
        assert_eq!(fs::read(&place.file).unwrap(), b"garbage");
    }

    #[test]
    fn a_chain_that_was_not_made_is_told_with_what_makes_it() {
        let (_directory, place, _) = place();
        let said = place.load().unwrap_err().to_string();
        assert!(said.contains("chain.pem is missing: run `countersignd init`"), "{said}");
    }
}
