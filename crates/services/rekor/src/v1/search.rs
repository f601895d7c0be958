//! Finding entries: by id, and by what they are about.

use bytes::Bytes;
use entry::{
    IndexKeyKind,
    rekor1::{EntryId, search_keys},
};
use store::{IndexKey, SearchPage};
use tlog::LeafIndex;
use wire::rekor1::SearchIndex;

use super::{Rekor1, Rekor1Error};
use crate::entries::MAX_CHEAP_LEN;

impl Rekor1 {
    /// Index of the entry of that id.
    pub(crate) async fn find(&self, id: &EntryId) -> Result<Option<LeafIndex>, Rekor1Error> {
        // An id of a tree that is not here is as unknown as an id that is nowhere.
        if id.tree_id.is_some_and(|tree_id| tree_id != self.tree_id()) {
            return Ok(None);
        }
        Ok(self.log.find_leaf(&id.leaf_hash).await?)
    }

    /// Reads a question; a long one off the runtime's threads, as the dear work that it is.
    pub(crate) async fn read_question<T: Send + 'static>(
        &self,
        json: Bytes,
        read: impl FnOnce(Bytes) -> T + Send + 'static,
    ) -> Result<T, Rekor1Error> {
        if json.len() <= MAX_CHEAP_LEN {
            return Ok(read(json));
        }
        Ok(self.cpu.run_dear(move || read(json)).await?)
    }

    /// Ids of the entries with a hash, key, e-mail address or name, the newest first.
    pub(crate) async fn search(
        &self,
        query: SearchIndex,
        page: SearchPage,
    ) -> Result<Vec<EntryId>, Rekor1Error> {
        let search = if query.public_key.is_some() {
            // Up to ten certificates are read, and nobody had to sign for the question.
            self.cpu.run(move || search_keys(&query)).await??
        } else {
            search_keys(&query)?
        };
        let keys: Vec<IndexKey> = search.keys.into_iter().flat_map(index_keys).collect();
        let leaves = self.log.search(&keys, search.match_all, page).await?;
        Ok(leaves.into_iter().map(|leaf_hash| self.entry_id(leaf_hash)).collect())
    }
}

/// What a word may be in the index: a subject is any name of a certificate.
fn index_keys((kind, key): (IndexKeyKind, String)) -> impl Iterator<Item = IndexKey> {
    let further: &[IndexKeyKind] = match kind {
        IndexKeyKind::Subject => &[IndexKeyKind::Email, IndexKeyKind::Uri],
        _ => &[],
    };
    let kinds = std::iter::once(kind).chain(further.iter().copied());
    kinds.map(move |kind| IndexKey { kind: kind.as_str(), key: key.clone() })
}
