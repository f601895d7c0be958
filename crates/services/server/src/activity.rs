//! What happens on one connection: whose turn it is, and since when.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// What happens on one connection, as far as its time limits ask. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Requests in the hands of the router.
    under_way: usize,
    /// Those of them whose bodies have not come to their ends.
    arriving: usize,
    /// When each answer that is not written to its end was last asked for more.
    leaving: BTreeMap<u64, Instant>,
    next_answer: u64,
    /// Whether there was a whole request head.
    asked: bool,
    /// When the last answer was given, or the connection accepted.
    quiet_since: Instant,
}

/// What a connection deserves at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be looked at again then.
    Wait(Instant),
    /// It never sent a request.
    Silent,
    /// Nothing was asked for a while.
    Idle,
    /// The peer does not take an answer, and nothing else happens.
    Deaf,
    /// The same, while others of its answers are made or taken: they may be committed to the log, so they are finished.
    PartlyDeaf,
}

/// Whose turn it is on a connection. The lower, the sooner it gives way to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    /// The peer's, and nothing was begun.
    Idle,
    /// The peer's, who sends a body or takes an answer, or has only just come.
    Peers,
    /// Ours.
    Ours,
}

/// A first request is on its way for so long: some round trips. Where all others send bodies, who was let in would else be
/// the only one that does nothing, and leave for the next one that comes.
const FIRST_HEAD: Duration = Duration::from_secs(1);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            under_way: 0,
            arriving: 0,
            leaving: BTreeMap::new(),
            next_answer: 0,
            asked: false,
            quiet_since: Instant::now(),
        })))
    }

    /// Notes a request; it is under way until the guard is dropped.
    pub(crate) fn begin(&self) -> UnderWay {
        let mut state = self.lock();
        state.asked = true;
        state.under_way += 1;
        UnderWay(self.clone())
    }

    /// Notes that the body of a request comes, until it has.
    pub(crate) fn arriving<B: Body>(&self, body: B) -> Arriving<B> {
        let awaited = (!body.is_end_stream()).then(|| {
            self.lock().arriving += 1;
            Awaited(self.clone())
        });
        Arriving { body, awaited }
    }

    /// Notes that an answer is written, until it is.
    pub(crate) fn leaving<B: Body>(&self, body: B) -> Leaving<B> {
        let written = (!body.is_end_stream()).then(|| {
            let mut state = self.lock();
            let number = state.next_answer;
            state.next_answer += 1;
            state.leaving.insert(number, Instant::now());
            Written { activity: self.clone(), number }
        });
        Leaving { body, written }
    }

    pub(crate) fn judge(&self, first_request: Duration, idle: Duration) -> Verdict {
        let (state, now) = (self.lock(), Instant::now());
        let deaf_at = state.leaving.values().min().map(|asked| *asked + idle);
        let limit = if state.asked { idle } else { first_request };
        let end = state.quiet_since + limit;
        match deaf_at {
            Some(deaf_at) if deaf_at <= now => {
                let moves = state.leaving.values().any(|asked| *asked + idle > now);
                if moves || state.under_way > 0 { Verdict::PartlyDeaf } else { Verdict::Deaf }
            }
            Some(deaf_at) => Verdict::Wait(deaf_at),
            // However long it takes: the router has a time limit of its own.
            None if state.under_way > 0 => Verdict::Wait(now + limit),
            None if now < end => Verdict::Wait(end),
            None if state.asked => Verdict::Idle,
            None => Verdict::Silent,
        }
    }

    /// Whose turn it is, and when the connection was last quiet.
    pub(crate) fn turn(&self) -> (Turn, Instant) {
        let state = self.lock();
        let is_new = !state.asked && state.quiet_since.elapsed() < FIRST_HEAD;
        let turn = if state.under_way > state.arriving {
            Turn::Ours
        } else if state.under_way > 0 || !state.leaving.is_empty() || is_new {
            Turn::Peers
        } else {
            Turn::Idle
        };
        (turn, state.quiet_since)
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in the hands of the router.
pub(crate) struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
        state.quiet_since = Instant::now();
    }
}

struct Awaited(Activity);

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.arriving = state.arriving.saturating_sub(1);
    }
}

struct Written {
    activity: Activity,
    number: u64,
}

impl Written {
    fn asked(&self) {
        self.activity.lock().leaving.insert(self.number, Instant::now());
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.leaving.remove(&self.number);
        state.quiet_since = Instant::now();
    }
}

/// The body of a request that is under way.
pub(crate) struct Arriving<B> {
    body: B,
    awaited: Option<Awaited>,
}

/// The body of an answer that is written.
pub(crate) struct Leaving<B> {
    body: B,
    written: Option<Written>,
}

impl<B: Body + Unpin> Body for Arriving<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.awaited = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body + Unpin> Body for Leaving<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if let Some(written) = &self.written {
            written.asked();
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;
    use http_body_util::BodyExt;

    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(5);

    fn two_pages() -> Body {
        Body::from_stream(stream::iter(["one", "two"].map(Ok::<_, std::io::Error>)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_silent_after_the_first_limit() {
        let activity = Activity::new();
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + FIRST));
        tokio::time::advance(FIRST).await;
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Silent);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_only_after_its_last_answer() {
        let activity = Activity::new();
        let (one, two) = (activity.begin(), activity.begin());
        tokio::time::advance(IDLE * 10).await;
        assert!(matches!(activity.judge(FIRST, IDLE), Verdict::Wait(_)));
        drop(one);
        tokio::time::advance(IDLE).await;
        assert!(matches!(activity.judge(FIRST, IDLE), Verdict::Wait(_)));
        drop(two);
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + IDLE));
        tokio::time::advance(IDLE).await;
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_deaf_to_one_answer_whatever_it_does_with_others() {
        let activity = Activity::new();
        drop(activity.begin());
        let mut slow = activity.leaving(two_pages());
        slow.frame().await.unwrap().unwrap();
        let half = IDLE / 2;
        tokio::time::advance(half).await;
        let mut other = activity.leaving(two_pages());
        other.frame().await.unwrap().unwrap();
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + half));
        tokio::time::advance(half).await;
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::PartlyDeaf);
        tokio::time::advance(half).await;
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Deaf);
        let request = activity.begin();
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::PartlyDeaf);
        drop(request);
        other.frame().await.unwrap().unwrap();
        tokio::time::advance(half).await;
        slow.frame().await.unwrap().unwrap();
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + half));
        drop((slow, other));
        assert_eq!(activity.judge(FIRST, IDLE), Verdict::Wait(Instant::now() + IDLE));
    }

    #[tokio::test]
    async fn it_is_the_peers_turn_until_a_body_has_come_and_while_an_answer_leaves() {
        let activity = Activity::new();
        let turn = || activity.turn().0;
        assert_eq!(turn(), Turn::Idle);
        let request = activity.begin();
        assert_eq!(turn(), Turn::Ours);
        let mut body = activity.arriving(two_pages());
        assert_eq!(turn(), Turn::Peers);
        while body.frame().await.is_some() {
            assert_eq!(turn(), Turn::Peers);
        }
        assert_eq!(turn(), Turn::Ours);
        // A body that nobody reads is not waited for.
        let unread = activity.arriving(two_pages());
        drop(unread);
        assert_eq!(turn(), Turn::Ours);
        drop(request);
        let answer = activity.leaving(two_pages());
        assert_eq!(turn(), Turn::Peers);
        drop((answer, activity.leaving(Body::empty())));
        assert_eq!(turn(), Turn::Idle);
    }
}
