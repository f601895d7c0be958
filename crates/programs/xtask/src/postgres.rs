//! A PostgreSQL of our own, for tests and benchmarks.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{output, run};

/// A server: the one that `DATABASE_URL` names, or one in a temporary directory that ends with this value.
pub(crate) struct Postgres {
    url: String,
    own: Option<Own>,
}

struct Own {
    directory: TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// Takes the server of `DATABASE_URL`, or starts one with default durability.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// The same, with further options if it is ours.
    pub(crate) fn start_with(more: &str) -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the task's own interface (README)")]
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Ok(Self { url, own: None });
        }
        let programs = programs()?;
        let directory = tempfile::Builder::new().prefix("countersign-pg-").tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let own = Own { directory, programs };
        if is_root()? {
            run(Command::new("chown").arg("postgres").arg(own.directory.path()))?;
        }
        own.call("initdb", &["-A", "trust", "-U", "postgres", "-E", "UTF8"])?;
        own.ask_for_passwords()?;
        // fsync, full_page_writes and synchronous_commit stay at their defaults: what is acknowledged is durable.
        let options = format!(
            "-h 127.0.0.1 -p {port} -k {} -c max_connections=200 {more}",
            own.directory.path().display()
        );
        own.call("pg_ctl", &["-w", "-l", "/dev/null", "-o", &options, "start"])?;
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Ok(Self { url, own: Some(own) })
    }

    /// Where it listens; the database is `postgres`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Process id of the server when it is ours, for CPU accounting.
    pub(crate) fn pid(&self) -> Option<u32> {
        let own = self.own.as_ref()?;
        let file =
            std::fs::read_to_string(own.directory.path().join("data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// Process ids of the server and of all its processes now; none when it is not ours.
    pub(crate) fn pids(&self) -> Result<Vec<u32>> {
        let Some(server) = self.pid() else { return Ok(Vec::new()) };
        let children = output(Command::new("pgrep").args(["-P", &server.to_string()]))?;
        let children = children.lines().map(|pid| Ok(pid.trim().parse()?));
        std::iter::once(Ok(server)).chain(children).collect()
    }

    /// Gives what a statement says, a row a line, as the user of the server's own URL or of another one.
    pub(crate) fn execute(&self, url: &str, statement: &str) -> Result<String> {
        let psql = self.own.as_ref().map_or_else(|| "psql".into(), |own| own.programs.join("psql"));
        output(Command::new(psql).args([url, "-qAtc", statement]))
    }

    /// Makes a fresh database and gives its URL.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        for statement in
            [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")]
        {
            self.execute(&self.url, &statement)?;
        }
        let (server, _) = self.url.rsplit_once('/').context("DATABASE_URL has no database")?;
        Ok(format!("{server}/{name}"))
    }
}

impl Own {
    /// Of members of one role, whose passwords are tested; everybody else is believed.
    fn ask_for_passwords(&self) -> Result<()> {
        let file = self.directory.path().join("data/pg_hba.conf");
        let usual = std::fs::read_to_string(&file)?;
        let asked = "host all +countersign_test_password 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(&file, format!("{asked}{usual}"))?;
        Ok(())
    }

    /// Calls a program of PostgreSQL as the user that may run it.
    fn call(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let program = self.programs.join(program);
        let mut command = if is_root()? {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("-D").arg(self.directory.path().join("data")).args(arguments);
        run(command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // At the end of a run there is nobody left to tell.
        let _ = self.call("pg_ctl", &["-m", "immediate", "stop"]);
    }
}

/// The directory of `initdb`; installs PostgreSQL where apt is there and it is missing.
fn programs() -> Result<PathBuf> {
    if let Some(found) = installed() {
        return Ok(found);
    }
    if is_root()? && Path::new("/usr/bin/apt-get").exists() {
        eprintln!("PostgreSQL is missing: installing it with apt");
        apt_install(&["postgresql"])?;
        return installed().context("apt installed PostgreSQL, but initdb is not there");
    }
    bail!("no PostgreSQL found: install version 15 or newer, or set DATABASE_URL to a server")
}

/// Installs Debian packages without questions.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        apt
    };
    output(apt().arg("update"))?;
    output(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))?;
    Ok(())
}

fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(version, path)| *version >= 15 && path.join("initdb").exists())
        .collect();
    found.sort();
    if let Some((_, path)) = found.pop() {
        return Some(path);
    }
    let directory = output(Command::new("pg_config").arg("--bindir")).ok()?;
    Some(PathBuf::from(directory.trim())).filter(|path| path.join("initdb").exists())
}

pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}
