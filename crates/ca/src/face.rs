//! What the faces of the service have in common: one use case, counted and recorded once.

use metrics::counter;
use tracing::{error, info, warn};
use wire::rpc::Code;

use crate::{Ca, IssueError, IssueRequest, IssuedChain};

/// The way by which a request came.
#[derive(Clone, Copy)]
pub(crate) enum Face {
    HttpV1,
    HttpV2,
    GrpcV2,
}

impl Face {
    const fn as_str(self) -> &'static str {
        match self {
            Self::HttpV1 => "http-v1",
            Self::HttpV2 => "http-v2",
            Self::GrpcV2 => "grpc-v2",
        }
    }
}

impl Ca {
    /// [`Ca::issue`] for a request that may be none, with its traces in metrics and log.
    pub(crate) async fn answer(
        &self,
        face: Face,
        request: Result<IssueRequest, IssueError>,
    ) -> Result<IssuedChain, IssueError> {
        let issued = match request {
            Ok(request) => self.issue(request).await,
            Err(error) => Err(error),
        };
        let face = face.as_str();
        match &issued {
            Ok(_) => counter!("ca_certificates_total", "api" => face).increment(1),
            Err(error) => {
                let reason = error.reason();
                counter!("ca_refusals_total", "api" => face, "reason" => reason).increment(1);
                record(error);
            }
        }
        issued
    }
}

fn record(error: &IssueError) {
    let cause = error as &dyn std::error::Error;
    match error.code() {
        Code::InvalidArgument => info!(ca.reason = error.reason(), error = cause, "refused"),
        Code::Unavailable => warn!(ca.reason = error.reason(), error = cause, "cannot issue now"),
        _ => error!(ca.reason = error.reason(), error = cause, "cannot issue"),
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
