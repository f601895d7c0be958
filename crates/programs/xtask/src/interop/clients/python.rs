//! sigstore-python: one trust config, or an instance that it was told to trust once.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Claim, ExpectedSigner, Kind, Order, Protocol, Trust};
use crate::{
    interop::{
        install::Tool,
        scene::{PREDICATE_TYPE, Scene},
    },
    process::output,
};

fn sigstore(scene: &Scene<'_>, trust: Trust) -> Result<Command> {
    let mut command = scene.command(Tool::Python, &format!("python-{}", trust.name()))?;
    match trust {
        Trust::Files => {
            command.arg("--trust-config").arg(scene.trust_file("client_trust_config.json")?)
        }
        Trust::Tuf => command.args(["--instance", scene.url("trust")?]),
    };
    Ok(command)
}

/// `sigstore trust-instance`.
pub(in crate::interop) fn initialize(scene: &Scene<'_>) -> Result<()> {
    let mut command = sigstore(scene, Trust::Tuf)?;
    output(command.arg("trust-instance").arg(scene.trust_file("root.json")?)).map(drop)
}

pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = sigstore(scene, order.trust)?;
    match order.kind {
        Kind::Blob => command.arg("sign"),
        Kind::Attestation => command
            .args(["attest", "--predicate-type", PREDICATE_TYPE, "--predicate"])
            .arg(&scene.predicate),
    };
    let version = match order.protocol {
        Protocol::Rekor2 => "2",
        Protocol::Rekor1 => "1",
    };
    command.args(["--rekor-version", version, "--identity-token", &scene.token_text()?]);
    // It compares the token's audience with the client that it would have logged in as.
    command.args(scene.stack.audience().into_iter().flat_map(|own| ["--oidc-client-id", own]));
    output(command.arg("--bundle").arg(&order.bundle).arg(&scene.artifact)).map(drop)
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let ExpectedSigner::Identity(identity) = claim.signer else {
        bail!("sigstore-python has no option for keys");
    };
    let mut command = sigstore(scene, claim.trust)?;
    command.args(["verify", "identity", "--cert-identity", identity]);
    command.args(["--cert-oidc-issuer", &scene.issuer, "--bundle"]).arg(claim.bundle);
    output(command.arg(claim.artifact)).map(drop)
}
