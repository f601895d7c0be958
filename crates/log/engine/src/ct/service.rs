//! Takes chains and promises their inclusion.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{Signer, Unsigned};
use service::{Clock, CpuPool};
use store::{IdentityHash, NewEntry, StoredEntry};
use x509::{
    Sct,
    ct::{
        AcceptedChainError, AcceptedChains, LogEntry, SHA256_WITH_ECDSA, Submission, UnsignedSct,
        validate_chain,
    },
};

use super::{CtError, SignedTreeHead, tree_head::TreeHeads};
use crate::{Log, SigningError};

/// Which call a chain came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// `add-chain`.
    Certificate,
    /// `add-pre-chain`.
    Precertificate,
}

/// A CT log on top of a [`Log`]. Clones share it.
#[derive(Clone)]
pub struct CtLog {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<Log>,
    signer: Arc<dyn Signer>,
    chains: Arc<AcceptedChains>,
    clock: Arc<dyn Clock>,
    cpu: CpuPool,
    tree_heads: TreeHeads,
}

impl CtLog {
    /// Puts the CT protocol on `log`, for the CAs of `chains` (DER, issuing CA first, root last).
    ///
    /// `signer` holds the log's P-256 key, the same that signs its checkpoints.
    ///
    /// # Errors
    /// [`AcceptedChainError`] of the first chain that cannot have issued anything.
    pub fn new<L: AsRef<[C]>, C: AsRef<[u8]>>(
        log: Arc<Log>,
        signer: Arc<dyn Signer>,
        chains: impl IntoIterator<Item = L>,
        clock: Arc<dyn Clock>,
        cpu: CpuPool,
    ) -> Result<Self, AcceptedChainError> {
        let chains = Arc::new(AcceptedChains::from_der(chains)?);
        let tree_heads = TreeHeads::default();
        Ok(Self { inner: Arc::new(Inner { log, signer, chains, clock, cpu, tree_heads }) })
    }

    /// The log underneath.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.inner.log
    }

    /// The chains of the CAs whose certificates are accepted.
    #[must_use]
    pub fn chains(&self) -> &AcceptedChains {
        &self.inner.chains
    }

    /// Logs a chain (DER, leaf first) and gives the SCT. RFC 6962 §4.1, §4.2.
    ///
    /// The SCT is signed first, because the leaf holds its timestamp, and given out only when
    /// the entry is in the log. A chain that was submitted before gets the same SCT again.
    ///
    /// # Errors
    /// [`CtError`]; after anything but a refusal of the chain, submitting it again is right.
    pub async fn add_chain(
        &self,
        chain: Vec<Vec<u8>>,
        submitted: Submitted,
    ) -> Result<Sct, CtError> {
        let inner = &self.inner;
        let accepted = Arc::clone(&inner.chains);
        let submission =
            inner.cpu.run(move || checked_submission(&chain, &accepted, submitted)).await??;
        let (sct, entry) = self.promise(&submission).await?;
        let integrated = inner.log.submit(entry).await?;
        if integrated.fresh {
            tracing::debug!(
                log.leaf_index = integrated.index,
                ct.timestamp_ms = sct.timestamp_ms,
                "an SCT is kept"
            );
            return Ok(sct);
        }
        let index = integrated.index;
        let rows = inner.log.entries(index, index + 1).await?;
        let row = rows.into_iter().next().ok_or(CtError::PromiseDamaged { index })?;
        self.stored_sct(row, submission).await
    }

    /// The newest tree head, signed. RFC 6962 §4.3.
    ///
    /// # Errors
    /// [`CtError::Signing`], [`CtError::Signature`], [`CtError::Read`].
    pub async fn signed_tree_head(&self) -> Result<Arc<SignedTreeHead>, CtError> {
        let inner = &self.inner;
        let head = inner.log.checkpoint().head;
        let now_ms = inner.clock.now_ms();
        inner.tree_heads.signed(&inner.log, head, now_ms, inner.signer.as_ref()).await
    }

    /// Signs the promise and makes the entry that will keep it.
    async fn promise(&self, submission: &Submission) -> Result<(Sct, NewEntry), CtError> {
        let inner = &self.inner;
        let timestamp_ms = inner.tree_heads.not_before(inner.clock.now_ms());
        let unsigned = UnsignedSct::new(submission.entry().clone(), timestamp_ms)
            .map_err(CtError::Unloggable)?;
        let body = Bytes::from(unsigned.merkle_tree_leaf().map_err(CtError::Unloggable)?);
        let extra = Bytes::from(submission.extra_data().map_err(CtError::Unloggable)?);
        tracing::debug!(log.origin = %inner.log.record().spec.origin, ct.timestamp_ms = timestamp_ms, "signing an SCT");
        let signature =
            inner.signer.sign(unsigned.bytes_to_sign()).await.map_err(SigningError::Signer)?;
        let log_key = inner.signer.public_key().clone();
        let sct = inner
            .cpu
            .run(move || unsigned.with_signature(&signature, &log_key))
            .await?
            .map_err(CtError::Signature)?;
        let entry = NewEntry {
            leaf_hash: tlog::leaf_hash(&body),
            identity_hash: identity_hash(submission.entry()),
            kind: match submission.entry() {
                LogEntry::Certificate(_) => "x509_entry",
                LogEntry::Precertificate(_) => "precert_entry",
            },
            body,
            extra,
            promise: Bytes::from(sct.signature.clone()),
            index_keys: Vec::new(),
        };
        Ok((sct, entry))
    }

    /// The SCT that was given for the stored entry, verified: it comes from a database.
    async fn stored_sct(&self, row: StoredEntry, submission: Submission) -> Result<Sct, CtError> {
        let damaged = || CtError::PromiseDamaged { index: row.index };
        let log_key = self.inner.signer.public_key().clone();
        let sct = Sct {
            log_id: log_key.spki_sha256(),
            timestamp_ms: leaf_timestamp_ms(&row.body).ok_or_else(damaged)?,
            extensions: Vec::new(),
            algorithm: SHA256_WITH_ECDSA,
            signature: row.promise.to_vec(),
        };
        let verify = move || sct.verify(submission.entry(), &log_key).map(|()| sct);
        self.inner.cpu.run(verify).await?.map_err(|_| damaged())
    }
}

fn checked_submission(
    chain: &[Vec<u8>],
    accepted: &AcceptedChains,
    submitted: Submitted,
) -> Result<Submission, CtError> {
    let submission = validate_chain(chain, accepted)?;
    match (submitted, submission.is_precertificate()) {
        (Submitted::Certificate, true) => Err(CtError::UnexpectedPrecertificate),
        (Submitted::Precertificate, false) => Err(CtError::NoPrecertificate),
        _ => Ok(submission),
    }
}

/// What makes a chain the same as an earlier one: its certificate or TBS, whatever the time.
///
/// SHA-256 over the entry type and, for a precertificate, the issuer's key hash and the TBS.
fn identity_hash(entry: &LogEntry) -> IdentityHash {
    let bytes = match entry {
        LogEntry::Certificate(der) => [&[0, 0], der.as_slice()].concat(),
        LogEntry::Precertificate(entry) => {
            [&[0, 1], entry.issuer_key_hash.as_slice(), &entry.tbs].concat()
        }
    };
    IdentityHash(crypto::sha256(&bytes))
}

/// The identity of the entry in a `MerkleTreeLeaf`, as [`identity_hash`] made it. RFC 6962 §3.4.
pub(crate) fn identity_of_leaf(leaf: &[u8]) -> Option<IdentityHash> {
    // Version, leaf type and timestamp.
    let (entry_type, rest) = leaf.get(10..)?.split_first_chunk::<2>()?;
    let issuer_key_hash_len = match entry_type {
        [0, 0] => 0,
        [0, 1] => 32,
        _ => return None,
    };
    let (issuer_key_hash, rest) = rest.split_at_checked(issuer_key_hash_len)?;
    let ([high, middle, low], rest) = rest.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, *high, *middle, *low]);
    let content = rest.get(..usize::try_from(length).ok()?)?;
    let bytes = [entry_type.as_slice(), issuer_key_hash, content].concat();
    Some(IdentityHash(crypto::sha256(&bytes)))
}

/// The timestamp in a `MerkleTreeLeaf`: eight bytes behind version and leaf type. RFC 6962 §3.4.
pub(super) fn leaf_timestamp_ms(leaf: &[u8]) -> Option<u64> {
    let (_, rest) = leaf.split_first_chunk::<2>()?;
    rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}
