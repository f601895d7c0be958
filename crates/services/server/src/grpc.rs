//! gRPC where the shared layers must speak it: the one message of a unary call, its deadline, and
//! answers in place of a service (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::time::Duration;

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use http_body_util::BodyExt;

use crate::{Failure, body::Unfinished};

/// Whether `request` is a gRPC call: HTTP/2, and a content type of gRPC, not of gRPC-Web.
#[must_use]
pub fn is_grpc(request: &Request) -> bool {
    request.version() == Version::HTTP_2 && has_grpc_content_type(request.headers())
}

/// Whether the content type is `application/grpc`, with or without a codec's name.
#[must_use]
pub fn has_grpc_content_type(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|name| name.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Reads the one message of a unary call, whose length is at most `limit` bytes, and gives the
/// call back with that message as its whole body.
///
/// A message is refused by the length that it declares, before it is read or memory is reserved.
/// Half-read messages count on the budgets of [`read_body`](crate::read_body).
///
/// # Errors
/// The whole answer: `RESOURCE_EXHAUSTED` for a long message, `UNIMPLEMENTED` for a compressed
/// one, `INTERNAL` for wrong framing, as grpc-go has them.
pub async fn read_unary(request: Request, limit: usize) -> Result<Request, GrpcError> {
    let (parts, mut body) = request.into_parts();
    if let Some(encoding) = parts.headers.get(GRPC_ENCODING)
        && encoding != IDENTITY
    {
        return Err(GrpcError::of(Code::Unimplemented, "compressed messages are not supported"));
    }
    let mut message = Unfinished::of(&parts, limit.saturating_add(PREFIX_LEN));
    let mut expected = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| GrpcError::from(&Failure::BodyUnreadable))?;
        let Ok(frame) = frame.into_data() else {
            continue; // trailers
        };
        message.push(frame).map_err(|failure| GrpcError::from(&failure))?;
        if expected.is_none() {
            expected = framed_length(message.as_slice(), limit)?;
        }
        if expected.is_some_and(|length| message.as_slice().len() > length) {
            return Err(GrpcError::of(Code::Internal, "more than one message in a unary call"));
        }
    }
    if expected != Some(message.as_slice().len()) {
        return Err(GrpcError::of(Code::Internal, "the message ends before its declared length"));
    }
    Ok(Request::from_parts(parts, Body::from(message.into_bytes())))
}

/// The length of the message and its prefix, as soon as the prefix is there.
fn framed_length(begin: &[u8], limit: usize) -> Result<Option<usize>, GrpcError> {
    let Some((&[flag, a, b, c, d], _)) = begin.split_first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    match flag {
        0 => {}
        // The specification: INTERNAL, since no encoding was named.
        1 => return Err(GrpcError::of(Code::Internal, "a compressed message without encoding")),
        _ => return Err(GrpcError::of(Code::Internal, "no such compression flag")),
    }
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(Some(PREFIX_LEN + length)),
        _ => {
            let message = format!("a message of {length} bytes, the limit is {limit} bytes");
            Err(GrpcError { code: Code::ResourceExhausted, message, retry_after_s: None })
        }
    }
}

/// Compression flag and length.
const PREFIX_LEN: usize = 5;

/// The caller's `grpc-timeout`.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, GrpcError> {
    headers.get("grpc-timeout").map_or(Ok(None), |value| {
        let timeout = value.to_str().ok().and_then(parse_timeout);
        timeout.map(Some).ok_or(GrpcError::of(Code::Internal, "malformed grpc-timeout"))
    })
}

/// At most eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    const MAX_DIGITS: usize = 8;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The codes that the shared layers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

/// A call that ends without its service: an answer of trailers only, HTTP 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcError {
    code: Code,
    message: String,
    /// Seconds until trying again makes sense.
    retry_after_s: Option<u64>,
}

impl GrpcError {
    /// What is wrong, for the caller and the log.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    fn of(code: Code, message: &str) -> Self {
        Self { code, message: message.to_owned(), retry_after_s: None }
    }

    /// The caller's own deadline has passed.
    pub(crate) fn deadline_exceeded() -> Self {
        Self::of(Code::DeadlineExceeded, "the call's deadline has passed")
    }

    /// The answer.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, HeaderValue::from(self.code as u16));
        if let Ok(message) = HeaderValue::from_maybe_shared(percent_encoded(&self.message)) {
            headers.insert(GRPC_MESSAGE, message);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unimplemented {
            headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(IDENTITY));
        }
        response
    }
}

impl From<&Failure> for GrpcError {
    /// What has code 14 in JSON has it here too; an unknown path is an unknown method.
    fn from(failure: &Failure) -> Self {
        let code = match failure {
            Failure::NotFound | Failure::MethodNotAllowed => Code::Unimplemented,
            Failure::BodyTooLarge { .. } | Failure::RateLimited { .. } => Code::ResourceExhausted,
            Failure::BodyUnreadable | Failure::Internal => Code::Internal,
            Failure::Timeout | Failure::Overloaded | Failure::ShuttingDown => Code::Unavailable,
        };
        let message = match failure {
            Failure::NotFound | Failure::MethodNotAllowed => "no such method".to_owned(),
            failure => failure.to_string(),
        };
        let retry_after_s = match failure {
            Failure::RateLimited { retry_after_s } => Some(*retry_after_s),
            _ => None,
        };
        Self { code, message, retry_after_s }
    }
}

/// The status of an answer as a metric's label: a code, or `0` where it is in the trailers.
pub(crate) fn status_label(headers: &HeaderMap) -> String {
    let status = headers.get(GRPC_STATUS).and_then(|status| status.to_str().ok());
    status.unwrap_or("0").to_owned()
}

fn percent_encoded(message: &str) -> Bytes {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or_default();
    let mut text = Vec::with_capacity(message.len());
    for &byte in message.as_bytes() {
        match byte {
            b'%' | 0..0x20 | 0x7f.. => text.extend([b'%', digit(byte >> 4), digit(byte & 15)]),
            _ => text.push(byte),
        }
    }
    text.into()
}

const IDENTITY: &str = "identity";
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

#[cfg(test)]
mod tests {
    use futures::stream;
    use proptest::prelude::*;

    use super::*;

    fn call(frames: Vec<Vec<u8>>) -> Request {
        let frames = frames.into_iter().map(|frame| Ok::<_, std::io::Error>(Bytes::from(frame)));
        Request::new(Body::from_stream(stream::iter(frames)))
    }

    async fn read(frames: Vec<Vec<u8>>, limit: usize) -> Result<Bytes, Code> {
        let read = read_unary(call(frames), limit).await;
        let body = read.map_err(|error| error.code)?.into_body();
        Ok(body.collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn reads_messages_up_to_the_limit() {
        let whole = b"\0\0\0\0\x03abc".to_vec();
        assert_eq!(read(vec![whole.clone()], 3).await, Ok(Bytes::from(whole.clone())));
        assert_eq!(read(vec![whole], 2).await, Err(Code::ResourceExhausted));
        assert_eq!(read(vec![vec![0; 5]], 0).await, Ok(Bytes::from(vec![0; 5])));
    }

    #[tokio::test]
    async fn refuses_by_the_declared_length_without_waiting_for_the_message() {
        let begin =
            stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"\0\xff\xff\xff\xff"))]);
        let endless = futures::StreamExt::chain(begin, stream::pending());
        let refused = read_unary(Request::new(Body::from_stream(endless)), 100).await;
        assert_eq!(refused.unwrap_err().code, Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn refuses_wrong_framing() {
        for (frame, what) in [
            (b"".as_slice(), "ends before"),
            (b"\0\0\0", "ends before"),
            (b"\0\0\0\0\x03ab", "ends before"),
            (b"\0\0\0\0\x01abc", "more than one"),
            (b"\0\0\0\0\0\0\0\0\0\0", "more than one"),
            (b"\x01\0\0\0\0", "without encoding"),
            (b"\x02\0\0\0\0", "compression flag"),
        ] {
            let error = read_unary(call(vec![frame.to_vec()]), 100).await.unwrap_err();
            assert!(error.code == Code::Internal && error.message.contains(what), "{error:?}");
        }
    }

    #[tokio::test]
    async fn refuses_compressed_messages_and_takes_identity() {
        for (encoding, code) in [("identity", None), ("gzip", Some(Code::Unimplemented))] {
            let mut request = call(vec![vec![0; 5]]);
            request.headers_mut().insert(GRPC_ENCODING, HeaderValue::from_static(encoding));
            assert_eq!(read_unary(request, 9).await.err().map(|error| error.code), code);
        }
    }

    #[test]
    fn every_failure_has_a_code() {
        for (failure, code) in [
            (Failure::NotFound, Code::Unimplemented),
            (Failure::MethodNotAllowed, Code::Unimplemented),
            (Failure::BodyTooLarge { limit: 1 }, Code::ResourceExhausted),
            (Failure::BodyUnreadable, Code::Internal),
            (Failure::Timeout, Code::Unavailable),
            (Failure::Overloaded, Code::Unavailable),
            (Failure::ShuttingDown, Code::Unavailable),
            (Failure::Internal, Code::Internal),
        ] {
            let response = GrpcError::from(&failure).into_response();
            let status = &response.headers()[GRPC_STATUS];
            assert_eq!(
                (response.status().as_u16(), status),
                (200, &HeaderValue::from(code as u16))
            );
        }
    }

    #[test]
    fn knows_grpc_by_its_content_type() {
        let is = |content_type: &'static str| {
            let value = HeaderValue::from_static(content_type);
            has_grpc_content_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        for known in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
            assert!(is(known), "{known}");
        }
        for other in ["application/grpc-web", "application/grpcx", "application/json", ""] {
            assert!(!is(other), "{other}");
        }
        assert!(!has_grpc_content_type(&HeaderMap::new()));
    }

    #[test]
    fn reads_timeouts_and_refuses_what_is_none() {
        for (text, expected) in [
            ("1H", Some(Duration::from_hours(1))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("2M", Some(Duration::from_mins(2))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("0n", Some(Duration::ZERO)),
            ("100000000n", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-5S", None),
            ("+5S", None),
            ("5s", None),
            ("5é", None),
        ] {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes_what_a_header_cannot_hold() {
        assert_eq!(percent_encoded("100 % ä\n"), "100 %25 %C3%A4%0A");
    }

    proptest! {
        #[test]
        fn any_text_is_a_timeout_or_none(text in "[0-9HMSmun+-]{0,10}|.{0,4}") {
            let _ = parse_timeout(&text);
        }

        #[test]
        fn any_framing_gives_the_message_or_a_refusal(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..6),
            message in prop::collection::vec(any::<u8>(), 0..9), cut in 0usize..14,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(frames, 16));
            let mut whole = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
            whole.extend(message);
            let (one, two) = whole.split_at(cut.min(whole.len()));
            let read = runtime.block_on(read(vec![one.to_vec(), two.to_vec()], 16));
            prop_assert_eq!(read, Ok(Bytes::from(whole)));
        }
    }
}
