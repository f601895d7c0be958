use std::{num::NonZeroU32, time::Duration};

use axum::{Extension, body::Body};
use http::{Method, Request, StatusCode, header};
use server::{Allowance, CallerAddress, PeerLimits, Rate};
use tsp::FailInfo;

use crate::support::{JSON, PATH, Server, request};

#[tokio::test]
async fn refuses_missing_and_other_media_types() {
    let server = Server::new();
    let without = Request::post(PATH).body(Body::from(request().to_der())).unwrap();
    server.send(without).await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let hostile = format!("application/json{}", ";a=b".repeat(1000));
    for content_type in ["application/foo", "text/plain", "application/timestamp-reply", &hostile] {
        let answer = server.post(content_type, request().to_der()).await;
        answer.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn refuses_other_methods_and_paths_in_json() {
    let server = Server::new();
    for (method, path, status) in [
        (Method::GET, PATH, StatusCode::METHOD_NOT_ALLOWED),
        (Method::PUT, PATH, StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/api/v1/timestamp/certchain", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/api/v1/other", StatusCode::NOT_FOUND),
        (Method::POST, "/api/v2/timestamp", StatusCode::NOT_FOUND),
    ] {
        let http = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        server.send(http).await.problem(status);
    }
}

#[tokio::test]
async fn names_the_request_in_every_answer() {
    let server = Server::new();
    let answer = server.query(&request()).await;
    assert!(!answer.header(header::HeaderName::from_static("x-request-id")).is_empty());
}

#[tokio::test]
async fn a_peer_that_had_enough_is_told_when_it_may_come_in_the_form_of_its_request() {
    let rate = Rate { interval: Duration::from_hours(1), burst: NonZeroU32::MIN };
    let limits =
        PeerLimits::new("tsa.test", &Allowance { rate: Some(rate), ..Allowance::default() });
    let mut server = Server::new();
    let address = CallerAddress(std::net::Ipv4Addr::LOCALHOST.into());
    server.router = server.router.layer(Extension(limits)).layer(Extension(address));
    server.query(&request()).await.verified(&server.chain);
    let refused = server.query(&request()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header(header::RETRY_AFTER), "3600");
    assert_eq!(refused.fail_info(), FailInfo::SystemFailure);
    let refused = server.post(JSON, "{}").await;
    assert_eq!(refused.header(header::RETRY_AFTER), "3600");
    assert!(refused.problem(StatusCode::TOO_MANY_REQUESTS).contains("try again in 3600 s"));
}
