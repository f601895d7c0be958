use crypto::{KeyType, PublicKey};
use tlog::KeyIdKind;
use wire::{
    Base64, HashAlgorithm, PublicKeyDetails,
    countersign::Instance,
    trust::{
        CertificateAuthority, ClientTrustConfig, DistinguishedName, LogId, Service,
        ServiceConfiguration, ServiceSelector, SigningConfig, TimeRange, TransparencyLogInstance,
        TrustedRoot, X509Certificate, X509CertificateChain,
    },
};
use x509_cert::{Certificate, der::Decode};

use crate::{Authority, Deployment, LogKey, deployment::current, lint};

/// Everything a verifier trusts, oldest first, each with its times.
///
/// Of logs as old as each other Rekor v1 comes first: sigstore-python asks the first
/// log by the v1 API when it verifies a signature that came without a bundle.
pub(crate) fn trusted_root(deployment: &Deployment) -> TrustedRoot {
    let rekor1 = deployment.rekor1_logs.iter().map(|log| log_instance(log, KeyIdKind::SpkiSha256));
    let rekor2 = deployment.rekor2_logs.iter().map(|log| log_instance(log, KeyIdKind::Named));
    let ct = deployment.ct_logs.iter().map(|log| log_instance(log, KeyIdKind::SpkiSha256));
    let authorities = |authorities: &[Authority]| {
        oldest_first(authorities.iter().map(certificate_authority), |authority| authority.valid_for)
    };
    TrustedRoot {
        tlogs: oldest_first(rekor1.chain(rekor2), |log| log.public_key.valid_for),
        ctlogs: oldest_first(ct, |log| log.public_key.valid_for),
        certificate_authorities: authorities(&deployment.certificate_authorities),
        timestamp_authorities: authorities(&deployment.timestamp_authorities),
        ..TrustedRoot::default()
    }
}

/// Which Rekor logs a signing config names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rekor {
    /// Version 2 first: a client takes the highest version that it knows.
    All,
    /// For clients that would choose version 2 and cannot use it.
    OnlyV1,
}

/// Where a signer goes now: the newest active service of each kind, and of each version of an API.
///
/// One of each, for among several of one operator no two clients choose alike: sigstore-python takes
/// the last of a list, sigstore-rust and our own the first, the others the one that began last (docs/divergences.md).
pub(crate) fn signing_config(deployment: &Deployment, rekor: Rekor) -> SigningConfig {
    let service = |url: &str, major_api_version, valid_for| Service {
        url: url.to_owned(),
        major_api_version,
        valid_for: Some(valid_for),
        operator: deployment.operator.clone(),
    };
    let authority = |authorities: &[Authority]| {
        let current = current(authorities);
        current.map(|one| service(&one.url, 1, one.valid_for)).into_iter().collect()
    };
    let rekor1 = current(&deployment.rekor1_logs);
    let rekor2 = match rekor {
        Rekor::All => current(&deployment.rekor2_logs),
        Rekor::OnlyV1 => None,
    };
    let mut rekor_tlog_urls = Vec::new();
    rekor_tlog_urls.extend(rekor2.map(|log| {
        // sigstore-js takes what began last, whatever its version.
        let start = rekor1.and_then(|other| other.valid_for.start).max(log.valid_for.start);
        service(&log.base_url, 2, TimeRange { start, ..log.valid_for })
    }));
    rekor_tlog_urls.extend(rekor1.map(|log| service(&log.base_url, 1, log.valid_for)));
    let since = current(&deployment.certificate_authorities).map(|ca| ca.valid_for);
    let any = ServiceConfiguration { selector: ServiceSelector::Any, count: 0 };
    SigningConfig {
        ca_urls: authority(&deployment.certificate_authorities),
        oidc_urls: since.map(|since| service(&deployment.oidc_url, 1, since)).into_iter().collect(),
        rekor_tlog_urls,
        tsa_urls: authority(&deployment.timestamp_authorities),
        rekor_tlog_config: Some(any),
        tsa_config: Some(any),
        ..SigningConfig::default()
    }
}

/// Both in one.
pub(crate) fn client_trust_config(deployment: &Deployment) -> ClientTrustConfig {
    ClientTrustConfig {
        trusted_root: trusted_root(deployment),
        signing_config: signing_config(deployment, Rekor::All),
        ..ClientTrustConfig::default()
    }
}

/// What our own clients ask besides.
pub(crate) fn instance(deployment: &Deployment) -> Instance {
    Instance {
        forge: deployment.forge.clone(),
        audience: deployment.audience.clone(),
        ..Instance::default()
    }
}

fn log_instance(log: &LogKey, kind: KeyIdKind) -> TransparencyLogInstance {
    let key_id = tlog::log_key_id(&log.public_key, &log.origin, kind);
    TransparencyLogInstance {
        base_url: log.base_url.clone(),
        hash_algorithm: HashAlgorithm::Sha2_256,
        public_key: wire::trust::PublicKey {
            raw_bytes: Base64(log.public_key.spki_der().to_vec()),
            key_details: key_details(&log.public_key),
            valid_for: Some(log.valid_for),
        },
        log_id: LogId { key_id: Base64(key_id.to_vec()) },
        ..TransparencyLogInstance::default()
    }
}

fn certificate_authority(authority: &Authority) -> CertificateAuthority {
    let certificate = |der: &Vec<u8>| X509Certificate { raw_bytes: Base64(der.clone()) };
    CertificateAuthority {
        subject: authority.chain_der.last().map(|root| subject_of(root)).unwrap_or_default(),
        uri: authority.url.clone(),
        cert_chain: X509CertificateChain {
            certificates: authority.chain_der.iter().map(certificate).collect(),
        },
        valid_for: Some(authority.valid_for),
        ..CertificateAuthority::default()
    }
}

/// Empty where the certificate cannot be read; the lint of the chain says so.
fn subject_of(certificate_der: &[u8]) -> DistinguishedName {
    let Ok(certificate) = Certificate::from_der(certificate_der) else {
        return DistinguishedName::default();
    };
    let subject = certificate.tbs_certificate().subject();
    let first = |oid| lint::attributes(subject, oid).into_iter().next().unwrap_or_default();
    DistinguishedName {
        organization: first(const_oid::db::rfc4519::O),
        common_name: first(const_oid::db::rfc4519::CN),
    }
}

/// The registry's name for a key and the signatures that a log makes with it.
pub(crate) fn key_details(key: &PublicKey) -> PublicKeyDetails {
    match key.key_type() {
        KeyType::EcdsaP256 => PublicKeyDetails::PkixEcdsaP256Sha256,
        KeyType::EcdsaP384 => PublicKeyDetails::PkixEcdsaP384Sha384,
        KeyType::EcdsaP521 => PublicKeyDetails::PkixEcdsaP521Sha512,
        KeyType::Ed25519 => PublicKeyDetails::PkixEd25519,
        KeyType::Rsa2048 => PublicKeyDetails::PkixRsaPkcs1v15_2048Sha256,
        KeyType::Rsa3072 => PublicKeyDetails::PkixRsaPkcs1v15_3072Sha256,
        KeyType::Rsa4096 => PublicKeyDetails::PkixRsaPkcs1v15_4096Sha256,
    }
}

fn oldest_first<T>(
    items: impl Iterator<Item = T>,
    valid_for: impl Fn(&T) -> Option<TimeRange>,
) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by_key(|item| valid_for(item).and_then(|range| range.start));
    items
}
