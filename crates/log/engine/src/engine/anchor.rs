//! The last signed checkpoint, kept outside the database.
//!
//! A database restored from yesterday's copy looks sound by itself; signing from
//! it would give the log a second history. The file next to it tells.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crypto::PublicKey;
use store::{LogRecord, LogStore};
use tlog::{Checkpoint, Edge, SignedNote, TreeHead};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{LogConfig, PublishedCheckpoint};
use crate::{StartError, anchors::check_head};

/// The checkpoint file of a log, or none.
pub(super) struct Anchor {
    file: Option<PathBuf>,
    /// What the file holds.
    signed: Option<TreeHead>,
}

impl Anchor {
    /// Reads the file, if it is there, and verifies that this log's key signed it.
    pub(super) async fn open(
        config: &LogConfig,
        public_key: &PublicKey,
    ) -> Result<Self, StartError> {
        let Some(file) = config.checkpoint_file.clone() else {
            return Ok(Self { file: None, signed: None });
        };
        let read = tokio::fs::read_to_string(&file).await;
        let signed = match read {
            Ok(note) => Some(verified(&note, config, public_key, &file)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(StartError::CheckpointFile { file, source }),
        };
        Ok(Self { file: Some(file), signed })
    }

    /// Refuses a database that lacks entries which were signed, or has others in their place.
    pub(super) async fn check(
        &self,
        store: &dyn LogStore,
        record: &LogRecord,
        state: &Edge,
    ) -> Result<(), StartError> {
        let (Some(file), Some(signed)) = (&self.file, self.signed) else { return Ok(()) };
        check_head(store, record, state, (signed, file.display().to_string())).await
    }

    /// Keeps the first checkpoint of this process; where that fails, no later one could be kept.
    ///
    /// # Errors
    /// [`StartError::CheckpointFile`].
    pub(super) async fn begin(
        &mut self,
        log: &LogRecord,
        first: &PublishedCheckpoint,
    ) -> Result<(), StartError> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        if self.signed.is_none() && first.head.size.0 > 0 {
            tracing::warn!(log.name = %log.spec.name, file = %file.display(), log.size = first.head.size.0,
                "no checkpoint of this log was kept here: should its database be an old copy, nobody notices");
        }
        self.keep(first).await.map_err(|source| StartError::CheckpointFile { file, source })
    }

    /// Replaces the file, unless it already holds this or a larger tree.
    ///
    /// After a crash at any line the file is the old or the new checkpoint, whole.
    async fn keep(&mut self, checkpoint: &PublishedCheckpoint) -> io::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let head = checkpoint.head;
        if self.signed.is_some_and(|signed| signed.size >= head.size) {
            return Ok(());
        }
        let note = checkpoint.note.clone();
        tokio::task::spawn_blocking(move || replace_file(&file, note.as_bytes()))
            .await
            .map_err(io::Error::other)??;
        self.signed = Some(head);
        Ok(())
    }
}

fn verified(
    note: &str,
    config: &LogConfig,
    public_key: &PublicKey,
    file: &Path,
) -> Result<TreeHead, StartError> {
    let checkpoint: Checkpoint = note
        .parse::<SignedNote>()
        .and_then(|note| note.verified_checkpoint(public_key, &config.key_name, &config.key_id))
        .map_err(|source| StartError::CheckpointFileInvalid { file: file.to_owned(), source })?;
    if checkpoint.origin != config.spec.origin {
        let (file, origin) = (file.to_owned(), checkpoint.origin);
        return Err(StartError::CheckpointFileOfAnotherLog { file, origin });
    }
    Ok(checkpoint.head)
}

pub(crate) fn replace_file(file: &Path, content: &[u8]) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".tmp");
    let mut writer = File::create(&temporary)?;
    writer.write_all(content)?;
    writer.sync_all()?;
    fs::rename(&temporary, file)?;
    // Without this the rename itself may be lost at power loss.
    File::open(directory)?.sync_all()
}

/// Keeps each newest checkpoint in the file, off the answer path.
pub(super) struct Follower {
    pub(super) published: watch::Receiver<Arc<PublishedCheckpoint>>,
    pub(super) anchor: Anchor,
    pub(super) log: LogRecord,
}

impl Follower {
    /// Between two writes. Each costs two fsyncs beside the log's own; what is
    /// skipped is only as old as this, where a restored backup is hours old.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Works until the batcher has ended and its last checkpoint is kept.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let newest = Arc::clone(&self.published.borrow_and_update());
            self.keep(&newest).await;
            shutdown.run_until_cancelled(tokio::time::sleep(Self::PAUSE)).await;
            // An unseen value is reported before the end of the batcher is.
            if self.published.changed().await.is_err() {
                return;
            }
        }
    }

    async fn keep(&mut self, newest: &PublishedCheckpoint) {
        let name = &self.log.spec.name;
        if let Err(error) = self.anchor.keep(newest).await {
            metrics::counter!("countersign_log_checkpoint_file_errors_total", "log" => name.clone())
                .increment(1);
            tracing::error!(log.name = %name, error = %error, "the checkpoint file cannot be written");
        }
    }
}
