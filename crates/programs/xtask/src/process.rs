//! Running other programs.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Runs a command with its output shown, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs a command and gives its standard output; its error output is part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{} ended with {}\n{}{}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it, without its environment.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

/// Cargo, in the repository, with the target directory of this program.
pub(crate) fn cargo() -> Result<Command> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(paths::root()).env("CARGO_TARGET_DIR", paths::target()?);
    Ok(cargo)
}

/// Builds the two programs and gives their directory.
pub(crate) fn build_binaries(release: bool) -> Result<PathBuf> {
    let mut cargo = cargo()?;
    cargo.args(["build", "--locked", "--bin", "countersignd", "--bin", "countersign"]);
    if release {
        cargo.arg("--release");
    }
    run(&mut cargo)?;
    Ok(paths::target()?.join(if release { "release" } else { "debug" }))
}

/// A child that does not outlive its owner.
pub(crate) struct Guarded(pub(crate) Child);

impl Guarded {
    /// Asks it to stop as an operator does (SIGTERM) and waits up to `limit`.
    pub(crate) fn terminate(mut self, limit: Duration) -> Result<()> {
        run(Command::new("kill").arg(self.0.id().to_string()))?;
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.0.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("it ended with {status} after SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("it did not end within {} s of SIGTERM", limit.as_secs())
    }

    /// Lets it run on without us.
    pub(crate) fn leave_running(self) {
        std::mem::forget(self);
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Nothing can be done about a child that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
