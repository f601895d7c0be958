use std::sync::Arc;

use crypto::{LocalSigner, Signer, Unsigned};
use moment::UnixSeconds;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use tsp::{FailInfo, PolicyOid, SerialNumber, TimestampRequest, TokenProfile, TsaChain, rejection};
use wire::trust::{TrustedRoot, X509Certificate, X509CertificateChain};

use super::{Seen, Server, quick_http, response};
use crate::services::{ServiceError, Timestamp, TimestampAuthority};

/// 2026-06-04T17:43:29Z, inside the validity of rcgen's certificates.
const GEN_TIME: UnixSeconds = UnixSeconds(1_780_595_009);

/// `SEQUENCE OF` timestamping.
const TIME_STAMPING: [u8; 12] =
    [0x30, 0x0A, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// An authority that really stamps.
#[derive(Clone)]
struct Authority {
    chain: Vec<Vec<u8>>,
    profile: Arc<TokenProfile>,
    signer: Arc<LocalSigner>,
}

impl Authority {
    fn new() -> Self {
        let named = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::OrganizationName, "example");
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut root = named("root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let root_key = KeyPair::generate().unwrap();
        let mut leaf = named("authority");
        let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], TIME_STAMPING.to_vec());
        usage.set_criticality(true);
        leaf.custom_extensions = vec![usage];
        let leaf_key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&root, &root_key);
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let chain = vec![leaf.der().to_vec(), root.self_signed(&root_key).unwrap().der().to_vec()];
        let profile = TokenProfile::new(&TsaChain::from_ders(&chain).unwrap()).unwrap();
        let signer = LocalSigner::from_pkcs8_der(leaf_key.serialized_der(), "test").unwrap();
        Self { chain, profile: Arc::new(profile), signer: Arc::new(signer) }
    }

    fn stamp(&self, request: &TimestampRequest) -> Vec<u8> {
        let serial = SerialNumber::from_random([7; 20]);
        let token = self.profile.prepare(request, &PolicyOid::SIGSTORE, GEN_TIME, serial).unwrap();
        let signature = self.signer.sign_now(token.bytes_to_sign()).unwrap();
        token.with_signature(&signature, self.signer.public_key()).unwrap().into_der()
    }

    /// A trusted root of this authority, after one that cannot be used and another one.
    fn trusted_root(&self) -> TrustedRoot {
        let broken = vec![b"not a certificate".to_vec()];
        let authorities = [broken, Self::new().chain, self.chain.clone()].map(|chain| {
            let certificates =
                chain.into_iter().map(|der| X509Certificate { raw_bytes: der.into() });
            let cert_chain = X509CertificateChain { certificates: certificates.collect() };
            wire::trust::CertificateAuthority { cert_chain, ..Default::default() }
        });
        TrustedRoot { timestamp_authorities: authorities.to_vec(), ..Default::default() }
    }
}

fn request_of(seen: &Seen) -> TimestampRequest {
    TimestampRequest::from_der(&seen.body).unwrap()
}

/// Asks a server that answers with these bytes.
async fn stamped(
    trusted_root: &TrustedRoot,
    answer: impl Fn(&TimestampRequest) -> Vec<u8> + Send + Sync + 'static,
) -> (Result<Timestamp, ServiceError>, Server) {
    let server =
        Server::start(move |_, seen| Some(response("200 OK", "", &answer(&request_of(seen)))))
            .await;
    let authority = TimestampAuthority::new(quick_http(), server.url());
    (authority.timestamp(b"signature", trusted_root).await, server)
}

#[tokio::test]
async fn takes_a_timestamp_of_a_trusted_authority() {
    let authority = Authority::new();
    let root = authority.trusted_root();
    let (stamp, server) = stamped(&root, move |request| authority.stamp(request)).await;
    assert_eq!(stamp.unwrap().gen_time, GEN_TIME);
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.contains("content-type: application/timestamp-query"));
    let request = request_of(&seen);
    assert!(request.certificates() && request.nonce().is_some());
    assert_eq!(request.imprint().digest(), crypto::sha256(b"signature"));
}

#[tokio::test]
async fn rejects_a_timestamp_of_an_untrusted_authority() {
    let (trusted, other) = (Authority::new(), Authority::new());
    for root in [trusted.trusted_root(), TrustedRoot::default()] {
        let other = other.clone();
        let (stamp, _) = stamped(&root, move |request| other.stamp(request)).await;
        let error = stamp.unwrap_err();
        assert!(matches!(error, ServiceError::Untrusted { .. }), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}

#[tokio::test]
async fn rejects_an_answer_to_another_request() {
    let authority = Authority::new();
    let root = authority.trusted_root();
    let without_nonce = |request: &TimestampRequest| {
        TimestampRequest::new(request.imprint().clone()).with_certificates(true)
    };
    let of_another = |request: &TimestampRequest| {
        let imprint =
            tsp::MessageImprint::of_message(crypto::HashAlgorithm::Sha256, b"another signature");
        TimestampRequest::new(imprint).with_nonce(request.nonce().unwrap().clone())
    };
    let swaps: [fn(&TimestampRequest) -> TimestampRequest; 2] = [without_nonce, of_another];
    for swap in swaps {
        let authority = authority.clone();
        let (stamp, _) = stamped(&root, move |request| authority.stamp(&swap(request))).await;
        assert!(matches!(stamp, Err(ServiceError::Untrusted { .. })), "{stamp:?}");
    }
}

#[tokio::test]
async fn tells_a_refusal_for_good_from_one_for_now() {
    let root = Authority::new().trusted_root();
    for (fail_info, exit_code) in [
        (FailInfo::BadAlg, 4),
        (FailInfo::UnacceptedPolicy, 4),
        (FailInfo::TimeNotAvailable, 3),
        (FailInfo::SystemFailure, 3),
    ] {
        let (stamp, _) = stamped(&root, move |_| rejection(fail_info, "because")).await;
        let error = stamp.unwrap_err();
        assert_eq!(error.exit_code(), exit_code);
        assert!(error.to_string().contains("because"), "{error}");
    }
}

#[tokio::test]
async fn rejects_what_is_no_timestamp() {
    let root = Authority::new().trusted_root();
    for answer in [&b""[..], b"<html>", &[0x30, 0x80]] {
        let (stamp, _) = stamped(&root, |_| answer.to_vec()).await;
        assert!(matches!(stamp, Err(ServiceError::Malformed { .. })), "{stamp:?}");
    }
}
