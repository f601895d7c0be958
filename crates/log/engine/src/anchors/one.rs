//! One of a log's anchors, and what it held.

use std::sync::Arc;

use signing::SigningKey;
use store::StoreError;
use tlog::{TreeHead, TreeSize};

use super::{
    Anchor, AnchorError, KeepError, Kept, PATIENCE, Stored,
    history::{History, Kin},
    in_time,
    kept::Verifier,
    of_start,
};
use crate::{RecheckError, StartError, StopReason};

/// An anchor as it was last read or written.
pub(super) struct One {
    anchor: Arc<dyn Anchor>,
    stored: Option<(Stored, Kept)>,
    /// The largest tree that was ever there.
    seen: Option<TreeSize>,
    /// Whether what is there is known to be of this process's history. Of a larger tree that is known for one
    /// checkpoint only.
    is_ours: bool,
}

impl One {
    pub(super) async fn open(
        anchor: Arc<dyn Anchor>,
        verifier: &Verifier,
    ) -> Result<Self, StartError> {
        let place = anchor.place();
        let read = in_time(anchor.read()).await;
        let read = read.map_err(|source| StartError::Anchor { place: place.clone(), source })?;
        let mut one = Self { anchor, stored: None, seen: None, is_ours: false };
        if let Some(stored) = read {
            let kept = verifier.kept(&stored.text, &place)?;
            one.hold(stored, kept);
        }
        Ok(one)
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        self.anchor.place()
    }

    /// What it held.
    pub(super) fn kept(&self) -> Option<Kept> {
        self.stored.as_ref().map(|(_, kept)| *kept)
    }

    pub(super) async fn keep(
        &mut self,
        (verifier, history): (&Verifier, History<'_>),
        head: TreeHead,
        note: &str,
    ) -> Result<(), KeepError> {
        for _ in 0..ATTEMPTS {
            if self.holds(history, head).await? {
                return Ok(());
            }
            if self.swap(verifier, note).await? {
                self.is_ours = true;
                return Ok(());
            }
        }
        Err(self.unavailable(AnchorError("others replace it all the time".to_owned())))
    }

    /// Writes that the log is over, after a tree that is not smaller than `last`. Gives the one that it says.
    pub(super) async fn end(
        &mut self,
        (verifier, key): (&Verifier, &SigningKey),
        last: TreeHead,
    ) -> Result<TreeHead, StartError> {
        for _ in 0..ATTEMPTS {
            let last = match self.kept() {
                Some(Kept::Ended { head }) => return Ok(head),
                Some(Kept::Signed { head }) if head.size > last.size => head,
                _ => last,
            };
            let note = verifier.ended(key, last).await?;
            if self.swap(verifier, &note).await.map_err(of_start)? {
                return Ok(last);
            }
        }
        let others = AnchorError("others replace it all the time".to_owned());
        Err(of_start(self.unavailable(others)))
    }

    /// Whether it needs no writing. What others wrote there is of this history, or ends the signing.
    async fn holds(&mut self, history: History<'_>, head: TreeHead) -> Result<bool, KeepError> {
        let signed = match self.kept() {
            None => return Ok(false),
            Some(Kept::Ended { .. }) => return Err(self.stop(StopReason::Ended)),
            Some(Kept::Signed { head }) => head,
        };
        if signed.size == head.size {
            let (size, signed, found) = (head.size, signed.root, head.root);
            if signed == found {
                return Ok(true);
            }
            return Err(self.stop(StopReason::AnchorForked { size, signed, found }));
        }
        let is_larger = signed.size > head.size;
        if is_larger || !self.is_ours {
            self.confirm(history, signed).await?;
            self.is_ours = !is_larger;
        }
        Ok(is_larger)
    }

    async fn confirm(&self, history: History<'_>, signed: TreeHead) -> Result<(), KeepError> {
        // As long as the anchor itself: a database that hangs must not hold the log for ever.
        let late =
            |_| Err(RecheckError::from(StoreError::Unavailable { source: "no answer".into() }));
        let kin = tokio::time::timeout(PATIENCE, history.kin(signed)).await.unwrap_or_else(late);
        match kin {
            Ok(Kin::Same) => Ok(()),
            Ok(Kin::Beyond) => Err(self.stop(StopReason::AnchorAhead { signed: signed.size })),
            Ok(Kin::Fork) => {
                Err(self.stop(StopReason::AnchorOfAnotherHistory { size: signed.size }))
            }
            // Of one that does not answer it is not known, and asked again.
            Err(RecheckError::Store(error)) => Err(self.unavailable(AnchorError(format!(
                "whether the tree there is this log's is not known: {error}"
            )))),
            Err(RecheckError::Mismatch(reason)) => Err(KeepError::Damaged(reason)),
        }
    }

    /// For good. Which anchor says so, the operator has to know, and nobody who asks the log.
    fn stop(&self, reason: StopReason) -> KeepError {
        tracing::error!(anchor = %self.place(), error = %reason, "an anchor ends the signing");
        KeepError::Damaged(Arc::new(reason))
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
        self.hold(swapped, kept);
        Ok(true)
    }

    /// Reads it anew. What held more before was emptied, set back, or is not what is looked at: another process that is
    /// behind would find nothing wrong with it.
    async fn read(&mut self, verifier: &Verifier) -> Result<(), KeepError> {
        let read = in_time(self.anchor.read()).await.map_err(|source| self.unavailable(source))?;
        let read = match read {
            None => None,
            Some(stored) => {
                let kept = self.understood(verifier, &stored.text)?;
                Some((stored, kept))
            }
        };
        let is = read.as_ref().map(|(_, kept)| kept.head().size);
        if let Some(seen) = self.seen.filter(|seen| is.is_none_or(|is| is < *seen)) {
            let is = is.map_or("nothing".to_owned(), |is| format!("a tree of {is} entries"));
            return Err(self.unavailable(AnchorError(format!(
                "it held a tree of {seen} entries and holds {is} now: bring back what was there (is its volume \
                 mounted?), or start the process again"
            ))));
        }
        match read {
            None => self.stored = None,
            Some((stored, kept)) => self.hold(stored, kept),
        }
        Ok(())
    }

    fn hold(&mut self, stored: Stored, kept: Kept) {
        self.seen = self.seen.max(Some(kept.head().size));
        self.stored = Some((stored, kept));
        self.is_ours = false;
    }

    fn understood(&self, verifier: &Verifier, text: &str) -> Result<Kept, KeepError> {
        let kept = verifier.kept(text, &self.place());
        kept.map_err(|error| self.unavailable(AnchorError(format!("{error}"))))
    }

    fn unavailable(&self, source: AnchorError) -> KeepError {
        KeepError::Unavailable { place: self.place(), source }
    }
}

/// Attempts at one replacement: each needs another process that replaced it first.
const ATTEMPTS: u32 = 8;
