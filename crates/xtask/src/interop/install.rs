//! Installs the official clients into the cache, never into the system.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    postgres::{apt_install, is_root},
    process::output,
};

/// Tries to download before giving up: Debian unstable moves while it is read.
const TRIES: u32 = 3;

/// The programs of the core matrix.
pub(super) struct Clients {
    pub(super) cosign: PathBuf,
    pub(super) python: PathBuf,
    pub(super) node: PathBuf,
    /// Where `node_modules` is; scripts must lie here to find the libraries.
    pub(super) javascript: PathBuf,
    /// Name and version of each, for the table.
    pub(super) versions: Vec<(String, String)>,
}

/// Installs what is missing.
pub(super) fn install() -> Result<Clients> {
    let cache = paths::cache()?;
    let (cosign, cosign_version) = retry("cosign 3", || cosign(&cache.join("cosign")))?;
    let (python, python_version) = retry("sigstore-python", || python(&cache.join("python")))?;
    let javascript = cache.join("javascript");
    let (node, js_version) = retry("sigstore-js", || sigstore_js(&javascript))?;
    let versions = vec![
        ("cosign".to_owned(), cosign_version),
        ("sigstore-python".to_owned(), python_version),
        ("sigstore-js".to_owned(), js_version),
    ];
    Ok(Clients { cosign, python, node, javascript, versions })
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

/// cosign from Debian unstable, unpacked beside everything else; its version is what the package says.
fn cosign(directory: &Path) -> Result<(PathBuf, String)> {
    let program = directory.join("unpacked/usr/bin/cosign");
    let version_file = directory.join("version");
    if !program.exists() {
        if let Some(found) = output(Command::new("sh").args(["-c", "command -v cosign"]))
            .ok()
            .filter(|_| cosign_is_version_3(Path::new("cosign")))
        {
            return Ok((found.trim().into(), "3 (of this machine)".to_owned()));
        }
        let version = download_cosign(directory)?;
        fs::write(&version_file, version)?;
    }
    Ok((program, fs::read_to_string(&version_file)?))
}

fn cosign_is_version_3(program: &Path) -> bool {
    output(Command::new(program).arg("version")).is_ok_and(|said| said.contains("v3."))
}

fn download_cosign(directory: &Path) -> Result<String> {
    let mirror = debian_mirror()?;
    for folder in ["lists/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(directory.join(folder))?;
    }
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let sources = directory.join("sources.list");
    fs::write(&sources, format!("deb [signed-by={keyring}] {mirror} sid main\n"))?;
    let configuration = directory.join("apt.conf");
    fs::write(
        &configuration,
        format!(
            "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"-\";\nDir::State \"{}\";\n\
             Dir::State::status \"/var/lib/dpkg/status\";\nDir::Cache \"{}\";\n\
             Acquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n",
            sources.display(),
            directory.join("lists").display(),
            directory.join("cache").display()
        ),
    )?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &configuration).current_dir(directory);
        command
    };
    output(apt("apt-get").arg("update"))?;
    let policy = output(apt("apt-cache").args(["policy", "cosign"]))?;
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))
        .context("Debian unstable has no cosign")?
        .to_owned();
    if !version.starts_with("3.") {
        bail!("Debian unstable has cosign {version}, the matrix needs version 3");
    }
    output(apt("apt-get").args(["download", "cosign"]))?;
    let package = fs::read_dir(directory)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt downloaded no package")?;
    output(Command::new("dpkg").arg("-x").arg(&package).arg(directory.join("unpacked")))?;
    fs::remove_file(package)?;
    Ok(version)
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
    bail!("this machine has no Debian package source; install cosign 3 yourself")
}

/// sigstore-python in an environment of its own.
fn python(directory: &Path) -> Result<(PathBuf, String)> {
    let program = directory.join("bin/sigstore");
    if !program.exists() {
        if output(Command::new("python3").args(["-m", "venv"]).arg(directory)).is_err()
            && is_root()?
        {
            apt_install(&["python3", "python3-venv"])?;
            output(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        }
        output(Command::new(directory.join("bin/pip")).args([
            "install",
            "-q",
            "sigstore>=4.5,<5",
        ]))?;
    }
    let version = output(Command::new(&program).arg("--version"))?;
    Ok((program, version.trim().trim_start_matches("sigstore ").to_owned()))
}

/// The libraries of sigstore-js, and a node that is new enough for them.
fn sigstore_js(directory: &Path) -> Result<(PathBuf, String)> {
    let node = directory.join("node_modules/.bin/node");
    let libraries = directory.join("node_modules/@sigstore");
    if !node.exists() || !libraries.join("verify").exists() {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("package.json"), r#"{"private":true,"type":"module"}"#)?;
        if output(Command::new("npm").arg("--version")).is_err() && is_root()? {
            apt_install(&["nodejs", "npm"])?;
        }
        output(Command::new("npm").current_dir(directory).args([
            "install",
            "--no-audit",
            "--no-fund",
            "node@24",
            "@sigstore/sign@^5.1.0",
            "@sigstore/verify@^4.1.3",
            "@sigstore/bundle@^5.0.1",
            "@sigstore/protobuf-specs",
        ]))?;
    }
    for (name, text) in
        [("sign.mjs", include_str!("sign.mjs")), ("verify.mjs", include_str!("verify.mjs"))]
    {
        fs::write(directory.join(name), text)?;
    }
    let version = |library: &str| -> Result<String> {
        let file = libraries.join(library).join("package.json");
        let package: serde_json::Value = serde_json::from_slice(&fs::read(file)?)?;
        Ok(package["version"].as_str().unwrap_or("?").to_owned())
    };
    Ok((node, format!("sign {}, verify {}", version("sign")?, version("verify")?)))
}
