//! Packages of other Debian releases, unpacked beside everything else: apt's own lists and keys in a
//! directory of our own, `dpkg -x`, never `dpkg -i`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Program, said_version};
use crate::process::output;

/// One release of Debian, as this machine's own mirror has it.
pub(super) struct Release {
    name: &'static str,
    directory: PathBuf,
}

impl Release {
    pub(super) fn new(cache: &Path, name: &'static str) -> Self {
        Self { name, directory: cache.join("debian").join(name) }
    }

    /// A program of a package: the one unpacked before, else freshly downloaded, else the machine's
    /// own when it has no Debian mirror. `accepts` judges the package's version.
    pub(super) fn program(&self, package: &str, program: &str, accepts: &str) -> Result<Program> {
        let home = self.directory.join("packages").join(package);
        let path = home.join("usr/bin").join(program);
        let version_file = home.join("version");
        if !path.exists() || !version_file.exists() {
            if let Some(found) = own_program(program, accepts)? {
                return Ok(found);
            }
            let version = self.unpack(package, accepts, &home)?;
            fs::write(&version_file, version)?;
        }
        let version = fs::read_to_string(&version_file)?;
        Ok(Program { path, version: format!("{version} (Debian {})", self.name) })
    }

    fn unpack(&self, package: &str, accepts: &str, home: &Path) -> Result<String> {
        self.update()?;
        let policy = output(self.apt("apt-cache").args(["policy", package]))?;
        let version = policy
            .lines()
            .find_map(|line| line.trim().strip_prefix("Candidate: "))
            .with_context(|| format!("Debian {} has no {package}", self.name))?
            .to_owned();
        if !version.starts_with(accepts) {
            bail!("Debian {} has {package} {version}, the matrix wants {accepts}", self.name);
        }
        let downloads = tempfile::tempdir_in(&self.directory)?;
        output(self.apt("apt-get").current_dir(&downloads).args(["download", package]))?;
        let file = fs::read_dir(&downloads)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt downloaded no package")?;
        fs::create_dir_all(home)?;
        output(Command::new("dpkg").arg("-x").arg(&file).arg(home))?;
        Ok(version)
    }

    /// Reads the lists of this release once in a run: a marker in the process would outlive a failed try.
    fn update(&self) -> Result<()> {
        for folder in ["lists/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.directory.join(folder))?;
        }
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let sources = self.directory.join("sources.list");
        let mirror = debian_mirror()?;
        fs::write(&sources, format!("deb [signed-by={keyring}] {mirror} {} main\n", self.name))?;
        fs::write(
            self.configuration(),
            format!(
                "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"-\";\nDir::State \"{}\";\n\
                 Dir::State::status \"/var/lib/dpkg/status\";\nDir::Cache \"{}\";\n\
                 Acquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n",
                sources.display(),
                self.directory.join("lists").display(),
                self.directory.join("cache").display()
            ),
        )?;
        output(self.apt("apt-get").arg("update"))?;
        Ok(())
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("apt.conf")
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.configuration());
        command
    }
}

/// The program of this machine, where there is no Debian to take it from.
fn own_program(program: &str, accepts: &str) -> Result<Option<Program>> {
    if debian_mirror().is_ok() {
        return Ok(None);
    }
    let Ok(found) = output(Command::new("sh").args(["-c", &format!("command -v {program}")]))
    else {
        bail!(
            "this machine has no Debian package source: put {program} {accepts} on the PATH yourself"
        );
    };
    let path = PathBuf::from(found.trim());
    let version = said_version(&path, "version");
    if !version.contains(accepts) {
        bail!("{} is `{version}`, the matrix wants {accepts}", path.display());
    }
    Ok(Some(Program { path, version: format!("{version} (of this machine)") }))
}

/// The Debian mirror that this machine is configured for.
fn debian_mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let directory = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    files.extend(directory.map(|entry| entry.path()));
    for text in files.iter().filter_map(|file| fs::read_to_string(file).ok()) {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        for word in lines
            .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
            .flat_map(str::split_whitespace)
        {
            if word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian") {
                return Ok(word.to_owned());
            }
        }
    }
    bail!("this machine has no Debian package source")
}
