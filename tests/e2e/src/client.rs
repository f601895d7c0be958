use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{Said, binaries, said};

/// `countersign`, of somebody who knows a deployment by its trust service only.
pub struct Client {
    /// The client trust config.
    pub trust: PathBuf,
    /// Of `alice@acme.internal`.
    pub token: String,
    /// Who made it.
    pub issuer: String,
}

impl Client {
    /// Runs it on `artifact`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str], artifact: &Path) -> Result<Said> {
        let mut command = Command::new(binaries().join("countersign"));
        command.env("COUNTERSIGN_TRUST_CONFIG", &self.trust).env_remove("SIGSTORE_ID_TOKEN");
        said(command.args(arguments).arg(artifact))
    }

    /// Signs with the token.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn sign(&self, artifact: &Path) -> Result<Said> {
        self.run(&["sign", "--identity-token", &self.token], artifact)
    }

    /// Verifies a signature of Alice.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn verify(&self, artifact: &Path) -> Result<Said> {
        let identity = ["verify", "--certificate-identity", "alice@acme.internal"];
        let issuer = ["--certificate-oidc-issuer", &self.issuer];
        self.run(&[identity.as_slice(), issuer.as_slice()].concat(), artifact)
    }
}
