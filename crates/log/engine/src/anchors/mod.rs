//! The last signed checkpoint of a log, kept where a restore of its database does not reach it.
//!
//! Database and volume that are restored together look sound together: their log would sign a second history
//! from there on. So each checkpoint is kept at every anchor *before* anybody sees it. What was seen is then
//! never ahead of an anchor, a database that is behind one was restored, and a log whose anchor cannot be
//! written signs nothing.
//!
//! Several processes of one log may share an anchor: it is replaced only from what was read, never by a
//! smaller tree, and only where what was read is of the history of what is written. Two processes may have two
//! databases, as when the standby of before became the primary.

mod file;
mod history;
mod kept;
mod one;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use crypto::PublicKey;
use signing::SigningKey;
use store::{LogRecord, LogStore};
use thiserror::Error;
use tlog::{Edge, TreeHead, TreeSize, empty_root};

pub(crate) use self::history::History;
pub use self::{file::FileAnchor, kept::Kept};
use self::{kept::Verifier, one::One};
use crate::{LogConfig, LogIn, RecheckError, StartError, StopReason, engine::recheck::stored_edge};

/// A place that holds one text, and replaces it only by who knows what it holds.
#[async_trait]
pub trait Anchor: Send + Sync + 'static {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// What it holds.
    ///
    /// # Errors
    /// [`AnchorError`] when that is not known: a place that does not answer may hold anything.
    async fn read(&self) -> Result<Option<Stored>, AnchorError>;

    /// Replaces what `before` read, or makes the first where it read nothing. Durable when it returns.
    ///
    /// Gives `None` when something else is there by now; then nothing was written.
    ///
    /// # Errors
    /// [`AnchorError`] when it may be written or not.
    async fn replace(
        &self,
        before: Option<&Stored>,
        text: &str,
    ) -> Result<Option<Stored>, AnchorError>;
}

/// What an anchor held when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The text.
    pub text: String,
    /// How the place tells one text from the next.
    pub version: String,
}

/// Why a place could not be read or written.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct AnchorError(pub String);

/// Why a checkpoint is not kept.
#[derive(Debug)]
pub(crate) enum KeepError {
    /// For now: somebody has to mend the place, or it mends itself.
    Unavailable { place: String, source: AnchorError },
    /// For good.
    Damaged(Arc<StopReason>),
}

/// The anchors of one log, and what they hold.
pub struct Anchors {
    all: Vec<One>,
    verifier: Verifier,
}

impl Anchors {
    /// Reads all of them, and verifies that this log's key signed what they hold.
    ///
    /// # Errors
    /// [`StartError::Anchor`], [`StartError::AnchorInvalid`], [`StartError::AnchorOfAnotherLog`].
    pub async fn open(
        config: &LogConfig,
        public_key: &PublicKey,
        anchors: Vec<Arc<dyn Anchor>>,
    ) -> Result<Self, StartError> {
        let verifier = Verifier::new(config, public_key);
        let mut all = Vec::with_capacity(anchors.len());
        for anchor in anchors {
            all.push(One::open(anchor, &verifier).await?);
        }
        Ok(Self { all, verifier })
    }

    /// The largest tree that was signed, and where that is kept.
    #[must_use]
    pub fn newest(&self) -> Option<(TreeHead, String)> {
        let kept = self.all.iter().filter_map(|one| Some((one.kept()?.head(), one.place())));
        kept.max_by_key(|(head, _)| head.size)
    }

    /// Where it is kept that the log is over, if it is anywhere.
    #[must_use]
    pub fn ended_at(&self) -> Option<String> {
        let is_end = |one: &&One| matches!(one.kept(), Some(Kept::Ended { .. }));
        self.all.iter().find(is_end).map(One::place)
    }

    /// Where they all are, for people.
    #[must_use]
    pub fn places(&self) -> String {
        self.all.iter().map(One::place).collect::<Vec<_>>().join(", ")
    }

    /// Refuses a log that is over, one whose database lacks what was signed or has something else in its place,
    /// and one that has entries of which no anchor knows.
    ///
    /// # Errors
    /// [`StartError::Ended`], [`StartError::BehindCheckpoint`], [`StartError::Forked`],
    /// [`StartError::NoAnchor`], [`StartError::Damaged`].
    pub async fn check(
        &self,
        store: &dyn LogStore,
        record: &LogRecord,
        edge: &Edge,
    ) -> Result<(), StartError> {
        let log = || record.spec.name.clone();
        if let Some(place) = self.ended_at() {
            return Err(StartError::Ended { log: log(), place });
        }
        self.check_heads(store, record, edge).await?;
        let is_unknown = self.newest().is_none() && edge.size() > TreeSize(0);
        if is_unknown && !self.all.is_empty() {
            return Err(StartError::NoAnchor {
                log: log(),
                size: edge.size(),
                places: self.places(),
            });
        }
        Ok(())
    }

    async fn check_heads(
        &self,
        store: &dyn LogStore,
        record: &LogRecord,
        edge: &Edge,
    ) -> Result<(), StartError> {
        for one in &self.all {
            let Some(kept) = one.kept() else {
                if let Some((head, place)) = self.newest() {
                    tracing::warn!(log.name = %record.spec.name, anchor = %one.place(), log.size = head.size.0,
                        "nothing is kept at this anchor, and a checkpoint at {place}: is its volume mounted?");
                }
                continue;
            };
            check_head(store, record, edge, (kept.head(), one.place())).await?;
        }
        Ok(())
    }

    /// Keeps a signed checkpoint everywhere, unless a larger tree of the same history is there: other processes may be
    /// ahead.
    pub(crate) async fn keep(
        &mut self,
        history: History<'_>,
        head: TreeHead,
        note: &str,
    ) -> Result<(), KeepError> {
        for one in &mut self.all {
            one.keep((&self.verifier, history), head, note).await?;
        }
        Ok(())
    }

    /// Keeps a note of this log's key everywhere, whoever has it signed for whatever reason; `log` must have
    /// its tree, and those of all that is kept already.
    ///
    /// # Errors
    /// [`StartError`], as [`Anchors::open`] and [`Anchors::check`]; [`StartError::Anchor`] when it cannot be written.
    pub async fn adopt(&mut self, log: LogIn<'_>, note: &str) -> Result<TreeHead, StartError> {
        let LogIn { store, record } = log;
        let place = "the checkpoint";
        let head = self.verifier.signed(note, place)?;
        let edge = store.state(record.id).await?.edge;
        check_head(store, record, &edge, (head, place.to_owned())).await?;
        self.check_heads(store, record, &edge).await?;
        let history = History { store, log: record.id, before: &edge, after: &edge };
        self.keep(history, head, note).await.map_err(of_start)?;
        Ok(head)
    }

    /// Verifies a note of this log's key.
    ///
    /// # Errors
    /// [`StartError::AnchorInvalid`], [`StartError::AnchorOfAnotherLog`].
    pub fn verified(&self, note: &str) -> Result<TreeHead, StartError> {
        self.verifier.signed(note, "the checkpoint")
    }

    /// Writes everywhere that the log is over, for good: no process starts it again, whatever its database says.
    ///
    /// `key` must be the log's: nobody else can end it.
    ///
    /// # Errors
    /// [`StartError::Anchor`] with the first place that could not be written, [`StartError::Signing`].
    pub async fn end(&mut self, key: &SigningKey) -> Result<(), StartError> {
        let nothing = TreeHead { size: TreeSize(0), root: empty_root() };
        let mut last = self.newest().map_or(nothing, |(head, _)| head);
        for one in &mut self.all {
            last = one.end((&self.verifier, key), last).await?;
        }
        Ok(())
    }
}

fn of_start(error: KeepError) -> StartError {
    match error {
        KeepError::Unavailable { place, source } => StartError::Anchor { place, source },
        KeepError::Damaged(reason) => StartError::Damaged(RecheckError::Mismatch(reason)),
    }
}

/// Refuses a database that lacks entries which were signed, or has others in their place.
pub(crate) async fn check_head(
    store: &dyn LogStore,
    record: &LogRecord,
    edge: &Edge,
    (signed, place): (TreeHead, String),
) -> Result<(), StartError> {
    let log = record.spec.name.clone();
    if edge.size() < signed.size {
        let (found, signed) = (edge.size(), signed.size);
        return Err(StartError::BehindCheckpoint { log, found, signed, place });
    }
    let then = stored_edge(store, record.id, signed.size).await.map_err(StartError::Damaged)?;
    if then.head() != signed {
        let (size, found, signed) = (signed.size, then.head().root, signed.root);
        return Err(StartError::Forked { log, size, found, signed, place });
    }
    Ok(())
}

/// Longest reading or writing of one anchor: who waits for an entry gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

async fn in_time<T>(work: impl Future<Output = Result<T, AnchorError>>) -> Result<T, AnchorError> {
    let late = |_| Err(AnchorError(format!("no answer in {} s", PATIENCE.as_secs())));
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(late)
}
