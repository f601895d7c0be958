use std::fmt;

use bytes::Bytes;
use moment::UnixSeconds;
use tlog::{Edge, LeafHash, LeafIndex, TreeSize};

use crate::EntryRefused;

/// The database's number of a log; never leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(pub i64);

/// Which protocol a log speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// Certificate Transparency, RFC 6962.
    Ct,
    /// Rekor v1.
    Rekor1,
    /// Rekor v2 (tiles).
    Rekor2,
}

impl LogKind {
    /// The name in the database and in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ct => "ct",
            Self::Rekor1 => "rekor1",
            Self::Rekor2 => "rekor2",
        }
    }

    /// The kind of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ct, Self::Rekor1, Self::Rekor2].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a log is, fixed at its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpec {
    /// Our name of the log, unique in the database.
    pub name: String,
    /// The protocol.
    pub kind: LogKind,
    /// Rekor v1's tree id, random and positive; 0 where the protocol has none.
    pub tree_id: i64,
    /// First line of the checkpoints.
    pub origin: String,
    /// Host under which the log was created. Not compared by [`crate::LogStore::ensure_log`]: hosts move.
    pub host: String,
    /// DER `SubjectPublicKeyInfo` of the signing key.
    pub public_key_der: Vec<u8>,
}

/// A log as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The database's number.
    pub id: LogId,
    /// What it was created with.
    pub spec: LogSpec,
    /// Whether it refuses entries for good.
    pub frozen: bool,
    /// When it was made.
    pub created_at: UnixSeconds,
}

/// What makes two submissions the same entry: Trillian calls it the leaf identity hash.
///
/// Rekor: the leaf hash. CT: a hash over what was submitted, for a CT leaf carries a timestamp and never repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupHash(pub [u8; 32]);

impl From<[u8; 32]> for DedupHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<LeafHash> for DedupHash {
    fn from(leaf_hash: LeafHash) -> Self {
        Self(leaf_hash.0)
    }
}

/// A word under which an entry may be searched for; stored in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    /// What the word is, in the word of the protocol that sets and asks for it; stored as it is.
    pub kind: &'static str,
    /// The word.
    pub key: String,
}

/// CT's `extra_data` holds a chain in a vector of at most 2^24 - 1 bytes (RFC 6962 §4.6).
pub const MAX_EXTRA_LEN: usize = (1 << 24) - 1;
/// The longest signature in use (RSA-4096 in a TLS structure) is 516 bytes.
pub const MAX_TIMESTAMP_SIGNATURE_LEN: usize = 1024;
/// A hashedrekord has three; an entry with many subjects is refused before it gets here.
pub const MAX_INDEX_KEYS: usize = 64;
/// Postgres refuses index rows above about 2,700 bytes, and a SAN may be nearly as long as its certificate.
pub const MAX_INDEX_KEY_LEN: usize = 1024;

/// An entry on its way into a log. Empty [`Bytes`] mean none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// SHA-256(0x00 || body), RFC 6962 §2.1.
    pub leaf_hash: LeafHash,
    /// What makes it a duplicate.
    pub dedup_hash: DedupHash,
    /// Kind for people and statistics, like `hashedrekord`.
    pub kind: &'static str,
    /// The bytes that the leaf hash covers.
    pub body: Bytes,
    /// CT: the `extra_data`, outside the leaf.
    pub extra: Bytes,
    /// The log's signature over entry and time. CT: that of the SCT, released only after the commit. Rekor v1's SET
    /// signs the index, so it comes later: [`crate::LogStore::put_timestamp_signatures`].
    pub timestamp_signature: Bytes,
    /// Words to search by.
    pub index_keys: Vec<IndexKey>,
}

impl NewEntry {
    /// Says whether any store can take this entry, so that it can be refused alone and not with its batch.
    ///
    /// # Errors
    /// The first limit of [`EntryRefused`] that it breaks.
    pub fn check(&self) -> Result<(), EntryRefused> {
        let (body, extra) = (self.body.len(), self.extra.len());
        let signature = self.timestamp_signature.len();
        if body > tlog::MAX_ENTRY_LEN {
            return Err(EntryRefused::BodyTooLong { length: body, limit: tlog::MAX_ENTRY_LEN });
        }
        if extra > MAX_EXTRA_LEN {
            return Err(EntryRefused::ExtraTooLong { length: extra, limit: MAX_EXTRA_LEN });
        }
        if signature > MAX_TIMESTAMP_SIGNATURE_LEN {
            return Err(EntryRefused::TimestampSignatureTooLong {
                length: signature,
                limit: MAX_TIMESTAMP_SIGNATURE_LEN,
            });
        }
        if self.index_keys.len() > MAX_INDEX_KEYS {
            return Err(EntryRefused::TooManyIndexKeys {
                count: self.index_keys.len(),
                limit: MAX_INDEX_KEYS,
            });
        }
        match self.index_keys.iter().find(|key| !key.is_storable()) {
            Some(key) => Err(EntryRefused::IndexKey { kind: key.kind }),
            None => Ok(()),
        }
    }
}

impl IndexKey {
    // Postgres has no NUL in text.
    pub(crate) fn is_storable(&self) -> bool {
        !self.key.is_empty() && self.key.len() <= MAX_INDEX_KEY_LEN && !self.key.contains('\0')
    }
}

/// Entries to append in one transaction.
#[derive(Debug, Clone)]
pub struct Batch {
    /// At most [`crate::MAX_BATCH_ENTRIES`].
    pub entries: Vec<NewEntry>,
    /// The writer's clock.
    pub now: UnixSeconds,
    /// Highest size this process has seen; a smaller log is a [`crate::StoreError::Rollback`].
    pub minimum_size: TreeSize,
}

/// Where an entry of a batch is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Where it is.
    pub index: LeafIndex,
    /// Never goes down from index to index.
    pub integrated_at: UnixSeconds,
    /// False when an equal entry was already there, or earlier in the same batch.
    pub fresh: bool,
}

/// What an append did.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The tree's right edge before.
    pub before: Edge,
    /// The tree's right edge after; equal to `before` when nothing was fresh.
    pub after: Edge,
    /// Leaf hashes of the fresh entries, from index `before.size()`.
    pub fresh_leaves: Vec<LeafHash>,
    /// One for each entry of the batch, in its order.
    pub placements: Vec<Placement>,
}

/// The one mutable row of a log.
#[derive(Debug, Clone)]
pub struct LogState {
    /// The tree's right edge, whose size and root are the log's.
    pub edge: Edge,
    /// `integrated_at` of the last entry.
    pub last_time: UnixSeconds,
    /// Whether it refuses entries for good.
    pub frozen: bool,
    /// Whether all of it is known to be as durable as an append has to be. Else a commit after it tells.
    pub is_durable: bool,
}

/// How long an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryLen {
    /// Bytes of [`StoredEntry::body`].
    pub body: usize,
    /// Bytes of [`StoredEntry::extra`].
    pub extra: usize,
}

impl EntryLen {
    /// What a reader holds of it.
    #[must_use]
    pub const fn total(self) -> usize {
        self.body.saturating_add(self.extra)
    }
}

/// An entry read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Where it is.
    pub index: LeafIndex,
    /// As appended; a reader that must be sure computes it from the body.
    pub leaf_hash: LeafHash,
    /// As appended.
    pub dedup_hash: DedupHash,
    /// When it was integrated.
    pub integrated_at: UnixSeconds,
    /// As appended.
    pub kind: String,
    /// As appended.
    pub body: Bytes,
    /// As appended.
    pub extra: Bytes,
    /// As appended, or as kept later.
    pub timestamp_signature: Bytes,
}

/// Which part of what a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchPage {
    /// Most indexes.
    pub limit: usize,
    /// Only older entries than this one, which ended the page before.
    pub below: Option<LeafIndex>,
}

impl SearchPage {
    /// The newest.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, below: None }
    }
}

/// A known entry, without its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub index: LeafIndex,
    /// Its leaf hash.
    pub leaf_hash: LeafHash,
    /// When it was integrated.
    pub integrated_at: UnixSeconds,
}
