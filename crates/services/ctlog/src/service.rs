//! Takes chains and gives SCTs for them.

use std::sync::Arc;

use bytes::Bytes;
use ct::{LogEntry, SHA256_WITH_ECDSA, Sct, SignedTreeHead, TimestampedEntry, UnsignedSct};
use engine::{Log, SubmitError};
use moment::UnixMillis;
use signing::{Clock, CpuPool, KeyUse, Record, Sampled, Sampling, SigningKey};
use store::{DedupHash, NewEntry, StoredEntry};
use x509::{AcceptedChainError, AcceptedChains, Submission, validate_chain};

use crate::{CtError, timestamps::Timestamps, tree_head::TreeHeads};

/// One SCT in so many is verified before it leaves: the CA verifies each before it embeds it, and a client thereafter.
const VERIFY_EVERY: u32 = 256;

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
    key: SigningKey,
    sampling: Arc<Sampling>,
    chains: Arc<AcceptedChains>,
    timestamps: Timestamps,
    cpu: CpuPool,
    tree_heads: TreeHeads,
}

impl CtLog {
    /// Puts the CT protocol on `log`, for the CAs of `chains` (DER, issuing CA first, root last).
    ///
    /// `key` is the log's P-256 key, the same that signs its checkpoints.
    ///
    /// # Errors
    /// [`AcceptedChainError`] of the first chain that cannot have issued anything.
    pub fn new<L: AsRef<[C]>, C: AsRef<[u8]>>(
        log: Arc<Log>,
        key: SigningKey,
        chains: impl IntoIterator<Item = L>,
        clock: Arc<dyn Clock>,
        cpu: CpuPool,
    ) -> Result<Self, AcceptedChainError> {
        let chains = Arc::new(AcceptedChains::from_der(chains)?);
        let (timestamps, tree_heads) = (Timestamps::new(clock), TreeHeads::default());
        let sampling = key.sampling(VERIFY_EVERY);
        let inner = Inner { log, key, sampling, chains, timestamps, cpu, tree_heads };
        Ok(Self { inner: Arc::new(inner) })
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
        if self.inner.log.is_frozen() {
            // Before its key is used: what is signed after the end should not exist, given out or not.
            return Err(SubmitError::Frozen.into());
        }
        if self.inner.log.has_no_room() {
            return Err(SubmitError::NoRoom.into());
        }
        let inner = Arc::clone(&self.inner);
        let prepare = move || inner.prepare(&chain, submitted);
        let inner = &self.inner;
        let (sct, OfSct { mut entry, submission, .. }) = inner.key.sign_new(prepare).await?;
        entry.timestamp_signature = Bytes::copy_from_slice(&sct.signature);
        let integrated = inner.log.submit(entry).await?;
        if integrated.fresh {
            tracing::debug!(
                log.leaf_index = integrated.index.0,
                ct.timestamp_ms = sct.timestamp.0,
                "an SCT is kept"
            );
            return Ok(sct);
        }
        let index = integrated.index;
        let rows = inner.log.entries(index.alone()).await?;
        let row = rows.into_iter().next().ok_or(CtError::SctDamaged { index })?;
        self.stored_sct(row, submission).await
    }

    /// The newest tree head, signed. RFC 6962 §4.3.
    ///
    /// # Errors
    /// [`CtError::TreeHead`], with [`CtError::Signing`], [`CtError::Signature`], [`CtError::Clock`] or
    /// [`CtError::Read`] in it.
    pub async fn signed_tree_head(&self) -> Result<Arc<SignedTreeHead>, CtError> {
        let Inner { log, timestamps, key, tree_heads, .. } = self.inner.as_ref();
        tree_heads.signed(log, timestamps, key).await
    }

    /// The SCT that was given for the stored entry, verified: it comes from a database.
    async fn stored_sct(&self, row: StoredEntry, submission: Submission) -> Result<Sct, CtError> {
        let damaged = || CtError::SctDamaged { index: row.index };
        let log_key = self.inner.key.public_key().clone();
        let sct = Sct {
            log_id: log_key.spki_sha256(),
            timestamp: TimestampedEntry::of_leaf(&row.body).ok_or_else(damaged)?.timestamp,
            extensions: Vec::new(),
            algorithm: SHA256_WITH_ECDSA,
            signature: row.timestamp_signature.to_vec(),
        };
        let verify = move || sct.verify(submission.entry(), &log_key).map(|()| sct);
        self.inner.cpu.run_next(verify).await.map_err(|_| damaged())
    }
}

impl Inner {
    /// Checks a chain, and prepares the SCT; with it comes the entry that will keep its signature.
    fn prepare(
        &self,
        chain: &[Vec<u8>],
        submitted: Submitted,
    ) -> Result<(Sampled<UnsignedSct>, OfSct), CtError> {
        let submission = checked_submission(chain, &self.chains, submitted)?;
        let timestamp = self.timestamps.of_sct()?;
        let sct =
            UnsignedSct::new(submission.entry().clone(), timestamp).map_err(CtError::Unloggable)?;
        let body = Bytes::from(sct.merkle_tree_leaf().map_err(CtError::Unloggable)?);
        let entry = NewEntry {
            leaf_hash: tlog::leaf_hash(&body),
            dedup_hash: dedup_hash(submission.entry()),
            kind: match submission.entry() {
                LogEntry::Certificate(_) => "x509_entry",
                LogEntry::Precertificate(_) => "precert_entry",
            },
            body,
            extra: Bytes::from(submission.extra_data().map_err(CtError::Unloggable)?),
            timestamp_signature: Bytes::new(),
            index_keys: Vec::new(),
        };
        let origin = self.log.record().spec.origin.clone();
        let sct = Sampled::new(sct, &self.sampling);
        Ok((sct, OfSct { origin, timestamp, entry, submission }))
    }
}

/// What the audit trail says of an SCT, and what it is of.
struct OfSct {
    origin: String,
    timestamp: UnixMillis,
    entry: NewEntry,
    submission: Submission,
}

impl Record for OfSct {
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        let Self { origin, timestamp, .. } = self;
        tracing::debug!(
            target: "audit",
            { log.origin = %origin, ct.timestamp_ms = timestamp.0, key.id = key_id },
            "{phase} an SCT"
        );
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
pub(crate) fn dedup_hash(entry: &LogEntry) -> DedupHash {
    let bytes = match entry {
        LogEntry::Certificate(der) => [&[0, 0], der.as_slice()].concat(),
        LogEntry::Precertificate(entry) => {
            [&[0, 1], entry.issuer_key_hash.as_slice(), &entry.tbs].concat()
        }
    };
    DedupHash(crypto::sha256(&bytes))
}
