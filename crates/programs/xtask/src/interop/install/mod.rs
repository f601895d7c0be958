//! Installs the official clients into the cache, never into the system; only what cannot run from a
//! cache (a browser with its libraries, npm, git) comes by apt, when we are root.

mod debian;
mod java;
mod javascript;
mod machine;
mod providers;
mod python;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    postgres::{apt_install, is_root},
    process::output,
};
use debian::Release;

/// Tries to download before giving up: Debian unstable moves while it is read.
const TRIES: u32 = 3;

/// A program that the matrix runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    Cosign3,
    Python,
    ModelSigning,
    /// node, with the libraries beside it.
    JavaScript,
    JavaScriptCli,
    Chromium,
    Cosign2,
    Gitsign,
    GoSigning,
    GoVerification,
    GoImages,
    /// The directory of the program and its libraries.
    Java,
    Registry,
    OpenSsl,
    Git,
    Curl,
    /// The directory of the library, of a browser's driver and of our scripts over them.
    OidcProvider,
    /// The directory of the unpacked server.
    Keycloak,
    ApiServer,
    Etcd,
}

impl Tool {
    /// What `--core` needs.
    const CORE: [Self; 5] =
        [Self::Cosign3, Self::Python, Self::JavaScript, Self::JavaScriptCli, Self::Chromium];

    /// What only the full matrix needs.
    const REST: [Self; 11] = [
        Self::ModelSigning,
        Self::Cosign2,
        Self::Gitsign,
        Self::GoSigning,
        Self::GoVerification,
        Self::GoImages,
        Self::Java,
        Self::Registry,
        Self::OpenSsl,
        Self::Git,
        Self::Curl,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cosign3 => "cosign 3",
            Self::Python => "sigstore-python",
            Self::ModelSigning => "model_signing",
            Self::JavaScript => "sigstore-js",
            Self::JavaScriptCli => "@sigstore/cli",
            Self::Chromium => "chromium",
            Self::Cosign2 => "cosign 2",
            Self::Gitsign => "gitsign",
            Self::GoSigning => "sigstore-go-signing",
            Self::GoVerification => "sigstore-go-verification",
            Self::GoImages => "oci-image-verification",
            Self::Java => "sigstore-java",
            Self::Registry => "docker-registry",
            Self::OpenSsl => "openssl",
            Self::Git => "git",
            Self::Curl => "curl",
            Self::OidcProvider => "oidc-provider",
            Self::Keycloak => "Keycloak",
            Self::ApiServer => "kube-apiserver",
            Self::Etcd => "etcd",
        }
    }
}

/// A program and the version that was found.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// Every program, or why it could not be had.
pub(super) struct Clients {
    programs: BTreeMap<Tool, Result<Program, String>>,
}

impl Clients {
    /// Where a program is.
    ///
    /// # Errors
    /// Why it is not installed.
    pub(super) fn path(&self, tool: Tool) -> Result<&Path> {
        match self.programs.get(&tool) {
            Some(Ok(program)) => Ok(&program.path),
            Some(Err(reason)) => bail!("{} is not here: {reason}", tool.name()),
            None => bail!("{} belongs to the full matrix", tool.name()),
        }
    }

    /// The version that was found.
    pub(super) fn version(&self, tool: Tool) -> &str {
        match self.programs.get(&tool) {
            Some(Ok(program)) => &program.version,
            _ => "not installed",
        }
    }

    /// Why a program is not there, when it is not.
    pub(super) fn missing(&self, tool: Tool) -> Option<String> {
        self.path(tool).err().map(|error| error.to_string())
    }

    pub(super) fn print(&self) {
        for (tool, program) in &self.programs {
            match program {
                Ok(program) => println!("  {:<26}{}", tool.name(), program.version),
                Err(reason) => println!("  {:<26}not installed: {reason}", tool.name()),
            }
        }
    }
}

/// Installs what is missing. In the full matrix a program that cannot be had is an answer, not an
/// error: its cells say so. The core would be green and empty then, so that it fails; only a browser,
/// which no package can bring without root, may be missing.
pub(super) fn install(core: bool) -> Result<Clients> {
    let cache = paths::cache()?;
    let rest: &[Tool] = if core { &[] } else { &Tool::REST };
    let mut programs = BTreeMap::new();
    for tool in Tool::CORE.iter().chain(rest) {
        let found = retry(tool.name(), || one(*tool, &cache));
        if core && *tool != Tool::Chromium {
            programs.insert(*tool, Ok(found?));
        } else {
            programs.insert(*tool, found.map_err(|error| format!("{error:#}")));
        }
    }
    Ok(Clients { programs })
}

/// Installs these alone; one that cannot be had is an answer, as in the full matrix.
pub(super) fn install_these(tools: &[Tool]) -> Result<Clients> {
    let cache = paths::cache()?;
    let found = |tool: Tool| retry(tool.name(), || one(tool, &cache));
    let programs = tools
        .iter()
        .map(|tool| (*tool, found(*tool).map_err(|error| format!("{error:#}"))))
        .collect();
    Ok(Clients { programs })
}

fn one(tool: Tool, cache: &Path) -> Result<Program> {
    let (sid, trixie) = (Release::new(cache, "sid"), Release::new(cache, "trixie"));
    match tool {
        Tool::Cosign3 => sid.program("cosign", "cosign", "3."),
        Tool::Cosign2 => trixie.program("cosign", "cosign", "2."),
        Tool::Gitsign => sid.program("gitsign", "gitsign", "0."),
        Tool::GoSigning => sid.program("sigstore-go", "sigstore-go-signing", "1."),
        Tool::GoVerification => sid.program("sigstore-go", "sigstore-go-verification", "1."),
        Tool::GoImages => sid.program("sigstore-go", "oci-image-verification", "1."),
        Tool::Registry => trixie.program("docker-registry", "docker-registry", "2."),
        Tool::Java => java::install(&cache.join("java")),
        Tool::Python => python::install(&cache.join("python")),
        Tool::ModelSigning => python::install_model_signing(&cache.join("model-signing")),
        Tool::JavaScript => Ok(javascript::install(&cache.join("javascript"))?.0),
        Tool::JavaScriptCli => Ok(javascript::install(&cache.join("javascript"))?.1),
        Tool::Chromium => machine::install("chromium", "chromium", "--version"),
        Tool::OpenSsl => machine::install("openssl", "openssl", "version"),
        Tool::Git => machine::install("git", "git", "--version"),
        Tool::Curl => machine::install("curl", "curl", "--version"),
        Tool::OidcProvider => providers::oidc_provider(&cache.join("oidc-provider")),
        Tool::Keycloak => providers::keycloak(&cache.join("keycloak")),
        Tool::ApiServer => providers::api_server(&cache.join("kubernetes")),
        Tool::Etcd => trixie.program("etcd-server", "etcd", "3."),
    }
}

fn retry<T>(name: &str, install: impl Fn() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match install() {
            Ok(installed) => return Ok(installed),
            Err(error) if tries < TRIES => eprintln!("{name}, try {tries}: {error:#}"),
            Err(error) => return Err(error.context(format!("cannot install {name}"))),
        }
        tries += 1;
    }
}

/// Installs packages of this machine's own release.
///
/// # Errors
/// What to install by hand, when we may not.
fn need(packages: &[&str]) -> Result<()> {
    if !is_root()? {
        bail!("not root: install {} yourself, then run this again", packages.join(" and "));
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("no apt here: install {} yourself, then run this again", packages.join(" and "));
    }
    eprintln!("installing {} with apt", packages.join(", "));
    apt_install(packages).with_context(|| format!("apt could not install {}", packages.join(", ")))
}

/// The first line that a program says of its version.
fn said_version(path: &Path, flag: &str) -> String {
    let said = output(Command::new(path).arg(flag)).unwrap_or_default();
    said.lines().next().unwrap_or("unknown version").trim().to_owned()
}

/// The PATH of this process.
#[expect(clippy::disallowed_methods, reason = "installers run programs of this machine")]
pub(super) fn path_variable() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned())
}
