//! cosign 2: service URLs on the command line, trust by environment variables, by a trusted root for
//! new bundles, or by TUF. It knows Rekor v1 only.

use std::process::Command;

use anyhow::Result;

use super::{Claim, Kind, Order, Trust, cosign3};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// cosign with the home, and for trust by files the environment, that it needs.
pub(in crate::interop) fn cosign(scene: &Scene<'_>, trust: Trust) -> Result<Command> {
    let home = format!("cosign2-{}", trust.name());
    let mut command = match trust {
        Trust::Tuf => scene.command(Tool::Cosign2, &home)?,
        Trust::Files => scene.with_environment_file(&home, scene.clients.path(Tool::Cosign2)?)?,
    };
    command.env("COSIGN_PASSWORD", cosign3::PASSWORD);
    Ok(command)
}

/// `cosign initialize`.
pub(in crate::interop) fn initialize(scene: &Scene<'_>) -> Result<()> {
    let mut command = cosign(scene, Trust::Tuf)?;
    command.args(["initialize", "--mirror", scene.url("trust")?]);
    output(command.arg("--root").arg(scene.trust_file("root.json")?)).map(drop)
}

/// Writes a bundle of the new format.
pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = cosign(scene, order.trust)?;
    match order.kind {
        Kind::Blob => command.arg("sign-blob"),
        Kind::Attestation => command
            .args(["attest-blob", "--type", "slsaprovenance1", "--predicate"])
            .arg(&scene.predicate),
    };
    cosign3::sign_by(scene, &mut command, order.method)?;
    urls(scene, &mut command)?;
    command.args(["--timestamp-server-url", scene.url("tsa")?]);
    match order.kind {
        Kind::Blob => command.arg("--rfc3161-timestamp"),
        Kind::Attestation => command.arg("--rfc3161-timestamp-bundle"),
    };
    command.arg(order.bundle.with_extension("timestamp"));
    command.arg("--new-bundle-format").arg("--bundle").arg(&order.bundle);
    output(command.arg(&scene.artifact)).map(drop)
}

/// Adds the URLs of the certificate authority and the log.
pub(in crate::interop) fn urls(scene: &Scene<'_>, command: &mut Command) -> Result<()> {
    command.args(["--fulcio-url", scene.url("ca")?, "--rekor-url", scene.url("rekor1")?]);
    Ok(())
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = cosign(scene, claim.trust)?;
    match claim.kind {
        Kind::Blob => command.arg("verify-blob"),
        Kind::Attestation => command.args(["verify-blob-attestation", "--type", "slsaprovenance1"]),
    };
    cosign3::demand(scene, &mut command, claim.signer);
    command.arg("--new-bundle-format");
    if claim.trust == Trust::Files {
        command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
    }
    output(command.arg("--bundle").arg(claim.bundle).arg(claim.artifact)).map(drop)
}
