use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What happens on one connection, as far as its time limits ask. Clones share it.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Mutex<State>>);

struct State {
    /// Requests in the hands of the router.
    under_way: usize,
    /// Whether there was a whole request head.
    asked: bool,
    /// When the last request was answered, or the connection accepted.
    quiet_since: Instant,
}

/// What a connection deserves at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be looked at again then.
    Wait(Instant),
    /// It never sent a request.
    Silent,
    /// Nothing was asked for a while, or the peer does not take its answers.
    Idle,
}

impl Activity {
    pub(crate) fn new() -> Self {
        let state = State { under_way: 0, asked: false, quiet_since: Instant::now() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Notes a request; it is under way until the guard is dropped.
    pub(crate) fn begin(&self) -> UnderWay {
        let mut state = self.lock();
        state.asked = true;
        state.under_way += 1;
        UnderWay(self.clone())
    }

    pub(crate) fn judge(&self, first_request: Duration, idle: Duration) -> Verdict {
        let (state, now) = (self.lock(), Instant::now());
        let limit = if state.asked { idle } else { first_request };
        let end = state.quiet_since + limit;
        if state.under_way > 0 {
            // However long it takes: the router has a time limit of its own.
            Verdict::Wait(now + limit)
        } else if now < end {
            Verdict::Wait(end)
        } else if state.asked {
            Verdict::Idle
        } else {
            Verdict::Silent
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const IDLE: Duration = Duration::from_secs(5);

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
}
