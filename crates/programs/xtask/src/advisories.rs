//! Whether a dependency has a known fault: the lock file against the `RustSec` database.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    paths,
    postgres::{apt_install, is_root},
    process::{cargo, output, run},
};

/// Checks against the dated copy beside the checkout, where there is one, else against the public database. Where
/// neither can be had nothing is known, which is said, and counted as skipped.
pub(crate) fn check() -> Result<()> {
    need_git()?;
    let copy = paths::root().join(DATED_COPY);
    let checked = if copy.exists() { Some(against_copy(&copy)?) } else { against_public()? };
    match checked {
        Some(database) => {
            println!("advisories: checked against {database}\n1 passed, 0 failed, 0 skipped");
        }
        None => println!(
            "advisories: SKIPPED: there is no {DATED_COPY}, and the public database cannot be reached: nobody knows \
             whether a dependency has a known fault\n0 passed, 0 failed, 1 skipped"
        ),
    }
    Ok(())
}

/// Where CI machines have it, beside the checkout.
const DATED_COPY: &str = "../shared/advisory-db.tar.gz";

/// What cargo-deny calls its clone of the public database: by its URL.
const CLONE: &str = "advisory-db-3157b0e258782691";

/// cargo-deny reads a clone alone, so the copy becomes one.
fn against_copy(copy: &Path) -> Result<String> {
    let directory = tempfile::Builder::new().prefix("countersign-advisories-").tempdir()?;
    let databases = directory.path().join("databases");
    let clone = databases.join(CLONE);
    fs::create_dir_all(&clone)?;
    output(Command::new("tar").arg("xzf").arg(copy).arg("-C").arg(&clone))?;
    output(git(&clone).args(["init", "--quiet"]))?;
    output(git(&clone).args(["add", "--all"]))?;
    output(git(&clone).args(["commit", "--quiet", "--no-verify", "--message", "A dated copy"]))?;
    let config = config_with(&databases, directory.path())?;
    deny(&["--offline", "--config", &config], "check")?;
    Ok(DATED_COPY.to_owned())
}

/// What a hook of git hands to its children (`git rev-parse --local-env-vars`, but settings): it goes before `-C`, and the
/// copy would be committed to the repository whose hook it is.
const OF_A_HOOK: [&str; 13] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];

fn outside_hooks(mut command: Command) -> Command {
    for name in OF_A_HOOK {
        command.env_remove(name);
    }
    command
}

fn git(repository: &Path) -> Command {
    let mut git = outside_hooks(Command::new("git"));
    git.arg("-C").arg(repository);
    for setting in ["user.name=copy", "user.email=copy@localhost", "commit.gpgsign=false"] {
        git.args(["-c", setting]);
    }
    git
}

/// `deny.toml`, whose last table is that of advisories, with another place for the databases.
fn config_with(databases: &Path, directory: &Path) -> Result<String> {
    let text = fs::read_to_string(paths::root().join("deny.toml"))?;
    let config = directory.join("deny.toml");
    fs::write(&config, format!("{text}\ndb-path = \"{}\"\n", databases.display()))?;
    path_text(config)
}

fn path_text(path: PathBuf) -> Result<String> {
    path.into_os_string().into_string().ok().context("a temporary path that is not text")
}

fn against_public() -> Result<Option<String>> {
    if output(outside_hooks(cargo()?).args(["deny", "fetch", "db"])).is_err() {
        return Ok(None);
    }
    deny(&["--offline"], "check")?;
    Ok(Some("the public database".to_owned()))
}

fn deny(options: &[&str], command: &str) -> Result<()> {
    run(outside_hooks(cargo()?)
        .args(["deny", "--all-features"])
        .args(options)
        .args([command, "advisories"]))
}

/// cargo-deny asks it how old a database is.
fn need_git() -> Result<()> {
    if output(Command::new("git").arg("--version")).is_ok() || !is_root()? {
        return Ok(());
    }
    apt_install(&["git"]).context("no git found, and apt could not install it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As where `cargo xtask lint` is a hook before a commit.
    #[test]
    fn a_hook_s_repository_is_not_the_one_that_the_copy_is_committed_to() {
        let named = |name: &str| {
            let git = git(Path::new("/copy"));
            git.get_envs().any(|(of_child, value)| of_child == name && value.is_none())
        };
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"] {
            assert!(named(name), "{name} is handed on");
        }
    }
}
