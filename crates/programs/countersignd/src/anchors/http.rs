//! An anchor in a store by HTTP: `GET` reads, and a `PUT` writes on the condition that nobody else has written
//! (`If-Match` with the entity tag that was read, `If-None-Match: *` for the first). RFC 9110 §13.1.
//!
//! A store that passes over conditions would let a process that is behind replace what one ahead of it kept. So each
//! first write asks for something impossible before, which has to be refused with 412, and the very first asks for
//! another first one after it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use engine::{Anchor, AnchorError, Stored};
use http::{
    HeaderName, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH},
};
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};
use url::Url;
use wire::host::is_loopback;

/// One log's object in the store.
pub(super) struct HttpAnchor {
    client: Client,
    url: Url,
    /// Whether the store is known to keep to conditions.
    is_proven: AtomicBool,
}

impl HttpAnchor {
    pub(super) fn new(url: Url) -> anyhow::Result<Self> {
        let builder = Client::builder().redirect(Policy::none()).timeout(TIMEOUT).referer(false);
        let is_loopback = url.host_str().is_some_and(is_loopback);
        let builder = if is_loopback { builder.no_proxy() } else { builder };
        // Without TLS the system's root certificates are of no use.
        let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        Ok(Self { client: builder.build()?, url, is_proven: AtomicBool::new(false) })
    }

    /// Makes certain that the store refuses what nobody meant to be there.
    async fn prove(&self, text: &str) -> Result<(), AnchorError> {
        if self.is_proven.load(Ordering::Relaxed) {
            return Ok(());
        }
        let impossible = self.put(text).header(IF_MATCH, "\"countersign-was-never-here\"");
        let status = send(impossible).await?.status();
        // Of what is not there a store may also say so.
        if ![StatusCode::PRECONDITION_FAILED, StatusCode::NOT_FOUND].contains(&status) {
            return Err(AnchorError(format!(
                "it answered {status} to a write that had to be refused: it does not keep to `If-Match`, so two \
                 processes could replace what the other one kept"
            )));
        }
        self.is_proven.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Makes certain that what is there is not taken for nothing: another process may begin at the same time.
    async fn prove_first(&self, text: &str) -> Result<(), AnchorError> {
        let status = send(self.put(text).header(IF_NONE_MATCH, "*")).await?.status();
        if [StatusCode::PRECONDITION_FAILED, StatusCode::CONFLICT].contains(&status) {
            return Ok(());
        }
        Err(AnchorError(format!(
            "it answered {status} to a second first write: it does not keep to `If-None-Match`, so two processes could \
             replace what the other one kept"
        )))
    }

    fn put(&self, text: &str) -> RequestBuilder {
        let put = self.client.put(self.url.clone());
        put.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(text.to_owned())
    }
}

#[async_trait]
impl Anchor for HttpAnchor {
    fn place(&self) -> String {
        self.url.to_string()
    }

    async fn read(&self) -> Result<Option<Stored>, AnchorError> {
        // Not what a cache on the way had of it.
        let request = self.client.get(self.url.clone()).header(CACHE_CONTROL, "no-cache");
        let mut response = send(request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::OK => {}
            other => return Err(AnchorError(format!("GET was answered by {other}"))),
        }
        let version = entity_tag(&response)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_LEN {
                return Err(AnchorError(format!("it has more than {MAX_LEN} bytes there")));
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body);
        let text = text.map_err(|_| AnchorError("it has no text there".to_owned()))?;
        Ok(Some(Stored { text, version }))
    }

    async fn replace(
        &self,
        before: Option<&Stored>,
        text: &str,
    ) -> Result<Option<Stored>, AnchorError> {
        self.prove(text).await?;
        let (condition, value): (HeaderName, &str) = match before {
            Some(before) => (IF_MATCH, &before.version),
            None => (IF_NONE_MATCH, "*"),
        };
        let response = send(self.put(text).header(condition, value)).await?;
        match response.status() {
            // 409: the object store of Amazon, where two wrote at once.
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => return Ok(None),
            status if status.is_success() => {}
            other => return Err(AnchorError(format!("PUT was answered by {other}"))),
        }
        if before.is_none() {
            self.prove_first(text).await?;
        }
        // Not all stores name the tag of what they were given; and what was kept is better seen than believed.
        match self.read().await? {
            Some(stored) if stored.text == text => Ok(Some(stored)),
            _ => Ok(None),
        }
    }
}

async fn send(request: RequestBuilder) -> Result<Response, AnchorError> {
    request.send().await.map_err(transport)
}

/// With the cause: "error sending request" alone helps nobody.
fn transport(error: reqwest::Error) -> AnchorError {
    AnchorError(format!("{:#}", anyhow::Error::new(error)))
}

/// The strong entity tag of an answer.
fn entity_tag(response: &Response) -> Result<String, AnchorError> {
    let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
    match tag {
        Some(tag) if !tag.starts_with("W/") => Ok(tag.to_owned()),
        _ => Err(AnchorError("it gives no strong `ETag`, by which to write".to_owned())),
    }
}

/// Of one request; the whole of a writing has three.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A checkpoint has some 300 bytes.
const MAX_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{
        Router,
        extract::State,
        http::HeaderMap,
        response::{IntoResponse, Response},
        routing::get,
    };

    use super::*;

    /// What a store may get wrong.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Manner {
        Good,
        PassesOverConditions,
        PassesOverFirst,
        NoEntityTag,
        AlwaysFull,
    }

    #[derive(Clone)]
    struct Store {
        manner: Manner,
        held: Arc<Mutex<Option<(u32, String)>>>,
    }

    async fn read(State(store): State<Store>) -> Response {
        match (store.held.lock().unwrap().clone(), store.manner) {
            (None, _) => StatusCode::NOT_FOUND.into_response(),
            (Some((_, text)), Manner::NoEntityTag) => text.into_response(),
            (Some((version, text)), _) => {
                ([(ETAG, format!("\"{version}\""))], text).into_response()
            }
        }
    }

    async fn write(State(store): State<Store>, headers: HeaderMap, text: String) -> StatusCode {
        let mut held = store.held.lock().unwrap();
        let version = held.as_ref().map_or(0, |(version, _)| *version);
        let is_met = match (headers.get(IF_MATCH), headers.get(IF_NONE_MATCH)) {
            (Some(tag), _) => held.is_some() && *tag == format!("\"{version}\""),
            (None, Some(_)) => held.is_none(),
            (None, None) => true,
        };
        match store.manner {
            Manner::AlwaysFull if is_met => return StatusCode::INSUFFICIENT_STORAGE,
            Manner::PassesOverConditions => {}
            Manner::PassesOverFirst if headers.contains_key(IF_NONE_MATCH) => {}
            _ if !is_met => return StatusCode::PRECONDITION_FAILED,
            _ => {}
        }
        *held = Some((version + 1, text));
        StatusCode::NO_CONTENT
    }

    /// Two processes of a log, with a store of that manner.
    async fn anchors(manner: Manner) -> [HttpAnchor; 2] {
        let store = Store { manner, held: Arc::default() };
        let router = Router::new().route("/a/log", get(read).put(write)).with_state(store);
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/a/log", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router).await.unwrap() });
        [(); 2].map(|()| HttpAnchor::new(url.parse().unwrap()).unwrap())
    }

    #[tokio::test]
    async fn what_another_process_wrote_is_not_replaced() {
        let [first, second] = anchors(Manner::Good).await;
        assert_eq!(first.read().await.unwrap(), None);
        let one = first.replace(None, "one").await.unwrap().unwrap();
        assert_eq!(second.read().await.unwrap().as_ref(), Some(&one));
        assert_eq!(second.replace(None, "two").await.unwrap(), None);
        let two = second.replace(Some(&one), "two").await.unwrap().unwrap();
        assert_eq!(first.replace(Some(&one), "three").await.unwrap(), None);
        assert_eq!(first.read().await.unwrap(), Some(two));
    }

    #[tokio::test]
    async fn a_store_that_could_lose_a_checkpoint_is_refused() {
        for (manner, said) in [
            (Manner::PassesOverConditions, "does not keep to `If-Match`"),
            (Manner::PassesOverFirst, "does not keep to `If-None-Match`"),
            (Manner::NoEntityTag, "no strong `ETag`"),
            (Manner::AlwaysFull, "PUT was answered by 507"),
        ] {
            let [anchor, _] = anchors(manner).await;
            let refused = anchor.replace(None, "one").await.unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        }
        let nobody = HttpAnchor::new("http://127.0.0.1:1/a/log".parse().unwrap()).unwrap();
        assert!(nobody.read().await.is_err());
    }
}
