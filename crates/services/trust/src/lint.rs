//! What some official client refuses, checked before anybody sees it.
//!
//! Each [`Finding`] says which client breaks. The checks look at the finished
//! documents, so that they hold for files of any origin.

use std::collections::HashSet;

use ::http::Uri;
use const_oid::db::rfc4519;
use crypto::{KeyType, PublicKey};
use der::{Decode, asn1::AnyRef};
use moment::UnixSeconds;
use provenance::{Forge, ForgeKind};
use thiserror::Error;
use tlog::KeyIdKind;
use wire::{
    HashAlgorithm, PublicKeyDetails,
    trust::{
        CertificateAuthority, Service, ServiceConfiguration, ServiceSelector, SigningConfig,
        TimeRange, TransparencyLogInstance, TrustedRoot, TrustedRootMediaType,
    },
};
use x509_cert::{Certificate, ext::pkix::BasicConstraints, name::Name};

use crate::{TilesKey, documents::key_details};

/// One thing that a client will refuse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// sigstore-go, -python and -java accept only the legacy media type.
    #[error("the trusted root's media type is not the one that all clients accept")]
    MediaType,
    /// Nothing verifies against an empty list.
    #[error("the trusted root has no {0}")]
    Missing(&'static str),
    /// Go, Python and Rust need a start.
    #[error("{0} has no validFor.start")]
    NoStart(String),
    /// sigstore-js uses a future service at once, sigstore-java not at all.
    #[error("{0} is valid only in the future")]
    FutureStart(String),
    /// The checkpoint origin is compared with the host of `baseUrl`.
    #[error("{0} is not a complete http or https URL")]
    Url(String),
    /// Only SHA-256 trees are known.
    #[error("log {0} has a hash algorithm other than SHA2_256")]
    TreeHash(String),
    /// The key does not parse, or `keyDetails` names another kind of key.
    #[error("log {0} has a key that is not what keyDetails says")]
    LogKey(String),
    /// cosign, python, js: CT logs sign with P-256.
    #[error("CT log {0} has a key other than P-256")]
    CtKey(String),
    /// cosign: Rekor logs sign with Ed25519 (v2) or P-256.
    #[error("Rekor log {0} has a key other than Ed25519 and P-256")]
    RekorKey(String),
    /// cosign and sigstore-go check the SETs of a v1 log with P-256 only.
    #[error("Rekor v1 log {0} has a key other than P-256")]
    Rekor1Key(String),
    /// A verifier key line names it; Go clients take an origin with digits after ` - ` for Rekor v1.
    #[error("`{0}` cannot be the origin of a log's tiles, or their key is not Ed25519")]
    TilesKey(String),
    /// Compared byte for byte with what bundles, checkpoints and SCTs carry.
    #[error("log {0} has a logId that does not follow from its key and the host of its URL")]
    LogId(String),
    /// sigstore-rust refuses, sigstore-go overwrites.
    #[error("two logs have the logId of {0}")]
    DuplicateLogId(String),
    /// Older readers refuse members they do not know.
    #[error("{0} has an operator or checkpointKeyId, which older clients refuse")]
    NewMember(String),
    /// A chain that ends in no root, or in the wrong order.
    #[error("the chain of {0} is not lowest certificate first, each issued by the next, root last")]
    Chain(String),
    /// gh picks the root by the one `O` of the leaf's issuer and its issuer.
    #[error("the certificates of {0} do not all have the same single O")]
    Organization(String),
    /// sigstore-python refuses.
    #[error("CA {0} has an Ed25519 key")]
    CaKey(String),
    /// sigstore-python wants two certificates, sigstore-go a first one that is no CA.
    #[error("the chain of TSA {0} does not begin with a signing certificate below a CA")]
    TsaChain(String),
    /// sigstore-go counts them once.
    #[error("two timestamp authorities have the URL {0}")]
    DuplicateTsa(String),
    /// js throws on an empty list beside a configuration, cosign panics on the opposite, Java needs both.
    #[error("the signing config lacks {0}, or its configuration")]
    ServicesWithoutConfiguration(&'static str),
    /// js refuses EXACT and ALL.
    #[error("the selector of {0} is not ANY")]
    Selector(&'static str),
    /// CA, OIDC and TSA: 1. Rekor: 1 or 2.
    #[error("service {0} has a majorApiVersion that clients do not know")]
    ApiVersion(String),
    /// `tsaUrls` are used as they are.
    #[error("timestamp URL {0} has no path: clients add none")]
    TsaPath(String),
    /// Go and js would ask for `//api/...`.
    #[error("base URL {0} ends in a slash")]
    TrailingSlash(String),
    /// Signing there makes bundles that nobody can verify.
    #[error("the trusted root does not know the service {0}")]
    Untrusted(String),
    /// Our own client refuses to verify by repository then.
    #[error("the forge {url} cannot be used: {why}")]
    Forge {
        /// Where it would be.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Our own client would not ask for it.
    #[error(
        "the audience {audience} cannot be used: clients take `sigstore`, or an https URL of the host of the \
         CA {ca} or of a domain that both are in"
    )]
    Audience {
        /// What tokens would be for.
        audience: String,
        /// URL of the CA.
        ca: String,
    },
}

/// Checks a trusted root.
#[must_use]
pub fn trusted_root(root: &TrustedRoot) -> Vec<Finding> {
    let mut findings = Vec::new();
    if root.media_type != TrustedRootMediaType::V0_1Legacy {
        findings.push(Finding::MediaType);
    }
    for (name, empty) in [
        ("tlogs", root.tlogs.is_empty()),
        ("ctlogs", root.ctlogs.is_empty()),
        ("certificateAuthorities", root.certificate_authorities.is_empty()),
        ("timestampAuthorities", root.timestamp_authorities.is_empty()),
    ] {
        if empty {
            findings.push(Finding::Missing(name));
        }
    }
    let mut log_ids = HashSet::new();
    for (log, kind) in (root.tlogs.iter().map(|log| (log, KeyIdKind::Named)))
        .chain(root.ctlogs.iter().map(|log| (log, KeyIdKind::SpkiSha256)))
    {
        check_log(log, kind, &mut findings);
        if !log_ids.insert(&log.log_id.key_id) {
            findings.push(Finding::DuplicateLogId(log.base_url.clone()));
        }
    }
    for authority in &root.certificate_authorities {
        check_ca(authority, &mut findings);
    }
    let mut urls = HashSet::new();
    for authority in &root.timestamp_authorities {
        check_tsa(authority, &mut findings);
        if !urls.insert(&authority.uri) {
            findings.push(Finding::DuplicateTsa(authority.uri.clone()));
        }
    }
    findings
}

/// Checks a signing config, at `now` (Unix seconds), beside the trusted root that verifies what it makes.
#[must_use]
pub fn signing_config(
    config: &SigningConfig,
    root: &TrustedRoot,
    now: UnixSeconds,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (list, services, configuration) in [
        ("rekorTlogUrls", &config.rekor_tlog_urls, config.rekor_tlog_config),
        ("tsaUrls", &config.tsa_urls, config.tsa_config),
    ] {
        check_selection(list, services, configuration, &mut findings);
    }
    for (services, versions) in [
        (&config.ca_urls, 1..=1),
        (&config.oidc_urls, 1..=1),
        (&config.rekor_tlog_urls, 1..=2),
        (&config.tsa_urls, 1..=1),
    ] {
        for service in services {
            check_service(service, now, &mut findings);
            if !versions.contains(&service.major_api_version) {
                findings.push(Finding::ApiVersion(service.url.clone()));
            }
        }
    }
    // Not of identity providers, whose URL is the very `iss` of their tokens: Auth0's ends in a slash.
    for service in config.ca_urls.iter().chain(&config.rekor_tlog_urls) {
        if service.url.ends_with('/') {
            findings.push(Finding::TrailingSlash(service.url.clone()));
        }
    }
    for service in &config.tsa_urls {
        if service.url.parse::<Uri>().is_ok_and(|url| url.path().len() <= 1) {
            findings.push(Finding::TsaPath(service.url.clone()));
        }
    }
    check_trusted(config, root, &mut findings);
    check_rekor1(config, root, &mut findings);
    findings
}

/// Checks the key under which a v1 log's tree is published as tiles too.
pub(crate) fn tiles_key(tiles: &TilesKey) -> Option<Finding> {
    let named = !tiles.origin.is_empty()
        && !tiles.origin.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control());
    let good = named && tiles.public_key.key_type() == KeyType::Ed25519;
    (!good).then(|| Finding::TilesKey(tiles.origin.clone()))
}

/// Checks the audience that clients of the CA at `url` are told to ask for.
#[must_use]
pub fn audience(audience: &str, url: &str) -> Option<Finding> {
    let good = wire::countersign::may_ask_for(audience, url);
    (!good).then(|| Finding::Audience { audience: audience.to_owned(), ca: url.to_owned() })
}

/// Checks the forge that names of repositories without a host mean.
#[must_use]
pub fn forge(forge: &wire::countersign::Forge) -> Option<Finding> {
    let finding = |why: String| Finding::Forge { url: forge.url.clone(), why };
    let named = forge.kind.as_deref();
    let kind = named.and_then(ForgeKind::named);
    if let Some(name) = named.filter(|_| kind.is_none()) {
        let why = format!("`{name}` is none of github, gitlab, azure, bitbucket, other");
        return Some(finding(why));
    }
    Forge::new(&forge.url, kind).err().map(|error| finding(error.to_string()))
}

fn check_log(log: &TransparencyLogInstance, kind: KeyIdKind, findings: &mut Vec<Finding>) {
    let name = || log.base_url.clone();
    check_start(log.public_key.valid_for, &name(), findings);
    if log.hash_algorithm != HashAlgorithm::Sha2_256 {
        findings.push(Finding::TreeHash(name()));
    }
    if log.checkpoint_key_id.is_some() || !log.operator.is_empty() {
        findings.push(Finding::NewMember(name()));
    }
    let Some(host) = host_of(&log.base_url) else {
        findings.push(Finding::Url(name()));
        return;
    };
    let key = PublicKey::from_spki_der(&log.public_key.raw_bytes.0);
    let Some(key) = key.ok().filter(|key| key_details(key) == log.public_key.key_details) else {
        findings.push(Finding::LogKey(name()));
        return;
    };
    match (kind, key.key_type()) {
        (_, KeyType::EcdsaP256) | (KeyIdKind::Named, KeyType::Ed25519) => {}
        (KeyIdKind::Named, _) => findings.push(Finding::RekorKey(name())),
        (KeyIdKind::SpkiSha256, _) => findings.push(Finding::CtKey(name())),
    }
    if log.log_id.key_id.0 != tlog::log_key_id(&key, &host, kind) {
        findings.push(Finding::LogId(name()));
    }
}

fn check_ca(authority: &CertificateAuthority, findings: &mut Vec<Finding>) {
    let chain = check_authority(authority, findings);
    let keys = chain.iter().map(|c| c.tbs_certificate().subject_public_key_info().algorithm.oid);
    if keys.into_iter().any(|oid| oid == const_oid::db::rfc8410::ID_ED_25519) {
        findings.push(Finding::CaKey(authority.uri.clone()));
    }
}

fn check_tsa(authority: &CertificateAuthority, findings: &mut Vec<Finding>) {
    let chain = check_authority(authority, findings);
    if chain.len() < 2 || chain.first().is_some_and(is_ca) {
        findings.push(Finding::TsaChain(authority.uri.clone()));
    }
}

/// The checks of any chain; gives what could be read of it.
fn check_authority(
    authority: &CertificateAuthority,
    findings: &mut Vec<Finding>,
) -> Vec<Certificate> {
    let name = || authority.uri.clone();
    check_start(authority.valid_for, &name(), findings);
    if host_of(&authority.uri).is_none() {
        findings.push(Finding::Url(name()));
    }
    if !authority.operator.is_empty() {
        findings.push(Finding::NewMember(name()));
    }
    let certificates = &authority.cert_chain.certificates;
    let parsed = certificates.iter().map(|c| Certificate::from_der(&c.raw_bytes.0));
    let chain: Vec<Certificate> = parsed.filter_map(Result::ok).collect();
    if chain.len() != certificates.len() || !is_ordered(&chain) {
        findings.push(Finding::Chain(name()));
    }
    if !has_one_organization(&chain, &authority.subject.organization) {
        findings.push(Finding::Organization(name()));
    }
    chain
}

fn is_ordered(chain: &[Certificate]) -> bool {
    let issued_by = |lower: &Certificate, upper: &Certificate| {
        lower.tbs_certificate().issuer() == upper.tbs_certificate().subject()
    };
    let root_is_last = chain.last().is_some_and(|root| issued_by(root, root) && is_ca(root));
    root_is_last
        && chain.windows(2).all(|pair| matches!(pair, [a, b] if issued_by(a, b) && is_ca(b)))
}

fn is_ca(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    constraints.is_ok_and(|found| found.is_some_and(|(_, constraints)| constraints.ca))
}

fn has_one_organization(chain: &[Certificate], expected: &str) -> bool {
    chain.iter().all(|certificate| {
        let names = attributes(certificate.tbs_certificate().subject(), rfc4519::O);
        matches!(names.as_slice(), [one] if one == expected)
    })
}

/// The text values of an attribute, in order.
pub(crate) fn attributes(name: &Name, oid: const_oid::ObjectIdentifier) -> Vec<String> {
    let values = name.iter().filter(|attribute| attribute.oid == oid);
    values
        .filter_map(|attribute| {
            let text = AnyRef::from(&attribute.value);
            std::str::from_utf8(text.value()).ok().map(str::to_owned)
        })
        .collect()
}

fn check_selection(
    list: &'static str,
    services: &[Service],
    configuration: Option<ServiceConfiguration>,
    findings: &mut Vec<Finding>,
) {
    let Some(configuration) = configuration.filter(|_| !services.is_empty()) else {
        findings.push(Finding::ServicesWithoutConfiguration(list));
        return;
    };
    if configuration.selector != ServiceSelector::Any {
        findings.push(Finding::Selector(list));
    }
}

fn check_service(service: &Service, now: UnixSeconds, findings: &mut Vec<Finding>) {
    if host_of(&service.url).is_none() {
        findings.push(Finding::Url(service.url.clone()));
    }
    check_start(service.valid_for, &service.url, findings);
    let start = service.valid_for.and_then(|range| range.start);
    if start.is_some_and(|start| u64::try_from(start.unix_seconds()).is_ok_and(|s| s > now.0)) {
        findings.push(Finding::FutureStart(service.url.clone()));
    }
}

fn check_trusted(config: &SigningConfig, root: &TrustedRoot, findings: &mut Vec<Finding>) {
    let knows_log = |url: &str| root.tlogs.iter().any(|log| host_of(&log.base_url) == host_of(url));
    let knows = |authorities: &[CertificateAuthority], url: &str| {
        authorities.iter().any(|authority| host_of(&authority.uri) == host_of(url))
    };
    for (services, trusted) in [
        (&config.rekor_tlog_urls, &knows_log as &dyn Fn(&str) -> bool),
        (&config.ca_urls, &|url| knows(&root.certificate_authorities, url)),
        (&config.tsa_urls, &|url| knows(&root.timestamp_authorities, url)),
    ] {
        let unknown = services.iter().filter(|service| !trusted(&service.url));
        findings.extend(unknown.map(|service| Finding::Untrusted(service.url.clone())));
    }
}

fn check_rekor1(config: &SigningConfig, root: &TrustedRoot, findings: &mut Vec<Finding>) {
    let services = config.rekor_tlog_urls.iter().filter(|service| service.major_api_version == 1);
    for service in services {
        let log = root.tlogs.iter().find(|log| log.base_url == service.url);
        let p256 = PublicKeyDetails::PkixEcdsaP256Sha256;
        if log.is_some_and(|log| log.public_key.key_details != p256) {
            findings.push(Finding::Rekor1Key(service.url.clone()));
        }
    }
}

fn check_start(valid_for: Option<TimeRange>, name: &str, findings: &mut Vec<Finding>) {
    if valid_for.is_none_or(|range| range.start.is_none()) {
        findings.push(Finding::NoStart(name.to_owned()));
    }
}

/// The host of a complete http or https URL: what Go calls `Hostname`.
fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then_some(())?;
    uri.host().filter(|host| !host.is_empty()).map(str::to_owned)
}
