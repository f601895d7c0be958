//! The forms in which cosign kept signatures of files before there were bundles.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::{Claim, Kind, SigningMethod, Trust, cosign2, cosign3};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// What lies beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::interop) enum OldForm {
    /// cosign's own JSON with signature, certificate and the log's SET.
    Bundle,
    /// The same, and a timestamp in a file of its own.
    BundleAndTimestamp,
    /// A signature and, keyless, a certificate: the verifier asks the log for the entry.
    Parts,
}

impl OldForm {
    pub(in crate::interop) fn name(self) -> &'static str {
        match self {
            Self::Bundle => "old bundle",
            Self::BundleAndTimestamp => "old bundle and timestamp",
            Self::Parts => "no bundle",
        }
    }
}

/// One file signed in an old form.
#[derive(Clone, Debug)]
pub(in crate::interop) struct OldOrder {
    pub(in crate::interop) tool: Tool,
    pub(in crate::interop) kind: Kind,
    pub(in crate::interop) trust: Trust,
    pub(in crate::interop) method: SigningMethod,
    pub(in crate::interop) form: OldForm,
    /// The log's kind for an attestation: cosign 2's `--rekor-entry-type`.
    pub(in crate::interop) entry_type: Option<&'static str>,
    /// Without an extension; each part has its own.
    pub(in crate::interop) stem: PathBuf,
}

impl OldOrder {
    fn part(&self, extension: &str) -> PathBuf {
        self.stem.with_extension(extension)
    }
}

/// Signs by URLs alone.
pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &OldOrder) -> Result<()> {
    let mut command = cosign(scene, order.tool, order.trust)?;
    match order.kind {
        Kind::Blob => command.arg("sign-blob"),
        Kind::Attestation => command
            .args(["attest-blob", "--type", "slsaprovenance1", "--predicate"])
            .arg(&scene.predicate),
    };
    cosign3::sign_by(scene, &mut command, order.method)?;
    cosign2::urls(scene, &mut command)?;
    if order.tool == Tool::Cosign3 {
        command.args(["--use-signing-config=false", "--new-bundle-format=false"]);
    }
    if let Some(entry_type) = order.entry_type {
        command.args(["--rekor-entry-type", entry_type]);
    }
    match order.form {
        OldForm::Bundle => {
            command.arg("--bundle").arg(order.part("bundle"));
        }
        OldForm::BundleAndTimestamp => {
            command.arg("--bundle").arg(order.part("bundle"));
            command.args(["--timestamp-server-url", scene.url("tsa")?, "--rfc3161-timestamp"]);
            command.arg(order.part("timestamp"));
        }
        OldForm::Parts => {
            // For an attestation this is the envelope; `--output-attestation` is the bare statement.
            command.arg("--output-signature").arg(order.part("sig"));
            if order.method == SigningMethod::Keyless {
                command.arg("--output-certificate").arg(order.part("pem"));
            }
        }
    }
    output(command.arg(&scene.artifact)).map(drop)
}

/// Judges what [`sign`] made.
pub(in crate::interop) fn verify(
    scene: &Scene<'_>,
    tool: Tool,
    order: &OldOrder,
    claim: &Claim<'_>,
) -> Result<()> {
    let mut command = cosign(scene, tool, claim.trust)?;
    match claim.kind {
        Kind::Blob => command.arg("verify-blob"),
        Kind::Attestation => command.args(["verify-blob-attestation", "--type", "slsaprovenance1"]),
    };
    cosign3::demand(scene, &mut command, claim.signer);
    command.args(["--rekor-url", scene.url("rekor1")?]);
    if tool == Tool::Cosign3 {
        command.arg("--new-bundle-format=false");
    }
    match order.form {
        OldForm::Bundle => {
            command.arg("--bundle").arg(order.part("bundle"));
        }
        OldForm::BundleAndTimestamp => {
            command.arg("--bundle").arg(order.part("bundle")).arg("--use-signed-timestamps");
            command.arg("--rfc3161-timestamp").arg(order.part("timestamp"));
            if claim.trust == Trust::Files {
                // Given with TUF it would make cosign forget the trusted root that TUF gave it.
                let chain = scene.trust_file("tsa_chain.pem")?;
                command.arg("--timestamp-certificate-chain").arg(chain);
            }
        }
        OldForm::Parts => {
            command.arg("--signature").arg(order.part("sig"));
            if order.method == SigningMethod::Keyless {
                command.arg("--certificate").arg(order.part("pem"));
            }
        }
    }
    output(command.arg(claim.artifact)).map(drop)
}

/// Old forms know no trusted root: keys come from the environment file or from TUF.
fn cosign(scene: &Scene<'_>, tool: Tool, trust: Trust) -> Result<Command> {
    match (tool, trust) {
        (Tool::Cosign2, trust) => cosign2::cosign(scene, trust),
        (_, Trust::Tuf) => cosign3::cosign(scene, trust),
        (_, Trust::Files) => {
            let mut command =
                scene.with_environment_file("cosign3-files", scene.clients.path(Tool::Cosign3)?)?;
            command.env("COSIGN_PASSWORD", cosign3::PASSWORD);
            Ok(command)
        }
    }
}
