//! Processes of the providers.

use std::{
    cell::RefCell,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::process::{Guarded, output};

/// Longest wait for a process to be ready; Keycloak builds itself at its first start.
const START_LIMIT: Duration = Duration::from_mins(4);

/// Lines of a log that an error shows; Keycloak's has hundreds.
const SHOWN_LINES: usize = 12;

/// Between two looks.
const POLL: Duration = Duration::from_millis(50);

/// A process that is killed with this value, and what it says.
pub(super) struct Child {
    process: Guarded,
    log: PathBuf,
}

impl Child {
    /// Starts `command`, with what it says in `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        // Keycloak's is a script that starts another program: both must go, as one group.
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let process = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { process: Guarded(process), log: log.to_owned() })
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// When the process ends before, or takes too long; with what it said.
    pub(super) fn wait(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !ready() {
            if let Some(status) = self.process.0.try_wait()? {
                bail!("it ended with {status} before it was ready:\n{}", self.said());
            }
            if begin.elapsed() > START_LIMIT {
                bail!("not ready after {} s:\n{}", START_LIMIT.as_secs(), self.said());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// The last that it said.
    pub(super) fn said(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines.split_at(lines.len().saturating_sub(SHOWN_LINES)).1.join("\n")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub(super) fn ended(&mut self) -> Result<()> {
        let status = self.process.0.wait()?;
        if !status.success() {
            bail!("it ended with {status}:\n{}", self.said());
        }
        Ok(())
    }

    /// Ends it as an operator does.
    pub(super) fn stop(mut self) -> Result<()> {
        output(Command::new("kill").arg(self.process.0.id().to_string()))?;
        let limit = Duration::from_secs(15);
        let process = RefCell::new(&mut self.process.0);
        until("its end after SIGTERM", limit, || {
            process.borrow_mut().try_wait().is_ok_and(|status| status.is_some())
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.0.id());
        // Whoever has stopped already is no longer there to be killed.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

/// Waits for what another process does; says what for when it does not come.
pub(super) fn until(what: &str, limit: Duration, done: impl Fn() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        if begin.elapsed() > limit {
            bail!("not within {} s: {what}", limit.as_secs());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Ports on loopback that nobody has now. All are held while they are chosen, so that no two are one.
pub(super) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
