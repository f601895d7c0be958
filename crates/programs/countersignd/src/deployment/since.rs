//! Since when verifiers take what a log signed, where the configuration does not say.
//!
//! A chain has its first second in it, a log's key has not: it is kept beside the public key. Computed from
//! anything else it would change with that, and signatures of years would not verify any more.

use anyhow::Context;
use moment::UnixSeconds;
use wire::Timestamp;

use super::{Deployment, Log};
use crate::{
    certificates::BACKDATING,
    data_dir::{Access, read_if_present, replace},
};

impl Log {
    /// What was kept.
    pub(super) fn since(&self) -> anyhow::Result<Option<Timestamp>> {
        let Some(path) = &self.since_file else { return Ok(None) };
        let Some(text) = read_if_present(path)? else { return Ok(None) };
        let since = Timestamp::parse(text.trim_end());
        since.map(Some).with_context(|| format!("{} holds no time", path.display()))
    }

    /// Keeps `now` of a log that is about to be made: before its public key, by whose file it
    /// is known to be made.
    pub(crate) fn begin(&self, now: UnixSeconds) -> anyhow::Result<()> {
        if self.key.is_published() || self.checkpoint_file.exists() {
            return Ok(());
        }
        // As chains do: clocks differ.
        let since = now.saturating_sub(BACKDATING.unsigned_abs());
        let since = Timestamp::from_unix_seconds(since.0).context("a time beyond the year 9999")?;
        self.keep_since(since)
    }

    fn keep_since(&self, since: Timestamp) -> anyhow::Result<()> {
        match self.since_file.as_deref().filter(|path| !path.exists()) {
            None => Ok(()),
            Some(path) => replace(path, format!("{since}\n").as_bytes(), Access::Everybody),
        }
    }
}

impl Deployment {
    /// Keeps for logs of before what the trust files say of them: since the first second of their CAs, and
    /// not since that of another CA once the first one's table goes.
    pub(crate) fn keep_beginnings(&self) -> anyhow::Result<()> {
        for log in self.logs.iter().filter(|log| log.key.is_published()) {
            // A chain that cannot be read is told where the trust files are made.
            if let Ok(Some(since)) = self.first_ca(log) {
                log.keep_since(since)?;
            }
        }
        Ok(())
    }
}
