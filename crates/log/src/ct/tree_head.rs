//! Signed tree heads, one signature for each published head.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crypto::Signer;
use tlog::TreeHead;
use tokio::sync::OnceCell;
use x509::{
    SctError,
    ct::{encode_digitally_signed, tree_head_signed_data},
};

use super::CtError;
use crate::SigningError;

/// A tree head under the log's signature (RFC 6962 §3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// Size and root.
    pub head: TreeHead,
    /// Unix milliseconds; not before the timestamp of any SCT of the tree.
    pub timestamp_ms: u64,
    /// TLS `DigitallySigned`.
    pub signature: Vec<u8>,
}

/// The newest signed tree head.
#[derive(Default)]
pub(super) struct TreeHeads {
    newest: Mutex<Option<Cell>>,
    /// Latest time that was promised or signed.
    latest_ms: AtomicU64,
}

type Cell = (TreeHead, Arc<OnceCell<Arc<SignedTreeHead>>>);

impl TreeHeads {
    /// `now_ms`, unless the clock went backwards: then the latest time that was given out.
    pub(super) fn not_before(&self, now_ms: u64) -> u64 {
        self.latest_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms)
    }

    /// Signs `head`, or gives the signature that it has already.
    ///
    /// Callers that come while a head is being signed wait for that one signature.
    pub(super) async fn signed(
        &self,
        head: TreeHead,
        now_ms: u64,
        signer: &dyn Signer,
    ) -> Result<Arc<SignedTreeHead>, CtError> {
        let (head, cell) = self.cell(head);
        let signed = cell.get_or_try_init(|| self.sign(head, now_ms, signer)).await?;
        Ok(Arc::clone(signed))
    }

    /// The newer of `head` and the newest known one, with the place of its signature.
    fn cell(&self, head: TreeHead) -> Cell {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.as_ref() {
            // Another caller may have seen a newer checkpoint; tree heads never go back.
            Some((known, cell)) if known.size >= head.size => (*known, Arc::clone(cell)),
            _ => newest.insert((head, Arc::default())).clone(),
        }
    }

    async fn sign(
        &self,
        head: TreeHead,
        now_ms: u64,
        signer: &dyn Signer,
    ) -> Result<Arc<SignedTreeHead>, CtError> {
        let timestamp_ms = self.not_before(now_ms);
        let message = tree_head_signed_data(timestamp_ms, head.size, &head.root.0);
        let signature = signer.sign(&message).await.map_err(SigningError::Signer)?;
        signer
            .public_key()
            .verify(&message, &signature)
            .map_err(|_| CtError::Signature(SctError::SignatureMismatch))?;
        let signature = encode_digitally_signed(&signature).map_err(CtError::Signature)?;
        Ok(Arc::new(SignedTreeHead { head, timestamp_ms, signature }))
    }
}
