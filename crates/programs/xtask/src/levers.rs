//! What one caller can do to the others, against a real server.

use std::process::Command;

use anyhow::Result;

use crate::{
    options::Options,
    paths,
    process::{self, build_binaries, cargo},
    stack::Stack,
};

/// Length of each measurement when nothing else is asked for.
const SECONDS: u32 = 10;

/// The same where only bounds are checked, as a part of all tests.
const CHECK_SECONDS: u32 = 2;

/// `cargo xtask test levers`: a table of release builds. `tests/load/src/levers` has the levers.
pub(crate) fn run(options: &Options) -> Result<()> {
    pull(true, options.seconds.unwrap_or(SECONDS), false)
}

/// Fails when an honest request is not answered beside a lever, or the server's memory grows beyond its bound. How
/// long answers take, is not judged: tests run on busy machines.
pub(crate) fn check() -> Result<()> {
    pull(false, CHECK_SECONDS, true)
}

fn pull(release: bool, seconds: u32, check: bool) -> Result<()> {
    let binaries = build_binaries(release)?;
    let mut build = cargo()?;
    build.args(["build", "--locked", "--package", "load"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    let directory = tempfile::Builder::new().prefix("countersign-levers-").tempdir()?;
    let stack = Stack::start(&binaries, directory.path(), None)?;
    let mut load = Command::new(paths::target()?.join(profile).join("load"));
    load.arg("--data-dir").arg(directory.path()).args(["--database", "sqlite"]);
    load.args(["--seconds", &seconds.to_string()]).arg("--binaries").arg(&binaries);
    if check {
        load.arg("--check");
    }
    process::run(load.arg("levers"))?;
    stack.stop()
}
