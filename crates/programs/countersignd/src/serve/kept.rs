//! What is there is used again only where nobody else can have put it there.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::{
    anchors::AnchorPlace,
    data_dir::Access,
    deployment::{Database, Deployment, Key},
    ours::{Ours, Place},
};

/// Refuses files and directories of a deployment that another user, or who set a link, could have put there; gives what to
/// warn of.
///
/// What the configuration names elsewhere (`key`) is looked at too: `init` would make it, had it not been there.
pub(crate) fn refuse_foreign(deployment: &Deployment) -> anyhow::Result<Vec<String>> {
    let ours = Ours::this_process()?;
    for directory in directories(deployment) {
        if let Some(metadata) = present(&directory)? {
            directory_is_ours(&directory, &metadata, &ours)?;
        }
    }
    let mut warnings = Vec::new();
    for (file, access) in files(deployment) {
        let place = if file.starts_with(&deployment.places.root) {
            Place::DataDir
        } else {
            Place::Elsewhere
        };
        warnings.extend(file_is_ours(&file, &ours, (access, place))?);
    }
    Ok(warnings)
}

fn directories(deployment: &Deployment) -> BTreeSet<PathBuf> {
    let places = &deployment.places;
    let own = [Some(&places.root), places.public.as_ref(), places.offline.as_ref()];
    let own = own.into_iter().flatten().chain(&places.private).cloned();
    let tuf = deployment.repositories.iter().map(|one| one.tuf_dir.clone());
    let beside =
        files(deployment).into_iter().filter_map(|(file, _)| Some(file.parent()?.to_owned()));
    let inside = beside.filter(|directory| directory.starts_with(&places.root));
    // Who owns one can put an older checkpoint there, and nobody notices a database that was restored.
    let anchors = deployment.logs.iter().flat_map(|log| &log.anchors);
    let anchors = anchors.filter_map(|place| match place {
        AnchorPlace::Directory(directory) => Some(directory.clone()),
        AnchorPlace::Http(_) => None,
    });
    own.chain(tuf).chain(inside).chain(anchors).collect()
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

/// Also a link to one, which an operator may set.
fn directory_is_ours(path: &Path, metadata: &Metadata, ours: &Ours) -> anyhow::Result<()> {
    if metadata.is_symlink() {
        ours.refuse_link(path, metadata)?;
    } else {
        ours.refuse_owner(path, metadata)?;
    }
    let behind =
        fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    ours.refuse_owner(path, &behind)
}

/// `Some` is what to warn of. Only below `data_dir` nobody has a reason for a link: secrets of Kubernetes are links.
fn file_is_ours(
    path: &Path,
    ours: &Ours,
    (access, place): (Access, Place),
) -> anyhow::Result<Option<String>> {
    let Some(own) = present(path)? else { return Ok(None) };
    if !own.is_symlink() {
        ours.refuse_owner(path, &own)?;
        return ours.look_at(path, &own, (access, place));
    }
    let shown = path.display();
    if place == Place::DataDir {
        bail!("{shown} is a link: put the file there, or name the one that it leads to");
    }
    ours.refuse_link(path, &own)?;
    let behind = path.canonicalize().with_context(|| format!("cannot follow the link {shown}"))?;
    file_is_ours(&behind, ours, (access, place))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_link_is_followed_where_the_configuration_names_it_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("..data"), directory.path().join("key.pem"));
        fs::write(&file, "").unwrap();
        symlink("..data", &link).unwrap();
        let ours = Ours::this_process().unwrap();
        let looked_at = |place| file_is_ours(&link, &ours, (Access::Owner, place));
        let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o400);
        let said = looked_at(Place::DataDir).unwrap_err().to_string();
        assert!(said.contains("is a link"), "{said}");
        assert_eq!(looked_at(Place::Elsewhere).unwrap(), None);
        mode(0o440);
        let said = looked_at(Place::Elsewhere).unwrap().unwrap();
        assert!(said.contains(" can read ") && said.contains("..data"), "{said}");
        mode(0o422);
        let said = looked_at(Place::Elsewhere).unwrap_err().to_string();
        assert!(said.contains("chmod 600"), "{said}");
        fs::remove_file(&file).unwrap();
        let said = looked_at(Place::Elsewhere).unwrap_err().to_string();
        assert!(said.contains("cannot follow the link"), "{said}");
    }

    #[test]
    fn a_directory_of_another_user_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let ours = Ours::this_process().unwrap();
        let looked_at = || {
            let metadata = present(directory.path()).unwrap().unwrap();
            directory_is_ours(directory.path(), &metadata, &ours)
        };
        looked_at().unwrap();
        // Only root can give it away; everybody can have made one in the directory for temporary files.
        if chown(directory.path(), Some(65534), None).is_ok() {
            let said = looked_at().unwrap_err().to_string();
            assert!(said.contains("belongs to user 65534"), "{said}");
        }
    }
}
