//! Fulcio v2 over gRPC: the same answers as over HTTP.

use crypto::{LocalSigner, Signer};
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Request, Status, metadata::MetadataValue};
use x509::LeafView;

use crate::{
    ct_log::LogAnswer,
    grpc_server::{
        GrpcServer,
        proto::{
            dev::sigstore::fulcio::v2::{
                CreateSigningCertificateRequest, Credentials, GetConfigurationRequest,
                GetTrustBundleRequest, PublicKey, PublicKeyRequest, SigningCertificate,
                create_signing_certificate_request::Key, credentials::Credentials as Token,
                oidc_issuer::Issuer, signing_certificate::Certificate,
            },
            google::rpc,
            grpc::health::v1::{
                HealthCheckRequest, HealthListRequest, health_check_response::ServingStatus,
            },
        },
    },
    stack::{EMAIL, Stack, client_key},
};

pub(crate) fn credentials(token: &str) -> Credentials {
    Credentials { credentials: Some(Token::OidcIdentityToken(token.to_owned())) }
}

/// A request with a proof of possession over `challenge`.
pub(crate) fn request(
    token: &str,
    key: &LocalSigner,
    challenge: &str,
) -> CreateSigningCertificateRequest {
    let public_key = PublicKey { algorithm: 2, content: key.public_key().to_pem() };
    let key = Key::PublicKeyRequest(PublicKeyRequest {
        public_key: Some(public_key),
        proof_of_possession: key.sign_now(challenge.as_bytes()).unwrap(),
    });
    CreateSigningCertificateRequest { credentials: Some(credentials(token)), key: Some(key) }
}

pub(crate) fn verified(stack: &Stack, issued: SigningCertificate) -> LeafView {
    let Some(Certificate::SignedCertificateEmbeddedSct(embedded)) = issued.certificate else {
        panic!("no chain with an embedded SCT")
    };
    let pems = embedded.chain.unwrap().certificates;
    assert!(pems.iter().all(|pem| pem.trim() == pem));
    let chain: Vec<_> = pems.iter().map(|pem| x509::from_pem(pem).unwrap().remove(0)).collect();
    stack.verified_chain(&chain)
}

async fn ask(
    stack: &Stack,
    request: impl tonic::IntoRequest<CreateSigningCertificateRequest>,
) -> Result<LeafView, Status> {
    let server = GrpcServer::of(stack).await;
    let answer = server.client().await.create_signing_certificate(request).await?;
    Ok(verified(stack, answer.into_inner()))
}

#[tokio::test]
async fn issues_for_a_proven_key() {
    let (stack, key) = (Stack::start().await, client_key());
    let leaf = ask(&stack, request(&stack.token(), &key, EMAIL)).await.unwrap();
    assert_eq!(leaf.public_key(), key.public_key());
    assert_eq!(leaf.subject_alternative_name().unwrap().as_str(), EMAIL);
}

#[tokio::test]
async fn issues_for_a_certificate_signing_request() {
    let stack = Stack::start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let key_of = |csr: &str| Some(Key::CertificateSigningRequest(csr.as_bytes().to_vec()));
    let credentials = Some(credentials(&stack.token()));
    let request = |csr| CreateSigningCertificateRequest {
        credentials: credentials.clone(),
        key: key_of(csr),
    };
    let leaf = ask(&stack, request(&csr)).await.unwrap();
    assert_eq!(leaf.public_key().raw(), key.public_key_raw());
    for broken in ["", &csr[..csr.len() / 2]] {
        let refused = ask(&stack, request(broken)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("signing request"), "{refused}");
    }
}

#[tokio::test]
async fn never_reads_the_algorithm() {
    let stack = Stack::start().await;
    for algorithm in [0, 1, 3, 77, -1] {
        let mut request = request(&stack.token(), &client_key(), EMAIL);
        if let Some(Key::PublicKeyRequest(key)) = &mut request.key {
            key.public_key.as_mut().unwrap().algorithm = algorithm;
        }
        ask(&stack, request).await.unwrap();
    }
}

#[tokio::test]
async fn takes_the_token_of_the_metadata() {
    let stack = Stack::start().await;
    let token = stack.token();
    for (key, value) in [
        ("oidcidentitytoken", token.clone()),
        ("authorization", format!("Bearer {token}")),
        ("authorization", token.clone()),
    ] {
        for credentials in [None, Some(credentials("")), Some(Credentials { credentials: None })] {
            let mut message = request("", &client_key(), EMAIL);
            message.credentials = credentials;
            let mut request = Request::new(message);
            request.metadata_mut().insert(key, value.parse().unwrap());
            ask(&stack, request).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_token_of_the_message_wins_and_a_key_given_twice_counts_for_nothing() {
    let stack = Stack::start().await;
    let mut call = Request::new(request(&stack.token(), &client_key(), EMAIL));
    let wrong: MetadataValue<_> = "not.a.token".parse().unwrap();
    call.metadata_mut().insert("oidcidentitytoken", wrong.clone());
    ask(&stack, call).await.unwrap();

    let mut call = Request::new(request("", &client_key(), EMAIL));
    call.metadata_mut().append("oidcidentitytoken", wrong.clone());
    call.metadata_mut().append("oidcidentitytoken", wrong);
    let refused = ask(&stack, call).await.unwrap_err();
    assert!(refused.message().contains("no identity token"), "{refused}");
}

#[tokio::test]
async fn refusals_have_the_code_and_text_of_http() {
    let stack = Stack::start().await;
    let (key, token) = (client_key(), stack.token());
    let foreign = stack.issuer.token(&stack.claims(&json!({"aud": "other"})));
    let http = |token: &str, challenge| crate::stack::request(token, &key, challenge).to_string();
    for (grpc, http) in [
        (request("", &key, EMAIL), http("", EMAIL)),
        (request("garbage", &key, EMAIL), http("garbage", EMAIL)),
        (request(&foreign, &key, EMAIL), http(&foreign, EMAIL)),
        (request(&token, &key, "other"), http(&token, "other")),
    ] {
        let expected = stack.post(http).await.refused(400, 3);
        let refused = ask(&stack, grpc).await.unwrap_err();
        let got = (refused.code(), refused.message(), refused.details());
        assert_eq!(got, (Code::InvalidArgument, expected.as_str(), b"".as_slice()));
    }
    let keyless =
        CreateSigningCertificateRequest { credentials: Some(credentials(&token)), key: None };
    let refused = ask(&stack, keyless).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let mut weak = request(&token, &key, EMAIL);
    weak.key = Some(Key::PublicKeyRequest(PublicKeyRequest::default()));
    assert_eq!(ask(&stack, weak).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn failures_have_the_code_of_http_and_say_when_to_come_back() {
    let stack = Stack::start().await;
    let sound = request(&stack.token(), &client_key(), EMAIL);
    for (answer, code) in [
        (LogAnswer::Text("{}"), Code::Internal),
        (LogAnswer::WrongSignature, Code::Internal),
        (LogAnswer::Status(503), Code::Unavailable),
    ] {
        stack.log.answer(answer);
        let refused = ask(&stack, sound.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code);
        let details = rpc::Status::decode(refused.details()).unwrap();
        if code == Code::Unavailable {
            assert_eq!((details.code, details.message.as_str()), (14, refused.message()));
            let retry = details.details.first().unwrap();
            assert_eq!(retry.type_url, "type.googleapis.com/google.rpc.RetryInfo");
            let retry = rpc::RetryInfo::decode(retry.value.as_slice()).unwrap();
            assert_eq!(retry.retry_delay.unwrap().seconds, 1);
        } else {
            assert_eq!(details, rpc::Status::default());
        }
    }
}

#[tokio::test]
async fn documents_say_what_they_say_over_http() {
    let stack = Stack::start().await;
    let server = GrpcServer::of(&stack).await;
    let get = async |path: &str| -> Value {
        reqwest::get(format!("{}{path}", server.origin())).await.unwrap().json().await.unwrap()
    };
    let mut client = server.client().await;
    let bundle = client.get_trust_bundle(GetTrustBundleRequest {}).await.unwrap().into_inner();
    let chains: Vec<_> =
        bundle.chains.iter().map(|chain| json!({"certificates": chain.certificates})).collect();
    assert_eq!(json!({ "chains": chains }), get("/api/v2/trustBundle").await);

    let answer = client.get_configuration(GetConfigurationRequest {}).await.unwrap();
    let issuers = answer.get_ref().issuers.iter().map(|issuer| {
        let Some(Issuer::IssuerUrl(url)) = &issuer.issuer else { panic!("no url") };
        json!({
            "issuerUrl": url, "audience": issuer.audience, "issuerType": issuer.issuer_type,
            "challengeClaim": issuer.challenge_claim, "subjectDomain": issuer.subject_domain,
            "spiffeTrustDomain": issuer.spiffe_trust_domain,
            "skipEmailVerification": issuer.skip_email_verification
        })
    });
    let issuers: Vec<_> = issuers.collect();
    assert_eq!(json!({ "issuers": issuers }), get("/api/v2/configuration").await);
}

#[tokio::test]
async fn health_is_serving_and_nothing_more() {
    let server = GrpcServer::of(&Stack::start().await).await;
    let mut health = server.health().await;
    for service in ["", "dev.sigstore.fulcio.v2.CA", "grpc.health.v1.Health", "other"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let watched = health.watch(HealthCheckRequest::default()).await;
    assert_eq!(watched.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(health.list(HealthListRequest {}).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn answers_carry_the_request_id() {
    let stack = Stack::start().await;
    let mut call = Request::new(request(&stack.token(), &client_key(), EMAIL));
    call.metadata_mut().insert("x-request-id", MetadataValue::from_static("mine-17"));
    let server = GrpcServer::of(&stack).await;
    let answer = server.client().await.create_signing_certificate(call).await.unwrap();
    let id = answer.metadata().get("x-request-id").unwrap();
    assert_eq!(id, "mine-17");
}

/// Bytes of the protocol, as another implementation writes them: a change of a number breaks them.
#[test]
fn field_numbers_are_upstreams() {
    let request = CreateSigningCertificateRequest {
        credentials: Some(credentials("t")),
        key: Some(Key::PublicKeyRequest(PublicKeyRequest {
            public_key: Some(PublicKey { algorithm: 2, content: "k".to_owned() }),
            proof_of_possession: vec![9],
        })),
    };
    let bytes = b"\x0a\x03\x0a\x01t\x12\x0a\x0a\x05\x08\x02\x12\x01k\x12\x01\x09";
    assert_eq!(request.encode_to_vec(), bytes);
    let csr = CreateSigningCertificateRequest {
        credentials: None,
        key: Some(Key::CertificateSigningRequest(vec![7])),
    };
    assert_eq!(csr.encode_to_vec(), b"\x1a\x01\x07");
    let answer = SigningCertificate::decode(b"\x12\x05\x0a\x03\x0a\x01c".as_slice()).unwrap();
    let Some(Certificate::SignedCertificateEmbeddedSct(embedded)) = answer.certificate else {
        panic!("{answer:?}")
    };
    assert_eq!(embedded.chain.unwrap().certificates, ["c"]);
}
