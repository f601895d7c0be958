//! What `harden` answers in place of a service, on a router without sockets.
#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, StatusCode, Version, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use server::{Failure, Protocol, RequestId, harden, read_body};
use tower::ServiceExt;

const LIMIT: usize = 16;

fn protocol() -> Protocol {
    Protocol {
        name: "test",
        body_limit: LIMIT,
        timeout: Duration::from_millis(200),
        render: |failure: &Failure| {
            (failure.status(), Json(json!({"test_error": failure.to_string()}))).into_response()
        },
    }
}

async fn echo(request: Request) -> Response {
    match read_body(request, LIMIT).await {
        Ok(body) => body.into_response(),
        Err(failure) => (protocol().render)(&failure),
    }
}

async fn id(Extension(id): Extension<RequestId>) -> String {
    id.as_str().to_owned()
}

async fn large() -> impl IntoResponse {
    (StatusCode::PAYLOAD_TOO_LARGE, Json(json!({"test_error": "an entry has at most 7 bytes"})))
}

async fn boom() -> &'static str {
    panic!("handler gave up")
}

fn service() -> Router {
    let router = Router::new()
        .route("/echo", post(echo))
        .route("/extract", post(|body: Bytes| async move { body }))
        .route("/things/{id}", get(|| async { "thing" }))
        .route("/id", get(id))
        .route("/boom", get(boom))
        .route("/large", get(large))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route("/never", get(std::future::pending::<String>))
        .route("/panic", post(boom))
        .route("/wait", post(std::future::pending::<String>));
    harden(router, protocol())
}

async fn ask(request: Request) -> (StatusCode, http::HeaderMap, Bytes) {
    let response = service().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

async fn status_and_error(request: Request) -> (u16, Option<String>) {
    let (status, _, body) = ask(request).await;
    let error = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("test_error")?.as_str()?.to_owned()));
    (status.as_u16(), error)
}

fn get_of(path: &str) -> Request {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post_of(path: &str, body: impl Into<Body>) -> Request {
    Request::post(path).body(body.into()).unwrap()
}

/// A body whose length nobody declares, in frames of four bytes.
fn chunked(frames: usize) -> Body {
    let frame = || Ok::<_, std::io::Error>(Bytes::from_static(b"four"));
    Body::from_stream(stream::iter((0..frames).map(move |_| frame())))
}

fn with_length(mut request: Request, length: usize) -> Request {
    request.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    request
}

const TOO_LONG: &str = "the request body is longer than 16 bytes";

#[tokio::test]
async fn answers_unknown_paths_and_methods_in_the_protocols_form() {
    let expected = (404, Some("no such path".to_owned()));
    assert_eq!(status_and_error(get_of("/nowhere")).await, expected);

    let (status, headers, body) = ask(get_of("/echo")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::ALLOW], "POST");
    assert!(String::from_utf8_lossy(&body).contains("this method is not allowed here"));
}

#[tokio::test]
async fn passes_a_body_of_exactly_the_limit() {
    for request in
        [post_of("/echo", vec![b'x'; LIMIT]), post_of("/echo", chunked(4)), post_of("/echo", "")]
    {
        assert_eq!(ask(request).await.0, StatusCode::OK);
    }
    assert_eq!(ask(post_of("/echo", chunked(4))).await.2, "fourfourfourfour");
}

#[tokio::test]
async fn refuses_a_declared_body_above_the_limit() {
    let request = with_length(post_of("/echo", vec![b'x'; LIMIT + 1]), LIMIT + 1);
    assert_eq!(status_and_error(request).await, (413, Some(TOO_LONG.to_owned())));
}

#[tokio::test]
async fn refuses_an_undeclared_body_above_the_limit() {
    let refused = (413, Some(TOO_LONG.to_owned()));
    assert_eq!(status_and_error(post_of("/echo", chunked(5))).await, refused);
    assert_eq!(status_and_error(post_of("/extract", chunked(5))).await, refused);
}

#[tokio::test]
async fn leaves_a_service_to_name_its_own_limits() {
    let request = Request::get("/large").body(Body::empty()).unwrap();
    let named = (413, Some("an entry has at most 7 bytes".to_owned()));
    assert_eq!(status_and_error(request).await, named);
}

#[tokio::test]
async fn reports_a_body_that_breaks_off() {
    let frames = [Ok(Bytes::from_static(b"four")), Err(std::io::Error::other("gone"))];
    let request = post_of("/echo", Body::from_stream(stream::iter(frames)));
    let expected = (400, Some("the request body could not be read".to_owned()));
    assert_eq!(status_and_error(request).await, expected);
}

#[tokio::test]
async fn ends_a_request_that_takes_too_long() {
    let (status, headers, body) = ask(get_of("/never")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert!(String::from_utf8_lossy(&body).contains("took too long"));
}

#[tokio::test]
async fn adds_retry_after_to_every_503() {
    assert_eq!(ask(get_of("/busy")).await.1[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn turns_a_panic_into_a_500_and_a_log_line_with_the_same_id() {
    // While there is one subscriber in the process, tracing asks only that of the thread which
    // meets an event first, and remembers that nobody listens. With two it asks both.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let (status, headers, body) = ask(get_of("/boom")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body, r#"{"test_error":"internal error"}"#);

    let id = headers["x-request-id"].to_str().unwrap();
    let lines = log.text();
    let line = lines.lines().find(|line| line.contains("panicked")).expect("a log line");
    assert!(line.contains(id) && line.contains("handler gave up"), "{line}");
}

#[tokio::test]
async fn takes_a_harmless_request_id_and_replaces_any_other() {
    let with_id = |id: &str| Request::get("/id").header("x-request-id", id).body(Body::empty());
    for id in ["a", "abc-DEF_1.2", "x".repeat(64).as_str()] {
        let (_, headers, body) = ask(with_id(id).unwrap()).await;
        assert_eq!((headers["x-request-id"].to_str().unwrap(), body), (id, id.to_owned().into()));
    }
    for id in ["", "a b", "a\"b", "a=b", "x".repeat(65).as_str()] {
        let (_, headers, body) = ask(with_id(id).unwrap()).await;
        let made = headers["x-request-id"].to_str().unwrap();
        assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
        assert_eq!(body, made.to_owned());
    }
}

#[tokio::test]
async fn tolerates_double_and_trailing_slashes() {
    for path in ["/things/7", "//things/7", "/things//7/", "///things/7//?a=//"] {
        assert_eq!(ask(get_of(path)).await.2, "thing", "{path}");
    }
    assert_eq!(ask(get_of("/things/")).await.0, StatusCode::NOT_FOUND);
}

/// A gRPC call, by HTTP version and content type.
fn call_of(path: &str, timeout: Option<&str>) -> Request {
    let call = Request::post(path).version(Version::HTTP_2);
    let mut call = call.header(header::CONTENT_TYPE, "application/grpc");
    if let Some(timeout) = timeout {
        call = call.header("grpc-timeout", timeout);
    }
    call.body(Body::empty()).unwrap()
}

/// The status of an answer of trailers only.
async fn grpc_status(request: Request) -> String {
    let (status, headers, body) = ask(request).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers[header::CONTENT_TYPE], "application/grpc");
    assert!(headers.contains_key("x-request-id"));
    headers["grpc-status"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn answers_grpc_calls_in_their_own_form() {
    assert_eq!(grpc_status(call_of("/pkg.Service/Method", None)).await, "12");
    assert_eq!(grpc_status(call_of("/id", None)).await, "12");
    assert_eq!(grpc_status(call_of("/panic", None)).await, "13");
    assert_eq!(grpc_status(call_of("/wait", None)).await, "14");
    assert_eq!(grpc_status(call_of("/wait", Some("20m"))).await, "4");
    assert_eq!(grpc_status(call_of("/wait", Some("1H"))).await, "14");
    assert_eq!(grpc_status(call_of("/wait", Some("soon"))).await, "13");
    assert_eq!(grpc_status(with_length(call_of("/echo", None), LIMIT + 1)).await, "8");
    let mut long = call_of("/extract", None);
    *long.body_mut() = chunked(5);
    assert_eq!(grpc_status(long).await, "8");
}

#[tokio::test]
async fn answers_everybody_else_in_the_protocols_form() {
    let mut http1 = call_of("/nowhere", Some("20m"));
    *http1.version_mut() = Version::HTTP_11;
    let mut web = call_of("/nowhere", Some("20m"));
    let grpc_web = HeaderValue::from_static("application/grpc-web");
    web.headers_mut().insert(header::CONTENT_TYPE, grpc_web);
    for request in [http1, web] {
        assert_eq!(status_and_error(request).await, (404, Some("no such path".to_owned())));
    }
}

#[tokio::test]
async fn labels_metrics_with_templates_and_never_with_paths() {
    let metrics = server::install_metrics().unwrap();
    ask(get_of("/things/very-secret-name")).await;
    ask(get_of("/also/secret")).await;
    let invented = Request::builder().method("INVENTED").uri("/id").body(Body::empty()).unwrap();
    ask(invented).await;
    ask(call_of("/pkg.Secret/Method", None)).await;

    let text = metrics.render();
    assert!(text.contains(r#"route="/things/{id}",status="200""#), "{text}");
    assert!(text.contains(r#"route="other",status="404""#), "{text}");
    assert!(text.contains(r#"method="other",route="/id",status="405""#), "{text}");
    assert!(text.contains(r#"route="other",status="200",grpc_status="12""#), "{text}");
    assert!(
        !text.contains("secret") && !text.contains("Secret") && !text.contains("INVENTED"),
        "{text}"
    );
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
