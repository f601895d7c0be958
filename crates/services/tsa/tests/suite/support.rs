//! An authority with a clock that stands still, and its HTTP API.

use std::sync::Arc;

use axum::{Router, body::Body};
use bytes::Bytes;
use crypto::{HashAlgorithm, LocalSigner, Signer};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use signing::{CpuPool, FixedClock};
use tower::ServiceExt;
use tsa::{Tsa, TsaConfig};
use tsp::{FailInfo, MessageImprint, TimestampRequest, VerifyError, verify_response};

/// 2026-06-04T17:43:29Z.
pub(crate) const NOW: u64 = 1_780_595_009;

/// 2045-01-01T00:00:00Z: the leaf's last second.
pub(crate) const NOT_AFTER: u64 = 2_366_841_600;

pub(crate) const QUERY: &str = "application/timestamp-query";
pub(crate) const JSON: &str = "application/json";
pub(crate) const PATH: &str = "/api/v1/timestamp";

/// Key and certificates of an authority.
pub(crate) struct Authority {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) signer: LocalSigner,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with_leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
    }

    pub(crate) fn with_leaf(
        algorithm: &'static rcgen::SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let mut root = named("Test Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let mut leaf = named("Test TSA");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.custom_extensions = vec![time_stamping()];
        change(&mut leaf);
        let leaf_key = KeyPair::generate_for(algorithm).unwrap();
        let issuer = Issuer::from_params(&root, &root_key);
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let root = root.self_signed(&root_key).unwrap();
        Self {
            chain: vec![leaf.der().to_vec(), root.der().to_vec()],
            signer: LocalSigner::from_pkcs8_der(leaf_key.serialized_der(), "tsa").unwrap(),
        }
    }

    pub(crate) fn config(self) -> TsaConfig {
        TsaConfig::new(Arc::new(self.signer), self.chain)
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "example");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2045, 1, 1);
    params
}

/// rcgen never writes this extension as critical by itself.
fn time_stamping() -> CustomExtension {
    let content = vec![0x30, 0x0A, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], content);
    extension.set_criticality(true);
    extension
}

/// A running authority.
pub(crate) struct Server {
    pub(crate) tsa: Arc<Tsa>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) cpu: CpuPool,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) router: Router,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::of(Authority::new().config())
    }

    pub(crate) fn of(config: TsaConfig) -> Self {
        let chain = config.chain.clone();
        let clock = Arc::new(FixedClock::at(NOW));
        let cpu = CpuPool::new(1);
        let tsa = Arc::new(Tsa::new(config, clock.clone(), cpu.clone()).unwrap());
        let router = server::harden(tsa::http::router(tsa.clone()), tsa::protocol());
        Self { tsa, clock, cpu, chain, router }
    }

    /// An authority whose key is `signer`, made from the key of its certificate.
    pub(crate) fn signing_with<S: Signer>(make: impl FnOnce(LocalSigner) -> S) -> Self {
        let Authority { chain, signer } = Authority::new();
        Self::of(TsaConfig::new(Arc::new(make(signer)), chain))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body }
    }

    pub(crate) async fn post(&self, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(PATH).header(header::CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn query(&self, request: &TimestampRequest) -> Answer {
        self.post(QUERY, request.to_der()).await
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap())
    }

    /// The body as a granted response to [`request`].
    #[track_caller]
    pub(crate) fn verified(&self, chain: &[Vec<u8>]) -> tsp::VerifiedTimestamp {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.header(header::CONTENT_TYPE), "application/timestamp-reply");
        verify_response(&self.body, &imprint(), chain).unwrap()
    }

    /// The body as a refusing response.
    #[track_caller]
    pub(crate) fn fail_info(&self) -> FailInfo {
        assert_eq!(self.header(header::CONTENT_TYPE), "application/timestamp-reply");
        let none: [&[u8]; 0] = [];
        let Err(VerifyError::Refused(refusal)) = verify_response(&self.body, &imprint(), &none)
        else {
            panic!("not a refusal: {self:?}");
        };
        assert_eq!(refusal.status, 2);
        assert!(refusal.text.is_some_and(|text| !text.is_empty()));
        refusal.fail_info.unwrap()
    }

    /// Checks for the JSON form of a failure and gives its message.
    #[track_caller]
    pub(crate) fn problem(&self, status: StatusCode) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header(header::CONTENT_TYPE), JSON);
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["code"], status.as_u16());
        assert_eq!(body.as_object().unwrap().len(), 2);
        body["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn imprint() -> MessageImprint {
    MessageImprint::of_message(HashAlgorithm::Sha256, b"message")
}

pub(crate) fn request() -> TimestampRequest {
    TimestampRequest::new(imprint())
}
