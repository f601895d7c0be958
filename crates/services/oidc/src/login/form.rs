use std::collections::BTreeMap;

use axum::extract::Request;
use http::header;
use server::{Failure, read_body};
use url::form_urlencoded;

use super::error::OAuthError;

/// Most parameters of a request; clients send a dozen.
const MAX_PARAMETERS: usize = 32;

/// Longest value in bytes: the `state` of cosign has 172, and what comes back in a URL must fit there.
const MAX_VALUE_LEN: usize = 2048;

/// Longest body: all values at their longest would be more, and none are.
pub(crate) const MAX_BODY_LEN: usize = 16 * 1024;

/// Parameters of a request, none of which is there twice (RFC 6749 §3.1).
#[derive(Debug)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            if parameters.len() == MAX_PARAMETERS || name.len().max(value.len()) > MAX_VALUE_LEN {
                return Err(OAuthError::InvalidRequest("too many or too long parameters"));
            }
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OAuthError::InvalidRequest("a parameter is there twice"));
            }
        }
        Ok(Self(parameters))
    }

    /// The parameters of the query.
    pub(super) fn of_query(request: &Request) -> Result<Self, OAuthError> {
        Self::parse(request.uri().query().unwrap_or_default().as_bytes())
    }

    /// The parameters of the body; what stands in the query does not count.
    pub(super) async fn of_body(request: Request) -> Result<Self, OAuthError> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let wanted = "the body must be application/x-www-form-urlencoded";
            return Err(OAuthError::InvalidRequest(wanted));
        }
        let body = read_body(request, MAX_BODY_LEN).await.map_err(|failure| match failure {
            Failure::Overloaded => OAuthError::Overloaded,
            _ => OAuthError::InvalidRequest("the body is too long, or broke off"),
        })?;
        Self::parse(&body)
    }

    /// A parameter; an empty one is none (RFC 6749 §3.1).
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_parameter_once() {
        let form = Form::parse(b"a=1+2&b=%C3%A4&c=&d").unwrap();
        assert_eq!((form.text("a"), form.text("b")), (Some("1 2"), Some("ä")));
        assert_eq!((form.text("c"), form.text("d"), form.text("e")), (None, None, None));
        for refused in ["a=1&a=1", "a=1&%61=2", "a=&a="] {
            Form::parse(refused.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn counts_and_lengths_are_bounded() {
        let many: Vec<_> = (0..33).map(|number| format!("p{number}=1")).collect();
        Form::parse(many.join("&").as_bytes()).unwrap_err();
        Form::parse(format!("a={}", "x".repeat(2049)).as_bytes()).unwrap_err();
        Form::parse(format!("a={}", "x".repeat(2048)).as_bytes()).unwrap();
    }
}
