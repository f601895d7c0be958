//! The bounded queue between submitters and the batcher.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use store::{MAX_BATCH_ENTRIES, NewEntry};
use tlog::TreeSize;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{LogLimits, batcher::Sequenced};
use crate::SubmitError;

/// An entry that waits to be sequenced, and whoever waits for it.
///
/// The waiter may be gone by the time of the answer; the entry is sequenced all the same.
pub(super) struct Pending {
    pub(super) entry: NewEntry,
    pub(super) waiter: oneshot::Sender<Result<Sequenced, SubmitError>>,
}

/// A reader who waits until so many entries are published.
pub(super) struct Looker {
    pub(super) size: TreeSize,
    pub(super) waiter: oneshot::Sender<Result<(), SubmitError>>,
}

/// Many submitters, one batcher. Nothing ever waits while holding the lock.
pub(super) struct Queue {
    limits: LogLimits,
    state: Mutex<State>,
    arrived: Notify,
    /// Whether new entries are refused, while what is queued is still written: it was let in.
    no_room: AtomicBool,
}

#[derive(Default)]
struct State {
    pending: VecDeque<Pending>,
    looking: Vec<Looker>,
    bytes: usize,
    closed: Option<SubmitError>,
    /// Why nothing is taken for now.
    held: Option<SubmitError>,
}

impl Queue {
    /// A batch has at least one entry, or it would never end, and no more than a store takes.
    pub(super) fn new(limits: LogLimits) -> Self {
        let batch_entries = limits.batch_entries.clamp(1, MAX_BATCH_ENTRIES);
        let limits = LogLimits { batch_entries, ..limits };
        Self {
            limits,
            state: Mutex::default(),
            arrived: Notify::new(),
            no_room: AtomicBool::new(false),
        }
    }

    /// Refuses new entries, or no more.
    pub(super) fn set_no_room(&self, no_room: bool) {
        self.no_room.store(no_room, Ordering::Relaxed);
    }

    /// Whether new entries are refused for want of room.
    pub(super) fn has_no_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    /// Adds an entry, or refuses it at once.
    pub(super) fn push(&self, pending: Pending) -> Result<(), SubmitError> {
        let size = weight(&pending.entry);
        let mut state = self.lock();
        if let Some(reason) = state.closed.as_ref().or(state.held.as_ref()) {
            return Err(reason.clone());
        }
        if self.has_no_room() {
            return Err(SubmitError::NoRoom);
        }
        if state.pending.len() >= self.limits.queue_entries
            || state.bytes.saturating_add(size) > self.limits.queue_bytes
        {
            return Err(SubmitError::Overloaded);
        }
        state.bytes += size;
        state.pending.push_back(pending);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Has the batcher publish so many entries, which are in the store; says how that ended. Dropped where it cannot.
    pub(super) fn look_for(&self, size: TreeSize) -> oneshot::Receiver<Result<(), SubmitError>> {
        let (waiter, outcome) = oneshot::channel();
        let mut state = self.lock();
        if state.closed.is_none() {
            state.looking.push(Looker { size, waiter });
            drop(state);
            self.arrived.notify_one();
        }
        outcome
    }

    /// Those who wait for entries to be published, and whoever wrote them.
    pub(super) fn take_lookers(&self) -> Vec<Looker> {
        std::mem::take(&mut self.lock().looking)
    }

    /// Waits until something is queued and takes what is there, up to one batch, in order; none where somebody waits for
    /// what others wrote.
    ///
    /// There is no timer: entries that arrive while a batch is being committed
    /// are the next batch. After `shutdown` nothing more is accepted and what
    /// was accepted is handed out; then comes `None`.
    pub(super) async fn next_batch(&self, shutdown: &CancellationToken) -> Option<Vec<Pending>> {
        loop {
            // Asked first: under steady load there is always something pending.
            if shutdown.is_cancelled() {
                self.close(SubmitError::ShuttingDown);
            }
            {
                let mut state = self.lock();
                if !state.pending.is_empty() || !state.looking.is_empty() {
                    return Some(self.take_batch(&mut state));
                }
                if state.closed.is_some() {
                    return None;
                }
            }
            tokio::select! {
                () = self.arrived.notified() => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Refuses every later entry with `reason`; the first reason stays.
    pub(super) fn close(&self, reason: SubmitError) {
        self.lock().closed.get_or_insert(reason);
        self.arrived.notify_one();
    }

    /// Refuses entries with `reason` until it is called again with none.
    pub(super) fn hold(&self, reason: Option<SubmitError>) {
        self.lock().held = reason;
    }

    /// Why it takes nothing for now.
    pub(super) fn held(&self) -> Option<SubmitError> {
        self.lock().held.clone()
    }

    /// Answers everything queued with the reason of the closing.
    pub(super) fn refuse_pending(&self) {
        let (pending, reason) = {
            let mut state = self.lock();
            state.bytes = 0;
            state.looking.clear();
            (std::mem::take(&mut state.pending), state.closed.clone())
        };
        let reason = reason.unwrap_or(SubmitError::ShuttingDown);
        for waiting in pending {
            // An error means that nobody waits any more.
            let _ = waiting.waiter.send(Err(reason.clone()));
        }
    }

    /// Why the queue takes nothing any more.
    pub(super) fn closed(&self) -> Option<SubmitError> {
        self.lock().closed.clone()
    }

    /// Entries that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().pending.len()
    }

    fn take_batch(&self, state: &mut State) -> Vec<Pending> {
        let (mut count, mut bytes) = (0, 0);
        for waiting in &state.pending {
            let size = weight(&waiting.entry);
            // The first one always goes, so that no entry can block the queue.
            if count == self.limits.batch_entries
                || (count > 0 && bytes + size > self.limits.batch_bytes)
            {
                break;
            }
            count += 1;
            bytes += size;
        }
        state.bytes -= bytes;
        state.pending.drain(..count).collect()
    }

    /// A panic elsewhere cannot leave the state half-changed, so a poisoned lock is usable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that an entry holds: its bytes and a little for the rest of it.
fn weight(entry: &NewEntry) -> usize {
    const FIXED: usize = 256;
    let index: usize = entry.index_keys.iter().map(|key| key.key.len()).sum();
    FIXED + entry.body.len() + entry.extra.len() + entry.timestamp_signature.len() + index
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tlog::leaf_hash;

    use super::*;

    fn entry(body: &[u8]) -> NewEntry {
        NewEntry {
            leaf_hash: leaf_hash(body),
            dedup_hash: leaf_hash(body).into(),
            kind: "test",
            body: Bytes::copy_from_slice(body),
            extra: Bytes::new(),
            timestamp_signature: Bytes::new(),
            index_keys: Vec::new(),
        }
    }

    fn limits() -> LogLimits {
        LogLimits { queue_entries: 5, queue_bytes: 10_000, batch_entries: 3, batch_bytes: 2_000 }
    }

    fn pending(body_len: usize) -> Pending {
        Pending { entry: entry(&vec![7; body_len]), waiter: oneshot::channel().0 }
    }

    #[tokio::test]
    async fn hands_out_batches_in_order_and_within_their_bounds() {
        let queue = Queue::new(limits());
        for len in [10, 11, 12, 1_500, 1_600] {
            queue.push(pending(len)).unwrap();
        }
        let token = CancellationToken::new();
        token.cancel();
        let mut batches = Vec::new();
        while let Some(batch) = queue.next_batch(&token).await {
            batches.push(batch.iter().map(|p| p.entry.body.len()).collect::<Vec<_>>());
        }
        assert_eq!(batches, [vec![10, 11, 12], vec![1_500], vec![1_600]]);
        assert_eq!(queue.lock().bytes, 0);
    }

    #[test]
    fn refuses_when_entries_or_bytes_are_full() {
        let queue = Queue::new(limits());
        queue.push(pending(9_000)).unwrap();
        assert!(matches!(queue.push(pending(1_000)), Err(SubmitError::Overloaded)));
        for _ in 0..2 {
            queue.push(pending(1)).unwrap();
        }
        assert!(matches!(queue.push(pending(400)), Err(SubmitError::Overloaded)));
        let queue = Queue::new(limits());
        for _ in 0..5 {
            queue.push(pending(1)).unwrap();
        }
        assert!(matches!(queue.push(pending(1)), Err(SubmitError::Overloaded)));
    }

    #[tokio::test]
    async fn gives_out_an_entry_larger_than_a_batch_alone() {
        let queue = Queue::new(limits());
        queue.push(pending(5_000)).unwrap();
        queue.push(pending(1)).unwrap();
        let token = CancellationToken::new();
        assert_eq!(queue.next_batch(&token).await.unwrap().len(), 1);
        assert_eq!(queue.next_batch(&token).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn accepts_nothing_after_a_shutdown_although_it_is_never_empty() {
        let queue = Queue::new(limits());
        let token = CancellationToken::new();
        for _ in 0..4 {
            queue.push(pending(1)).unwrap();
        }
        token.cancel();
        assert_eq!(queue.next_batch(&token).await.unwrap().len(), 3);
        assert!(matches!(queue.push(pending(1)), Err(SubmitError::ShuttingDown)));
        assert_eq!(queue.next_batch(&token).await.unwrap().len(), 1);
        assert!(queue.next_batch(&token).await.is_none());
    }

    #[tokio::test]
    async fn hands_out_batches_that_a_store_takes_whatever_is_configured() {
        for (configured, expected) in [(0, 1), (usize::MAX, MAX_BATCH_ENTRIES)] {
            let everything = usize::MAX;
            let queue = Queue::new(LogLimits {
                queue_entries: everything,
                queue_bytes: everything,
                batch_entries: configured,
                batch_bytes: everything,
            });
            for _ in 0..=MAX_BATCH_ENTRIES {
                queue.push(pending(1)).unwrap();
            }
            assert_eq!(queue.next_batch(&CancellationToken::new()).await.unwrap().len(), expected);
        }
    }

    #[tokio::test]
    async fn refuses_everything_after_closing() {
        let queue = Queue::new(limits());
        let (sender, receiver) = oneshot::channel();
        queue.push(Pending { entry: entry(b"x"), waiter: sender }).unwrap();
        queue.close(SubmitError::Frozen);
        queue.close(SubmitError::ShuttingDown);
        assert!(matches!(queue.push(pending(1)), Err(SubmitError::Frozen)));
        queue.refuse_pending();
        assert!(matches!(receiver.await.unwrap(), Err(SubmitError::Frozen)));
        assert_eq!(queue.len(), 0);
    }
}
