//! Programs that the machine itself has, or gets from its own package source.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{Program, need, said_version};
use crate::process::output;

/// A program on the PATH; installs `package` when it is missing.
pub(super) fn install(program: &str, package: &str, version_flag: &str) -> Result<Program> {
    let found = || output(Command::new("sh").args(["-c", &format!("command -v {program}")]));
    if found().is_err() {
        need(&[package])?;
    }
    let path =
        found().with_context(|| format!("apt installed {package}, but {program} is not there"))?;
    let path = PathBuf::from(path.trim());
    let version = said_version(&path, version_flag);
    Ok(Program { path, version })
}
