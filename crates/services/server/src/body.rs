use std::time::Duration;

use axum::{body::Body, extract::Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Failure;

/// Reads the whole body, at most `limit` bytes of it.
///
/// A `Content-Length` above the limit is refused before anything is read, and
/// no memory is reserved on the word of the header alone. All bodies of the
/// process share one bound until they are dropped, so that neither many slow
/// callers nor a queue of long requests can fill the memory: tower's limits count requests, not bytes.
///
/// # Errors
/// [`Failure::BodyTooLarge`], [`Failure::BodyUnreadable`], [`Failure::Overloaded`].
pub async fn read_body(request: Request, limit: usize) -> Result<Bytes, Failure> {
    read_body_within(&HELD, request, limit).await
}

/// Bytes of bodies that may be held, in the whole process: waiting for their ends, or for a thread
/// that works on them. An honest body of 100 KiB is whole within a second, so this is 2,000 of them
/// a second; of the longest, 4 MiB for Rekor v1, it is more than the threads do in a second.
static HELD: Semaphore = Semaphore::const_new(256 * 1024 * 1024);

async fn read_body_within(
    held: &'static Semaphore,
    request: Request,
    limit: usize,
) -> Result<Bytes, Failure> {
    let (parts, mut body) = request.into_parts();
    if declared_length(&parts.headers).is_some_and(|length| length > limit as u64) {
        discard(&parts.headers, body).await;
        return Err(Failure::BodyTooLarge { limit });
    }
    let mut whole = Unfinished::within(held);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame.map_err(|_| Failure::BodyUnreadable)?.into_data() else {
            continue; // trailers
        };
        if whole.as_slice().len() + frame.len() > limit {
            discard(&parts.headers, body).await;
            return Err(Failure::BodyTooLarge { limit });
        }
        whole.push(frame)?;
    }
    Ok(whole.into_bytes())
}

/// A body that waits for its end, with its share of what all bodies may take.
pub(crate) struct Unfinished {
    all: &'static Semaphore,
    share: Option<SemaphorePermit<'static>>,
    collected: Collected,
}

/// A whole body; its share is given back with the last of its bytes.
struct Whole {
    bytes: Bytes,
    _share: Option<SemaphorePermit<'static>>,
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Unfinished {
    pub(crate) fn new() -> Self {
        Self::within(&HELD)
    }

    fn within(all: &'static Semaphore) -> Self {
        Self { all, share: None, collected: Collected::Nothing }
    }

    /// Keeps `frame`, or [`Failure::Overloaded`].
    pub(crate) fn push(&mut self, frame: Bytes) -> Result<(), Failure> {
        let bytes = u32::try_from(frame.len()).map_err(|_| Failure::Overloaded)?;
        let more = self.all.try_acquire_many(bytes).map_err(|_| Failure::Overloaded)?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        self.collected.push(frame);
        Ok(())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.collected {
            Collected::Nothing => &[],
            Collected::One(bytes) => bytes,
            Collected::Many(bytes) => bytes,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(Whole { bytes: self.collected.into_bytes(), _share: self.share })
    }
}

/// The body so far. A body of one frame, the usual case, is never copied.
enum Collected {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Collected {
    fn push(&mut self, frame: Bytes) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(frame),
            Self::One(first) => {
                let mut bytes = BytesMut::from(first);
                bytes.extend_from_slice(&frame);
                Self::Many(bytes)
            }
            Self::Many(mut bytes) => {
                bytes.extend_from_slice(&frame);
                Self::Many(bytes)
            }
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// The `Content-Length`, when there is one that is a number.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops the rest of a refused body, within limits.
///
/// Closing a socket with unread bytes resets it, and a client that is still
/// writing then sees "connection reset" in place of the 413. A client that
/// waits for `100 Continue` is not asked to send anything.
pub(crate) async fn discard(headers: &HeaderMap, mut body: Body) {
    let too_long = declared_length(headers).is_some_and(|length| length > DISCARD_LIMIT as u64);
    if too_long || headers.contains_key(header::EXPECT) {
        return;
    }
    let read = async {
        let mut seen = 0usize;
        while let Some(Ok(frame)) = body.frame().await {
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if seen > DISCARD_LIMIT {
                break;
            }
        }
    };
    // Out of time is as good as read: the answer goes out either way.
    let _ = tokio::time::timeout(DISCARD_TIME, read).await;
}

/// Largest refused body that is still read to its end: twice the longest token
/// anybody was seen to send by mistake; beyond that a reset is deserved.
const DISCARD_LIMIT: usize = 8 * 1024 * 1024;

/// Longest time spent on a refused body.
const DISCARD_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt, stream};
    use proptest::prelude::*;

    use super::*;

    fn request_of(frames: Vec<&'static [u8]>) -> Request {
        let frames = frames.into_iter().map(|frame| Ok::<_, std::io::Error>(Bytes::from(frame)));
        Request::new(Body::from_stream(stream::iter(frames)))
    }

    #[tokio::test]
    async fn bodies_share_one_bound_and_give_it_back() {
        let held: &'static Semaphore = Box::leak(Box::new(Semaphore::new(10)));
        let begun: Vec<std::io::Result<Bytes>> = vec![Ok(Bytes::from_static(b"123456"))];
        let endless = stream::iter(begun).chain(stream::pending());
        let slow = read_body_within(held, Request::new(Body::from_stream(endless)), 100);
        let mut slow = Box::pin(slow);
        assert!(slow.as_mut().now_or_never().is_none());

        let other = || request_of(vec![b"abc", b"de"]);
        let refused = read_body_within(held, other(), 100).await;
        assert_eq!(refused, Err(Failure::Overloaded));
        drop(slow);
        let read = read_body_within(held, other(), 100).await;
        assert_eq!(read, Ok(Bytes::from_static(b"abcde")));
        // Whoever works on a body holds its share; a part of it is all of it.
        let part = read.unwrap().slice(1..2);
        assert_eq!(held.available_permits(), 5);
        drop(part);
        assert_eq!(held.available_permits(), 10);
    }

    proptest! {
        #[test]
        fn the_framing_of_a_body_changes_neither_its_bytes_nor_its_limit(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..8),
            limit in 0usize..40,
        ) {
            let whole = frames.concat();
            let frames = frames.into_iter().map(|frame| Ok::<_, std::io::Error>(Bytes::from(frame)));
            let request = Request::new(Body::from_stream(stream::iter(frames)));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let read = runtime.unwrap().block_on(read_body(request, limit));
            let expected = if whole.len() <= limit {
                Ok(Bytes::from(whole))
            } else {
                Err(Failure::BodyTooLarge { limit })
            };
            prop_assert_eq!(read, expected);
        }
    }
}
