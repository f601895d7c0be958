//! Taking entries: verified, sequenced, timestamped.

use std::sync::Arc;

use bytes::Bytes;
use engine::Integrated;
use entry::{Budget, rekor1::verify_proposed_within};
use signing::Lane;
use store::NewEntry;
use tlog::LeafHash;

use super::{ProvenEntry, Rekor1, Rekor1Error, set::SetContent};
use crate::{
    entries::{OnDuplicate, Unverified, new_entry},
    writers::Pass,
};

impl Rekor1 {
    /// Verifies a proposed entry of somebody with `pass`, sequences it and signs its SET. A known entry is given with its stored SET.
    ///
    /// # Errors
    /// [`Rekor1Error`]; [`Rekor1Error::Duplicate`] for a known entry where
    /// [`OnDuplicate::Conflict`] is configured.
    pub(crate) async fn create(&self, pass: Pass, json: Bytes) -> Result<ProvenEntry, Rekor1Error> {
        let kinds = self.options.kinds;
        let unverified = Unverified { length: json.len(), budget: Budget::whole() };
        let pass = Arc::new(pass);
        let verify = move |budget: &mut Budget| {
            let entry = verify_proposed_within(&json, &kinds, budget)?;
            Ok(pass.admits(&entry).map(|()| new_entry(entry)))
        };
        let entry = unverified.verify(&self.cpu, &mut Lane::New, verify).await???;
        let proven = self.submit(entry).await?;
        if !proven.fresh && self.options.on_duplicate == OnDuplicate::Conflict {
            return Err(Rekor1Error::Duplicate(self.entry_id(proven.leaf_hash)));
        }
        Ok(proven)
    }

    /// Leaf hashes of the entries that these proposals would make.
    ///
    /// One job and one budget for all of them: a question is let in once, and what it proposes is new work.
    pub(crate) async fn leaf_hashes_of(
        &self,
        proposals: Vec<Bytes>,
        lane: &mut Lane,
    ) -> Result<Vec<LeafHash>, Rekor1Error> {
        if proposals.is_empty() {
            return Ok(Vec::new());
        }
        let kinds = self.options.kinds;
        let length = proposals.iter().map(Bytes::len).sum();
        let unverified = Unverified { length, budget: Budget::of_question() };
        let verify = move |budget: &mut Budget| {
            let leaf_hash = |json: &Bytes| {
                verify_proposed_within(json, &kinds, budget).map(|entry| entry.leaf_hash())
            };
            proposals.iter().map(leaf_hash).collect()
        };
        Ok(unverified.verify(&self.cpu, lane, verify).await??)
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
