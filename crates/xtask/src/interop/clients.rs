//! How each client is called: one function a client, as its user would type it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::install::Clients;
use crate::{process::output, stack::Stack};

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The file itself.
    Blob,
    /// An in-toto statement about the file.
    Attestation,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Blob, Self::Attestation];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Attestation => "attestation",
        }
    }
}

/// A client that signs and verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Countersign,
    Cosign,
    Python,
    JavaScript,
}

impl Client {
    pub(super) const ALL: [Self; 4] =
        [Self::Countersign, Self::Cosign, Self::Python, Self::JavaScript];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Countersign => "countersign",
            Self::Cosign => "cosign",
            Self::Python => "sigstore-python",
            Self::JavaScript => "sigstore-js",
        }
    }
}

/// Everything that one run of a client needs.
pub(super) struct Scene<'a> {
    pub(super) stack: &'a Stack,
    pub(super) clients: &'a Clients,
    /// A directory for homes, tokens and bundles.
    pub(super) work: PathBuf,
    pub(super) artifact: PathBuf,
    pub(super) predicate: PathBuf,
    pub(super) statement: PathBuf,
    pub(super) token: PathBuf,
    pub(super) identity: String,
    pub(super) issuer: String,
}

const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

impl Scene<'_> {
    /// Signs with `client` and writes the bundle to `bundle`.
    pub(super) fn sign(&self, client: Client, kind: Kind, bundle: &Path) -> Result<()> {
        let mut command = match client {
            Client::Countersign => self.countersign_sign(kind, bundle)?,
            Client::Cosign => self.cosign_sign(kind, bundle)?,
            Client::Python => self.python_sign(kind, bundle)?,
            Client::JavaScript => self.javascript_sign(kind, bundle)?,
        };
        output(&mut command)?;
        std::fs::metadata(bundle).context("the client succeeded and wrote no bundle")?;
        Ok(())
    }

    /// Verifies `bundle` with `client`, for this scene's identity.
    pub(super) fn verify(
        &self,
        client: Client,
        kind: Kind,
        bundle: &Path,
        identity: &str,
    ) -> Result<()> {
        let mut command = match client {
            Client::Countersign => self.countersign_verify(kind, bundle, identity)?,
            Client::Cosign => self.cosign_verify(kind, bundle, identity)?,
            Client::Python => self.python_verify(bundle, identity)?,
            Client::JavaScript => self.javascript_verify(bundle, identity)?,
        };
        output(&mut command).map(drop)
    }

    fn countersign_sign(&self, kind: Kind, bundle: &Path) -> Result<Command> {
        let mut command = self.stack.client()?;
        let token = format!("@{}", self.token.display());
        match kind {
            Kind::Blob => command.arg("sign").arg(&self.artifact),
            Kind::Attestation => command
                .args(["attest", "sign", "--keyless", "--type", PREDICATE_TYPE, "--subjects"])
                .arg(&self.artifact)
                .arg("--predicate")
                .arg(&self.predicate),
        };
        command.args(["--identity-token", &token]).arg("--bundle").arg(bundle);
        Ok(command)
    }

    fn countersign_verify(&self, kind: Kind, bundle: &Path, identity: &str) -> Result<Command> {
        let mut command = self.stack.client()?;
        match kind {
            Kind::Blob => command.arg("verify").arg(&self.artifact),
            Kind::Attestation => {
                command.args(["attest", "verify", "--keyless", "--subjects"]).arg(&self.artifact)
            }
        };
        command.arg("--bundle").arg(bundle).args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", &self.issuer]);
        Ok(command)
    }

    fn cosign(&self) -> Command {
        let mut command = Command::new(&self.clients.cosign);
        // A home of its own: TUF caches of different runs collide.
        command.env("HOME", self.work.join("cosign-home"));
        command
    }

    fn cosign_sign(&self, kind: Kind, bundle: &Path) -> Result<Command> {
        let mut command = self.cosign();
        match kind {
            Kind::Blob => command.arg("sign-blob"),
            // From a predicate cosign makes a statement of version 0.1, which sigstore-python refuses.
            Kind::Attestation => command.args(["attest-blob", "--statement"]).arg(&self.statement),
        };
        command.args(["--yes", "--identity-token"]).arg(&self.token);
        command.arg("--signing-config").arg(self.stack.trust_file("signing_config.v0.2.json")?);
        command.arg("--trusted-root").arg(self.stack.trust_file("trusted_root.json")?);
        command.arg("--bundle").arg(bundle).arg(&self.artifact);
        Ok(command)
    }

    fn cosign_verify(&self, kind: Kind, bundle: &Path, identity: &str) -> Result<Command> {
        let mut command = self.cosign();
        match kind {
            Kind::Blob => command.arg("verify-blob"),
            Kind::Attestation => {
                command.args(["verify-blob-attestation", "--type", "slsaprovenance1"])
            }
        };
        command.arg("--bundle").arg(bundle).args(["--certificate-identity", identity]);
        command.args(["--certificate-oidc-issuer", &self.issuer]);
        command.arg("--trusted-root").arg(self.stack.trust_file("trusted_root.json")?);
        command.arg(&self.artifact);
        Ok(command)
    }

    fn python(&self) -> Result<Command> {
        let mut command = Command::new(&self.clients.python);
        command.env("HOME", self.work.join("python-home"));
        command.arg("--trust-config").arg(self.stack.trust_file("client_trust_config.json")?);
        Ok(command)
    }

    fn python_sign(&self, kind: Kind, bundle: &Path) -> Result<Command> {
        let mut command = self.python()?;
        let token = std::fs::read_to_string(&self.token)?;
        match kind {
            Kind::Blob => command.arg("sign"),
            Kind::Attestation => command
                .args(["attest", "--predicate-type", PREDICATE_TYPE, "--predicate"])
                .arg(&self.predicate),
        };
        command.args(["--identity-token", &token]).arg("--bundle").arg(bundle);
        command.arg(&self.artifact);
        Ok(command)
    }

    fn python_verify(&self, bundle: &Path, identity: &str) -> Result<Command> {
        let mut command = self.python()?;
        command.args(["verify", "identity", "--cert-identity", identity]);
        command.args(["--cert-oidc-issuer", &self.issuer, "--bundle"]).arg(bundle);
        command.arg(&self.artifact);
        Ok(command)
    }

    fn javascript(&self, script: &str) -> Command {
        let mut command = Command::new(&self.clients.node);
        command.arg(self.clients.javascript.join(script));
        command
    }

    fn javascript_sign(&self, kind: Kind, bundle: &Path) -> Result<Command> {
        let mut command = self.javascript("sign.mjs");
        match kind {
            Kind::Blob => command.arg("blob").arg(&self.artifact),
            Kind::Attestation => command.arg("attest").arg(&self.statement),
        };
        command.arg(&self.token).arg(self.stack.trust_file("signing_config.v0.2.json")?);
        command.arg(bundle);
        Ok(command)
    }

    fn javascript_verify(&self, bundle: &Path, identity: &str) -> Result<Command> {
        let mut command = self.javascript("verify.mjs");
        command.arg(bundle).arg(&self.artifact);
        command.arg(self.stack.trust_file("trusted_root.json")?).args([identity, &self.issuer]);
        Ok(command)
    }
}
