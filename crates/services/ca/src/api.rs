//! What the APIs of the service have in common: one use case, counted and recorded once.

use http::Extensions;
use metrics::counter;
use server::{CallerAddress, RequestId};
use wire::{refusal::Reason, rpc::Code};

use crate::{Ca, IssueError, IssueRequest, IssuedChain, explain, record::Line};

/// The way by which a request came.
#[derive(Clone, Copy)]
pub(crate) enum Api {
    HttpV1,
    HttpV2,
    GrpcV2,
}

impl Api {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::HttpV1 => "http-v1",
            Self::HttpV2 => "http-v2",
            Self::GrpcV2 => "grpc-v2",
        }
    }
}

/// From where a request came, and how the log calls it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub(crate) address: Option<CallerAddress>,
    pub(crate) request_id: Option<RequestId>,
}

impl Caller {
    /// As the shared layers found out.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self { address: extensions.get().copied(), request_id: extensions.get().cloned() }
    }
}

/// A request that got no certificate, in the words for its caller.
pub(crate) struct Refusal {
    error: IssueError,
    message: String,
}

impl Refusal {
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn code(&self) -> Code {
        self.error.code()
    }

    pub(crate) fn reason(&self) -> Reason {
        self.error.reason()
    }

    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.error.retry_after_s()
    }
}

#[cfg(test)]
impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        let message = error.to_string();
        Self { error, message }
    }
}

impl Ca {
    /// [`Ca::issue`] for a request that may be none, with its traces in metrics and log.
    pub(crate) async fn answer(
        &self,
        (api, caller): (Api, Caller),
        request: Result<IssueRequest, IssueError>,
    ) -> Result<IssuedChain, Refusal> {
        let mut line = Line::begin(api, caller);
        let issued = match request {
            Ok(request) => self.issue_noting(request, &mut line.noted).await,
            Err(error) => Err(error),
        };
        let facts = line.noted.facts.clone().unwrap_or_default();
        line.end(issued.as_ref().err());
        let api = api.as_str();
        let ca = self.name.clone();
        match issued {
            Ok(chain) => {
                counter!("countersign_ca_certificates_total", "api" => api, "ca" => ca)
                    .increment(1);
                Ok(chain)
            }
            Err(error) => {
                let reason = error.reason().word();
                counter!("countersign_ca_refusals_total", "api" => api, "reason" => reason, "ca" => ca)
                    .increment(1);
                let message = explain::message(&error, &facts, &self.audiences_of(&facts.issuer));
                Err(Refusal { error, message })
            }
        }
    }
}

/// The token of `Authorization`, with or without `Bearer ` before it.
pub(crate) fn bearer_token(authorization: &str) -> Option<&str> {
    const SCHEME: &str = "Bearer ";
    let token = match authorization.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token,
        _ => authorization,
    };
    Some(token.trim()).filter(|token| !token.is_empty())
}
