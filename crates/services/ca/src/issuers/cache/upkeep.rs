//! What happens to keys without callers: kept, taken up, renewed, forgotten, shown.

use std::{
    io::{self, ErrorKind},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use metrics::counter;
use moment::UnixMillis;
use tracing::{info, warn};

use super::{Age, IssuerKeys, Known};
use crate::issuers::{IssuerHealth, IssuerRefresh, KeyName, health::words, jwks::KeySet};

/// An order to fetch, as far as it takes no time.
pub(in crate::issuers) struct BeganRefresh {
    before: Vec<KeyName>,
    forgotten: io::Result<()>,
}

impl IssuerKeys {
    /// Keeps the keys from now on, for the next start.
    pub(in crate::issuers) fn keep(&self) {
        if !self.kept.swap(true, Ordering::Relaxed) {
            let known = self.known.borrow().clone();
            if let Some(keys) = &known.keys {
                self.write(keys, known.fetched_at, known.forgotten);
            }
            self.show();
        }
    }

    /// Takes up what an earlier start has kept, for as long as the provider cannot be asked.
    pub(in crate::issuers) fn restore(&self) {
        self.kept.store(true, Ordering::Relaxed);
        let Some(directory) = &self.context.keys_dir else { return };
        let max_age = self.context.settings.keep_last_good();
        let restored = directory.read(&self.source, self.context.clock.now_ms(), max_age);
        let Some((keys, fetched_at)) = restored else { return };
        info!(oidc.issuer = self.source.issuer(), "took up the issuer's keys of the last start");
        self.known.send_modify(|known| {
            known.keys = Some(Arc::new(keys));
            known.fetched_at = fetched_at;
            known.restored = true;
        });
    }

    /// Whether the keys of both come from one place, by one way.
    pub(in crate::issuers) fn has_source_of(&self, other: &Self) -> bool {
        // A thousand of each are compared: files are read last.
        self.issuer() == other.issuer()
            && match (self.source.fingerprint(), other.source.fingerprint()) {
                (Ok(own), Ok(others)) => own == others,
                _ => false,
            }
    }

    /// Goes on where `old` is, with fetches of its own.
    pub(in crate::issuers) fn take_over(&self, old: &Self) {
        let last_start = old.lock().last_start;
        self.lock().last_start = last_start;
        self.kept.store(old.kept.load(Ordering::Relaxed), Ordering::Relaxed);
        let of_old = old.known.borrow().clone();
        self.known.send_modify(|known| *known = Known { ended: known.ended, ..of_old });
    }

    /// Takes its state out of the metrics: no configuration has it any more.
    pub(in crate::issuers) fn withdraw(&self) {
        self.kept.store(false, Ordering::Relaxed);
        self.health().withdraw();
    }

    pub(super) fn write(&self, keys: &KeySet, fetched_at: UnixMillis, forgotten: u64) {
        let (Some(directory), None) = (&self.context.keys_dir, self.source.location().keys_file())
        else {
            return;
        };
        let written = directory.write(&self.source, keys, fetched_at);
        if self.known.borrow().forgotten != forgotten || !self.kept.load(Ordering::Relaxed) {
            let _ = directory.forget(&self.source);
        }
        if let Err(error) = written {
            let ca = self.context.ca.clone();
            counter!("countersign_ca_issuer_keys_not_kept_total", "ca" => ca).increment(1);
            warn!(
                oidc.issuer = self.source.issuer(),
                %error,
                "the issuer's keys could not be kept for the next start"
            );
        }
    }

    /// Fetches where it is due, and waits for it: without callers too, so that a provider that is
    /// away is noticed before it is needed.
    pub(in crate::issuers) async fn tick(self: &Arc<Self>) {
        let known = self.known.borrow().clone();
        if !matches!(self.age_of(&known), Age::Fresh) {
            self.fetch_and_wait(&known).await;
        }
    }

    /// Whether it gave no keys the last time.
    pub(in crate::issuers) fn is_failing(&self) -> bool {
        self.known.borrow().failure.is_some()
    }

    /// What an order to fetch begins with; `forget` drops what is known, so that a key which must
    /// not be believed any more is not, though the provider may be down.
    pub(in crate::issuers) fn begin_refresh(&self, forget: bool) -> BeganRefresh {
        let before = self.known.borrow().names();
        let forgotten = if forget { self.forget() } else { Ok(()) };
        BeganRefresh { before, forgotten }
    }

    /// Fetches now, whatever the interval says.
    pub(in crate::issuers) async fn refresh(
        self: &Arc<Self>,
        began: BeganRefresh,
    ) -> IssuerRefresh {
        let BeganRefresh { before, forgotten } = began;
        // One that runs may have been answered before whatever made somebody ask.
        let running = self.lock().running();
        if let Some(number) = running {
            self.ended(number).await;
        }
        self.lock().last_start = None;
        let known = self.known.borrow().clone();
        let asked = self.fetch_and_wait(&known).await;
        let known = self.known.borrow().clone();
        let failure = match (forgotten, &known.failure) {
            (Err(error), _) => Some(format!("what was kept on disk is still there: {error}")),
            (Ok(()), Some(failure)) => Some(words(failure.as_ref())),
            (Ok(()), None) => (!asked).then(|| "no answer in time".to_owned()),
        };
        IssuerRefresh {
            issuer: self.source.issuer().to_owned(),
            source: self.source.describe(),
            before,
            after: known.names(),
            failure,
        }
    }

    fn forget(&self) -> io::Result<()> {
        self.known.send_modify(Known::drop_keys);
        self.show();
        self.forget_kept()
    }

    /// Nothing of it is left for the next start.
    pub(super) fn forget_kept(&self) -> io::Result<()> {
        match (&self.context.keys_dir, &self.context.settings.keys_dir) {
            (Some(directory), _) => directory.forget(&self.source),
            // It may be usable at the next start, with what it holds.
            (None, Some(unusable)) => nothing_is_in(unusable),
            (None, None) => Ok(()),
        }
    }

    /// Ends what [`keep`](Self::keep) began: orders do not reach it any more, so nothing of it may
    /// wait on disk, nor its last state in the metrics.
    pub(in crate::issuers) fn retire(&self) {
        self.kept.store(false, Ordering::Relaxed);
        if let Some(directory) = &self.context.keys_dir
            && let Err(error) = directory.forget(&self.source)
        {
            warn!(oidc.issuer = self.source.issuer(), %error, "kept keys of the issuer are still there");
        }
        if self.context.series.has_room_for(self.source.issuer()) {
            self.health().withdraw();
        }
    }

    pub(in crate::issuers) fn health(&self) -> IssuerHealth {
        let known = self.known.borrow().clone();
        let usable = !matches!(self.age_of(&known), Age::None | Age::TooOld);
        let age = self.context.clock.now_ms().saturating_since(known.fetched_at);
        IssuerHealth {
            ca: self.context.ca.clone(),
            issuer: self.source.issuer().to_owned(),
            entry: self.source.entry().to_owned(),
            source: self.source.describe(),
            keys: if usable { known.names() } else { Vec::new() },
            age: usable.then_some(age),
            expires: usable.then(|| {
                let lifetime = self.context.settings.keep_last_good();
                known.fetched_at.saturating_add(lifetime).to_seconds()
            }),
            failure: known.failure,
        }
    }

    /// Shows it as metrics, if it is an issuer of the configuration or one that granted something:
    /// others are named by tokens that nobody has verified.
    pub(in crate::issuers) fn show(&self) {
        let kept = self.kept.load(Ordering::Relaxed);
        let of_pattern = self.source.issuer() != self.source.entry();
        if kept && (!of_pattern || self.context.series.has_room_for(self.source.issuer())) {
            self.health().record();
        }
    }

    /// The file that its keys are kept in.
    pub(in crate::issuers) fn kept_in(&self) -> Option<std::path::PathBuf> {
        self.context.keys_dir.as_ref().map(|directory| directory.file_of(&self.source))
    }
}

/// Whether no keys can be kept in a directory that could not be used at the start.
fn nothing_is_in(directory: &Path) -> io::Result<()> {
    match directory.metadata() {
        Ok(metadata) if !metadata.is_dir() => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(())
        }
        _ => Err(io::Error::other(format!(
            "{} could not be used at the start: remove what it holds",
            directory.display()
        ))),
    }
}
