//! What gRPC callers cannot do, against a listening server.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ca::CaConfig;
use futures::{StreamExt, future::join_all, stream};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use proptest::prelude::*;
use prost::Message;
use tonic::body::Body;

use crate::{
    grpc::{request, verified},
    grpc_server::{GrpcServer, proto::dev::sigstore::fulcio::v2::SigningCertificate},
    h2_frames::{self as h2, Frames},
    stack::{EMAIL, Stack, Wishes, client_key},
};

const CREATE: &str = "/dev.sigstore.fulcio.v2.CA/CreateSigningCertificate";
const BUNDLE: &str = "/dev.sigstore.fulcio.v2.CA/GetTrustBundle";

const INVALID_ARGUMENT: &str = "3";
const DEADLINE_EXCEEDED: &str = "4";
const RESOURCE_EXHAUSTED: &str = "8";
const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";
const UNAVAILABLE: &str = "14";

/// Far above what a test should take, so that only a hang runs into it.
const PATIENCE: Duration = Duration::from_secs(20);

fn whole(bytes: impl Into<Bytes>) -> Body {
    Body::new(Full::new(bytes.into()))
}

/// `begin`, and then nothing for ever.
fn unfinished(begin: &[u8]) -> Body {
    let begin = Frame::data(Bytes::copy_from_slice(begin));
    let begin = stream::iter([Ok::<_, tonic::Status>(begin)]);
    Body::new(StreamBody::new(begin.chain(stream::pending())))
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

fn call(server: &GrpcServer, path: &str, body: Body) -> Request<Body> {
    let request = Request::post(format!("{}{path}", server.origin()));
    request.header(header::CONTENT_TYPE, "application/grpc").body(body).unwrap()
}

async fn send(server: &GrpcServer, request: Request<Body>) -> Response<Incoming> {
    let mut connection = server.connect().await.0;
    tokio::time::timeout(PATIENCE, connection.send_request(request)).await.unwrap().unwrap()
}

/// Asserts an answer of trailers only: HTTP 200, everything in the head, and no body.
#[track_caller]
fn trailers_only(response: &Response<Incoming>, status: &str) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers();
    assert_eq!(headers["grpc-status"], status, "{headers:?}");
    assert_eq!(headers[header::CONTENT_TYPE], "application/grpc");
    assert!(response.body().is_end_stream());
    headers["grpc-message"].to_str().unwrap().to_owned()
}

async fn refused(server: &GrpcServer, path: &str, body: Body, status: &str) -> String {
    trailers_only(&send(server, call(server, path, body)).await, status)
}

#[tokio::test]
async fn a_declared_length_of_four_gibibytes_is_refused_at_once_and_costs_no_memory() {
    let server = GrpcServer::of(&Stack::start().await).await;
    let connection = server.connect().await.0;
    let before = resident_bytes();
    let calls = (0..300).map(|_| {
        let mut connection = connection.clone();
        let call = call(&server, CREATE, unfinished(&[0, 0xff, 0xff, 0xff, 0xff, 1]));
        async move { connection.send_request(call).await.unwrap() }
    });
    for answer in tokio::time::timeout(PATIENCE, join_all(calls)).await.unwrap() {
        let message = trailers_only(&answer, RESOURCE_EXHAUSTED);
        assert!(message.contains("4294967295"), "{message}");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let server = GrpcServer::of(&Stack::start().await).await;
    for length in [(64 << 10) + 1, 4 << 20, 5 << 20] {
        refused(&server, CREATE, whole(framed(&vec![b'.'; length])), RESOURCE_EXHAUSTED).await;
    }
    let token = request(&".".repeat(4 << 20), &client_key(), EMAIL).encode_to_vec();
    refused(&server, CREATE, whole(framed(&token)), RESOURCE_EXHAUSTED).await;
    let long_token = request(&".".repeat(20 << 10), &client_key(), EMAIL).encode_to_vec();
    let message = refused(&server, CREATE, whole(framed(&long_token)), INVALID_ARGUMENT).await;
    assert!(message.contains("16384"), "{message}");
    // A length of HTTP, in place of the message's own.
    let mut announced = call(&server, CREATE, whole(""));
    *announced.body_mut() = unfinished(&[]);
    announced.headers_mut().insert(header::CONTENT_LENGTH, (1_u64 << 40).into());
    trailers_only(&send(&server, announced).await, RESOURCE_EXHAUSTED);
}

#[tokio::test]
async fn unknown_methods_and_services_are_unimplemented() {
    let server = GrpcServer::of(&Stack::start().await).await;
    for path in [
        "/dev.sigstore.fulcio.v2.CA/Other",
        "/dev.sigstore.fulcio.v2.CA/createSigningCertificate",
        "/dev.sigstore.fulcio.v2.CA",
        "/dev.sigstore.fulcio.v1beta.CA/CreateSigningCertificate",
        "/grpc.health.v1.Health/Other",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        let response = send(&server, call(&server, path, whole(framed(b"")))).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["grpc-status"], UNIMPLEMENTED, "{path}");
        assert!(response.body().is_end_stream(), "{path}");
    }
}

#[tokio::test]
async fn garbage_and_wrong_wire_types_are_internal_as_in_grpc_go() {
    let server = GrpcServer::of(&Stack::start().await).await;
    for message in [
        b"garbage".as_slice(),
        &[0xff; 40],
        b"\x0a\x05\x0a\x01t",    // credentials longer than the message
        b"\x08\x01",             // credentials as a number
        b"\x0a\x03\x0a\x01\xff", // a token that is not UTF-8
        b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // a request of 2^64 bytes
    ] {
        refused(&server, CREATE, whole(framed(message)), INTERNAL).await;
    }
    for framing in [b"".as_slice(), b"\0\0\0", b"\0\0\0\0\x09abc", b"\0\0\0\0\0\0", b"\x02\0\0\0\0"]
    {
        refused(&server, CREATE, whole(framing), INTERNAL).await;
    }
    // Unknown fields are skipped, and an empty message is a request without a key.
    for message in [b"".as_slice(), b"\xfa\x01\x01x"] {
        refused(&server, CREATE, whole(framed(message)), INVALID_ARGUMENT).await;
    }
}

#[tokio::test]
async fn groups_nested_without_end_are_refused() {
    let server = GrpcServer::of(&Stack::start().await).await;
    refused(&server, CREATE, whole(framed(&vec![0x7b; 60_000])), INTERNAL).await;
}

#[tokio::test]
async fn compressed_messages_are_unimplemented() {
    let server = GrpcServer::of(&Stack::start().await).await;
    for flag in [0, 1] {
        let mut call = call(&server, BUNDLE, whole(vec![flag, 0, 0, 0, 0]));
        call.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        let answer = send(&server, call).await;
        trailers_only(&answer, UNIMPLEMENTED);
        assert_eq!(answer.headers()["grpc-accept-encoding"], "identity");
    }
    let message = refused(&server, BUNDLE, whole(vec![1, 0, 0, 0, 0]), INTERNAL).await;
    assert!(message.contains("without encoding"), "{message}");
}

/// The message and the trailers of an answer.
async fn answered(response: Response<Incoming>) -> (Bytes, HeaderMap) {
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.headers().contains_key("grpc-status"), "{:?}", response.headers());
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().unwrap().clone();
    (body.to_bytes(), trailers)
}

#[tokio::test]
async fn a_call_without_te_and_with_any_codec_name_is_answered() {
    let server = GrpcServer::of(&Stack::start().await).await;
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
        let mut call = call(&server, BUNDLE, whole(framed(b"")));
        call.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        assert!(!call.headers().contains_key(header::TE));
        let (message, trailers) = answered(send(&server, call).await).await;
        assert_eq!(trailers["grpc-status"], "0");
        assert!(message.windows(11).any(|part| part == b"CERTIFICATE"));
    }
}

#[tokio::test]
async fn other_content_types_methods_and_versions_are_refused_as_in_grpc_go() {
    let server = GrpcServer::of(&Stack::start().await).await;
    for (content_type, method, status) in [
        ("application/json", "POST", 415),
        ("application/grpc-web", "POST", 415),
        ("application/grpc", "GET", 405),
    ] {
        let mut call = call(&server, BUNDLE, whole(framed(b"")));
        call.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        *call.method_mut() = method.parse().unwrap();
        assert_eq!(send(&server, call).await.status(), status);
    }
    let http1 = reqwest::Client::new();
    let url = |path| format!("{}{path}", server.origin());
    let request = http1.post(url(CREATE)).header(header::CONTENT_TYPE, "application/grpc");
    let response = request.body(framed(b"")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    let json: serde_json::Value = response.json().await.unwrap();
    assert_eq!(json["code"], 12);
    // HTTP's own paths ignore the content type.
    let request = http1.get(url("/api/v2/trustBundle"));
    let response = request.header(header::CONTENT_TYPE, "application/grpc").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

async fn impatient() -> Stack {
    let timeout = Some(Duration::from_millis(200));
    Stack::with(Wishes { timeout, ..Wishes::default() }).await
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_off() {
    let server = GrpcServer::of(&impatient().await).await;
    for begin in [b"".as_slice(), b"\0\0\0", b"\0\0\0\0\x09abc", b"\0\0\0\0\0"] {
        refused(&server, CREATE, unfinished(begin), UNAVAILABLE).await;
    }
}

#[tokio::test]
async fn a_call_of_one_byte_at_a_time_is_cut_off() {
    let server = GrpcServer::of(&impatient().await).await;
    let message = stream::iter(framed(&vec![b'.'; 60_000])).then(|byte| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, tonic::Status>(Frame::data(Bytes::from(vec![byte])))
    });
    let started = Instant::now();
    refused(&server, CREATE, Body::new(StreamBody::new(message)), UNAVAILABLE).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_callers_deadline_counts_when_it_is_the_shorter_one() {
    let server = GrpcServer::of(&Stack::start().await).await;
    let timed = |timeout: &str, body| {
        let mut call = call(&server, CREATE, body);
        call.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        call
    };
    let answer = send(&server, timed("50m", unfinished(b"\0"))).await;
    trailers_only(&answer, DEADLINE_EXCEEDED);
    for malformed in ["5", "1s", "", "123456789S"] {
        let answer = send(&server, timed(malformed, whole(framed(b"")))).await;
        assert!(trailers_only(&answer, INTERNAL).contains("grpc-timeout"));
    }
    let server = GrpcServer::of(&impatient().await).await;
    let mut patient = call(&server, CREATE, unfinished(b"\0"));
    patient.headers_mut().insert("grpc-timeout", "1H".parse().unwrap());
    trailers_only(&send(&server, patient).await, UNAVAILABLE);
}

#[tokio::test]
async fn hundreds_of_calls_on_one_connection_wait_their_turn_and_are_answered() {
    const AT_ONCE: usize = 100;
    // The log answers when all are there, however slow the machine.
    let settings = |config: &mut CaConfig| config.ct.timeout_ms = 60_000;
    let timeout = Some(Duration::from_mins(1));
    let stack = Stack::with(Wishes { settings, timeout, ..Wishes::default() }).await;
    let server = GrpcServer::of(&stack).await;
    let held = stack.log.hold();
    let connection = server.connect().await.0;
    let message = framed(&request(&stack.token(), &client_key(), EMAIL).encode_to_vec());
    let calls = (0..AT_ONCE + 50).map(|_| {
        let mut connection = connection.clone();
        let call = call(&server, CREATE, whole(message.clone()));
        tokio::spawn(async move { answered(connection.send_request(call).await.unwrap()).await })
    });
    let calls: Vec<_> = calls.collect();
    let asked = async {
        while stack.log.submissions() < AT_ONCE {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE * 3, asked).await.unwrap();
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stack.log.submissions(), AT_ONCE);
    drop(held);
    for call in calls {
        let (message, trailers) = tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        verified(&stack, SigningCertificate::decode(&message[5..]).unwrap());
    }
}

#[tokio::test]
async fn huge_metadata_is_refused_and_the_connection_lives_on() {
    let server = GrpcServer::of(&Stack::start().await).await;
    let mut connection = server.connect().await.0;
    let mut huge = call(&server, BUNDLE, whole(framed(b"")));
    for number in 0..10 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        huge.headers_mut().insert(name, "x".repeat(10 << 10).parse().unwrap());
    }
    let status = connection.send_request(huge).await.map(|response| response.status());
    assert!(status.is_err() || status.unwrap() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let sound = connection.send_request(call(&server, BUNDLE, whole(framed(b"")))).await.unwrap();
    assert_eq!(answered(sound).await.1["grpc-status"], "0");
}

#[tokio::test]
async fn announces_its_limits() {
    let server = GrpcServer::of(&Stack::start().await).await;
    let settings = Frames::connect(server.address).await.next_of(h2::SETTINGS).await.unwrap();
    let setting = |id: u16| {
        let (pairs, _) = settings.payload.as_chunks::<6>();
        let pair = pairs.iter().find(|pair| u16::from_be_bytes([pair[0], pair[1]]) == id);
        pair.map(|pair| u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]))
    };
    assert_eq!(setting(3), Some(100), "concurrent streams");
    assert_eq!(setting(4), Some(128 << 10), "window of a stream");
    assert_eq!(setting(6), Some(24 << 10), "header list");
}

/// The reason of the GOAWAY that ends a connection.
async fn dismissal(mut frames: Frames) -> u32 {
    let goaway = tokio::time::timeout(PATIENCE, frames.next_of(h2::GOAWAY)).await.unwrap();
    let payload = goaway.unwrap().payload;
    u32::from_be_bytes(payload[4..8].try_into().unwrap())
}

const ENHANCE_YOUR_CALM: u32 = 0xb;

/// CVE-2023-44487.
#[tokio::test]
async fn survives_a_flood_of_calls_that_are_taken_back() {
    let stack = Stack::start().await;
    let server = GrpcServer::of(&stack).await;
    let mut frames = Frames::connect(server.address).await;
    let head = h2::call_head(CREATE);
    let mut flood = Vec::new();
    for stream in (1..20_000).step_by(2) {
        flood.extend(h2::frame(h2::HEADERS, h2::END_HEADERS, stream, &head));
        flood.extend(h2::frame(h2::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    frames.send(&flood).await;
    assert_eq!(dismissal(frames).await, ENHANCE_YOUR_CALM);
    let mut client = server.client().await;
    let sound = request(&stack.token(), &client_key(), EMAIL);
    let answer = client.create_signing_certificate(sound).await.unwrap();
    verified(&stack, answer.into_inner());
}

/// CVE-2024-27316 and its like.
#[tokio::test]
async fn survives_a_head_without_end() {
    let server = GrpcServer::of(&Stack::start().await).await;
    let mut frames = Frames::connect(server.address).await;
    let mut flood = h2::frame(h2::HEADERS, h2::END_STREAM, 1, &h2::call_head(BUNDLE));
    let mut more = Vec::new();
    for _ in 0..100 {
        h2::literal(&mut more, "x-flood", &"x".repeat(100));
    }
    for _ in 0..1000 {
        flood.extend(h2::frame(h2::CONTINUATION, 0, 1, &more));
    }
    frames.send(&flood).await;
    assert_eq!(dismissal(frames).await, ENHANCE_YOUR_CALM);
    let sound = send(&server, call(&server, BUNDLE, whole(framed(b"")))).await;
    assert_eq!(answered(sound).await.1["grpc-status"], "0");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_message_gets_an_answer_of_the_protocol(
        message in prop::collection::vec(any::<u8>(), 0..200), is_framed in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = GrpcServer::of(&Stack::start().await).await;
            let body = if is_framed { framed(&message) } else { message };
            let answer = send(&server, call(&server, CREATE, whole(body))).await;
            let status = answer.headers()["grpc-status"].to_str().unwrap();
            assert!(["3", "8", "13"].contains(&status), "{status}");
        });
    }
}
