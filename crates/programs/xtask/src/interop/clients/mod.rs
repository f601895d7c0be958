//! How each client is called: one file a client, each command as its user would type it.

pub(super) mod conformance;
pub(super) mod cosign2;
pub(super) mod cosign3;
pub(super) mod countersign;
pub(super) mod gitsign;
pub(super) mod images;
pub(super) mod java;
pub(super) mod javascript;
pub(super) mod old_forms;
pub(super) mod openssl;
pub(super) mod python;
pub(super) mod registry;
pub(super) mod rust;
pub(super) mod sigstore_go;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{install::Tool, scene::Scene};

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

/// The log that a signature goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Rekor2,
    Rekor1,
}

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Rekor2, Self::Rekor1];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rekor2 => "v2",
            Self::Rekor1 => "v1",
        }
    }

    /// The published signing config that leads to this log.
    pub(super) fn signing_config(self) -> &'static str {
        match self {
            Self::Rekor2 => "signing_config.v0.2.json",
            Self::Rekor1 => "signing_config.rekor1.v0.2.json",
        }
    }
}

/// How a client learns whom to trust and where the services are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The published files, named on the command line.
    Files,
    /// The TUF repository, told to the client once.
    Tuf,
}

impl Trust {
    pub(super) const ALL: [Self; 2] = [Self::Files, Self::Tuf];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Tuf => "TUF",
        }
    }
}

/// By what a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SigningMethod {
    /// A certificate for the identity.
    Keyless,
    /// A key pair that cosign made.
    Key,
}

/// A signature to make.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) kind: Kind,
    pub(super) protocol: Protocol,
    pub(super) trust: Trust,
    pub(super) method: SigningMethod,
    /// Where the bundle goes.
    pub(super) bundle: PathBuf,
}

/// A signature to judge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) kind: Kind,
    pub(super) trust: Trust,
    pub(super) bundle: &'a Path,
    pub(super) artifact: &'a Path,
    pub(super) signer: ExpectedSigner<'a>,
}

/// Whom a verifier demands.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExpectedSigner<'a> {
    Identity(&'a str),
    /// A file with a public key, PEM.
    Key(&'a Path),
}

/// A client that writes bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Producer {
    Countersign,
    /// The same, in the protocol of the public conformance suite.
    Conformance,
    Cosign3,
    /// cosign 3 without a signing config, told each URL.
    Cosign3OldFlags,
    Cosign2,
    Python,
    JavaScript,
    JavaScriptCli,
    Go,
}

impl Producer {
    pub(super) const ALL: [Self; 9] = [
        Self::Countersign,
        Self::Conformance,
        Self::Cosign3,
        Self::Cosign3OldFlags,
        Self::Cosign2,
        Self::Python,
        Self::JavaScript,
        Self::JavaScriptCli,
        Self::Go,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Countersign => "countersign",
            Self::Conformance => "conformance",
            Self::Cosign3 => "cosign 3",
            Self::Cosign3OldFlags => "cosign 3 old flags",
            Self::Cosign2 => "cosign 2",
            Self::Python => "sigstore-python",
            Self::JavaScript => "sigstore-js",
            Self::JavaScriptCli => "@sigstore/cli",
            Self::Go => "sigstore-go",
        }
    }

    /// The official program it needs.
    pub(super) fn tool(self) -> Option<Tool> {
        match self {
            Self::Countersign | Self::Conformance => None,
            Self::Cosign3 | Self::Cosign3OldFlags => Some(Tool::Cosign3),
            Self::Cosign2 => Some(Tool::Cosign2),
            Self::Python => Some(Tool::Python),
            Self::JavaScript => Some(Tool::JavaScript),
            Self::JavaScriptCli => Some(Tool::JavaScriptCli),
            Self::Go => Some(Tool::GoSigning),
        }
    }

    /// Signs and writes the bundle.
    pub(super) fn sign(self, scene: &Scene<'_>, order: &Order) -> Result<()> {
        match self {
            Self::Countersign => countersign::sign(scene, order),
            Self::Conformance => conformance::sign(scene, order),
            Self::Cosign3 => cosign3::sign(scene, order),
            Self::Cosign3OldFlags => cosign3::sign_by_urls(scene, order),
            Self::Cosign2 => cosign2::sign(scene, order),
            Self::Python => python::sign(scene, order),
            Self::JavaScript => javascript::sign(scene, order),
            Self::JavaScriptCli => javascript::sign_by_cli(scene, order),
            Self::Go => sigstore_go::sign(scene, order),
        }?;
        let written =
            std::fs::metadata(&order.bundle).context("the client succeeded and wrote no bundle")?;
        if written.len() == 0 {
            bail!("the client succeeded and wrote an empty bundle");
        }
        Ok(())
    }
}

/// A client that verifies bundles, and how it learns whom to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verifier {
    Countersign(Trust),
    /// The same, in the protocol of the public conformance suite, which has files only.
    Conformance,
    Cosign3(Trust),
    Cosign2(Trust),
    Python(Trust),
    /// The library reads files, the command line reads TUF.
    JavaScript(Trust),
    Go(Trust),
    Java,
    /// The oracle of our verifier's tests.
    Rust,
}

impl Verifier {
    pub(super) const ALL: [Self; 15] = [
        Self::Countersign(Trust::Files),
        Self::Countersign(Trust::Tuf),
        Self::Conformance,
        Self::Cosign3(Trust::Files),
        Self::Cosign3(Trust::Tuf),
        Self::Cosign2(Trust::Files),
        Self::Cosign2(Trust::Tuf),
        Self::Python(Trust::Files),
        Self::Python(Trust::Tuf),
        Self::JavaScript(Trust::Files),
        Self::JavaScript(Trust::Tuf),
        Self::Go(Trust::Files),
        Self::Go(Trust::Tuf),
        Self::Java,
        Self::Rust,
    ];

    /// Two lines of a column's head.
    pub(super) fn heading(self) -> (&'static str, &'static str) {
        match self {
            Self::Countersign(trust) => ("ours", trust.name()),
            Self::Conformance => ("conform.", Trust::Files.name()),
            Self::Cosign3(trust) => ("cosign 3", trust.name()),
            Self::Cosign2(trust) => ("cosign 2", trust.name()),
            Self::Python(trust) => ("python", trust.name()),
            Self::JavaScript(Trust::Files) => ("js lib", Trust::Files.name()),
            Self::JavaScript(Trust::Tuf) => ("js cli", Trust::Tuf.name()),
            Self::Go(trust) => ("go", trust.name()),
            Self::Java => ("java", Trust::Files.name()),
            Self::Rust => ("rust", Trust::Files.name()),
        }
    }

    pub(super) fn name(self) -> String {
        let (client, how) = self.heading();
        format!("{client} ({how})")
    }

    /// The official program it needs.
    pub(super) fn tool(self) -> Option<Tool> {
        match self {
            Self::Countersign(_) | Self::Conformance | Self::Rust => None,
            Self::Cosign3(_) => Some(Tool::Cosign3),
            Self::Cosign2(_) => Some(Tool::Cosign2),
            Self::Python(_) => Some(Tool::Python),
            Self::JavaScript(Trust::Files) => Some(Tool::JavaScript),
            Self::JavaScript(Trust::Tuf) => Some(Tool::JavaScriptCli),
            Self::Go(_) => Some(Tool::GoVerification),
            Self::Java => Some(Tool::Java),
        }
    }

    /// How this verifier learns whom to trust.
    pub(super) fn trust(self) -> Trust {
        match self {
            Self::Java | Self::Conformance | Self::Rust => Trust::Files,
            Self::Countersign(trust)
            | Self::Cosign3(trust)
            | Self::Cosign2(trust)
            | Self::Python(trust)
            | Self::JavaScript(trust)
            | Self::Go(trust) => trust,
        }
    }

    /// Judges a signature.
    ///
    /// # Errors
    /// What the client said when it refused.
    pub(super) fn verify(self, scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
        match self {
            Self::Countersign(_) => countersign::verify(scene, claim),
            Self::Conformance => conformance::verify(scene, claim),
            Self::Cosign3(_) => cosign3::verify(scene, claim),
            Self::Cosign2(_) => cosign2::verify(scene, claim),
            Self::Python(_) => python::verify(scene, claim),
            Self::JavaScript(Trust::Files) => javascript::verify(scene, claim),
            Self::JavaScript(Trust::Tuf) => javascript::verify_by_cli(scene, claim),
            Self::Go(_) => sigstore_go::verify(scene, claim),
            Self::Java => java::verify(scene, claim),
            Self::Rust => rust::verify(scene, claim),
        }
    }
}
