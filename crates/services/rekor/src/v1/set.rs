//! Signed entry timestamps: made once, verified, kept.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{SignatureError, Unsigned};
use entry::rekor1::UnsignedSet;
use moment::UnixSeconds;
use signing::{Clock, ClockFault, CpuPool, KeyUse, Lane, Record, SigningKey};
use store::MAX_CLOCK_GAP;
use tlog::LeafIndex;

use super::{Rekor1Error, keeper::Keeper};

/// Makes SETs and hands them to their keeper.
pub(super) struct SetSigner {
    pub(super) key: SigningKey,
    pub(super) cpu: CpuPool,
    pub(super) keeper: Arc<Keeper>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) log_id: [u8; 32],
}

/// What a SET signs, beside the log's id.
#[derive(Clone)]
pub(super) struct SetContent {
    pub(super) index: LeafIndex,
    pub(super) integrated_at: UnixSeconds,
    pub(super) body: Bytes,
}

impl SetContent {
    fn unsigned(&self, log_id: &[u8; 32]) -> UnsignedSet {
        UnsignedSet::new(&self.body, self.integrated_at, log_id, self.index)
    }
}

impl SetSigner {
    /// The entry's SET: the stored one, the one that is about to be stored, or a new one.
    ///
    /// Each is verified before it leaves; a stored one that does not verify is replaced in the
    /// answer, and left for fsck to find, for nothing that is stored is ever changed. An entry that was
    /// just taken is let in; a question for one is new work, like any other.
    pub(super) async fn set(
        &self,
        content: SetContent,
        stored: Bytes,
        lane: &mut Lane,
    ) -> Result<Bytes, Rekor1Error> {
        let index = content.index;
        let made = if stored.is_empty() { self.keeper.fresh(index) } else { Some(stored) };
        if let Some(set) = made {
            match self.verify(content.clone(), set.clone(), lane).await? {
                Ok(_) => return Ok(set),
                Err(error) => tracing::error!(log.leaf_index = index.0, error = %error,
                    "the stored timestamp of an entry is not this log's; run fsck"),
            }
        }
        self.refuse_to_promise(content.integrated_at)?;
        let log_id = self.log_id;
        let prepare = move || Ok::<_, Rekor1Error>((content.unsigned(&log_id), OfSet { index }));
        let (set, _) = self.key.sign_in(lane, prepare).await?;
        // Of two that were signed at once, both callers get the one that will be stored.
        Ok(self.keeper.keep(index, set.into()))
    }

    /// Nothing is promised by a clock that is wrong, nor for a time that has not come: an entry from a time when the
    /// clock was ahead waits for it.
    fn refuse_to_promise(&self, integrated_at: UnixSeconds) -> Result<(), ClockFault> {
        let now = self.clock.to_sign()?;
        ClockFault::of_gap(now, integrated_at, MAX_CLOCK_GAP).map_or(Ok(()), Err)
    }

    async fn verify(
        &self,
        content: SetContent,
        set: Bytes,
        lane: &mut Lane,
    ) -> Result<Result<Vec<u8>, SignatureError>, Rekor1Error> {
        let (key, log_id) = (self.key.public_key().clone(), self.log_id);
        let verify = move || content.unsigned(&log_id).with_signature(&set, &key);
        Ok(self.cpu.run_in(lane, verify).await?)
    }
}

/// What the audit trail says of a SET.
struct OfSet {
    index: LeafIndex,
}

impl Record for OfSet {
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        tracing::debug!(
            target: "audit",
            { log.leaf_index = self.index.0, key.id = key_id },
            "{phase} an entry timestamp"
        );
    }
}
