//! What every run of a client needs: the stack, the programs, something to sign, a home of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::json;

use super::install::{Clients, Tool, path_variable};
use crate::{process::output, stack::Instance};

/// Who signs.
pub(super) const IDENTITY: &str = "alice@acme.internal";

/// Who did not sign.
pub(super) const STRANGER: &str = "mallory@acme.internal";

/// The predicate of every attestation.
pub(super) const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// Longest run of one client; the slowest takes about 3 s. Without a limit a client that asks for a
/// browser would wait for ever.
const RUN_LIMIT_S: &str = "120";

/// Any program with nothing of this process's environment, in a home of its own, for a limited time.
pub(super) fn isolated(program: &Path, home: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", RUN_LIMIT_S]).arg(program);
    command.env_clear().env("HOME", home).env("PATH", path_variable()).current_dir(home);
    command
}

/// The stack under test and the material that all clients share.
pub(super) struct Scene<'a> {
    pub(super) stack: &'a Instance,
    pub(super) clients: &'a Clients,
    /// A directory for homes, tokens and bundles.
    pub(super) work: PathBuf,
    pub(super) artifact: PathBuf,
    /// Another file, which nobody signed.
    pub(super) stranger: PathBuf,
    pub(super) predicate: PathBuf,
    pub(super) statement: PathBuf,
    pub(super) issuer: String,
}

impl<'a> Scene<'a> {
    pub(super) fn new(stack: &'a Instance, clients: &'a Clients, work: &Path) -> Result<Self> {
        fs::create_dir_all(work)?;
        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let path = work.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let artifact = file("artifact.bin", "what a build made\n")?;
        let checksum = output(Command::new("sha256sum").arg(&artifact))?;
        let digest = checksum.split_whitespace().next().context("sha256sum printed nothing")?;
        let predicate = json!({
            "buildDefinition": {
                "buildType": "https://example.com/build/v1",
                "externalParameters": {}
            },
            "runDetails": {"builder": {"id": "https://example.com/builder"}}
        });
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "artifact.bin", "digest": {"sha256": digest}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate
        });
        Ok(Self {
            stack,
            clients,
            work: work.to_owned(),
            stranger: file("stranger.bin", "what another build made\n")?,
            predicate: file("predicate.json", &predicate.to_string())?,
            statement: file("statement.json", &statement.to_string())?,
            issuer: stack.ready("oidc")?.to_owned(),
            artifact,
        })
    }

    /// A directory under the work directory, made when missing.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.work.join(name);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// A client with nothing of this process's environment and a home of its own: caches of trust of
    /// two runs would collide, and the variables of a CI would be taken for an identity.
    pub(super) fn command(&self, tool: Tool, home: &str) -> Result<Command> {
        self.isolated(self.clients.path(tool)?, home)
    }

    /// Any program, isolated in the same way.
    pub(super) fn isolated(&self, program: &Path, home: &str) -> Result<Command> {
        Ok(isolated(program, &self.directory(&format!("home/{home}"))?))
    }

    /// A program in the environment of `cosign2.env`, as the page says: `. ./cosign2.env`.
    pub(super) fn with_environment_file(&self, home: &str, program: &Path) -> Result<Command> {
        let mut command = self.isolated("sh".as_ref(), home)?;
        let file = self.trust_file("cosign2.env")?;
        command.arg("-c").arg(format!(". {}; exec \"$@\"", file.display()));
        command.arg("sh").arg(program);
        Ok(command)
    }

    /// A file with a fresh identity token: one for the whole run would expire in the middle of it.
    pub(super) fn token(&self) -> Result<PathBuf> {
        let path = self.work.join("token.jwt");
        fs::write(&path, self.token_text()?)?;
        Ok(path)
    }

    /// A fresh identity token.
    pub(super) fn token_text(&self) -> Result<String> {
        self.stack.token(&["--email", IDENTITY])
    }

    /// The URL that clients of Rekor v1 and Fulcio v1 take, without a slash at the end.
    pub(super) fn url(&self, service: &str) -> Result<&str> {
        self.stack.ready(service)
    }

    /// A published file.
    pub(super) fn trust_file(&self, name: &str) -> Result<PathBuf> {
        self.stack.trust_file(name)
    }
}
