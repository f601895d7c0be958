//! Whose a file is, and who else can read or change it.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

use anyhow::{Context, bail};

use crate::data_dir::Access;

/// Who this process is.
#[derive(Debug)]
pub(crate) struct Ours {
    user: u32,
    groups: Vec<u32>,
}

/// Where a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Below `data_dir`, where this program made it.
    DataDir,
    /// Where the configuration names it: whoever hands secrets over (Docker, Kubernetes) made it, and chose its owner
    /// and mode.
    Elsewhere,
}

impl Ours {
    /// The user that this process acts as, and all its groups.
    pub(crate) fn this_process() -> anyhow::Result<Self> {
        let mut groups =
            rustix::process::getgroups().context("cannot tell the groups of this user")?;
        groups.push(rustix::process::getegid());
        let groups = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
        Ok(Self { user: rustix::process::geteuid().as_raw(), groups })
    }

    /// Refuses what another user owns.
    pub(crate) fn refuse_owner(&self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        let owner = metadata.uid();
        if [self.user, ROOT].contains(&owner) || (self.user == ROOT && given(path, owner)) {
            return Ok(());
        }
        bail!(
            "{} belongs to user {owner}, who can have put there whatever they like, and this is user {}: run `init` as \
             the user that the services have, or `chown` it if it is yours",
            path.display(),
            self.user
        )
    }

    /// Refuses a link that another user set: for root also one of a service's, which leads to wherever it likes.
    pub(crate) fn refuse_link(&self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        let owner = metadata.uid();
        if [self.user, ROOT].contains(&owner) {
            return Ok(());
        }
        bail!("{} is a link of user {owner}: put there what it leads to", path.display());
    }

    /// Refuses a file that others can have changed, or read where it is secret. `Some` is what to warn of.
    pub(crate) fn look_at(
        &self,
        path: &Path,
        metadata: &Metadata,
        (access, place): (Access, Place),
    ) -> anyhow::Result<Option<String>> {
        let (mode, shown) = (metadata.mode(), path.display());
        if !metadata.is_file() {
            return Ok(None);
        }
        let (forbidden, watched) = self.bits(metadata, access, place);
        let secret = matches!(access, Access::Owner);
        if mode & forbidden != 0 {
            let (words, remedy) = if secret {
                ("read or changed by others", "chmod 600")
            } else {
                ("changed by others", "chmod go-w")
            };
            bail!("{shown} can be {words}: run `{remedy}` on it");
        }
        Ok((mode & watched != 0).then(|| {
            let what = if mode & watched & WRITE == 0 { "read" } else { "change" };
            if mode & watched & EVERYBODY != 0 {
                format!("everybody in this container, or on this machine, can {what} {shown}")
            } else {
                let group = metadata.gid();
                format!("the group {group} can {what} {shown}: see that nobody else is in it")
            }
        }))
    }

    /// Bits of a mode that are refused, and those that are warned of.
    fn bits(&self, metadata: &Metadata, access: Access, place: Place) -> (u32, u32) {
        let is_own_group = self.groups.contains(&metadata.gid());
        let (forbidden, watched) = match place {
            // A volume of Kubernetes (`fsGroup`) gives its group all that its owner has.
            Place::DataDir if is_own_group => (EVERYBODY, GROUP),
            Place::DataDir => (EVERYBODY | GROUP, 0),
            // A secret of Docker is root's and 0444, alone in its container.
            Place::Elsewhere if metadata.uid() == ROOT => (WRITE, EVERYBODY | GROUP),
            Place::Elsewhere => (WRITE | EVERYBODY, GROUP),
        };
        match access {
            Access::Owner => (forbidden, watched),
            Access::Everybody => (forbidden & WRITE, watched & WRITE),
        }
    }

    /// Refuses a private key that is not private, wherever it is: it is not known here who named it.
    pub(crate) fn refuse_shared(&self, path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
        // Of its own files a user says who may read them; of root's, root.
        let is_handed_over = metadata.uid() == ROOT && self.user != ROOT;
        let allowed = match (is_handed_over, self.groups.contains(&metadata.gid())) {
            (true, _) => (EVERYBODY | GROUP) & !WRITE,
            (false, true) => GROUP,
            (false, false) => 0,
        };
        if metadata.mode() & (EVERYBODY | GROUP) & !allowed != 0 {
            bail!("{} can be read by others: run `chmod 600` on it", path.display());
        }
        Ok(())
    }
}

const ROOT: u32 = 0;
const EVERYBODY: u32 = 0o007;
const GROUP: u32 = 0o070;
const WRITE: u32 = 0o022;

/// Whether root gave `owner` what is at `path`: nobody else can have put it there, or one of the directories above that
/// are `owner`'s. Services with a user each have their directories so, and `init` is root's then.
fn given(path: &Path, owner: u32) -> bool {
    let above = path.ancestors().skip(1).map(fs::metadata);
    for directory in above.map_while(Result::ok) {
        if directory.uid() == ROOT {
            return directory.mode() & WRITE == 0;
        }
        if directory.uid() != owner {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    /// A file with a mode, in a directory of its own.
    fn file(mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        (directory, file)
    }

    #[derive(Debug, PartialEq)]
    enum Said {
        Nothing,
        Warned,
        Refused,
    }
    use Said::{Nothing, Refused, Warned};

    fn said(ours: &Ours, path: &Path, of: (Access, Place)) -> Said {
        let metadata = path.metadata().unwrap();
        match ours.refuse_owner(path, &metadata).and_then(|()| ours.look_at(path, &metadata, of)) {
            Ok(None) => Nothing,
            Ok(Some(_)) => Warned,
            Err(_) => Refused,
        }
    }

    #[test]
    fn a_file_that_others_can_have_changed_is_not_believed() {
        let here = |access| (access, Place::DataDir);
        let us = Ours::this_process().unwrap();
        let stranger = Ours { groups: vec![4_000_000], user: us.user };
        for (mode, secret, public, of_strangers) in [
            (0o600, Nothing, Nothing, Nothing),
            (0o640, Warned, Nothing, Refused),
            // A volume after Kubernetes has given it to its group.
            (0o660, Warned, Warned, Refused),
            (0o644, Refused, Nothing, Refused),
            (0o666, Refused, Refused, Refused),
        ] {
            let (_directory, file) = file(mode);
            assert_eq!(said(&us, &file, here(Access::Owner)), secret, "{mode:o}");
            assert_eq!(said(&us, &file, here(Access::Everybody)), public, "{mode:o}");
            assert_eq!(said(&stranger, &file, here(Access::Owner)), of_strangers, "{mode:o}");
        }
    }

    /// Nobody without root's rights can make these.
    #[test]
    fn secrets_as_docker_and_kubernetes_hand_them_over_are_used() {
        let (group, service) = (4_000_000, 4_000_001);
        let us = Ours { user: service, groups: vec![group] };
        for (owner, mode, expected) in [
            // Docker; Kubernetes with `fsGroup`; packages of distributions; a file of the service itself.
            (0, 0o444, Warned),
            (0, 0o440, Warned),
            (0, 0o640, Warned),
            (service, 0o640, Warned),
            (service, 0o400, Nothing),
            (service, 0o644, Refused),
            (0, 0o660, Refused),
            (0, 0o646, Refused),
            (4_000_002, 0o400, Refused),
        ] {
            let (_directory, file) = file(mode);
            if chown(&file, Some(owner), Some(group)).is_err() {
                return;
            }
            let of = (Access::Owner, Place::Elsewhere);
            assert_eq!(said(&us, &file, of), expected, "{owner}, {mode:o}");
            let key = us.refuse_shared(&file, &file.metadata().unwrap());
            // What `init` takes, services take; of owners only `init` says something.
            let taken = expected != Refused || owner == 4_000_002;
            assert_eq!(key.is_ok(), taken, "{owner}, {mode:o}");
        }
    }

    #[test]
    fn root_believes_those_to_whom_it_gave_a_directory() {
        let root = Ours { user: 0, groups: vec![0] };
        let (directory, file) = file(0o600);
        let part = directory.path().join("ca");
        fs::create_dir(&part).unwrap();
        let (service, other) = (Some(4_000_001), Some(4_000_002));
        let key = part.join("ca.pem");
        fs::rename(&file, &key).unwrap();
        if chown(&part, service, None).is_err() {
            return;
        }
        chown(&key, service, None).unwrap();
        let believed = || root.refuse_owner(&key, &key.metadata().unwrap());
        believed().unwrap();
        let service_alone = Ours { user: 4_000_003, groups: Vec::new() };
        let told = service_alone.refuse_owner(&key, &key.metadata().unwrap()).unwrap_err();
        assert!(told.to_string().contains("belongs to user 4000001"), "{told}");
        // Another service's file, and one in a place where everybody could have put it.
        chown(&key, other, None).unwrap();
        believed().unwrap_err();
        chown(&key, service, None).unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        believed().unwrap_err();
    }
}
