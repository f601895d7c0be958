//! The one log line of each request: who asked, in whose name, and what became of it.
//!
//! Until the token is verified, what it says is anybody's invention, and its fields are called so
//! (`ca.unverified_issuer`). Texts are cut where they are read, and inert here: a log is read by people and
//! programs that take a line for an event. Never a token, its signature or another claim, but for the audience where
//! that is what the token is refused for.

use std::{
    error::Error,
    sync::{Arc, OnceLock},
    time::Instant,
};

use identity::{UnverifiedFacts, VerificationError};
use tracing::{Level, event, info};
use wire::{inert, rpc::Code};

use crate::{
    IssueError,
    api::{Api, Caller},
};

/// One event; a macro, since the level of an event is part of its place in the code.
macro_rules! line {
    ($level:expr, $message:literal, $fields:expr, $error:expr) => {{
        let error: Option<&IssueError> = $error;
        let (verified, unverified) = ($fields.verified.as_ref(), $fields.unverified.as_ref());
        event!(
            $level,
            {
                ca.api = $fields.api,
                ca.reason = error.map(|error| error.reason().word()),
                ca.issuer = verified.map(|token| token.issuer.as_str()),
                ca.subject = verified.and_then(|token| token.subject.as_deref()),
                ca.key_id = verified.and_then(|token| token.key_id.as_deref()),
                ca.token_id = verified.and_then(|token| token.token_id.as_deref()),
                ca.unverified_issuer = unverified.map(|token| token.issuer.as_str()),
                ca.unverified_subject = unverified.and_then(|token| token.subject.as_deref()),
                ca.unverified_key_id = unverified.and_then(|token| token.key_id.as_deref()),
                ca.unverified_token_id = unverified.and_then(|token| token.token_id.as_deref()),
                ca.unverified_audience = $fields.audience.as_deref(),
                ca.serial_number = $fields.serial_number.as_deref(),
                ca.subject_alternative_name = $fields.subject_alternative_name.as_deref(),
                caller.address = $fields.address.as_deref(),
                request.id = $fields.request_id.as_deref(),
                request.elapsed_ms = $fields.elapsed_ms,
                error = error.map(|error| in_one_line(error)),
            },
            $message
        )
    }};
}

/// What becomes known while a request is answered.
#[derive(Default)]
pub(crate) struct Noted {
    /// Of the token, once it could be read.
    pub(crate) facts: Option<UnverifiedFacts>,
    /// Of the certificate, once its content is decided: by a job on another thread.
    pub(crate) certificate: Arc<OnceLock<CertificateFacts>>,
}

/// What a line says of a certificate; the rest is in the audit trail, under the same serial number.
pub(crate) struct CertificateFacts {
    pub(crate) serial_number: String,
    pub(crate) subject_alternative_name: String,
}

/// The line of one request. Dropped before its end, it tells that too.
pub(crate) struct Line {
    api: Api,
    caller: Caller,
    begun: Instant,
    ended: bool,
    pub(crate) noted: Noted,
}

impl Line {
    pub(crate) fn begin(api: Api, caller: Caller) -> Self {
        // A duration for people; nothing is decided by it.
        Self { api, caller, begun: Instant::now(), ended: false, noted: Noted::default() }
    }

    /// Writes the line.
    pub(crate) fn end(mut self, error: Option<&IssueError>) {
        self.ended = true;
        self.write(error);
    }

    fn write(&self, error: Option<&IssueError>) {
        // Granted, or known from a step after the token's: then it is the issuer's word.
        let verified = match error {
            None => self.ended,
            Some(error) => error.is_after_verification(),
        };
        let mut fields = Fields::of(self, verified);
        if let Some(IssueError::Verification(VerificationError::Audience)) = error {
            let audiences = self.noted.facts.as_ref().map(|facts| facts.audiences.join(", "));
            fields.audience = audiences.map(|audiences| inert::escape(&audiences).into_owned());
        }
        match error.map(|error| (error, error.code())) {
            None if self.ended => line!(Level::INFO, "granted", fields, None::<&IssueError>),
            None => line!(Level::WARN, "gave up", fields, None::<&IssueError>),
            Some((error, Code::InvalidArgument | Code::ResourceExhausted)) => {
                line!(Level::INFO, "refused", fields, Some(error));
            }
            Some((error, Code::Unavailable)) => {
                line!(Level::WARN, "cannot issue now", fields, Some(error));
            }
            Some((error, _)) => line!(Level::ERROR, "cannot issue", fields, Some(error)),
        }
    }
}

impl Drop for Line {
    /// The caller went away, or the time for a request was over.
    fn drop(&mut self) {
        if !self.ended {
            self.write(None);
        }
    }
}

/// An error and its causes: writers of JSON leave these out.
fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    inert::escape(&text).into_owned()
}

/// The line of a request whose body never came whole, so that nothing of it is known.
pub(crate) fn unread(api: Api, caller: &Caller, why: &str) {
    info!(
        ca.api = api.as_str(),
        ca.reason = "unread",
        caller.address = caller.address.map(|address| address.0.to_string()),
        request.id = caller.request_id.as_ref().map(server::RequestId::as_str),
        error = why,
        "refused"
    );
}

/// The fields of a line, as they are written. What is not known is left out.
struct Fields {
    api: &'static str,
    address: Option<String>,
    request_id: Option<String>,
    verified: Option<TokenFields>,
    unverified: Option<TokenFields>,
    audience: Option<String>,
    serial_number: Option<String>,
    subject_alternative_name: Option<String>,
    elapsed_ms: u64,
}

/// What the token says of itself.
#[derive(Clone)]
struct TokenFields {
    issuer: String,
    subject: Option<String>,
    key_id: Option<String>,
    token_id: Option<String>,
}

impl Fields {
    fn of(line: &Line, is_verified: bool) -> Self {
        let token = line.noted.facts.as_ref().map(TokenFields::of);
        let certificate = line.noted.certificate.get();
        let (verified, unverified) = if is_verified { (token, None) } else { (None, token) };
        let elapsed_ms = line.begun.elapsed().as_millis();
        Self {
            api: line.api.as_str(),
            address: line.caller.address.map(|address| address.0.to_string()),
            request_id: line.caller.request_id.as_ref().map(|id| id.as_str().to_owned()),
            verified,
            unverified,
            audience: None,
            serial_number: certificate.map(|facts| facts.serial_number.clone()),
            subject_alternative_name: certificate
                .map(|facts| inert::escape(&facts.subject_alternative_name).into_owned()),
            elapsed_ms: u64::try_from(elapsed_ms).unwrap_or(u64::MAX),
        }
    }
}

impl TokenFields {
    fn of(facts: &UnverifiedFacts) -> Self {
        let inert = |text: &String| inert::escape(text).into_owned();
        Self {
            issuer: inert(&facts.issuer),
            subject: facts.subject.as_ref().map(inert),
            key_id: facts.key_id.as_ref().map(inert),
            token_id: facts.token_id.as_ref().map(inert),
        }
    }
}
