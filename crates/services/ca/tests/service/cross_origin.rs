//! What pages of other origins may do.

use axum::body::Body;
use http::{HeaderMap, Method, Request, header};

use crate::stack::{Reply, Stack};

const PATHS: [&str; 5] = [
    "/api/v2/signingCert",
    "/api/v2/trustBundle",
    "/api/v2/configuration",
    "/api/v1/signingCert",
    "/api/v1/rootCert",
];

async fn ask(stack: &Stack, method: Method, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    stack.send(request.body(Body::empty()).unwrap()).await
}

fn any_origin(headers: &HeaderMap) -> bool {
    headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|origin| origin == "*")
}

#[tokio::test]
async fn a_preflight_allows_upstreams_methods_and_headers() {
    let stack = Stack::start().await;
    let page = [("origin", "https://page.example"), ("access-control-request-method", "POST")];
    for path in PATHS {
        let reply = ask(&stack, Method::OPTIONS, path, &page).await;
        assert_eq!(reply.status, 204);
        assert!(any_origin(&reply.headers) && reply.body.is_empty());
        assert_eq!(reply.headers[header::ACCESS_CONTROL_ALLOW_METHODS], "GET, POST, HEAD");
        let headers = &reply.headers[header::ACCESS_CONTROL_ALLOW_HEADERS];
        assert_eq!(headers, "accept, content-type, x-requested-with", "and no authorization");
        assert!(!reply.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}

#[tokio::test]
async fn options_that_are_no_preflight_are_a_wrong_method() {
    let stack = Stack::start().await;
    ask(&stack, Method::OPTIONS, PATHS[0], &[]).await.refused(501, 12);
    ask(&stack, Method::OPTIONS, PATHS[0], &[("origin", "https://a.example")])
        .await
        .refused(501, 12);
    let page = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
    ask(&stack, Method::OPTIONS, "/nowhere", &page).await.refused(404, 5);
}

#[tokio::test]
async fn pages_may_read_answers_and_refusals() {
    let stack = Stack::start().await;
    for (method, path, status) in [
        (Method::GET, PATHS[1], 200),
        (Method::HEAD, PATHS[1], 200),
        (Method::GET, PATHS[4], 200),
        (Method::POST, PATHS[0], 400),
        (Method::DELETE, PATHS[0], 501),
        (Method::GET, "/nowhere", 404),
    ] {
        let reply = ask(&stack, method, path, &[("origin", "https://page.example")]).await;
        assert_eq!((reply.status.as_u16(), any_origin(&reply.headers)), (status, true), "{path}");
    }
    let answer = stack.ask(&stack.token()).await;
    stack.verified_leaf(&answer);
    assert!(any_origin(&answer.headers));
}
