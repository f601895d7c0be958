//! What a service needs to be ready, beside what it says of itself: clock, keys, chains, the log's store.
//!
//! A check reads what is known already: whoever asks `/readyz` a thousand times a second costs nothing. What has to
//! be tried, a [`Trial`] tries beside the requests.

use std::{sync::Arc, time::Duration};

use ca::Ca;
use engine::{Log, LogTrouble};
use moment::UnixSeconds;
use signing::{Clock, SigningKey};

use super::{Check, Notes, Trial, Unready};

/// So long before its end a chain or a TUF role is too short: certificates and metadata that are taken from then on
/// end with it.
pub(crate) const MARGIN: Duration = Duration::from_hours(1);

/// So long before an end a successor should be on its way to all verifiers.
pub(crate) const SOON: Duration = Duration::from_hours(30 * 24);

/// The clock's time may be signed. One for a process, as the clock is.
pub(super) fn clock(clock: &Arc<dyn Clock>) -> Check {
    let clock = Arc::clone(clock);
    let state = move || clock.fault().map_or(Ok(()), |fault| Err(fault.to_string().into()));
    Check { name: "clock".to_owned(), may_wait: true, state: Arc::new(state) }
}

/// The same for who serves all the same, and only makes nothing new.
pub(super) fn clock_note(clock: &Arc<dyn Clock>) -> Notes {
    let clock = Arc::clone(clock);
    let told = move || clock.fault().map(|fault| ("clock".to_owned(), fault.to_string()));
    Arc::new(move || told().into_iter().collect())
}

/// The key signs, within its time.
pub(super) fn key(name: String, key: &SigningKey) -> (Check, Trial) {
    let (watched, tried) = (key.clone(), key.clone());
    let state = move || match watched.trouble() {
        None => Ok(()),
        Some(trouble) => {
            let public = format!("the key gives no signature: {}", trouble.outcome);
            let detail =
                format!("{public} ({}, {} times in a row)", trouble.key_id, trouble.failures);
            Err(Unready { public, detail })
        }
    };
    let trial: Trial = Arc::new(move || {
        let key = tried.clone();
        Box::pin(async move { key.try_if_idle().await })
    });
    (Check { name, may_wait: true, state: Arc::new(state) }, trial)
}

/// What ends at `end` is valid for longer than the margin.
pub(super) fn not_ended(what: &str, end: UnixSeconds, now: UnixSeconds) -> Result<(), Unready> {
    if end > now.saturating_add(MARGIN) {
        return Ok(());
    }
    Err(format!("{what} ends at {}", words(end)).into())
}

/// What is told while a chain ends soon.
pub(super) fn ends_soon(name: String, end: UnixSeconds, clock: &Arc<dyn Clock>) -> Notes {
    let clock = Arc::clone(clock);
    Arc::new(move || {
        let soon = end <= clock.now().saturating_add(SOON);
        soon.then(|| (name.clone(), format!("ends at {}", words(end)))).into_iter().collect()
    })
}

fn words(time: UnixSeconds) -> String {
    wire::Timestamp::from_unix_seconds(time.0).map(|time| time.to_string()).unwrap_or_default()
}

/// The log's store can be written to, and its times are not ahead of the clock.
pub(super) fn writes(label: &str, log: &Arc<Log>) -> (Check, Trial) {
    let (watched, tried) = (Arc::clone(log), Arc::clone(log));
    let state = move || match watched.trouble() {
        None => Ok(()),
        Some(LogTrouble::Clock(fault)) => Err(fault.to_string().into()),
        Some(LogTrouble::Store(error)) => Err(Unready {
            public: "the database does not answer, or cannot be written to".to_owned(),
            detail: in_words(error.as_ref()),
        }),
    };
    let trial: Trial = Arc::new(move || {
        let log = Arc::clone(&tried);
        Box::pin(async move { log.try_store_if_idle().await })
    });
    (Check { name: format!("{label} writes"), may_wait: true, state: Arc::new(state) }, trial)
}

/// The CT log gives SCTs, as of its last two answers: without one there is no certificate.
pub(super) fn ct_log(label: &str, ca: &Arc<Ca>) -> Check {
    /// One failure is any network's.
    const FAILURES: u32 = 2;
    let ca = Arc::clone(ca);
    let state = move || match ca.ct_trouble().filter(|trouble| trouble.failures >= FAILURES) {
        None => Ok(()),
        Some(trouble) => {
            let public = format!("the CT log gives no SCT: {}", trouble.name());
            let detail = format!("ct_url {}: {}", trouble.url, trouble.words);
            Err(Unready { public, detail })
        }
    };
    Check { name: format!("{label} ct log"), may_wait: true, state: Arc::new(state) }
}

/// Somebody can get a certificate: the keys of one issuer at least were had once. One of several that is away is
/// told beside, and is no reason to leave the others alone.
pub(super) fn issuers(label: &str, ca: &Arc<Ca>) -> Check {
    let ca = Arc::clone(ca);
    let state = move || {
        if ca.knows_keys() {
            Ok(())
        } else {
            Err("no keys of any issuer were had since the start: no token can be verified"
                .to_owned()
                .into())
        }
    };
    Check { name: format!("{label} issuers"), may_wait: true, state: Arc::new(state) }
}

/// An error with its causes on one line.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    wire::inert::escape(&text).into_owned()
}
