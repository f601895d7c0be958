use std::time::Duration;

use super::{Seen, Server, quick_http, response};
use crate::services::{
    HttpClient, HttpLimits, IdentityToken, Service, ServiceError, ServiceKind, ServiceUrl,
    http::{Call, SentToken},
    identity_token::tests::token_of,
};

const KIND: ServiceKind = ServiceKind::CertificateAuthority;

async fn post(
    http: &HttpClient,
    url: ServiceUrl,
    token: Option<&IdentityToken>,
) -> Result<Vec<u8>, ServiceError> {
    let service = Service { kind: KIND, url };
    let call = Call {
        service: &service,
        url: service.url.join("/path"),
        content_type: "text/plain",
        accept: "text/html",
        body: b"question".to_vec(),
        token: token.map(SentToken::InBody),
        repeatable: false,
    };
    let result = http.post(&call).await;
    if let Err(error) = &result {
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("certificate authority") && !shown.contains("hidden"), "{shown}");
    }
    result
}

/// Posts to a server of one answer; gives its error and how often it was asked.
async fn error_of(answer: Vec<u8>) -> (ServiceError, usize) {
    let server = Server::always(answer).await;
    let error = post(&quick_http(), server.url(), None).await.unwrap_err();
    (error, server.seen().len())
}

#[tokio::test]
async fn gives_the_body_of_200_and_201() {
    for status in ["200 OK", "201 Created"] {
        let server = Server::always(response(status, "", b"answer")).await;
        assert_eq!(post(&quick_http(), server.url(), None).await.unwrap(), b"answer");
        let [Seen { head, body }] = server.seen().try_into().unwrap();
        assert_eq!(body, b"question");
        assert!(head.starts_with("post /path http/1.1"));
        for header in ["user-agent: countersign/", "content-type: text/plain", "accept: text/html"]
        {
            assert!(head.contains(header), "{head}");
        }
    }
}

#[tokio::test]
async fn tries_again_after_429_and_503() {
    let server = Server::start(|count, _| {
        Some(match count {
            0 => response("503 Service Unavailable", "", b""),
            1 => response("429 Too Many Requests", "retry-after: 0\r\n", b""),
            _ => response("200 OK", "", b"answer"),
        })
    })
    .await;
    assert_eq!(post(&quick_http(), server.url(), None).await.unwrap(), b"answer");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn gives_up_after_three_attempts() {
    let body = br#"{"code":14,"message":"the database is away","details":[]}"#;
    let (error, asked) = error_of(response("503 Service Unavailable", "", body)).await;
    assert_eq!((error.exit_code(), asked), (3, 3));
    assert!(error.to_string().contains("it answered 503 (the database is away); try again later"));
}

#[tokio::test]
async fn does_not_wait_as_long_as_a_service_pleases() {
    let answer = response("429 Too Many Requests", "retry-after: 6\r\n", b"slow down");
    let (error, asked) = error_of(answer).await;
    assert_eq!((error.exit_code(), asked), (3, 1));
    assert!(error.to_string().contains("(slow down), and asks to come back in 6 s"));
}

#[tokio::test]
async fn takes_a_client_error_for_an_answer() {
    let body = br#"{"code":3,"message":"the token\u0007 is expired"}"#;
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found"] {
        let (error, asked) = error_of(response(status, "", body)).await;
        assert!(matches!(error, ServiceError::Refused { .. }));
        assert_eq!((error.exit_code(), asked), (4, 1));
        let said = r"(the token\u{7} is expired); its own words say why";
        assert!(error.to_string().contains(said));
    }
}

/// One sentence for all sent people to look at their audience when their address was not verified.
#[tokio::test]
async fn advice_is_by_the_reason_that_the_service_gives() {
    for (reason, advice) in [
        ("email_not_verified", "have the address verified"),
        ("audience", "for an audience that is accepted"),
        ("unknown_issuer", "from an issuer that the authority accepts"),
        ("expired", "get a new token and sign at once"),
        ("rule", "sign where the operator's rule lets you"),
    ] {
        let headers = format!("countersign-reason: {reason}\r\nx-request-id: r-17\r\n");
        let (error, asked) = error_of(response("400 Bad Request", &headers, b"no")).await;
        assert_eq!((error.exit_code(), asked), (4, 1));
        let said = error.to_string();
        assert!(said.contains(advice) && said.contains("(no), request id r-17; "), "{said}");
        assert_eq!(said.contains("audience"), reason == "audience", "{said}");
    }
    let hostile = "countersign-reason: drop tables\r\nx-request-id: a b\r\n";
    let (error, _) = error_of(response("400 Bad Request", hostile, b"no")).await;
    let said = error.to_string();
    assert!(
        said.ends_with(
            "it answered 400 (no); its own words say why; ask its operator if they do not"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn what_the_operator_has_to_mend_is_not_tried_again() {
    let misconfigured = "countersign-reason: issuer_misconfigured\r\n";
    let (error, asked) = error_of(response("500 Internal Server Error", misconfigured, b"")).await;
    assert_eq!((error.exit_code(), asked), (4, 1));
    assert!(error.to_string().contains("trying again does not help"), "{error}");
    let away = "countersign-reason: issuer_unavailable\r\n";
    let (error, asked) = error_of(response("503 Service Unavailable", away, b"")).await;
    assert_eq!((error.exit_code(), asked), (3, 3));
}

#[tokio::test]
async fn shortens_what_a_service_says() {
    let (error, _) = error_of(response("400 Bad Request", "", "ü".repeat(5000).as_bytes())).await;
    assert_eq!(error.to_string().matches('ü').count(), 300);
}

#[tokio::test]
async fn does_not_show_a_token_that_a_service_repeats() {
    let token = token_of(r#"{"sub":"42"}"#);
    for body in [&[0; 0][..], b"a".repeat(290).as_slice()] {
        let server = Server::start({
            let body = [body, b" bad token ", token.compact().as_bytes()].concat();
            move |_, _| Some(response("401 Unauthorized", "", &body))
        })
        .await;
        let error = post(&quick_http(), server.url(), Some(&token)).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        for part in token.compact().split('.') {
            assert!(!shown.contains(&part[..4]), "{shown}");
        }
    }
}

#[tokio::test]
async fn does_not_follow_redirects() {
    let target = Server::always(response("200 OK", "", b"answer")).await;
    let location = format!("location: http://{}/\r\n", target.address);
    for status in ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let (error, asked) = error_of(response(status, &location, b"")).await;
        assert!(matches!(error, ServiceError::Malformed { .. }), "{error}");
        assert_eq!(asked, 1);
    }
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn rejects_answers_that_are_longer_than_the_limit() {
    let limits = HttpLimits { max_answer_len: 8, ..HttpLimits::default() };
    let http = HttpClient::with_limits(limits).unwrap();
    let endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n123456789".to_vec();
    for answer in [response("200 OK", "", b"123456789"), endless] {
        let server = Server::always(answer).await;
        let error = post(&http, server.url(), None).await.unwrap_err();
        assert!(matches!(error, ServiceError::Malformed { .. }), "{error}");
    }
    let server = Server::always(response("200 OK", "", b"12345678")).await;
    post(&http, server.url(), None).await.unwrap();
}

#[tokio::test]
async fn does_not_take_half_an_answer() {
    let mut answer = response("200 OK", "", b"answer");
    answer.truncate(answer.len() - 1);
    let (error, asked) = error_of(answer).await;
    assert!(matches!(error, ServiceError::Unreachable { .. }), "{error}");
    assert_eq!((error.exit_code(), asked), (3, 1));
}

#[tokio::test]
async fn does_not_wait_for_ever() {
    let server = Server::start(|_, _| None).await;
    let limits = HttpLimits { total_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let http = HttpClient::with_limits(limits).unwrap();
    let error = post(&http, server.url(), None).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("it did not answer in time"), "{error}");
}

#[tokio::test]
async fn says_when_nobody_listens() {
    let server = Server::always(Vec::new()).await;
    let url = server.url();
    server.task.abort();
    while !server.task.is_finished() {
        tokio::task::yield_now().await;
    }
    let error = post(&quick_http(), url, None).await.unwrap_err();
    assert!(matches!(error, ServiceError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
