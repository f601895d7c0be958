//! What a log has already, apart from what is new: behind the last entry's time only the one is answered.

use signing::{Clock, ClockFault};
use store::{DedupHash, LogId, LogStore, MAX_CLOCK_GAP};

use super::{durable::in_time, health::Health, queue::Pending};

/// Takes a batch apart while the clock is behind the log's last entry: the transaction would refuse all of it for the
/// sake of what is new. Where that cannot be found out, it stays whole.
pub(super) async fn known_apart(
    (store, log): (&dyn LogStore, LogId),
    (clock, health): (&dyn Clock, &Health),
    pending: Vec<Pending>,
) -> Vec<Vec<Pending>> {
    let behind = ClockFault::of_gap(clock.now(), health.latest(), MAX_CLOCK_GAP).is_some();
    if !behind || pending.len() < 2 {
        return vec![pending];
    }
    let hashes: Vec<DedupHash> = pending.iter().map(|pending| pending.entry.dedup_hash).collect();
    let Ok(found) = in_time(store.find(log, &hashes)).await else { return vec![pending] };
    let pairs = pending.into_iter().zip(found);
    let (known, new): (Vec<_>, Vec<_>) = pairs.partition(|(_, found)| found.is_some());
    let parts = [known, new].map(|part| part.into_iter().map(|(pending, _)| pending).collect());
    parts.into_iter().filter(|part: &Vec<Pending>| !part.is_empty()).collect()
}
