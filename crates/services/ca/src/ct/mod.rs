//! The client of the Certificate Transparency log.

mod breaker;
mod health;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use ct::{Sct, SctError};
use moment::UnixMillis;
use reqwest::{Client, StatusCode, header};
use signing::Clock;
use thiserror::Error;
use url::Url;
use wire::ct::AddChainResponse;
use x509::{CertificateChain, Precertificate};

use crate::{
    CaConfigError, CtConfig, FetchError,
    fetch::{self, Clients},
};
use breaker::Breaker;
use health::Health;
pub use health::{CtTrouble, probe_ct_log};

/// Longest answer of the log, in bytes. An SCT takes 300.
const MAX_ANSWER_LEN: usize = 16 * 1024;

/// Submits precertificates (RFC 6962 §4.2) over kept connections.
pub(crate) struct CtClient {
    client: Client,
    /// As configured.
    base: Url,
    url: Url,
    head_url: Url,
    health: Health,
    deadline: Duration,
    breaker: Breaker,
    /// The end of every request body: the CA's certificates in base64, encoded once.
    chain_json: String,
}

impl CtClient {
    pub(crate) fn new(
        config: &CtConfig,
        chain: &CertificateChain,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CaConfigError> {
        let deadline = Duration::from_millis(config.timeout_ms);
        let url = address(config, "add-pre-chain")?;
        let head_url = address(config, "get-sth")?;
        let mut chain_json = String::new();
        for certificate in chain.certificates() {
            chain_json.push_str("\",\"");
            STANDARD.encode_string(certificate, &mut chain_json);
        }
        chain_json.push_str("\"]}");
        let client = client_of(config, &url)?;
        let (base, health, breaker) = (config.url.clone(), Health::default(), Breaker::new(clock));
        Ok(Self { client, base, url, head_url, health, deadline, breaker, chain_json })
    }

    /// The body that submits `precertificate`: its chain in base64.
    pub(crate) fn body(&self, precertificate: &Precertificate) -> Bytes {
        let mut body = String::from("{\"chain\":[\"");
        body.reserve(precertificate.der().len() * 4 / 3 + self.chain_json.len() + 8);
        STANDARD.encode_string(precertificate.der(), &mut body);
        body.push_str(&self.chain_json);
        body.into()
    }

    /// Gets the log's SCT, which nobody has verified yet.
    pub(crate) async fn submit(&self, body: Bytes) -> Result<Sct, CtError> {
        let attempt = self.breaker.check()?;
        let answer = tokio::time::timeout(self.deadline, self.post_twice(body)).await;
        let answer = answer.unwrap_or(Err(CtError::Deadline));
        attempt.ended(!answer.as_ref().is_err_and(CtError::is_outage));
        answer
    }

    /// A kept connection may have been closed by the log at the moment of use. The log gives the
    /// same SCT for the same precertificate, so one more attempt is harmless.
    async fn post_twice(&self, body: Bytes) -> Result<Sct, CtError> {
        match self.post(body.clone()).await {
            Err(CtError::Fetch(FetchError::Transport(error)))
                if error.is_request() && !error.is_timeout() && !error.is_connect() =>
            {
                self.post(body).await
            }
            answer => answer,
        }
    }

    async fn post(&self, body: Bytes) -> Result<Sct, CtError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let response = request.send().await.map_err(FetchError::transport)?;
        let status = response.status();
        if status != StatusCode::OK {
            let status = status.as_u16();
            let said = fetch::read(response, MAX_ANSWER_LEN).await.unwrap_or_default();
            return Err(CtError::Status { status, said: words_of(&said) });
        }
        parse(&fetch::read(response, MAX_ANSWER_LEN).await?)
    }
}

/// Where the log answers `what` (RFC 6962 §4).
fn address(config: &CtConfig, what: &str) -> Result<Url, CaConfigError> {
    let base = config.url.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/ct/v1/{what}"))
        .map_err(|_| CaConfigError::CtUrl(config.url.to_string()))
}

fn client_of(config: &CtConfig, url: &Url) -> Result<Client, FetchError> {
    Clients::new(Duration::from_millis(config.timeout_ms)).get(url)
}

/// The beginning of what the log said of a refusal, on one line: it names the reason.
fn words_of(answer: &[u8]) -> String {
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(answer);
    let beginning: String = text.trim().chars().take(MOST).collect();
    wire::inert::escape(&beginning).into_owned()
}

fn parse(answer: &[u8]) -> Result<Sct, CtError> {
    let answer: AddChainResponse = wire::json::from_slice(answer).map_err(|_| CtError::Answer)?;
    let log_id = <[u8; 32]>::try_from(answer.id.0).map_err(|_| CtError::Answer)?;
    if answer.sct_version != 0 {
        return Err(CtError::Sct(SctError::Version));
    }
    Ok(Sct::from_digitally_signed(
        log_id,
        UnixMillis(answer.timestamp),
        answer.extensions.0,
        &answer.signature.0,
    )?)
}

/// Why the log gave no SCT.
#[derive(Debug, Error)]
pub enum CtError {
    /// Not asked, because it failed several times in a row a moment ago.
    #[error("the log failed several times, it is asked again in {retry_after_s} s")]
    CircuitOpen {
        /// Seconds until then.
        retry_after_s: u64,
    },
    /// Of [`CtConfig::timeout_ms`]; the log may have sequenced the precertificate.
    #[error("the log did not answer in time")]
    Deadline,
    /// No connection, or an answer without end.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Another status than 200.
    #[error("the log answered with status {status}: {said}")]
    Status {
        /// Of HTTP.
        status: u16,
        /// The beginning of the answer, inert.
        said: String,
    },
    /// 200 with something that is no SCT.
    #[error("the log's answer is not an SCT")]
    Answer,
    /// An SCT that a verifier would refuse until its time has come.
    #[error("the SCT is from the future")]
    Future,
    /// An SCT of long ago: the log's clock is behind, or ours is ahead, and the certificate would be of another time
    /// than its SCT.
    #[error("the SCT is from the past: the clock of the log or of the authority is wrong")]
    Past,
    /// An SCT that is not of the configured log over this precertificate.
    #[error(transparent)]
    Sct(#[from] SctError),
}

impl CtError {
    /// Whether trying again later may help; else the log and we do not understand each other.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::CircuitOpen { .. } | Self::Deadline | Self::Fetch(FetchError::Transport(_)) => {
                true
            }
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Fetch(FetchError::Status(_) | FetchError::TooLong(_))
            | Self::Answer
            | Self::Future
            | Self::Past
            | Self::Sct(_) => false,
        }
    }
}
