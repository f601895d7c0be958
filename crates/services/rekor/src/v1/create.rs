//! Taking entries: verified, sequenced, promised.

use bytes::Bytes;
use entry::{VerifiedEntry, rekor1::verify_proposed};
use store::NewEntry;
use tlog::Hash;

use super::{Rekor1, Rekor1Error, Vouched, promise::Promised};
use crate::entries::{OnDuplicate, new_entry};

impl Rekor1 {
    /// Verifies a proposed entry, sequences it and promises it. A known entry is given with its stored promise.
    ///
    /// # Errors
    /// [`Rekor1Error`]; [`Rekor1Error::Duplicate`] for a known entry where
    /// [`OnDuplicate::Conflict`] is configured.
    pub(crate) async fn create(&self, json: Bytes) -> Result<Vouched, Rekor1Error> {
        let vouched = self.submit(self.verified(json, new_entry).await?).await?;
        if !vouched.fresh && self.options.on_duplicate == OnDuplicate::Conflict {
            return Err(Rekor1Error::Duplicate(self.entry_id(vouched.leaf_hash)));
        }
        Ok(vouched)
    }

    /// Leaf hash of the entry that a proposal would make.
    pub(crate) async fn leaf_hash_of(&self, json: Bytes) -> Result<Hash, Rekor1Error> {
        self.verified(json, |entry| entry.leaf_hash()).await
    }

    /// Signatures are verified off the runtime's threads.
    async fn verified<T: Send + 'static>(
        &self,
        json: Bytes,
        then: fn(VerifiedEntry) -> T,
    ) -> Result<T, Rekor1Error> {
        let kinds = self.options.kinds;
        Ok(self.cpu.run(move || verify_proposed(&json, &kinds).map(then)).await??)
    }

    async fn submit(&self, entry: NewEntry) -> Result<Vouched, Rekor1Error> {
        let body = entry.body.clone();
        let integrated = self.log.submit(entry).await?;
        let index = integrated.index;
        let stored = if integrated.fresh { Bytes::new() } else { self.row(index).await?.timestamp_signature };
        let promised = Promised { index, integrated_at: integrated.integrated_at, body: &body };
        let set = self.promises.promise(&promised, stored).await?;
        Ok(Vouched {
            index,
            integrated_at: integrated.integrated_at,
            leaf_hash: integrated.leaf_hash,
            body,
            path: integrated.path,
            checkpoint: integrated.checkpoint,
            set,
            fresh: integrated.fresh,
        })
    }
}
