//! What is there is used again only where nobody else can have put it there.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{
    data_dir::Access,
    deployment::{Database, Deployment, Key},
};

/// Refuses files and directories of a deployment that another user, or who set a link, could have put there.
///
/// What the configuration names elsewhere (`key`) is looked at too: `init` would make it, had it not been there.
pub(crate) fn refuse_foreign(deployment: &Deployment) -> anyhow::Result<()> {
    let own = fs::metadata("/proc/self").context("no /proc, which says who this is")?.uid();
    for directory in directories(deployment) {
        if let Some(metadata) = present(&directory)? {
            directory_is_ours(&directory, &metadata, own)?;
        }
    }
    for (file, access) in files(deployment) {
        if let Some(metadata) = present(&file)? {
            file_is_ours(&file, &metadata, own, access)?;
        }
    }
    Ok(())
}

fn directories(deployment: &Deployment) -> BTreeSet<PathBuf> {
    let places = &deployment.places;
    let own = [Some(&places.root), places.public.as_ref(), places.offline.as_ref()];
    let own = own.into_iter().flatten().chain(&places.private).cloned();
    let tuf = deployment.repositories.iter().map(|one| one.tuf_dir.clone());
    let beside =
        files(deployment).into_iter().filter_map(|(file, _)| Some(file.parent()?.to_owned()));
    let inside = beside.filter(|directory| directory.starts_with(&places.root));
    own.chain(tuf).chain(inside).collect()
}

/// Every file that `init` makes, and who may read it. A checkpoint proves itself, by its signature.
fn files(deployment: &Deployment) -> Vec<(PathBuf, Access)> {
    let mut files = Vec::new();
    let mut public = Vec::new();
    for chain in deployment.authorities.iter().map(|one| &one.chain) {
        public.push(chain.file.clone());
        files.push((chain.root_key_file.clone(), Access::Owner));
    }
    for chain in deployment.timestamp_authorities.iter().map(|one| &one.chain) {
        public.push(chain.file.clone());
        files.push((chain.root_key_file.clone(), Access::Owner));
    }
    for log in &deployment.logs {
        public.extend(log.rekor1.iter().map(|places| places.tree_id_file.clone()));
        public.extend(log.since_file.clone());
    }
    for repository in &deployment.repositories {
        public.extend(repository.first_root_file.clone());
        public.push(repository.root_file());
    }
    for key in keys(deployment) {
        files.push((key.file.clone(), Access::Owner));
        public.extend(key.public_file.clone());
    }
    match &deployment.database {
        Database::Sqlite { file } => files.push((file.clone(), Access::Owner)),
        Database::Postgres { password_file, owner, .. } => {
            let of_owner = owner.as_ref().and_then(|owner| owner.password_file.as_ref());
            let passwords = password_file.iter().chain(of_owner).cloned();
            files.extend(passwords.map(|file| (file, Access::Owner)));
            public.extend(owner.as_ref().and_then(|owner| owner.roles_file.clone()));
        }
    }
    files.extend(public.into_iter().map(|file| (file, Access::Everybody)));
    files
}

fn keys(deployment: &Deployment) -> impl Iterator<Item = &Key> {
    let authorities = deployment.authorities.iter().map(|one| &one.key);
    let stamping = deployment.timestamp_authorities.iter().map(|one| &one.key);
    let logs = deployment.logs.iter().flat_map(|log| {
        [&log.key].into_iter().chain(log.rekor1.as_ref().map(|places| &places.tiles_key))
    });
    let repositories =
        deployment.repositories.iter().flat_map(|one| [&one.root_key, &one.online_key]);
    let provider = deployment.provider.iter().map(|one| &one.key);
    authorities.chain(stamping).chain(logs).chain(repositories).chain(provider)
}

/// What is at a path itself, not where a link leads to. What may not be looked at is told by whoever reads it.
fn present(path: &Path) -> anyhow::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

fn owner_is_ours(path: &Path, metadata: &Metadata, own: u32) -> anyhow::Result<()> {
    let owner = metadata.uid();
    if ![own, 0].contains(&owner) {
        bail!(
            "{} belongs to user {owner}, who can have put there whatever they like, and this is user {own}: run \
             `init` as the user that the services have, or `chown` it if it is yours",
            path.display()
        );
    }
    Ok(())
}

/// Also a link to one, which an operator may set.
fn directory_is_ours(path: &Path, metadata: &Metadata, own: u32) -> anyhow::Result<()> {
    owner_is_ours(path, metadata, own)?;
    let behind =
        fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    owner_is_ours(path, &behind, own)
}

fn file_is_ours(path: &Path, metadata: &Metadata, own: u32, access: Access) -> anyhow::Result<()> {
    let shown = path.display();
    if metadata.is_symlink() {
        bail!("{shown} is a link: put the file there, or name the one that it leads to");
    }
    owner_is_ours(path, metadata, own)?;
    let (forbidden, words, remedy) = match access {
        Access::Owner => (0o077, "read or changed by others", "chmod 600"),
        Access::Everybody => (0o022, "changed by others", "chmod go-w"),
    };
    if metadata.is_file() && metadata.mode() & forbidden != 0 {
        bail!("{shown} can be {words}: run `{remedy}` on it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn looked_at(path: &Path, own: u32, access: Access) -> anyhow::Result<()> {
        file_is_ours(path, &present(path)?.unwrap(), own, access)
    }

    #[test]
    fn a_file_that_others_can_have_changed_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        fs::write(&file, "").unwrap();
        let own = file.metadata().unwrap().uid();
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for (bits, secret, public) in
            [(0o600, true, true), (0o644, false, true), (0o640, false, true), (0o664, false, false)]
        {
            mode(bits);
            assert_eq!(looked_at(&file, own, Access::Owner).is_ok(), secret, "{bits:o}");
            assert_eq!(looked_at(&file, own, Access::Everybody).is_ok(), public, "{bits:o}");
        }
        mode(0o600);
        let link = directory.path().join("link.pem");
        symlink(&file, &link).unwrap();
        let said = looked_at(&link, own, Access::Owner).unwrap_err().to_string();
        assert!(said.contains("is a link"), "{said}");
        // Only root can give a file away.
        if chown(&file, Some(65534), None).is_ok() {
            let said = looked_at(&file, own, Access::Owner).unwrap_err().to_string();
            assert!(said.contains("belongs to user 65534"), "{said}");
            chown(directory.path(), Some(65534), None).unwrap();
            let metadata = present(directory.path()).unwrap().unwrap();
            assert!(directory_is_ours(directory.path(), &metadata, own).is_err());
        }
    }
}
