use std::time::Duration;

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use thiserror::Error;

use signing::Overloaded;

use crate::GrpcError;

/// How one service speaks where the shared layers answer in its place.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// Short name for logs and metric labels: `ca`, `ct`, `rekor2`, `tsa`, `trust`, `oidc`.
    pub name: &'static str,
    /// Largest request body, in bytes, on any route of the service.
    pub body_limit: usize,
    /// Longest time from the request's head to the answer, body included.
    pub timeout: Duration,
    /// Writes a failure in the protocol's own status and body.
    pub render: fn(&Failure) -> Response,
}

impl Protocol {
    /// The answer in the form that the caller speaks: a gRPC client understands no other.
    pub(crate) fn answer(&self, is_grpc: bool, failure: &Failure) -> Response {
        if is_grpc { GrpcError::from(failure).into_response() } else { (self.render)(failure) }
    }
}

/// What the shared layers answer without the service's handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// No route has this path.
    #[error("no such path")]
    NotFound,
    /// The path exists, not with this method.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// The body is longer than `limit`.
    #[error("the request body is longer than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body broke off or is wrongly framed.
    #[error("the request body could not be read")]
    BodyUnreadable,
    /// No answer within [`Protocol::timeout`].
    #[error("the request took too long")]
    Timeout,
    /// Too much work is waiting; trying again soon may help.
    #[error("too many requests are waiting, try again")]
    Overloaded,
    /// The peer has written as much as it may for now.
    #[error("more was written than one caller may: try again in {retry_after_s} s")]
    RateLimited {
        /// Whole seconds until the next one may be.
        retry_after_s: u64,
    },
    /// The process ends, and takes nothing new.
    #[error("the service is shutting down, try again")]
    ShuttingDown,
    /// A handler panicked. The log line with the same request id has the cause.
    #[error("internal error")]
    Internal,
}

impl Failure {
    /// The HTTP status that fits, for protocols that have no other opinion.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyUnreadable => StatusCode::BAD_REQUEST,
            Self::Timeout | Self::Overloaded | Self::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Says in the answer when to come again, where that is known.
    #[must_use]
    pub fn with_retry_after(&self, mut response: Response) -> Response {
        if let Self::RateLimited { retry_after_s } = self {
            let seconds = HeaderValue::from(*retry_after_s);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<Overloaded> for Failure {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}
