//! Clients in Python, each in an environment of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{Program, need};
use crate::process::output;

/// The first version that reads a signing config, up to the next that may read it differently.
const SIGSTORE: &[&str] = &["sigstore>=4.5,<5"];

/// It imports pyOpenSSL, which its package does not name.
const MODEL_SIGNING: &[&str] = &["model-signing>=1.1,<2", "pyopenssl"];

pub(super) fn install(directory: &Path) -> Result<Program> {
    let path = program(directory, "sigstore", SIGSTORE)?;
    let version = output(Command::new(&path).arg("--version"))?;
    let version = version.trim().trim_start_matches("sigstore ").to_owned();
    Ok(Program { path, version })
}

pub(super) fn install_model_signing(directory: &Path) -> Result<Program> {
    let path = program(directory, "model_signing", MODEL_SIGNING)?;
    let version = output(Command::new(&path).arg("--version"))?;
    let version = version.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    Ok(Program { path, version })
}

/// The program `name` of these packages.
fn program(directory: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let path = directory.join("bin").join(name);
    if !path.exists() {
        let venv = || output(Command::new("python3").args(["-m", "venv"]).arg(directory));
        if venv().is_err() {
            need(&["python3", "python3-venv"])?;
            venv()?;
        }
        output(Command::new(directory.join("bin/pip")).args(["install", "-q"]).args(packages))?;
    }
    Ok(path)
}
