use crypto::HashAlgorithm;
use http::{HeaderMap, header};
use tsp::{ImprintError, MessageImprint, Nonce, RequestError, TimestampRequest};
use wire::timestamp::JsonRequest;

use super::MAX_BODY_LEN;
use crate::refusal::Refusal;

/// Largest JSON request, in bytes, as upstream has it: one with a SHA-512 digest, a nonce and a
/// policy takes 300.
const MAX_JSON_LEN: usize = 1024;

/// Longest `Content-Type` looked at, in bytes (GHSA-4qg8-fj49-pxjh: memory by its separators).
const MAX_CONTENT_TYPE_LEN: usize = 256;

/// In which of the two forms a request came; refusals go back in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestForm {
    /// `application/timestamp-query`: DER of a `TimeStampReq`.
    Der,
    /// `application/json`: Sigstore's own.
    Json,
}

impl RequestForm {
    /// Reads the media type, in any case and with any parameters.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if content_type.len() > MAX_CONTENT_TYPE_LEN {
            return None;
        }
        let media_type = content_type.split(';').next()?.trim();
        if media_type.eq_ignore_ascii_case("application/timestamp-query") {
            Some(Self::Der)
        } else if media_type.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    /// Largest body in bytes.
    pub(crate) const fn body_limit(self) -> usize {
        match self {
            Self::Der => MAX_BODY_LEN,
            Self::Json => MAX_JSON_LEN,
        }
    }

    /// For metric labels.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Der => "der",
            Self::Json => "json",
        }
    }

    pub(crate) fn read(self, body: &[u8]) -> Result<TimestampRequest, Refusal> {
        match self {
            Self::Der => Ok(TimestampRequest::from_der(body)?),
            Self::Json => read_json(body),
        }
    }
}

fn read_json(body: &[u8]) -> Result<TimestampRequest, Refusal> {
    let json: JsonRequest = wire::json::from_slice(body)
        .map_err(|error| Refusal::Json { line: error.line(), column: error.column() })?;
    Ok(from_json(&json)?)
}

fn from_json(json: &JsonRequest) -> Result<TimestampRequest, RequestError> {
    let algorithm = hash_algorithm(&json.hash_algorithm).ok_or(ImprintError::Algorithm)?;
    let imprint = MessageImprint::new(algorithm, &json.artifact_hash.0)?;
    let mut request = TimestampRequest::new(imprint).with_certificates(json.certificates);
    if let Some(nonce) = &json.nonce {
        request = request.with_nonce(Nonce::from_unsigned(nonce.as_be_bytes())?);
    }
    if !json.tsa_policy_oid.is_empty() {
        request = request.with_policy(json.tsa_policy_oid.parse()?);
    }
    Ok(request)
}

fn hash_algorithm(name: &str) -> Option<HashAlgorithm> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("sha256") {
        Some(HashAlgorithm::Sha256)
    } else if is("sha384") {
        Some(HashAlgorithm::Sha384)
    } else if is("sha512") {
        Some(HashAlgorithm::Sha512)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form_of(content_type: &str) -> Option<RequestForm> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        RequestForm::of(&headers)
    }

    #[test]
    fn reads_media_types_in_any_case_and_with_parameters() {
        for (content_type, form) in [
            ("application/timestamp-query", Some(RequestForm::Der)),
            ("Application/Timestamp-Query; charset=binary", Some(RequestForm::Der)),
            ("application/json", Some(RequestForm::Json)),
            ("application/json;charset=utf-8", Some(RequestForm::Json)),
            (" application/json ; x=\"a;b\"", Some(RequestForm::Json)),
            ("application/foo", None),
            ("application/json2", None),
            ("text/plain; application/json", None),
            ("", None),
            (";application/json", None),
        ] {
            assert_eq!(form_of(content_type), form, "{content_type}");
        }
        assert_eq!(RequestForm::of(&HeaderMap::new()), None);
    }

    #[test]
    fn refuses_json_with_a_member_twice() {
        let read = |members: &str| {
            let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let json = format!(r#"{{"artifactHash":"{hash}","hashAlgorithm":"sha256"{members}}}"#);
            RequestForm::Json.read(json.as_bytes())
        };
        assert!(read("").is_ok());
        for twice in [r#","hashAlgorithm":"sha256""#, r#","x":1,"x":2"#, r#","x":{"y":1,"y":1}"#] {
            assert!(matches!(read(twice), Err(Refusal::Json { .. })), "{twice}");
        }
    }

    #[test]
    fn looks_at_no_content_type_of_unreasonable_length() {
        let hostile = format!("application/json{}", ";".repeat(MAX_CONTENT_TYPE_LEN));
        assert_eq!(form_of(&hostile), None);
    }
}
