//! Taking entries: verified, sequenced, timestamped.

use bytes::Bytes;
use engine::Integrated;
use entry::rekor1::verify_proposed;
use signing::Lane;
use store::NewEntry;
use tlog::LeafHash;

use super::{ProvenEntry, Rekor1, Rekor1Error, set::SetContent};
use crate::entries::{OnDuplicate, new_entry};

impl Rekor1 {
    /// Verifies a proposed entry, sequences it and signs its SET. A known entry is given with its stored SET.
    ///
    /// # Errors
    /// [`Rekor1Error`]; [`Rekor1Error::Duplicate`] for a known entry where
    /// [`OnDuplicate::Conflict`] is configured.
    pub(crate) async fn create(&self, json: Bytes) -> Result<ProvenEntry, Rekor1Error> {
        let kinds = self.options.kinds;
        let verify = move || verify_proposed(&json, &kinds).map(new_entry);
        let proven = self.submit(self.cpu.run(verify).await??).await?;
        if !proven.fresh && self.options.on_duplicate == OnDuplicate::Conflict {
            return Err(Rekor1Error::Duplicate(self.entry_id(proven.leaf_hash)));
        }
        Ok(proven)
    }

    /// Leaf hashes of the entries that these proposals would make.
    pub(crate) async fn leaf_hashes_of(
        &self,
        proposals: impl Iterator<Item = Bytes>,
        lane: &mut Lane,
    ) -> Result<Vec<LeafHash>, Rekor1Error> {
        let kinds = self.options.kinds;
        let mut leaves = Vec::new();
        for json in proposals {
            let verify = move || verify_proposed(&json, &kinds).map(|entry| entry.leaf_hash());
            leaves.push(self.cpu.run_in(lane, verify).await??);
        }
        Ok(leaves)
    }

    async fn submit(&self, entry: NewEntry) -> Result<ProvenEntry, Rekor1Error> {
        let integrated = self.log.submit(entry).await?;
        let index = integrated.index;
        let stored = if integrated.fresh {
            Bytes::new()
        } else {
            self.row(index).await?.timestamp_signature
        };
        let Integrated { integrated_at, body, .. } = &integrated;
        let content = SetContent { index, integrated_at: *integrated_at, body: body.clone() };
        let set = self.sets.set(content, stored, &mut Lane::Next).await?;
        Ok(ProvenEntry {
            index,
            integrated_at: integrated.integrated_at,
            leaf_hash: integrated.leaf_hash,
            body: integrated.body,
            path: integrated.path,
            checkpoint: integrated.checkpoint,
            set,
            fresh: integrated.fresh,
        })
    }
}
