use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
        net,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

use crate::locked::Locked;

/// How often it is tried again where no socket could be: the process before may have to end.
const RETRY: Duration = Duration::from_secs(1);

/// Longest path of a socket, in bytes: `sun_path` has 108 on Linux, and ends in a zero.
const MAX_PATH_LEN: usize = 107;

/// What to change about any of it.
const ADVICE: &str = "mend it, or name another place as `state_dir` of [ca.<name>]";

/// The socket that orders come by. Removed when it is dropped.
pub(super) struct OrderSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Whoever has it may remove what is at the path: nobody else's socket is there.
    _lock: Locked,
}

impl OrderSocket {
    /// Waits until no other process takes orders at `path`, after a first try. Each reason to wait is
    /// logged once.
    pub(super) async fn wait_for(path: &Path, first: anyhow::Result<Self>) -> Self {
        let mut told = String::new();
        let mut claimed = first;
        loop {
            match claimed {
                Ok(socket) => {
                    if !told.is_empty() {
                        info!(path = %path.display(), "orders are taken now");
                    }
                    return socket;
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    if error != told {
                        warn!(
                            path = %path.display(),
                            error,
                            advice = ADVICE,
                            "no orders are taken yet: `countersignd issuer` does not reach this process"
                        );
                        told = error;
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
            claimed = Self::claim(path);
        }
    }

    /// Binds the socket; one that a killed process left is replaced.
    pub(super) fn claim(path: &Path) -> anyhow::Result<Self> {
        check_path(path)?;
        let lock = lock(&path.with_extension("lock"))?;
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                bail!("{} is there and is no socket", path.display())
            }
            // Versions before this one have no lock.
            Ok(_) if net::UnixStream::connect(path).is_ok() => bail!(IN_USE),
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let listener = UnixListener::bind(path)?;
        let socket = Self { listener, path: path.to_owned(), _lock: lock };
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(socket)
    }

    /// The next peer.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(peer, _)| peer)
    }
}

impl Drop for OrderSocket {
    /// Before the lock is given up: what is there afterwards is another's.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

const IN_USE: &str = "another process takes orders there";

fn lock(path: &Path) -> anyhow::Result<Locked> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Locked::try_new(file).context("cannot lock it")?.context(IN_USE)
}

/// Whether a socket can have this path.
pub(crate) fn check_path(path: &Path) -> anyhow::Result<()> {
    let length = path.as_os_str().as_bytes().len();
    if length > MAX_PATH_LEN {
        bail!(
            "the socket's path {} has {length} bytes and may have {MAX_PATH_LEN}: name a shorter \
             `state_dir` of [ca.<name>]",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        (directory, path)
    }

    fn refusal(path: &Path) -> String {
        OrderSocket::claim(path).err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_left_over_socket_is_replaced_and_another_file_is_not() {
        let (_directory, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "as after kill -9");
        let socket = OrderSocket::claim(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        assert!(refusal(&path).contains("is no socket"));
    }

    #[tokio::test]
    async fn the_second_process_takes_over_when_the_first_has_ended() {
        let (_directory, path) = place();
        let first = OrderSocket::claim(&path).unwrap();
        assert!(refusal(&path).contains("another process"));
        let mut second = std::pin::pin!(OrderSocket::wait_for(&path, OrderSocket::claim(&path)));
        tokio::select! {
            biased;
            _ = &mut second => panic!("both take orders"),
            () = tokio::task::yield_now() => {}
        }
        drop(first);
        let second = second.await;
        assert!(UnixStream::connect(&path).await.is_ok());
        second.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_process_of_an_earlier_version_is_not_pushed_out() {
        let (_directory, path) = place();
        let _earlier = UnixListener::bind(&path).unwrap();
        assert!(refusal(&path).contains("another process"));
        assert!(path.exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_told_with_the_setting() {
        let directory = PathBuf::from("/").join("d".repeat(95));
        assert!(check_path(&directory.join("admin.sock")).is_ok());
        let said = check_path(&directory.join("xadmin.sock")).unwrap_err().to_string();
        assert!(said.contains("108 bytes") && said.contains("state_dir"), "{said}");
        std::os::unix::net::SocketAddr::from_pathname(directory.join("admin.sock")).unwrap();
        std::os::unix::net::SocketAddr::from_pathname(directory.join("xadmin.sock")).unwrap_err();
    }
}
