//! What the metrics show of one log.

use std::error::Error;

use crate::SubmitError;

/// The metrics of the log of that name.
pub(super) struct Gauges(pub(super) String);

impl Gauges {
    /// A batch of so many entries was taken, and so many wait.
    pub(super) fn batch(&self, entries: usize, waiting: usize) {
        metrics::histogram!("countersign_log_batch_entries", "log" => self.0.clone())
            .record(value(entries as u64));
        metrics::gauge!("countersign_log_queue_entries", "log" => self.0.clone())
            .set(value(waiting as u64));
    }

    pub(super) fn size(&self, size: u64) {
        metrics::gauge!("countersign_log_size", "log" => self.0.clone()).set(value(size));
    }

    /// There before anything has stopped, so that an alert knows the log.
    pub(super) fn stopped(&self, is_stopped: bool) {
        metrics::gauge!("countersign_log_stopped", "log" => self.0.clone()).set(if is_stopped {
            1.0
        } else {
            0.0
        });
    }

    /// Says when checkpoints can be kept no more, and when they can again.
    pub(super) fn anchored(&self, was_held: bool, unanchored: Option<&SubmitError>) {
        let Self(name) = self;
        metrics::gauge!("countersign_log_anchored", "log" => name.clone())
            .set(if unanchored.is_none() { 1.0 } else { 0.0 });
        match (was_held, unanchored) {
            (_, Some(error)) => {
                metrics::counter!("countersign_log_anchor_errors_total", "log" => name.clone())
                    .increment(1);
                let why = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::error!(log.name = %name, error = %error, anchor.error = %why,
                    "nothing is signed until checkpoints can be kept again");
            }
            (true, None) => tracing::info!(log.name = %name, "checkpoints are kept again"),
            (false, None) => {}
        }
    }
}

/// Gauges are floating-point; a log of 2^53 entries is not in sight.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn value(count: u64) -> f64 {
    count as f64
}
