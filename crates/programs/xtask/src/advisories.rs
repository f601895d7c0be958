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
    let git = || {
        let mut git = Command::new("git");
        git.arg("-C").arg(&clone).args([
            "-c",
            "user.name=copy",
            "-c",
            "user.email=copy@localhost",
            "-c",
            "commit.gpgsign=false",
        ]);
        git
    };
    output(git().args(["init", "--quiet"]))?;
    output(git().args(["add", "--all"]))?;
    output(git().args(["commit", "--quiet", "--no-verify", "--message", "A dated copy"]))?;
    let config = config_with(&databases, directory.path())?;
    deny(&["--offline", "--config", &config], "check")?;
    Ok(DATED_COPY.to_owned())
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
    if output(cargo()?.args(["deny", "fetch", "db"])).is_err() {
        return Ok(None);
    }
    deny(&["--offline"], "check")?;
    Ok(Some("the public database".to_owned()))
}

fn deny(options: &[&str], command: &str) -> Result<()> {
    run(cargo()?.args(["deny", "--all-features"]).args(options).args([command, "advisories"]))
}

/// cargo-deny asks it how old a database is.
fn need_git() -> Result<()> {
    if output(Command::new("git").arg("--version")).is_ok() || !is_root()? {
        return Ok(());
    }
    apt_install(&["git"]).context("no git found, and apt could not install it")
}
