//! A docker daemon of our own, in a network of its own, and base images made of Debian packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    compose_page::machine::until,
    paths,
    postgres::is_root,
    process::{self, Guarded},
};

/// Which program `docker-compose` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compose {
    /// 1.29, in Python.
    One,
    /// 2, a plugin of `docker`.
    Two,
}

/// What makes the base images.
const BASES: &str = include_str!("bases.sh");

/// The names under which docker-compose.override.yml finds them.
const OVERRIDE: &str = "\
# Base images that this machine has.
services:
  secrets:
    build:
      args:
        TOOLCHAIN: on-this-machine/rust
        BASE: on-this-machine/debian
  postgres:
    image: on-this-machine/postgres
";

/// What the official image of PostgreSQL says of itself.
const POSTGRES: &str = "\
FROM on-this-machine/postgres-files
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT [\"docker-entrypoint.sh\"]
CMD [\"postgres\"]
";

/// A daemon, and where everything of it lies.
pub(crate) struct Ground {
    directory: tempfile::TempDir,
    /// Holds the network: the daemon may be killed and started again in it.
    network: Guarded,
    daemon: Option<Guarded>,
    pub(crate) compose: Compose,
}

impl Ground {
    /// Starts a daemon and gives it its base images, or says why that cannot be.
    pub(crate) fn prepare(compose: Compose, binaries: &Path) -> Result<Self> {
        need(compose)?;
        let directory = tempfile::Builder::new().prefix("countersign-compose-").tempdir()?;
        let network = Guarded(
            Command::new("unshare")
                .args(["--net", "sh", "-c", "ip link set lo up && exec sleep infinity"])
                .stdin(Stdio::null())
                .spawn()?,
        );
        let mut ground = Self { directory, network, daemon: None, compose };
        for name in ["home", "backups", "programs", "docker/cli-plugins", "path"] {
            fs::create_dir_all(ground.path(name))?;
        }
        ground.take_compose()?;
        ground.start_daemon()?;
        ground.import(binaries)?;
        ground.copy_checkout("checkout")?;
        fs::write(ground.path("checkout/docker-compose.override.yml"), OVERRIDE)?;
        Ok(ground)
    }

    /// A path in the directory of this run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of a volume, on this machine.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.path(&format!("data/volumes/countersign_{name}/_data"))
    }

    /// A program in the daemon's network.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.network.0.id())).arg(program);
        command.stdin(Stdio::null()).env_clear();
        command.env("HOME", self.path("home")).env("LANG", "C.UTF-8");
        command.env("DOCKER_HOST", format!("unix://{}", self.path("docker.sock").display()));
        command.env("DOCKER_CONFIG", self.path("docker")).env("DOCKER_BUILDKIT", "0");
        command.env("BACKUPS", self.path("backups")).env("PROGRAMS", self.path("programs"));
        command.env("PATH", format!("{}:{}", self.path("programs").display(), self.search_path()));
        command
    }

    /// Where programs are found; with Compose 2 no `docker-compose` is among them.
    pub(crate) fn search_path(&self) -> String {
        match self.compose {
            Compose::One => "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned(),
            Compose::Two => self.path("path").display().to_string(),
        }
    }

    /// Starts the daemon, for the first time or after it was killed; again where it ends, as a service manager does.
    pub(crate) fn start_daemon(&mut self) -> Result<()> {
        for _ in 0..5 {
            self.daemon = Some(self.spawn_daemon()?);
            let answers = || process::output(self.command("docker").arg("info")).is_ok();
            if until(Duration::from_secs(20), answers).is_ok() {
                return Ok(());
            }
            self.kill_daemon();
        }
        let log = fs::read_to_string(self.path("daemon.log")).unwrap_or_default();
        bail!("no docker daemon can run here:\n{log}")
    }

    fn spawn_daemon(&self) -> Result<Guarded> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("daemon.log"))?;
        let mut command = self.command("dockerd");
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        for (option, name) in
            [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")]
        {
            command.arg(option).arg(self.path(name));
        }
        command.arg("--host").arg(format!("unix://{}", self.path("docker.sock").display()));
        let log_too = log.try_clone()?;
        Ok(Guarded(command.stdout(log).stderr(log_too).spawn()?))
    }

    /// Kills it as a power cut does, and what it started for itself goes with it; containers go on.
    pub(crate) fn kill_daemon(&mut self) {
        self.daemon = None;
        let pid =
            fs::read_to_string(self.path("exec/containerd/containerd.pid")).unwrap_or_default();
        let helper = Path::new("/proc").join(pid.trim());
        let _ = until(Duration::from_secs(10), || pid.is_empty() || !helper.exists());
    }

    fn import(&self, binaries: &Path) -> Result<()> {
        let cache = paths::cache()?.join("compose-bases");
        let mut bases = Command::new("sh");
        bases.args(["-c", BASES, "bases.sh"]).arg(&cache).arg("bookworm").env("BUILT", binaries);
        process::output(&mut bases).context("cannot make base images")?;
        for (archive, image) in
            [("debian", "debian"), ("rust", "rust"), ("postgres", "postgres-files")]
        {
            let mut import = self.command("docker");
            import.arg("import").arg(cache.join(format!("{archive}.tar")));
            process::output(import.arg(format!("on-this-machine/{image}")))?;
        }
        fs::create_dir_all(self.path("postgres"))?;
        fs::write(self.path("postgres/Dockerfile"), POSTGRES)?;
        let mut build = self.command("docker");
        build.args(["build", "--tag", "on-this-machine/postgres"]).arg(self.path("postgres"));
        process::output(&mut build).map(drop)
    }

    /// What a `git clone` of this checkout as it is now would give.
    pub(crate) fn copy_checkout(&self, name: &str) -> Result<()> {
        let target = self.path(name);
        fs::create_dir_all(&target)?;
        let mut copy = Command::new("sh");
        copy.args(["-c", "git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -C \"$0\" -xf -"]);
        process::output(copy.arg(target).current_dir(paths::root())).map(drop)
    }

    fn take_compose(&self) -> Result<()> {
        if self.compose == Compose::One {
            return Ok(());
        }
        let plugin = self.path("docker/cli-plugins/docker-compose");
        std::os::unix::fs::symlink(second_compose()?, plugin)?;
        for directory in ["/sbin", "/bin", "/usr/sbin", "/usr/bin", "/usr/local/bin"] {
            for entry in fs::read_dir(directory)?.flatten() {
                let link = self.path("path").join(entry.file_name());
                // The later directories come first in a search.
                let _ = fs::remove_file(&link);
                if entry.file_name() != "docker-compose" {
                    std::os::unix::fs::symlink(entry.path(), link)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Containers first: they would go on without the daemon, on files that are removed.
        let remove = "docker ps --quiet --all | xargs --no-run-if-empty docker rm --force";
        let _ = self.command("sh").args(["-c", remove]).output();
        if let Some(daemon) = self.daemon.take() {
            let _ = daemon.terminate(Duration::from_secs(30));
        }
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let here = self.directory.path().display().to_string();
        let mut places: Vec<_> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).collect();
        places.reverse();
        for place in places.into_iter().filter(|place| place.starts_with(&here)) {
            let _ = Command::new("umount").arg(place).output();
        }
    }
}

/// What has to be on the machine; nothing of it is installed unasked, a daemon least of all.
fn need(compose: Compose) -> Result<()> {
    if !is_root()? {
        bail!("no docker daemon can run here: that needs root");
    }
    let mut programs =
        vec!["dockerd", "docker", "debootstrap", "iptables", "nsenter", "unshare", "script"];
    if compose == Compose::One {
        programs.push("docker-compose");
    }
    for program in programs {
        if process::output(Command::new("which").arg(program)).is_err() {
            bail!(
                "no docker daemon can run here: {program} is missing (Debian: docker.io docker-compose debootstrap iptables bsdutils)"
            );
        }
    }
    Ok(())
}

/// Compose 2, as `COUNTERSIGN_COMPOSE_2` names it or where Docker's own packages put it.
fn second_compose() -> Result<PathBuf> {
    let named = std::env::var_os("COUNTERSIGN_COMPOSE_2").map(PathBuf::from);
    let usual = ["/usr/libexec", "/usr/lib", "/usr/local/lib"]
        .map(|directory| Path::new(directory).join("docker/cli-plugins/docker-compose"));
    let found = named.into_iter().chain(usual).find(|program| program.exists());
    found.context("no Compose 2 here: name its program by COUNTERSIGN_COMPOSE_2")
}
