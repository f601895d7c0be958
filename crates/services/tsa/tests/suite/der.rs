use std::sync::OnceLock;

use axum::body::Body;
use http::{Request, StatusCode, header};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tsp::{FailInfo, Nonce, PolicyOid, verify_response};

use crate::support::{Authority, NOW, PATH, QUERY, Server, request};

#[tokio::test]
async fn grants_a_token_that_answers_the_request() {
    let server = Server::new();
    let nonce = Nonce::from_unsigned(&[0xDE; 8]).unwrap();
    let request = request().with_nonce(nonce).with_certificates(true);
    let answer = server.query(&request).await;
    let verified = answer.verified(&server.chain);
    verified.answers(&request).unwrap();
    assert_eq!(verified.gen_time.0, NOW);
    assert_eq!(verified.policy, PolicyOid::SIGSTORE);
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
}

#[tokio::test]
async fn grants_tokens_of_a_p384_key() {
    let authority = Authority::with_leaf(&rcgen::PKCS_ECDSA_P384_SHA384, |_| {});
    let server = Server::of(authority.config());
    server.query(&request()).await.verified(&server.chain);
}

#[tokio::test]
async fn reads_the_media_type_with_parameters_in_any_case() {
    let server = Server::new();
    for content_type in ["Application/Timestamp-Query", "application/timestamp-query; a=b"] {
        let answer = server.post(content_type, request().to_der()).await;
        answer.verified(&server.chain);
    }
}

#[tokio::test]
async fn answers_on_the_paths_of_other_authorities() {
    let server = Server::new();
    for path in ["/", "/tsr", "/api/v1/timestamp/", "//api/v1//timestamp"] {
        let http = Request::post(path).header(header::CONTENT_TYPE, QUERY);
        let answer = server.send(http.body(Body::from(request().to_der())).unwrap()).await;
        answer.verified(&server.chain);
    }
}

#[tokio::test]
async fn accepts_the_default_policy_and_those_of_the_list_only() {
    let mut config = Authority::new().config();
    config.policy = "1.2.3".parse().unwrap();
    config.accepted_policies = vec!["1.2.4".parse().unwrap()];
    let server = Server::of(config);
    let verified = server.query(&request()).await.verified(&server.chain);
    assert_eq!(verified.policy.to_string(), "1.2.3");
    for accepted in ["1.2.3", "1.2.4"] {
        let request = request().with_policy(accepted.parse().unwrap());
        server.query(&request).await.verified(&server.chain).answers(&request).unwrap();
    }
    let answer = server.query(&request().with_policy(PolicyOid::SIGSTORE)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.fail_info(), FailInfo::UnacceptedPolicy);
}

#[tokio::test]
async fn refuses_with_the_failure_that_fits() {
    let server = Server::new();
    let good = request().to_der();
    let change = |position: usize, byte: u8| {
        let mut der = good.clone();
        der[position] = byte;
        der
    };
    // version, length and kind of the digest's algorithm, a digest of another length
    let sha1 = [
        &[0x30, 0x26, 2, 1, 1, 0x30, 0x21, 0x30, 9, 6, 5, 0x2B, 0x0E, 3, 2, 0x1A, 5, 0, 4, 20][..],
        &[0; 20],
    ]
    .concat();
    let mut extended = [&good[..], &[0xA0, 9, 0x30, 7, 6, 3, 0x2A, 3, 4, 4, 0]].concat();
    extended[1] += 11;
    let mut long_nonce = [&good[..], &[2, 70], &[1; 70]].concat();
    long_nonce[1] += 72;
    for (name, body, fail_info) in [
        ("version", change(4, 2), FailInfo::BadRequest),
        ("sha1", fix_lengths(sha1), FailInfo::BadAlg),
        ("unknown algorithm", change(19, 9), FailInfo::BadAlg),
        ("digest length", change(19, 3), FailInfo::BadDataFormat),
        ("extension", extended, FailInfo::UnacceptedExtension),
        ("nonce", long_nonce, FailInfo::BadRequest),
        ("trailing", [&good[..], &[0]].concat(), FailInfo::BadDataFormat),
        ("truncated", good[..good.len() - 1].to_vec(), FailInfo::BadDataFormat),
        ("garbage", b"garbage".to_vec(), FailInfo::BadDataFormat),
        ("empty", Vec::new(), FailInfo::BadDataFormat),
        ("nested", [0x30, 0x80].repeat(2000), FailInfo::BadDataFormat),
    ] {
        let answer = server.post(QUERY, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!(answer.fail_info(), fail_info, "{name}");
    }
}

/// Sets the lengths of the two outer sequences of a hand-written request.
fn fix_lengths(mut der: Vec<u8>) -> Vec<u8> {
    der[1] = u8::try_from(der.len() - 2).unwrap();
    der[6] = u8::try_from(der.len() - 7).unwrap();
    der
}

#[tokio::test]
async fn refuses_a_body_that_is_too_long() {
    let server = Server::new();
    let message = server.post(QUERY, vec![0x30; 8193]).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(message, "the request body is too long");
    // Without a Content-Length, so that the limit must hold while reading.
    let chunks = std::iter::repeat_n("x".repeat(1024), 9).map(Ok::<_, std::io::Error>);
    let answer = server.post(QUERY, Body::from_stream(futures::stream::iter(chunks))).await;
    answer.problem(StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn refuses_a_body_that_breaks_off() {
    let chunks = [Ok("0"), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures::stream::iter(chunks));
    Server::new().post(QUERY, body).await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn gives_every_token_another_serial_number_under_concurrency() {
    let server = Server::new();
    let request = request();
    let answers = futures::future::join_all((0..200).map(|_| server.query(&request))).await;
    let serials: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.verified(&server.chain).serial_number).collect();
    assert_eq!(serials.len(), 200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn answers_arbitrary_bytes_with_a_refusal_or_a_token_that_verifies(
        position in 0usize..120,
        bytes in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        static SHARED: OnceLock<(Runtime, Server)> = OnceLock::new();
        let (runtime, server) =
            SHARED.get_or_init(|| (Runtime::new().unwrap(), Server::new()));
        let mut body = request().with_certificates(true).to_der();
        let position = position.min(body.len());
        body.splice(position..(position + bytes.len()).min(body.len()), bytes);
        let http = Request::post(PATH).header(header::CONTENT_TYPE, QUERY);
        let http = http.body(Body::from(body.clone())).unwrap();
        let answer = runtime.block_on(server.send(http));
        prop_assert_eq!(answer.status, StatusCode::OK);
        if let Ok(read) = tsp::TimestampRequest::from_der(&body)
            && read.policy().is_none()
        {
            let verified = verify_response(&answer.body, read.imprint(), &server.chain).unwrap();
            verified.answers(&read).unwrap();
        } else {
            answer.fail_info();
        }
    }
}
