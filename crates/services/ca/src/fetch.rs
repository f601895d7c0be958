//! HTTP as a client: no redirects, bounded answers, bounded time.

use std::{collections::HashMap, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect::Policy};
use thiserror::Error;
use url::Url;
use wire::host::is_loopback;

/// HTTP clients, one for each kind of destination.
///
/// Redirects are not followed: an issuer's answer must come from where the issuer is
/// (GHSA-f5mr-q85p-6hh6). A proxy of the environment is not asked for loopback hosts, and plain
/// `http` does not load the system's root certificates, which would cost start-up time and memory.
pub(crate) struct Clients {
    timeout: Duration,
    made: HashMap<Destination, Client>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Destination {
    encrypted: bool,
    loopback: bool,
}

impl Clients {
    /// Clients that wait at most `timeout` for a whole answer.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, made: HashMap::new() }
    }

    /// The client for `url` and its origin.
    pub(crate) fn get(&mut self, url: &Url) -> Result<Client, FetchError> {
        let destination = Destination {
            encrypted: url.scheme() != "http",
            loopback: url.host_str().is_some_and(is_loopback),
        };
        if let Some(client) = self.made.get(&destination) {
            return Ok(client.clone());
        }
        let mut builder = builder(self.timeout, destination.loopback);
        if !destination.encrypted {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(FetchError::transport)?;
        self.made.insert(destination, client.clone());
        Ok(client)
    }
}

/// What all clients have in common.
fn builder(timeout: Duration, loopback: bool) -> ClientBuilder {
    let builder = Client::builder().redirect(Policy::none()).timeout(timeout).referer(false);
    if loopback { builder.no_proxy() } else { builder }
}

/// A client that believes the PEM certificates of `roots` alone. A proxy of the environment is
/// asked all the same, but for loopback: who needs roots of their own often needs one too.
pub(crate) fn client_with_roots(
    timeout: Duration,
    pem: &[u8],
    loopback: bool,
) -> Result<Client, FetchError> {
    let builder = builder(timeout, loopback).tls_certs_only(roots(pem)?);
    builder.build().map_err(FetchError::transport)
}

/// The PEM certificates of a file of roots, as a client takes them.
pub(crate) fn roots(pem: &[u8]) -> Result<Vec<Certificate>, FetchError> {
    let roots = Certificate::from_pem_bundle(pem).map_err(FetchError::transport)?;
    let usable = builder(Duration::from_secs(1), true).tls_certs_only(roots.clone());
    usable.build().map_err(FetchError::transport)?;
    if roots.is_empty() { Err(FetchError::Status(0)) } else { Ok(roots) }
}

/// Gets a document of at most `limit` bytes, as whoever holds `bearer_token`.
pub(crate) async fn get_as(
    client: &Client,
    url: &Url,
    bearer_token: Option<&str>,
    limit: usize,
) -> Result<Bytes, FetchError> {
    let mut request = client.get(url.clone());
    if let Some(token) = bearer_token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.map_err(FetchError::transport)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    read(response, limit).await
}

/// Reads a body of at most `limit` bytes, whatever its header promises.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Bytes, FetchError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchError::transport)? {
        if body.len() + chunk.len() > limit {
            return Err(FetchError::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Why a document could not be fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No connection, no answer in time, or a broken one.
    #[error("no answer: {0}")]
    Transport(#[source] reqwest::Error),
    /// Another status than success; redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// A body without end, or nearly so.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl FetchError {
    /// What it was, as far as that can be told.
    #[must_use]
    pub fn kind(&self) -> FetchKind {
        match self {
            Self::Status(401 | 403) => FetchKind::Unauthorized,
            Self::Status(404 | 410) => FetchKind::NotFound,
            Self::Status(300..=399) => FetchKind::Redirect,
            Self::Status(_) => FetchKind::Status,
            Self::TooLong(_) => FetchKind::TooLong,
            Self::Transport(error) if error.is_timeout() => FetchKind::Timeout,
            Self::Transport(error) => transport_kind(error),
        }
    }

    pub(crate) fn transport(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// How a document could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// The name has no address.
    Dns,
    /// Nobody listens there, or the connection broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// The server's certificate is of no root that is believed.
    UntrustedCertificate,
    /// It is no longer valid, or not yet.
    ExpiredCertificate,
    /// It is for another host.
    WrongName,
    /// The server wants a certificate of whoever asks.
    ClientCertificate,
    /// TLS failed otherwise.
    Tls,
    /// What answered is no HTTP, or its head is too long.
    NotHttp,
    /// Status 401 or 403.
    Unauthorized,
    /// Status 404 or 410.
    NotFound,
    /// A redirect.
    Redirect,
    /// Another status.
    Status,
    /// A document without end.
    TooLong,
}

impl FetchKind {
    /// A word for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::UntrustedCertificate => "tls_unknown_root",
            Self::ExpiredCertificate => "tls_expired",
            Self::WrongName => "tls_wrong_name",
            Self::ClientCertificate => "tls_client_certificate",
            Self::Tls => "tls",
            Self::NotHttp => "not_http",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::TooLong => "too_long",
        }
    }

    /// What to change.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Dns => {
                "the host's name has no address here; `discovery_url` or `jwks_uri` may name another"
            }
            Self::Connection | Self::Timeout => {
                "the CA must reach it: firewall, proxy (HTTPS_PROXY), or another `discovery_url`"
            }
            Self::UntrustedCertificate => {
                "set `tls_roots_file` to the root that signed the provider's certificate"
            }
            Self::ExpiredCertificate => {
                "the provider must renew its certificate; or a clock is wrong"
            }
            Self::WrongName => {
                "ask it by a name of its certificate, with `discovery_url` or `jwks_uri`"
            }
            Self::ClientCertificate => {
                "the provider wants a client certificate, and the CA has none: let it answer without \
                 one there, or name another `discovery_url` or `jwks_uri`, or a `keys_file`"
            }
            Self::Tls => "the port must speak TLS 1.2 or 1.3",
            Self::NotHttp => {
                "the port must speak HTTP, and its answer have a head of the usual size: look at the \
                 scheme and port, and for a proxy in between"
            }
            Self::Unauthorized => {
                "set `bearer_token_file` to a token that may read it, or allow everybody to"
            }
            Self::NotFound => "set `discovery_url` or `jwks_uri` to where the document is",
            Self::Redirect => {
                "redirects are not followed: set `discovery_url` or `jwks_uri` to the end"
            }
            Self::Status | Self::TooLong => return None,
        })
    }
}

/// The client tells a failed handshake only in words.
fn transport_kind(error: &reqwest::Error) -> FetchKind {
    let mut words = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        words.push_str(&error.to_string());
        words.push('\n');
        cause = error.source();
    }
    let says = |text: &str| words.contains(text);
    if says("invalid peer certificate") {
        if says("UnknownIssuer") || says("CaUsedAsEndEntity") || says("BadSignature") {
            FetchKind::UntrustedCertificate
        } else if says("expired") || says("Expired") || says("not valid yet") || says("NotValidYet")
        {
            FetchKind::ExpiredCertificate
        } else if says("not valid for name") || says("NotValidForName") {
            FetchKind::WrongName
        } else {
            FetchKind::Tls
        }
    } else if says("dns error") || says("failed to lookup address") {
        FetchKind::Dns
    } else if says("CertificateRequired") {
        FetchKind::ClientCertificate
    } else if says("invalid HTTP")
        || says("message head is too large")
        || says("unexpected message from connection")
    {
        FetchKind::NotHttp
    } else if says("received corrupt message") || says("received fatal alert") {
        FetchKind::Tls
    } else {
        FetchKind::Connection
    }
}
/// Why a file cannot be read, in words for who did not write this program.
pub(crate) fn words_of_file_error(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        std::io::ErrorKind::InvalidInput => "it is no regular file".to_owned(),
        other => other.to_string(),
    }
}
