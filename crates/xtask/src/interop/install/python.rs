//! sigstore-python, in an environment of its own.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::{Program, need};
use crate::process::output;

/// The first version that reads a signing config, up to the next that may read it differently.
const WANTED: &str = "sigstore>=4.5,<5";

pub(super) fn install(directory: &Path) -> Result<Program> {
    let path = directory.join("bin/sigstore");
    if !path.exists() {
        let venv = || output(Command::new("python3").args(["-m", "venv"]).arg(directory));
        if venv().is_err() {
            need(&["python3", "python3-venv"])?;
            venv()?;
        }
        output(Command::new(directory.join("bin/pip")).args(["install", "-q", WANTED]))?;
    }
    let version = output(Command::new(&path).arg("--version"))?;
    let version = version.trim().trim_start_matches("sigstore ").to_owned();
    Ok(Program { path, version })
}
