//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(3).unwrap_or(manifest).to_owned()
}

/// Cargo's target directory: the one this program was built into.
pub(crate) fn target() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target =
        program.ancestors().nth(2).context("xtask does not run from a target directory")?;
    Ok(target.to_owned())
}

/// A cache for what is downloaded, kept between runs and outside the repository.
pub(crate) fn cache() -> Result<PathBuf> {
    let home = std::env::home_dir().context("no home directory")?;
    let cache = home.join(".cache").join("countersign-xtask");
    std::fs::create_dir_all(&cache)?;
    Ok(cache)
}
