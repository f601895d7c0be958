use std::time::Duration;

use reqwest::{StatusCode, header, redirect::Policy};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use url::Url;
use wire::refusal::{self, Reason};

use super::{IdentityToken, Service, ServiceError, is_loopback};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a result, all attempts together: a log may wait for a busy database.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer read, in bytes: certificate chains, log entries and timestamps have a few KiB.
const MAX_ANSWER_LEN: usize = 1024 * 1024;

/// Attempts after the first.
const MAX_RETRIES: u32 = 2;

/// Wait before the first retry when the service does not say how long; doubled for the second.
const BACK_OFF: Duration = Duration::from_millis(200);

/// Longest wait that a service may ask for; one that asks for more gets no further attempt.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Longest text of a service that is shown, in characters.
const MAX_MESSAGE_LEN: usize = 300;

/// Longest request id that is shown; a UUID has 36 characters.
const MAX_REQUEST_ID_LEN: usize = 64;

/// `countersign/VERSION`.
const USER_AGENT: &str = concat!("countersign/", env!("CARGO_PKG_VERSION"));

/// HTTP to the services, shared by any number of signings.
#[derive(Clone, Debug)]
pub struct HttpClient {
    direct: reqwest::Client,
    proxied: reqwest::Client,
    limits: HttpLimits,
}

/// How long a service may take and how much it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// For a connection.
    pub connect_timeout: Duration,
    /// For a result, all attempts together.
    pub total_timeout: Duration,
    /// Before the first retry; doubled for the second.
    pub back_off: Duration,
    /// In bytes.
    pub max_answer_len: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            total_timeout: TOTAL_TIMEOUT,
            back_off: BACK_OFF,
            max_answer_len: MAX_ANSWER_LEN,
        }
    }
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) url: Url,
    pub(super) content_type: &'static str,
    pub(super) accept: &'static str,
    pub(super) body: Vec<u8>,
    /// To be kept out of messages.
    pub(super) token: Option<SentToken<'a>>,
    /// Whether asking twice does no harm.
    pub(super) repeatable: bool,
}

/// A token that goes with a request.
#[derive(Clone, Copy)]
pub(super) enum SentToken<'a> {
    /// In the body already.
    InBody(&'a IdentityToken),
    /// As `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer(&'a IdentityToken),
}

impl<'a> SentToken<'a> {
    fn identity(self) -> &'a IdentityToken {
        match self {
            Self::InBody(token) | Self::Bearer(token) => token,
        }
    }
}

/// One request, ready to be sent again and again.
struct Ask<'a> {
    service: &'a Service,
    request: reqwest::RequestBuilder,
    /// Statuses that say that there is nothing to be had, which is an answer too.
    none: &'static [StatusCode],
    token: Option<&'a IdentityToken>,
    repeatable: bool,
}

/// An attempt that gave no answer.
struct Failed {
    error: ServiceError,
    retry: Retry,
}

enum Retry {
    Never,
    BackOff,
    After(Duration),
}

impl HttpClient {
    /// With the default limits.
    ///
    /// # Errors
    /// [`HttpClientError`].
    pub fn new() -> Result<Self, HttpClientError> {
        Self::with_limits(HttpLimits::default())
    }

    /// With limits of the caller's.
    ///
    /// # Errors
    /// [`HttpClientError`].
    pub fn with_limits(limits: HttpLimits) -> Result<Self, HttpClientError> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(Policy::none())
                .connect_timeout(limits.connect_timeout)
        };
        Ok(Self { direct: builder().no_proxy().build()?, proxied: builder().build()?, limits })
    }

    /// Posts, and gives the body of an answer 200 or 201.
    pub(super) async fn post(&self, call: &Call<'_>) -> Result<Vec<u8>, ServiceError> {
        // Invariant: no status of this request means that there is nothing.
        Ok(self.answer(&self.asking(call, &[])).await?.unwrap_or_default())
    }

    /// Posts; `None` where the service has what was posted already (409).
    pub(super) async fn post_new(&self, call: &Call<'_>) -> Result<Option<Vec<u8>>, ServiceError> {
        self.answer(&self.asking(call, &[StatusCode::CONFLICT])).await
    }

    /// Gets what is at `url`; `None` where there is nothing. Some file stores say that by 403.
    pub(super) async fn get(
        &self,
        service: &Service,
        url: Url,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let request = self.client_for(&url).get(url).header(header::ACCEPT, "application/json");
        let none = &[StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
        let ask = Ask { service, request, none, token: None, repeatable: true };
        self.answer(&ask).await
    }

    fn asking<'a>(&self, call: &Call<'a>, none: &'static [StatusCode]) -> Ask<'a> {
        let Call { service, token, repeatable, .. } = *call;
        let mut url = call.url.clone();
        let bearer = match token {
            Some(SentToken::Bearer(token)) => Some(token.compact()),
            Some(SentToken::InBody(_)) | None => None,
        };
        if bearer.is_some() {
            // There is one `Authorization`: the URL's own credentials would be another. A URL without a host, which
            // cannot have them, is no service's.
            let _ = (url.set_username(""), url.set_password(None));
        }
        let mut request = self
            .client_for(&url)
            .post(url)
            .header(header::CONTENT_TYPE, call.content_type)
            .header(header::ACCEPT, call.accept)
            .body(call.body.clone());
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let token = token.map(SentToken::identity);
        Ask { service, request, none, token, repeatable }
    }

    async fn answer(&self, ask: &Ask<'_>) -> Result<Option<Vec<u8>>, ServiceError> {
        let deadline = Instant::now() + self.limits.total_timeout;
        let mut retries = 0;
        loop {
            let Failed { error, retry } = match self.attempt(ask, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let wait = match retry {
                Retry::After(wait) => wait,
                Retry::BackOff => with_jitter(self.limits.back_off * 2_u32.pow(retries)),
                Retry::Never => return Err(error),
            };
            if retries == MAX_RETRIES || Instant::now() + wait >= deadline {
                return Err(error);
            }
            sleep(wait).await;
            retries += 1;
        }
    }

    async fn attempt(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Option<Vec<u8>>, Failed> {
        let never = |error| Failed { error, retry: Retry::Never };
        // Invariant: a body in memory can be sent again.
        let again = ask.request.try_clone();
        let request = again.ok_or_else(|| never(ask.service.unreachable("nothing to send")))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let sent = request.timeout(left).send().await;
        let response = sent.map_err(|error| not_sent(ask, error))?;
        let status = response.status();
        let (retry_after, reason) = (retry_after(&response), reason(&response));
        let request_id = request_id(&response);
        let body = self.read(ask.service, response).await;
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return body.map(Some).map_err(never);
        }
        if ask.none.contains(&status) {
            return Ok(None);
        }
        // What it says beside a status that already tells all is welcome, no more.
        let said = said(status, &body.unwrap_or_default(), ask.token);
        let said = request_id.map_or(said.clone(), |id| format!("{said}, request id {id}"));
        Err(match reason.filter(|reason| !reason.passes()) {
            Some(lasting) => never(ask.service.refused(said, Some(lasting))),
            None => failed(ask.service, status, retry_after, said),
        })
    }

    /// Loopback is never behind a proxy, whatever the environment says of one.
    fn client_for(&self, url: &Url) -> &reqwest::Client {
        if is_loopback(url) { &self.direct } else { &self.proxied }
    }

    async fn read(
        &self,
        service: &Service,
        mut response: reqwest::Response,
    ) -> Result<Vec<u8>, ServiceError> {
        let limit = self.limits.max_answer_len;
        let too_long = || service.malformed(format!("it is longer than {limit} bytes"));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.len() > limit - body.len() => return Err(too_long()),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                Err(error) => return Err(service.unreachable(words_of(error))),
            }
        }
    }
}

fn not_sent(ask: &Ask<'_>, error: reqwest::Error) -> Failed {
    // Nothing was processed if there was no connection; after one, that is unknown: a busy service
    // closes those that it has not heard on for a while.
    let again = error.is_connect() || ask.repeatable;
    let retry = if again && !error.is_timeout() { Retry::BackOff } else { Retry::Never };
    Failed { error: ask.service.unreachable(words_of(error)), retry }
}

fn failed(
    service: &Service,
    status: StatusCode,
    retry_after: Option<Duration>,
    said: String,
) -> Failed {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let (retry, reason) = match retry_after {
            Some(wait) if wait > MAX_RETRY_AFTER => {
                (Retry::Never, format!("{said}, and asks to come back in {} s", wait.as_secs()))
            }
            Some(wait) => (Retry::After(wait), said),
            None => (Retry::BackOff, said),
        };
        return Failed { error: service.unreachable(reason), retry };
    }
    let error = if status.is_client_error() {
        service.refused(said, None)
    } else {
        service.malformed(format!("{said}, which is neither followed nor expected"))
    };
    Failed { error, retry: Retry::Never }
}

/// Seconds of `Retry-After` (RFC 9110 §10.2.3); its other form, a date, is not read.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The service's own word for why it refused, which tells what passes from what does not.
fn reason(response: &reqwest::Response) -> Option<Reason> {
    Reason::from_word(response.headers().get(refusal::HEADER)?.to_str().ok()?)
}

/// The id under which the service's log has the request: for the user to quote.
fn request_id(response: &reqwest::Response) -> Option<String> {
    let id = response.headers().get("x-request-id")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    ((1..=MAX_REQUEST_ID_LEN).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned())
}

/// Half of `wait` to all of it, so that many clients do not come back at once.
fn with_jitter(wait: Duration) -> Duration {
    let [random] = crypto::random_bytes::<1>();
    wait / 2 + wait / 2 * u32::from(random) / u32::from(u8::MAX)
}

/// Status and, if any, the message of an error body: JSON `message`, or plain text.
fn said(status: StatusCode, body: &[u8], token: Option<&IdentityToken>) -> String {
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let message = match wire::json::from_slice::<Message>(body) {
        Ok(json) => json.message,
        Err(_) => std::str::from_utf8(body).unwrap_or_default().to_owned(),
    };
    // Before it is shortened: half a token is still a secret.
    let message = token.map_or(message.clone(), |token| token.redact(&message));
    let shortened: String = message.trim().chars().take(MAX_MESSAGE_LEN).collect();
    let message = wire::inert::escape(&shortened);
    let status = status.as_u16();
    if message.is_empty() {
        format!("it answered {status}")
    } else {
        format!("it answered {status} ({message})")
    }
}

/// An error with its causes; its URL, which may hold credentials, is left out.
fn words_of(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut words = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        next = cause.source();
    }
    words
}

/// The machine's TLS roots or proxy settings cannot be used.
#[derive(Debug, Error)]
#[error("cannot set up HTTP: {0}")]
pub struct HttpClientError(#[from] reqwest::Error);
