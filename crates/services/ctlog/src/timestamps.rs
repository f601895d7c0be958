//! The times that a CT log signs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use moment::UnixMillis;
use signing::Clock;

/// Times of SCTs and tree heads: none is before one that was given out.
pub(super) struct Timestamps {
    clock: Arc<dyn Clock>,
    latest_ms: AtomicU64,
}

impl Timestamps {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest_ms: AtomicU64::new(0) }
    }

    /// What the clock says, which may go back.
    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now_ms()
    }

    /// A time to sign: the clock's, unless it went backwards, or `least`; then the latest one.
    pub(super) fn next(&self, least: UnixMillis) -> UnixMillis {
        let now = self.now().max(least);
        UnixMillis(self.latest_ms.fetch_max(now.0, Ordering::Relaxed)).max(now)
    }
}
