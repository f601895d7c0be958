//! The last signed checkpoint of a log, kept where a restore of its database does not reach it.
//!
//! Database and volume that are restored together look sound together: their log would sign a second history
//! from there on. So each checkpoint is kept at every anchor *before* anybody sees it. What was seen is then
//! never ahead of an anchor, a database that is behind one was restored, and a log whose anchor cannot be
//! written signs nothing.
//!
//! Several processes of one log may share an anchor: it is replaced only from what was read, and never by a
//! smaller tree.

mod file;
mod kept;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use crypto::PublicKey;
use store::{LogRecord, LogStore};
use thiserror::Error;
use tlog::{Edge, TreeHead, TreeSize};

use self::kept::Verifier;
pub use self::{file::FileAnchor, kept::Kept};
use crate::{LogConfig, StartError, StopReason, engine::recheck::stored_edge};

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
    Stop(StopReason),
}

/// The anchors of one log, and what they hold.
pub struct Anchors {
    all: Vec<One>,
    verifier: Verifier,
}

struct One {
    anchor: Arc<dyn Anchor>,
    /// As last read or written.
    stored: Option<(Stored, Kept)>,
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
            let place = anchor.place();
            let read = in_time(anchor.read()).await;
            let read =
                read.map_err(|source| StartError::Anchor { place: place.clone(), source })?;
            let stored = match read {
                None => None,
                Some(stored) => {
                    let kept = verifier.kept(&stored.text, &place)?;
                    Some((stored, kept))
                }
            };
            all.push(One { anchor, stored });
        }
        Ok(Self { all, verifier })
    }

    /// The largest tree that was signed, and where that is kept.
    #[must_use]
    pub fn newest(&self) -> Option<(TreeHead, String)> {
        let kept = self.all.iter().filter_map(|one| {
            let (_, kept) = one.stored.as_ref()?;
            Some((kept.head()?, one.anchor.place()))
        });
        kept.max_by_key(|(head, _)| head.size)
    }

    /// Where it is kept that the log is over, if it is anywhere.
    #[must_use]
    pub fn ended_at(&self) -> Option<String> {
        let is_end = |one: &&One| matches!(one.stored, Some((_, Kept::Ended { .. })));
        self.all.iter().find(is_end).map(|one| one.anchor.place())
    }

    /// Where they all are, for people.
    #[must_use]
    pub fn places(&self) -> String {
        self.all.iter().map(|one| one.anchor.place()).collect::<Vec<_>>().join(", ")
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
        for one in &self.all {
            let head = one.stored.as_ref().and_then(|(_, kept)| kept.head());
            if let Some(signed) = head {
                check_head(store, record, edge, (signed, one.anchor.place())).await?;
            }
        }
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

    /// Keeps a signed checkpoint everywhere, unless a larger tree is there: other processes may be ahead.
    pub(crate) async fn keep(&mut self, head: TreeHead, note: &str) -> Result<(), KeepError> {
        for one in &mut self.all {
            one.keep(&self.verifier, head, note).await?;
        }
        Ok(())
    }

    /// Keeps a note of this log's key everywhere, whoever has it signed for whatever reason.
    ///
    /// # Errors
    /// [`StartError`], as [`Anchors::open`]; [`StartError::Anchor`] when it cannot be written.
    pub async fn adopt(&mut self, note: &str) -> Result<TreeHead, StartError> {
        let head = self.verifier.signed(note, "the checkpoint")?;
        self.keep(head, note).await.map_err(of_start)?;
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
    /// # Errors
    /// [`StartError::Anchor`] with the first place that could not be written.
    pub async fn end(&mut self) -> Result<(), StartError> {
        for one in &mut self.all {
            one.end(&self.verifier).await.map_err(of_start)?;
        }
        Ok(())
    }
}

fn of_start(error: KeepError) -> StartError {
    match error {
        KeepError::Unavailable { place, source } => StartError::Anchor { place, source },
        KeepError::Stop(reason) => StartError::Damaged(reason.into()),
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

impl One {
    async fn keep(
        &mut self,
        verifier: &Verifier,
        head: TreeHead,
        note: &str,
    ) -> Result<(), KeepError> {
        for _ in 0..ATTEMPTS {
            if self.holds(head)? {
                return Ok(());
            }
            if self.swap(verifier, note).await? {
                return Ok(());
            }
        }
        Err(self.unavailable(AnchorError("others replace it all the time".to_owned())))
    }

    async fn end(&mut self, verifier: &Verifier) -> Result<(), KeepError> {
        for _ in 0..ATTEMPTS {
            let text = match &self.stored {
                Some((_, Kept::Ended { .. })) => return Ok(()),
                Some((stored, _)) => kept::ended(&stored.text),
                None => kept::ended(""),
            };
            if self.swap(verifier, &text).await? {
                return Ok(());
            }
        }
        Err(self.unavailable(AnchorError("others replace it all the time".to_owned())))
    }

    /// Whether it needs no writing.
    fn holds(&self, head: TreeHead) -> Result<bool, KeepError> {
        match &self.stored {
            None => Ok(false),
            Some((_, Kept::Ended { .. })) => Err(self.stop(StopReason::Ended)),
            Some((_, Kept::Signed { head: signed })) if signed.size == head.size => {
                let (size, signed, found) = (head.size, signed.root, head.root);
                if signed == found {
                    return Ok(true);
                }
                Err(self.stop(StopReason::AnchorForked { size, signed, found }))
            }
            Some((_, Kept::Signed { head: signed })) => Ok(signed.size > head.size),
        }
    }

    /// For good. Which anchor says so, the operator has to know, and nobody who asks the log.
    fn stop(&self, reason: StopReason) -> KeepError {
        tracing::error!(anchor = %self.anchor.place(), error = %reason, "an anchor ends the signing");
        KeepError::Stop(reason)
    }

    /// Replaces what is known to be there; false when something else is there, which is known then.
    async fn swap(&mut self, verifier: &Verifier, text: &str) -> Result<bool, KeepError> {
        let before = self.stored.as_ref().map(|(stored, _)| stored);
        let replaced = in_time(self.anchor.replace(before, text)).await;
        let swapped = match replaced {
            Err(source) => {
                // Written or not: what is there is read anew.
                self.read(verifier).await?;
                return Err(self.unavailable(source));
            }
            Ok(None) => {
                self.read(verifier).await?;
                return Ok(false);
            }
            Ok(Some(stored)) => stored,
        };
        let kept = self.understood(verifier, &swapped.text)?;
        self.stored = Some((swapped, kept));
        Ok(true)
    }

    async fn read(&mut self, verifier: &Verifier) -> Result<(), KeepError> {
        let read = in_time(self.anchor.read()).await.map_err(|source| self.unavailable(source))?;
        self.stored = match read {
            None => None,
            Some(stored) => {
                let kept = self.understood(verifier, &stored.text)?;
                Some((stored, kept))
            }
        };
        Ok(())
    }

    fn understood(&self, verifier: &Verifier, text: &str) -> Result<Kept, KeepError> {
        let kept = verifier.kept(text, &self.anchor.place());
        kept.map_err(|error| self.unavailable(AnchorError(error.to_string())))
    }

    fn unavailable(&self, source: AnchorError) -> KeepError {
        KeepError::Unavailable { place: self.anchor.place(), source }
    }
}

/// Attempts at one replacement: each needs another process that replaced it first.
const ATTEMPTS: u32 = 8;

/// Longest reading or writing of one anchor: who waits for an entry gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

async fn in_time<T>(work: impl Future<Output = Result<T, AnchorError>>) -> Result<T, AnchorError> {
    let late = |_| Err(AnchorError(format!("no answer in {} s", PATIENCE.as_secs())));
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(late)
}
