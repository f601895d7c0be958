//! Rekor v2 on top of a log: one write call.

mod error;

use std::sync::Arc;

use bytes::Bytes;
use engine::{Integrated, Log};
use entry::{Budget, rekor2};
use signing::{CpuPool, Lane};

pub use self::error::Rekor2Error;
use crate::{
    Writers,
    entries::{OnDuplicate, Unverified, new_entry},
    writers::Pass,
};

/// A Rekor v2 log on top of a [`Log`].
///
/// It signs no time, and nothing beyond the proof: a timestamp authority does.
pub struct Rekor2 {
    log: Arc<Log>,
    cpu: CpuPool,
    options: Rekor2Options,
}

/// What an operator may choose about a Rekor v2 log.
#[derive(Clone, Debug)]
pub struct Rekor2Options {
    /// Who may write.
    pub writers: Writers,
    /// Accepts `dsseRequestV002` and stores it as a hashedrekord over SHA-256 of the PAE.
    ///
    /// sigstore-js and cosign 3.0 still send it; upstream answers 400 since 2.3.0.
    pub legacy_dsse: bool,
    /// How a repeated entry is answered.
    pub on_duplicate: OnDuplicate,
}

impl Default for Rekor2Options {
    /// What satisfies every client at once.
    fn default() -> Self {
        let (writers, on_duplicate) = (Writers::Anybody, OnDuplicate::Idempotent);
        Self { writers, legacy_dsse: true, on_duplicate }
    }
}

impl Rekor2 {
    /// Puts the Rekor v2 protocol on `log`.
    #[must_use]
    pub fn new(log: Arc<Log>, cpu: CpuPool, options: Rekor2Options) -> Arc<Self> {
        Arc::new(Self { log, cpu, options })
    }

    /// The log underneath.
    #[must_use]
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(crate) fn writers(&self) -> &Writers {
        &self.options.writers
    }

    /// Verifies a request of somebody with `pass`, sequences its entry, and gives it with its proof.
    ///
    /// # Errors
    /// [`Rekor2Error`]; [`Rekor2Error::Duplicate`] for a known entry where
    /// [`OnDuplicate::Conflict`] is configured.
    pub(crate) async fn create(&self, pass: Pass, json: Bytes) -> Result<Integrated, Rekor2Error> {
        let options = rekor2::Options { legacy_dsse: self.options.legacy_dsse };
        let unverified = Unverified { length: json.len(), budget: Budget::whole() };
        let pass = Arc::new(pass);
        let verify = move |budget: &mut Budget| {
            let entry = rekor2::verify_request_within(&json, &options, budget)?;
            Ok(pass.admits(&entry).map(|()| new_entry(entry)))
        };
        let entry = unverified.verify(&self.cpu, &mut Lane::New, verify).await???;
        let length = entry.body.len();
        if length > tlog::MAX_ENTRY_LEN {
            return Err(Rekor2Error::EntryTooLong { length });
        }
        let integrated = self.log.submit(entry).await?;
        if !integrated.fresh && self.options.on_duplicate == OnDuplicate::Conflict {
            return Err(Rekor2Error::Duplicate { index: integrated.index });
        }
        Ok(integrated)
    }
}
