//! gitsign, which signs commits by git's configuration alone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{
    interop::{
        install::Tool,
        scene::{IDENTITY, Scene},
    },
    process::output,
};

/// Both gitsign and git have this home.
const HOME: &str = "gitsign";

/// Where gitsign looks for what a signature was logged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::interop) enum Mode {
    /// In the log's search index, at each verification.
    Online,
    /// In the commit itself.
    Offline,
}

impl Mode {
    pub(in crate::interop) fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// `gitsign initialize`, for verification without the log.
pub(in crate::interop) fn initialize(scene: &Scene<'_>) -> Result<()> {
    let mut command = scene.command(Tool::Gitsign, HOME)?;
    command.args(["initialize", "--mirror", scene.url("trust")?]);
    output(command.arg("--root").arg(scene.trust_file("root.json")?)).map(drop)
}

/// A fresh repository that signs every commit, by configuration alone.
pub(in crate::interop) fn repository(scene: &Scene<'_>, mode: Mode) -> Result<PathBuf> {
    repository_in(scene, &format!("repository-{}", mode.name()), mode)
}

/// A fresh repository of somebody who has no token and logs in.
pub(in crate::interop) fn repository_of_a_person(scene: &Scene<'_>) -> Result<PathBuf> {
    repository_in(scene, "repository-login", Mode::Online)
}

fn repository_in(scene: &Scene<'_>, name: &str, mode: Mode) -> Result<PathBuf> {
    let directory = scene.directory(name)?;
    git(scene, &directory, &["init", "-q", "-b", "main"])?;
    let program = scene.clients.path(Tool::Gitsign)?.display().to_string();
    let settings = [
        ("user.name", "Alice"),
        ("user.email", IDENTITY),
        ("commit.gpgsign", "true"),
        ("gpg.format", "x509"),
        ("gpg.x509.program", &program),
        ("gitsign.fulcio", scene.url("ca")?),
        ("gitsign.rekor", scene.url("rekor1")?),
        ("gitsign.issuer", scene.url("oidc")?),
        ("gitsign.rekorMode", mode.name()),
    ];
    for (name, value) in settings {
        git(scene, &directory, &["config", name, value])?;
    }
    Ok(directory)
}

/// `git commit`, which gitsign signs.
pub(in crate::interop) fn commit(scene: &Scene<'_>, repository: &Path) -> Result<()> {
    std::fs::write(repository.join("README"), "signed\n")?;
    git(scene, repository, &["add", "README"])?;
    git(scene, repository, &["commit", "-q", "-m", "what Alice wrote"]).map(drop)
}

/// `git commit` without a token: gitsign opens the browser that `prepare` gives it.
pub(in crate::interop) fn commit_by_login(
    scene: &Scene<'_>,
    repository: &Path,
    prepare: impl Fn(&mut std::process::Command),
) -> Result<()> {
    std::fs::write(repository.join("README"), "signed\n")?;
    git(scene, repository, &["add", "README"])?;
    let mut git = scene.with_environment_file(HOME, scene.clients.path(Tool::Git)?)?;
    git.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(repository);
    prepare(&mut git);
    output(git.args(["commit", "-q", "-m", "what Alice wrote"])).map(drop)
}

/// Who is said to have signed a commit.
#[derive(Clone, Copy)]
pub(in crate::interop) struct SignedCommit<'a> {
    pub(in crate::interop) commit: &'a str,
    pub(in crate::interop) identity: &'a str,
}

/// `gitsign verify`.
pub(in crate::interop) fn verify(
    scene: &Scene<'_>,
    repository: &Path,
    SignedCommit { commit, identity }: SignedCommit<'_>,
) -> Result<()> {
    let mut command = scene.with_environment_file(HOME, scene.clients.path(Tool::Gitsign)?)?;
    command.current_dir(repository).args(["verify", "--certificate-identity", identity]);
    output(command.args(["--certificate-oidc-issuer", &scene.issuer, commit])).map(drop)
}

/// `git verify-commit`.
pub(in crate::interop) fn verify_commit(scene: &Scene<'_>, repository: &Path) -> Result<()> {
    git(scene, repository, &["verify-commit", "HEAD"]).map(drop)
}

/// Writes the last commit again with another message and the same signature, and gives its name.
pub(in crate::interop) fn change(scene: &Scene<'_>, repository: &Path) -> Result<String> {
    let commit = git(scene, repository, &["cat-file", "commit", "HEAD"])?;
    let file = scene.work.join("changed-commit");
    std::fs::write(&file, commit.replace("what Alice wrote", "what Mallory wrote"))?;
    let file = file.to_str().context("the work directory's name is not UTF-8")?;
    let name = git(scene, repository, &["hash-object", "-t", "commit", "-w", file])?;
    Ok(name.trim().to_owned())
}

fn git(scene: &Scene<'_>, repository: &Path, arguments: &[&str]) -> Result<String> {
    let mut git = scene.with_environment_file(HOME, scene.clients.path(Tool::Git)?)?;
    git.env("SIGSTORE_ID_TOKEN", scene.token_text()?).env("GIT_CONFIG_NOSYSTEM", "1");
    output(git.current_dir(repository).args(arguments))
}
