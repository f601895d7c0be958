//! HTTP as a client: no redirects, bounded answers, bounded time.

use std::{collections::HashMap, time::Duration};

use bytes::{Bytes, BytesMut};
use identity::is_loopback;
use reqwest::{Client, Response, redirect::Policy};
use thiserror::Error;
use url::Url;

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
        let destination =
            Destination { encrypted: url.scheme() != "http", loopback: is_loopback(url) };
        if let Some(client) = self.made.get(&destination) {
            return Ok(client.clone());
        }
        let mut builder =
            Client::builder().redirect(Policy::none()).timeout(self.timeout).referer(false);
        if destination.loopback {
            builder = builder.no_proxy();
        }
        if !destination.encrypted {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(FetchError::transport)?;
        self.made.insert(destination, client.clone());
        Ok(client)
    }
}

/// Gets a document of at most `limit` bytes.
pub(crate) async fn get(client: &Client, url: &Url, limit: usize) -> Result<Bytes, FetchError> {
    let response = client.get(url.clone()).send().await.map_err(FetchError::transport)?;
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
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}
