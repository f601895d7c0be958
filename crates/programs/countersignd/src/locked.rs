use std::{
    fs::{File, TryLockError},
    io,
};

/// An open file with the system's lock, until it is dropped. The kernel gives the lock up when the process dies, also
/// by `kill -9`.
#[derive(Debug)]
pub(crate) struct Locked(File);

impl Locked {
    /// `None` where another process has the lock, or another opening of the file in this one.
    pub(crate) fn try_new(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Locked {
    /// Closing it is not enough: a child that is between fork and exec has it too.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_the_file_for_a_moment_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let opened = || File::create(directory.path().join("lock")).unwrap();
        let held = Locked::try_new(opened()).unwrap().unwrap();
        let of_a_child = held.0.try_clone().unwrap();
        assert!(Locked::try_new(opened()).unwrap().is_none());
        drop(held);
        assert!(Locked::try_new(opened()).unwrap().is_some());
        drop(of_a_child);
    }
}
