//! The one task that writes to a log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use signing::{Clock, SignError};
use store::{
    Appended, Batch, DedupHash, Found, LogRecord, LogStore, NewEntry, Placement, StoreError,
};
use tlog::{BatchTree, Edge, LeafIndex};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    PublishedCheckpoint,
    apart::known_apart,
    durable::{COMMIT_TIME, durable_edge, in_time},
    gauges::Gauges,
    health::Health,
    outcome::{is_passing, refused, stopped, unavailable, unsigned},
    publish::{PublishError, Publisher},
    queue::{Pending, Queue},
    recheck::{self, Written},
};
use crate::{RecheckError, StopReason, SubmitError};

/// What a waiter is given; it makes its proof from it.
#[derive(Clone)]
pub(super) struct Sequenced {
    pub(super) placement: Placement,
    pub(super) tree: Arc<BatchTree>,
    pub(super) checkpoint: Arc<PublishedCheckpoint>,
}

type Waiter = oneshot::Sender<Result<Sequenced, SubmitError>>;

/// Takes batches from the queue and brings them into the log, one after the other.
///
/// Committing, confirming and signing are sequential: at 512 entries a batch
/// they take a few milliseconds together, all entries that arrive meanwhile are
/// the next batch, and no unconfirmed batch is ever built upon.
pub(super) struct Batcher {
    log: LogRecord,
    store: Arc<dyn LogStore>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    queue: Arc<Queue>,
    publisher: Publisher,
    /// Right edge of what this process has confirmed. The store must never be behind it.
    confirmed: Edge,
    gauges: Gauges,
    /// [`LogStore::generation`] when the store was last looked at, and everything was well.
    generation: Option<u64>,
    /// How often it was not looked at since.
    rests: u32,
}

/// Where a batch ended up in the store.
struct Settled {
    placements: Vec<Placement>,
    after: Edge,
}

impl Batcher {
    pub(super) fn new(
        log: LogRecord,
        (store, clock, health): (Arc<dyn LogStore>, Arc<dyn Clock>, Arc<Health>),
        queue: Arc<Queue>,
        (publisher, confirmed): (Publisher, Edge),
    ) -> Self {
        let (gauges, generation, rests) = (Gauges(log.spec.name.clone()), None, 0);
        Self { log, store, clock, health, queue, publisher, confirmed, gauges, generation, rests }
    }

    /// Works until `shutdown`, then finishes what was accepted.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        self.show_size();
        self.gauges.stopped(false);
        self.gauges.anchored(false, None);
        loop {
            match tokio::time::timeout(REST, self.queue.next_batch(&shutdown)).await {
                Ok(Some(pending)) => self.turn(pending).await,
                Ok(None) => return,
                Err(_rested) => self.look_around().await,
            }
        }
    }

    /// A batch, and what readers wait for. They came before it, so with it all is published that they saw in the store.
    async fn turn(&mut self, pending: Vec<Pending>) {
        let lookers = self.queue.take_lookers();
        if !pending.is_empty() {
            self.batch(pending).await;
        }
        let newest = lookers.iter().filter(|looker| !looker.waiter.is_closed());
        let newest = newest.map(|looker| looker.size).max();
        let is_there = newest.is_none_or(|size| size <= self.publisher.size());
        let outcome = if is_there { Ok(()) } else { self.catch_up().await };
        for looker in lookers {
            // An error means that the reader went away.
            let _ = looker.waiter.send(outcome.clone());
        }
    }

    async fn batch(&mut self, pending: Vec<Pending>) {
        let of = (self.store.as_ref(), self.log.id);
        let parts = known_apart(of, (self.clock.as_ref(), &self.health), pending).await;
        for part in parts {
            self.part(part).await;
        }
    }

    async fn part(&mut self, pending: Vec<Pending>) {
        let (entries, waiters): (Vec<_>, Vec<_>) =
            pending.into_iter().map(|Pending { entry, waiter }| (entry, waiter)).unzip();
        self.gauges.batch(entries.len(), self.queue.len());
        // The part before this one may have found that the log is not sound.
        let result = match self.queue.closed() {
            Some(reason @ SubmitError::Stopped(_)) => Err(reason),
            _ => self.sequence(entries).await,
        };
        if result.is_err() {
            // It may be in the store all the same, and nobody will say so.
            self.generation = None;
        }
        let frozen = matches!(result, Err(SubmitError::Frozen));
        if let Err(reason @ SubmitError::Stopped(_)) = &result {
            self.stop(reason);
        }
        answer(waiters, result);
        if frozen {
            // Other replicas, or an earlier batch, may have left entries that are not published yet.
            let _ = self.catch_up().await;
        }
    }

    /// Catches up, unless it is known that there is nothing: an idle log asks its database for nothing.
    async fn look_around(&mut self) {
        // Before the look: what is written after it is another generation.
        let generation = self.store.generation();
        let is_still = generation.is_some() && generation == self.generation;
        self.rests += 1;
        if is_still && self.rests < RESTS {
            return;
        }
        self.rests = 0;
        // What could not be published is tried again after the next rest.
        self.generation = if self.catch_up().await.is_ok() { generation } else { None };
    }

    /// Publishes what is in the store and not yet published: by other replicas, or by a batch that
    /// failed after its commit. The queue of a frozen log is closed after that, and not before.
    ///
    /// Else a monitor that meets now this replica and now another would see the log shrink.
    async fn catch_up(&mut self) -> Result<(), SubmitError> {
        let seen = self.confirmed.size();
        let caught_up = async {
            let state = in_time(self.store.state(self.log.id)).await;
            let state = self.health.note_read(state).map_err(refused)?;
            self.health.note_latest(state.last_time);
            if state.edge.size() == seen {
                // Signed and kept already, unless key or anchor failed when it was confirmed.
                return self.sign().await.map(|_| state.frozen);
            }
            let nothing = Batch { entries: Vec::new(), now: self.clock.now(), minimum_size: seen };
            let settled = Settled { placements: Vec::new(), after: state.edge };
            // An append without entries would wait in line with those of other replicas, for every reader.
            let settled =
                if state.is_durable { settled } else { self.durable(&nothing, settled).await? };
            self.confirm(&nothing, &settled).await?;
            self.confirmed = settled.after;
            self.show_size();
            self.sign().await.map(|_| state.frozen)
        };
        let caught_up = caught_up.await;
        match caught_up {
            Ok(false) => Ok(()),
            // The state was read after the freezing: what it has is all that there will be.
            Ok(true) => {
                tracing::info!(log.name = %self.log.spec.name, "the log was frozen");
                self.queue.close(SubmitError::Frozen);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(log.name = %self.log.spec.name, error = %error,
                    "what other replicas wrote cannot be published yet");
                if matches!(error, SubmitError::Stopped(_)) {
                    self.stop(&error);
                }
                Err(error)
            }
        }
    }

    /// Commits, confirms, signs. Whatever fails, fails for the whole batch.
    async fn sequence(&mut self, entries: Vec<NewEntry>) -> Result<Vec<Sequenced>, SubmitError> {
        let batch =
            Batch { entries, now: self.clock.to_sign()?, minimum_size: self.confirmed.size() };
        let started = Instant::now();
        let settled = self.commit(&batch).await?;
        // Durable from here; a crash before the answer leaves entries that a repetition finds.
        metrics::histogram!("countersign_log_commit_seconds", "log" => self.name())
            .record(started.elapsed());

        let tree = Arc::new(self.confirm(&batch, &settled).await?);
        self.confirmed = settled.after;

        let checkpoint = self.sign().await?;
        metrics::counter!("countersign_log_entries_total", "log" => self.name())
            .increment(tree.head().size.0 - tree.before().size().0);
        self.show_size();
        let sequenced = |placement| Sequenced {
            placement,
            tree: Arc::clone(&tree),
            checkpoint: Arc::clone(&checkpoint),
        };
        if let Some(newest) = settled.placements.iter().rfind(|placement| placement.fresh) {
            self.health.note_latest(newest.integrated_at);
        }
        Ok(settled.placements.into_iter().map(sequenced).collect())
    }

    /// Appends the batch until its outcome is certain, in a bounded number of attempts.
    async fn commit(&self, batch: &Batch) -> Result<Settled, SubmitError> {
        // What to say when the attempts are used up, or when one fails for good.
        let mut doubt = None;
        for attempt in 0..COMMIT_ATTEMPTS {
            match self.health.note_write(self.append(batch).await) {
                Ok(appended) if appended.placements.len() == batch.entries.len() => {
                    let (placements, after) = (appended.placements, appended.after);
                    return Ok(Settled { placements, after });
                }
                Ok(_) => return Err(stopped(StopReason::PlacementsMissing)),
                // Nothing was written: another replica was first.
                Err(StoreError::Conflict) => {}
                Err(StoreError::OutcomeUnknown { source }) => {
                    tracing::warn!(log.name = %self.log.spec.name, error = %source,
                        "the outcome of a commit is unknown, reading it back");
                    if let Some(settled) = self.find_outcome(batch).await? {
                        return self.durable(batch, settled).await;
                    }
                    // It is not there. Should the lost transaction still be on its way, the next
                    // append waits for its row lock and finds its entries as duplicates.
                    doubt = Some(SubmitError::OutcomeUnknown);
                }
                Err(error) => {
                    if let StoreError::ClockBehind { by } = &error {
                        // Another replica's, whose time this one had not met.
                        self.health.note_latest(batch.now.saturating_add(*by));
                    }
                    return Err(match (refused(error), doubt) {
                        (SubmitError::Unavailable(_), Some(doubt)) => doubt,
                        (refused, _) => refused,
                    });
                }
            }
            pause(attempt).await;
        }
        Err(doubt.unwrap_or_else(|| unavailable(StoreError::Conflict)))
    }

    /// One attempt. A store that does not answer in time may have committed all the same.
    async fn append(&self, batch: &Batch) -> Result<Appended, StoreError> {
        tokio::time::timeout(COMMIT_TIME, self.store.append(self.log.id, batch))
            .await
            .unwrap_or_else(|late| Err(StoreError::OutcomeUnknown { source: late.into() }))
    }

    /// Waits for a commit after the lost one: what was read back may be missing on the standby.
    async fn durable(&self, batch: &Batch, settled: Settled) -> Result<Settled, SubmitError> {
        let (now, seen) = (batch.now, settled.after.size().max(batch.minimum_size));
        match durable_edge(self.store.as_ref(), self.log.id, now, seen).await {
            Ok(after) => Ok(Settled { after, ..settled }),
            Err(error) => match refused(error) {
                SubmitError::Unavailable(_) => Err(SubmitError::OutcomeUnknown),
                refused => Err(refused),
            },
        }
    }

    /// Reads back, by deduplication hash, whether a batch of unknown outcome is in the log.
    async fn find_outcome(&self, batch: &Batch) -> Result<Option<Settled>, SubmitError> {
        let dedup_hashes: Vec<DedupHash> =
            batch.entries.iter().map(|entry| entry.dedup_hash).collect();
        for attempt in 0..READ_BACK_ATTEMPTS {
            let found = async {
                let found = self.store.find(self.log.id, &dedup_hashes).await?;
                let state = self.store.state(self.log.id).await?;
                Ok::<_, StoreError>((found, state.edge))
            };
            match in_time(found).await {
                Ok((found, after)) => return Ok(self.settle(batch, found, after)),
                Err(StoreError::Unavailable { source }) => {
                    tracing::warn!(log.name = %self.log.spec.name, error = %source,
                        "the store does not answer, the outcome stays unknown for now");
                }
                Err(error) => return Err(refused(error)),
            }
            pause(attempt).await;
        }
        Err(SubmitError::OutcomeUnknown)
    }

    /// The batch's placements, if every entry of it was found.
    fn settle(&self, batch: &Batch, found: Vec<Option<Found>>, after: Edge) -> Option<Settled> {
        let found: Vec<Found> = found.into_iter().collect::<Option<_>>()?;
        let mut last_fresh = None;
        let placements = batch
            .entries
            .iter()
            .zip(&found)
            .map(|(entry, found)| {
                // Entries of a batch are placed in order, so an index that does not grow is a twin.
                let fresh = !self.confirmed.size().contains(found.index)
                    && found.leaf_hash == entry.leaf_hash
                    && last_fresh.is_none_or(|last| found.index > last);
                if fresh {
                    last_fresh = Some(found.index);
                }
                Placement { index: found.index, integrated_at: found.integrated_at, fresh }
            })
            .collect();
        Some(Settled { placements, after })
    }

    /// Confirms everything between what was confirmed before and the new head.
    async fn confirm(&self, batch: &Batch, settled: &Settled) -> Result<BatchTree, SubmitError> {
        let (expected, found) = (self.confirmed.size(), settled.after.size());
        if found < expected {
            return Err(stopped(StopReason::Rollback { expected, found }));
        }
        let written: Vec<Written> = batch
            .entries
            .iter()
            .zip(&settled.placements)
            .filter(|(_, placement)| placement.fresh)
            .map(|(entry, placement)| Written {
                index: placement.index,
                leaf_hash: entry.leaf_hash,
            })
            .collect();
        if let Some(misplaced) = written.iter().find(|row| expected.contains(row.index)) {
            let (expected, found) = (misplaced.index, expected.end());
            return Err(stopped(StopReason::RowMissing { expected, found }));
        }
        let (store, log) = (self.store.as_ref(), self.log.id);
        // Other replicas may have written any number of entries meanwhile: in steps, so that
        // neither memory nor the time of one read grows with it. The last step sees the root.
        let mut reached = self.confirmed.clone();
        let last_step = recheck::ROWS_PER_READ.max(written.len() as u64);
        while found.0 - reached.size().0 > last_step {
            let start = reached.size().end();
            let rows = start..LeafIndex(start.0 + recheck::ROWS_PER_READ);
            let read = || recheck::read_leaves(store, log, rows.clone(), &written);
            for leaf in self.read_back(read).await? {
                reached.push(leaf);
            }
        }
        self.read_back(|| recheck::confirm(store, log, &reached, &settled.after, &written)).await
    }

    /// Reads committed rows, again and again while the store does not answer.
    async fn read_back<T, F>(&self, read: impl Fn() -> F) -> Result<T, SubmitError>
    where
        F: Future<Output = Result<T, RecheckError>>,
    {
        for attempt in 0..READ_BACK_ATTEMPTS {
            match in_time(read()).await {
                Ok(rows) => return Ok(rows),
                Err(RecheckError::Store(error)) if is_passing(&error) => {
                    tracing::warn!(log.name = %self.log.spec.name, error = %error,
                        "committed rows cannot be read back yet");
                }
                Err(error) => return Err(SubmitError::Stopped(recheck::stop_reason(&error))),
            }
            pause(attempt).await;
        }
        // Committed and unconfirmed: the next batch confirms these rows before anything is signed.
        Err(SubmitError::OutcomeUnknown)
    }

    /// Publishes what is confirmed. While that cannot be kept, nothing more is taken.
    async fn sign(&mut self) -> Result<Arc<PublishedCheckpoint>, SubmitError> {
        let published = self.publish().await;
        if published.is_err() {
            self.generation = None;
        }
        let unanchored = match &published {
            Ok(_) => None,
            Err(error @ SubmitError::Unanchored(_)) => Some(error.clone()),
            // The anchors were not written, so nothing is known of them that is new.
            Err(_) => return published,
        };
        self.gauges.anchored(self.queue.held().is_some(), unanchored.as_ref());
        self.queue.hold(unanchored);
        published
    }

    async fn publish(&mut self) -> Result<Arc<PublishedCheckpoint>, SubmitError> {
        for attempt in 0..SIGNING_ATTEMPTS {
            match self.publisher.publish(&self.confirmed).await {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(PublishError::Unanchored(error)) => return Err(error),
                Err(PublishError::Signing(error @ SignError::Signature(_))) => {
                    return Err(unsigned(error));
                }
                Err(PublishError::Signing(error)) if attempt + 1 == SIGNING_ATTEMPTS => {
                    return Err(unsigned(error));
                }
                Err(PublishError::Signing(error)) => {
                    tracing::warn!(log.name = %self.log.spec.name, error = %error,
                        "a checkpoint could not be signed, trying again");
                }
            }
            pause(attempt).await;
        }
        Err(SubmitError::OutcomeUnknown)
    }

    /// Takes nothing more, for good. What is published stays readable.
    fn stop(&self, reason: &SubmitError) {
        tracing::error!(log.name = %self.log.spec.name, error = %reason, "the log takes no more entries");
        self.gauges.stopped(true);
        self.queue.close(reason.clone());
        self.queue.refuse_pending();
    }

    fn show_size(&self) {
        self.gauges.size(self.confirmed.size().0);
    }

    fn name(&self) -> String {
        self.log.spec.name.clone()
    }
}

impl Drop for Batcher {
    /// However the task ends, nobody is left waiting.
    fn drop(&mut self) {
        self.queue.close(stopped(StopReason::TaskDied));
        self.queue.refuse_pending();
    }
}

/// After so long without work, it is asked whether others wrote.
const REST: Duration = Duration::from_secs(1);
/// So many rests without news, and the store is looked at all the same: who wrote may have died before it said so.
const RESTS: u32 = 30;
/// Attempts at one commit. Conflicts need another replica, each of which wins once at a time.
const COMMIT_ATTEMPTS: u32 = 6;
/// Attempts at reading back. While they last, new entries queue up and then are refused.
const READ_BACK_ATTEMPTS: u32 = 8;
/// Attempts at signing; a remote key that fails three times fails for longer.
const SIGNING_ATTEMPTS: u32 = 3;

/// Waits 5 ms, 10 ms, 20 ms, ... at most 2 s.
async fn pause(attempt: u32) {
    const LONGEST: Duration = Duration::from_secs(2);
    let wait = Duration::from_millis(5).saturating_mul(2u32.saturating_pow(attempt));
    tokio::time::sleep(wait.min(LONGEST)).await;
}

fn answer(waiters: Vec<Waiter>, result: Result<Vec<Sequenced>, SubmitError>) {
    // An error of `send` means that the submitter went away; its entry is in the log all the same.
    match result {
        Ok(sequenced) => {
            for (waiter, sequenced) in waiters.into_iter().zip(sequenced) {
                let _ = waiter.send(Ok(sequenced));
            }
        }
        Err(error) => {
            for waiter in waiters {
                let _ = waiter.send(Err(error.clone()));
            }
        }
    }
}
