//! An anchor in a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{Anchor, AnchorError, Stored};
use crate::engine::replace_file;

/// A file in a directory that must be there: of a volume that was not mounted there is none.
pub struct FileAnchor {
    file: PathBuf,
    /// Held by whoever is at the disk. A file system that hangs keeps one thread, and not another one at each try.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl FileAnchor {
    /// The file need not be there, its directory must.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file, turn: Arc::default() }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, AnchorError> {
        let file = self.file.clone();
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&file)
        });
        let done = done.await;
        let done = done.map_err(io::Error::other).flatten();
        done.map_err(|error| AnchorError(error.to_string()))
    }
}

#[async_trait]
impl Anchor for FileAnchor {
    fn place(&self) -> String {
        self.file.display().to_string()
    }

    async fn read(&self) -> Result<Option<Stored>, AnchorError> {
        self.on_disk(|file| {
            // Without its directory nothing is known of the file.
            directory(file).metadata()?;
            read(file)
        })
        .await
    }

    async fn replace(
        &self,
        before: Option<&Stored>,
        text: &str,
    ) -> Result<Option<Stored>, AnchorError> {
        let (before, text) = (before.cloned(), text.to_owned());
        self.on_disk(move |file| {
            let _lock = lock(file)?;
            if read(file)? != before {
                return Ok(None);
            }
            replace_file(file, text.as_bytes())?;
            Ok(Some(stored(text)))
        })
        .await
    }
}

fn directory(file: &Path) -> &Path {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Keeps other processes of the log out until it is dropped. Not the file itself, which is replaced.
fn lock(file: &Path) -> io::Result<File> {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    lock.lock()?;
    Ok(lock)
}

fn read(file: &Path) -> io::Result<Option<Stored>> {
    let file = match File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(MAX_LEN).read_to_string(&mut text)?;
    Ok(Some(stored(text)))
}

/// The text is its own version.
fn stored(text: String) -> Stored {
    Stored { text, version: String::new() }
}

/// A checkpoint has some 300 bytes.
const MAX_LEN: u64 = 64 << 10;
