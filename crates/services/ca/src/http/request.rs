use axum::{body::HttpBody, extract::Request};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use server::{Failure, read_body};

use super::{BODY_LIMIT, MAX_REQUEST_LEN};
use crate::{IssueError, api::bearer_token};

/// Reads a request body as JSON; with the outer error, there is none to speak of.
///
/// The body ends here: an issuance may wait for seconds and holds only what it needs.
pub(super) async fn read_json<T: DeserializeOwned>(
    request: Request,
) -> Result<Result<T, IssueError>, Failure> {
    let within_protocol = |length| length <= BODY_LIMIT as u64;
    let declared = request.body().size_hint().exact().is_some_and(within_protocol);
    match read_body(request, MAX_REQUEST_LEN).await {
        Ok(body) => Ok(parse(&body)),
        // What is longer than it says, or does not say, is 413 like what is too long for us all.
        Err(Failure::BodyTooLarge { limit }) if declared => {
            Ok(Err(IssueError::Request(format!("longer than {limit} bytes"))))
        }
        Err(failure) => Err(failure),
    }
}

/// The token of the `Authorization` header.
pub(super) fn header_token(headers: &HeaderMap) -> Option<String> {
    bearer_token(headers.get(header::AUTHORIZATION)?.to_str().ok()?).map(str::to_owned)
}

/// The parser's own words may quote a token, so only the place of the error is passed on.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, IssueError> {
    wire::json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() { "JSON of another shape" } else { "not JSON" };
        IssueError::Request(format!("{what}, line {line} column {column}"))
    })
}

#[cfg(test)]
mod tests {
    use wire::fulcio::SigningCertRequest;

    use super::*;

    #[test]
    fn a_member_given_twice_is_refused_also_where_it_is_unknown() {
        const REST: &str = r#""certificateSigningRequest":"MAA=""#;
        parse::<SigningCertRequest>(format!("{{{REST}}}").as_bytes()).unwrap();
        for twice in [
            r#""certificateSigningRequest":"MAA=","#,
            r#""x":1,"x":2,"#,
            r#""x":{"y":1,"y":1},"#,
            r#""credentials":{"oidcIdentityToken":"a","x":1,"x":1},"#,
        ] {
            let json = format!("{{{twice}{REST}}}");
            assert!(parse::<SigningCertRequest>(json.as_bytes()).is_err(), "{json}");
        }
    }
}
