//! Whether the disks of a log have room for what it takes.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use engine::Log;
use tokio_util::sync::CancellationToken;

/// How often the disks are looked at: a log at its fastest writes some megabytes in that time.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is left free where nobody says anything, in MiB: the minutes in which somebody can still act, and room
/// for the database's own journal.
const USUAL_MIN_FREE_MIB: u64 = 128;

/// The same where the database is elsewhere: checkpoints are files of a few hundred bytes, and their volume may be small.
const CHECKPOINTS_MIN_FREE_MIB: u64 = 4;

const MIB: u64 = 1024 * 1024;

/// The disks of one log, and how much must be left free on each.
///
/// A log whose disk is full cannot write what it has let in, sign, or even say so: it refuses new entries
/// before that, and takes them again by itself.
pub(crate) struct Room {
    /// Of the database where it is a file, and of the checkpoints.
    pub(crate) directories: Vec<PathBuf>,
    /// In bytes; 0 is no bound.
    min_free: u64,
    free: fn(&Path) -> io::Result<u64>,
}

impl Room {
    /// `database` is the directory of the database, if that is a file, and `min_free_mib` what the configuration says.
    pub(crate) fn new(
        database: Option<PathBuf>,
        checkpoints: Option<PathBuf>,
        min_free_mib: Option<u64>,
    ) -> Self {
        let usual = if database.is_some() { USUAL_MIN_FREE_MIB } else { CHECKPOINTS_MIN_FREE_MIB };
        let min_free = min_free_mib.unwrap_or(usual).saturating_mul(MIB);
        Self { directories: database.into_iter().chain(checkpoints).collect(), min_free, free }
    }

    /// Looks at the disks until `shutdown`, and stops and starts the taking of entries.
    pub(crate) async fn watch(self, log: Arc<Log>, shutdown: CancellationToken) {
        if self.min_free == 0 {
            return;
        }
        let room = Arc::new(self);
        let mut is_known = true;
        loop {
            let (asked, was_full) = (Arc::clone(&room), log.has_no_room());
            // It blocks, for long on a disk that is somewhere else.
            let looked = tokio::task::spawn_blocking(move || asked.is_full(was_full)).await;
            match looked.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Ok(is_full) => {
                    is_known = true;
                    if is_full != was_full {
                        room.say(&log, is_full);
                        show(&log, is_full);
                        log.set_no_room(is_full);
                    }
                }
                Err(error) if is_known => {
                    is_known = false;
                    let name = &log.record().spec.name;
                    tracing::warn!(log.name = %name, %error, "cannot tell how much of the disk is free");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Whether entries are to be refused. Who refuses begins again with an eighth more, not with every byte.
    fn is_full(&self, was_full: bool) -> io::Result<bool> {
        let needed =
            if was_full { self.min_free.saturating_add(self.min_free / 8) } else { self.min_free };
        for directory in &self.directories {
            if (self.free)(directory)? < needed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn say(&self, log: &Log, is_full: bool) {
        let (name, min_free_mib) = (&log.record().spec.name, self.min_free / MIB);
        if is_full {
            tracing::error!(log.name = %name, disk.min_free_mib = min_free_mib,
                "the disk is nearly full: the log takes no entries until there is room");
        } else {
            tracing::info!(log.name = %name, "there is room on the disk: the log takes entries again");
        }
    }
}

/// Shows whether a log takes no entries for want of room.
pub(crate) fn show(log: &Log, is_full: bool) {
    let name = log.record().spec.name.clone();
    metrics::gauge!("countersign_log_no_room", "log" => name).set(u32::from(is_full));
}

/// Bytes that a process without privileges can still write below `directory`.
fn free(directory: &Path) -> io::Result<u64> {
    let of = rustix::fs::statvfs(directory)?;
    Ok(of.f_bavail.saturating_mul(of.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(min_free_mib: Option<u64>, free: fn(&Path) -> io::Result<u64>) -> Room {
        let (one, other) = (Some(PathBuf::from("one")), Some(PathBuf::from("other")));
        Room { free, ..Room::new(one, other, min_free_mib) }
    }

    #[test]
    fn the_disk_with_the_least_room_decides() {
        let free =
            |directory: &Path| Ok(if directory == Path::new("one") { 500 * MIB } else { 90 * MIB });
        assert!(room(None, free).is_full(false).unwrap());
        assert!(!room(Some(90), free).is_full(false).unwrap());
        assert!(room(Some(91), free).is_full(false).unwrap());
    }

    /// A volume of 64 MiB for keys and checkpoints, beside PostgreSQL, refused every entry for ever.
    #[test]
    fn a_small_disk_that_has_only_checkpoints_is_enough() {
        let of_checkpoints = |free| Room { free, ..Room::new(None, Some("log".into()), None) };
        assert!(!of_checkpoints(|_| Ok(60 * MIB)).is_full(false).unwrap());
        assert!(of_checkpoints(|_| Ok(3 * MIB)).is_full(false).unwrap());
        assert!(room(None, |_| Ok(60 * MIB)).is_full(false).unwrap());
    }

    #[test]
    fn who_refuses_begins_again_with_an_eighth_more() {
        let just = room(Some(100), |_| Ok(112 * MIB));
        assert!(!just.is_full(false).unwrap());
        assert!(just.is_full(true).unwrap());
        assert!(!room(Some(100), |_| Ok(113 * MIB)).is_full(true).unwrap());
    }

    #[test]
    fn a_disk_that_is_there_has_room_and_one_that_is_not_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(free(directory.path()).unwrap() > 0);
        free(&directory.path().join("none")).unwrap_err();
    }
}
