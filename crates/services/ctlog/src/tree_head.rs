//! Signed tree heads, one signature for each published head.

use std::sync::{Arc, Mutex, PoisonError};

use ct::{SignedTreeHead, TimestampedEntry, UnsignedTreeHead};
use engine::{Log, ReadError};
use moment::UnixMillis;
use signing::{KeyUse, Record, SigningKey};
use tlog::{LeafIndex, TreeHead, TreeSize};
use tokio::sync::OnceCell;

use crate::{CtError, timestamps::Timestamps};

/// The newest signed tree head.
#[derive(Default)]
pub(super) struct TreeHeads {
    newest: Mutex<Option<Cell>>,
}

/// A head, when it was first asked for, and the place of its signature, or of why it has none.
type Cell = (TreeHead, UnixMillis, Arc<Signature>);

type Signature = OnceCell<Result<Arc<SignedTreeHead>, Arc<CtError>>>;

/// A log without new entries signs its head anew so often: §3.5 wants one that is not older than the
/// maximum merge delay, which is a day for most.
const RENEWAL_MS: u64 = 60 * 60 * 1000;

impl TreeHeads {
    /// Signs the latest head of `log`, or gives the signature that it has already.
    ///
    /// Callers that come while a head is being signed wait for that one signature, or share its failure: one after the
    /// other, each would wait for a silent key as often as there are callers before it.
    pub(super) async fn signed(
        &self,
        log: &Log,
        timestamps: &Timestamps,
        key: &SigningKey,
    ) -> Result<Arc<SignedTreeHead>, CtError> {
        let latest = log.latest_checkpoint().await?.head;
        let (head, _, cell) = self.cell(latest, timestamps.now());
        let sign = async || {
            let latest = latest_sct(log, head.size).await?;
            let timestamp = timestamps.of_head(latest)?;
            let unsigned = UnsignedTreeHead::new(timestamp, head.size.0, head.root.0);
            let origin = log.record().spec.origin.clone();
            let signed = key.sign(unsigned, OfTreeHead { origin, head, timestamp }).await?;
            Ok::<_, CtError>(Arc::new(signed))
        };
        let signed = cell.get_or_init(async || sign().await.map_err(Arc::new)).await.clone();
        if signed.is_err() {
            self.forget(&cell);
        }
        signed.map_err(CtError::TreeHead)
    }

    /// Lets the next caller try again.
    fn forget(&self, failed: &Arc<Signature>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, cell)) = newest.as_mut().filter(|(_, _, cell)| Arc::ptr_eq(cell, failed))
        {
            *cell = Arc::default();
        }
    }

    /// The newer of `head` and the newest known one, with the place of its signature.
    fn cell(&self, head: TreeHead, now: UnixMillis) -> Cell {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.as_ref() {
            // Another caller may have seen a newer checkpoint; tree heads never go back.
            Some((known, since, cell)) if known.size >= head.size => {
                if now.0 < since.0.saturating_add(RENEWAL_MS) {
                    return (*known, *since, Arc::clone(cell));
                }
                let known = *known;
                newest.insert((known, now, Arc::default())).clone()
            }
            _ => newest.insert((head, now, Arc::default())).clone(),
        }
    }
}

/// What the audit trail says of a tree head.
struct OfTreeHead {
    origin: String,
    head: TreeHead,
    timestamp: UnixMillis,
}

impl Record for OfTreeHead {
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        let Self { origin, head, timestamp } = self;
        tracing::debug!(
            target: "audit",
            {
                log.origin = %origin,
                log.size = head.size.0,
                log.root = %head.root,
                ct.timestamp_ms = timestamp.0,
                key.id = key_id,
            },
            "{phase} a tree head"
        );
    }
}

/// No SCT of a tree of that size has a later time, but for other replicas' clocks within a second.
///
/// This process may have been started after the clock went back, or another replica's clock may be ahead.
async fn latest_sct(log: &Log, size: TreeSize) -> Result<UnixMillis, ReadError> {
    let rows = log.entries(LeafIndex(size.0.saturating_sub(1))..size.end()).await?;
    Ok(rows.last().map_or(UnixMillis(0), |row| {
        // It never goes down from entry to entry, and no SCT was made after its entry was integrated.
        let integrated_at = row.integrated_at.to_millis();
        let leaf = TimestampedEntry::of_leaf(&row.body);
        leaf.map_or(integrated_at, |leaf| leaf.timestamp.max(integrated_at))
    }))
}
