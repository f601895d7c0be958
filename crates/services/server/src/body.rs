use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::BodyExt;

use crate::{
    Failure,
    meter::{Meter, Size, Taken},
    shares::Shares,
};

/// Reads the whole body, at most `limit` bytes of it.
///
/// A `Content-Length` above the limit is refused before anything is read, and
/// no memory is reserved on the word of the header alone. Bodies count on the budgets of their peer, their listener and
/// the process until they are dropped, so that neither many slow callers nor a queue of long requests can fill
/// the memory, and who sends long ones leaves room for short ones: tower's limits count requests, not bytes.
///
/// # Errors
/// [`Failure::BodyTooLarge`], [`Failure::BodyUnreadable`], [`Failure::Overloaded`].
pub async fn read_body(request: Request, limit: usize) -> Result<Bytes, Failure> {
    let (parts, mut body) = request.into_parts();
    if declared_length(&parts.headers).is_some_and(|length| length > limit as u64) {
        discard(&parts.headers, body).await;
        return Err(Failure::BodyTooLarge { limit });
    }
    let mut whole = Unfinished::of(&parts, limit);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame.map_err(|_| Failure::BodyUnreadable)?.into_data() else {
            continue; // trailers
        };
        if whole.as_slice().len() + frame.len() > limit {
            discard(&parts.headers, body).await;
            return Err(Failure::BodyTooLarge { limit });
        }
        if let Err(overloaded) = whole.push(frame) {
            drop(whole);
            discard(&parts.headers, body).await;
            return Err(overloaded);
        }
    }
    Ok(whole.into_bytes())
}

/// Reads past the body of a request that is refused by its head, within limits: a client that still writes would not
/// see the answer.
pub async fn discard_body(request: Request) {
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body).await;
}

/// A body that waits for its end, with its share of what bodies may take.
pub(crate) struct Unfinished {
    budget: Arc<Meter>,
    share: Option<Taken>,
    collected: Collected,
    /// Whether it says that it will be long, and how long it may become.
    /// By its `Content-Length`; 0 where there is none.
    declared: usize,
    most: usize,
}

/// A whole body; its share is given back with the last of its bytes.
struct Whole {
    bytes: Bytes,
    _share: Option<Taken>,
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Unfinished {
    /// Of the request with these parts, of at most `most` bytes.
    pub(crate) fn of(parts: &Parts, most: usize) -> Self {
        let declared = declared_length(&parts.headers)
            .map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        let budget = Shares::of(&parts.extensions).bodies;
        Self { budget, share: None, collected: Collected::Nothing, declared, most }
    }

    /// Keeps `frame`, or [`Failure::Overloaded`].
    pub(crate) fn push(&mut self, frame: Bytes) -> Result<(), Failure> {
        let so_far = self.as_slice().len() + frame.len();
        let size = Size::of(so_far.max(self.declared));
        let room = if let Some(share) = &mut self.share {
            share.grow(frame.len(), size)
        } else {
            self.share = self.budget.take(frame.len(), size);
            self.share.is_some()
        };
        if !room {
            return Err(Failure::Overloaded);
        }
        // Small ones at once; larger ones as they come, since it is only said.
        let at_once = if size == Size::Small { self.declared.min(self.most) } else { 0 };
        self.collected.push(frame, (at_once, self.most));
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
    Many(Vec<u8>),
}

impl Collected {
    fn push(&mut self, frame: Bytes, room: (usize, usize)) {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => Self::One(frame),
            Self::One(first) => Self::Many(joined(joined(Vec::new(), &first, room), &frame, room)),
            Self::Many(bytes) => Self::Many(joined(bytes, &frame, room)),
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.into(),
        }
    }
}

/// Adds `frame`; there is room for `at_once` from the first on, and it is doubled as usual, but never beyond `most`.
fn joined(mut bytes: Vec<u8>, frame: &[u8], (at_once, most): (usize, usize)) -> Vec<u8> {
    let needed = bytes.len() + frame.len();
    if needed > bytes.capacity() {
        let doubled = if at_once < needed { needed.saturating_mul(2) } else { at_once };
        let room = needed.max(most.min(doubled));
        bytes.reserve_exact(room - bytes.len());
    }
    bytes.extend_from_slice(frame);
    bytes
}

/// The `Content-Length`, when there is one that is a number.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops the rest of a refused body, within limits.
///
/// Closing a socket with unread bytes resets it, and a client that is still
/// writing then sees "connection reset" in place of the 413 or 503. A client that
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

    fn on(budget: &Arc<Meter>, mut request: Request) -> Request {
        let bodies = Arc::clone(budget);
        request.extensions_mut().insert(Shares { bodies, answers: Arc::new(Meter::new(0)) });
        request
    }

    #[tokio::test]
    async fn bodies_share_one_bound_and_give_it_back() {
        let held = Arc::new(Meter::new(10));
        let begun: Vec<std::io::Result<Bytes>> = vec![Ok(Bytes::from_static(b"123456"))];
        let endless = stream::iter(begun).chain(stream::pending());
        let slow = read_body(on(&held, Request::new(Body::from_stream(endless))), 100);
        let mut slow = Box::pin(slow);
        assert!(slow.as_mut().now_or_never().is_none());

        let other = || on(&held, request_of(vec![b"abc", b"de"]));
        assert_eq!(read_body(other(), 100).await, Err(Failure::Overloaded));
        drop(slow);
        let read = read_body(other(), 100).await;
        assert_eq!(read, Ok(Bytes::from_static(b"abcde")));
        // Whoever works on a body holds its share; a part of it is all of it.
        let part = read.unwrap().slice(1..2);
        assert_eq!(held.taken(), 5);
        drop(part);
        assert_eq!(held.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn long_bodies_leave_a_reserve_to_short_ones() {
        let held = Arc::new(Meter::new(400 * 1024));
        let long = |declared: bool| {
            let frame = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 * 1024]));
            let endless = stream::iter([frame(), frame()]).chain(stream::pending());
            let mut request = on(&held, Request::new(Body::from_stream(endless)));
            if declared {
                request.headers_mut().insert(header::CONTENT_LENGTH, (4 << 20).into());
            }
            Box::pin(read_body(request, 4 << 20))
        };
        let mut slow: Vec<_> = [true, false].map(long).into_iter().collect();
        for body in &mut slow {
            assert!(body.as_mut().now_or_never().is_none());
        }
        assert_eq!(long(true).await, Err(Failure::Overloaded));
        let short = on(&held, request_of(vec![b"short"]));
        assert_eq!(read_body(short, 100).await, Ok(Bytes::from_static(b"short")));
    }

    #[tokio::test]
    async fn a_body_without_room_is_read_to_its_end() {
        let read = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let frames = {
            let read = Arc::clone(&read);
            stream::repeat(Bytes::from_static(b"12345678")).take(9).map(move |frame| {
                read.fetch_add(frame.len(), std::sync::atomic::Ordering::SeqCst);
                Ok::<_, std::io::Error>(frame)
            })
        };
        let held = Arc::new(Meter::new(10));
        let other = held.take(5, Size::Small).unwrap();
        let request = on(&held, Request::new(Body::from_stream(frames)));
        assert_eq!(read_body(request, 100).await, Err(Failure::Overloaded));
        assert_eq!(read.load(std::sync::atomic::Ordering::SeqCst), 72);
        drop(other);
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
