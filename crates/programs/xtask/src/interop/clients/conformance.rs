//! Our own client in the protocol of the public conformance suite, options in the suite's order.

use std::process::Command;

use anyhow::Result;

use super::{Claim, ExpectedSigner, Kind, Order};
use crate::{interop::scene::Scene, process::output};

pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = client(scene, "sign-bundle")?;
    let file = match order.kind {
        Kind::Blob => &scene.artifact,
        Kind::Attestation => {
            command.arg("--in-toto");
            &scene.statement
        }
    };
    command.args(["--identity-token", &scene.token_text()?, "--bundle"]).arg(&order.bundle);
    command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
    command.arg("--signing-config").arg(scene.trust_file(order.protocol.signing_config())?);
    output(command.arg(file)).map(drop)
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = client(scene, "verify-bundle")?;
    command.arg("--bundle").arg(claim.bundle);
    match claim.signer {
        ExpectedSigner::Identity(identity) => command
            .args(["--certificate-identity", identity])
            .args(["--certificate-oidc-issuer", &scene.issuer]),
        ExpectedSigner::Key(key) => command.arg("--key").arg(key),
    };
    command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
    output(command.arg(claim.artifact)).map(drop)
}

fn client(scene: &Scene<'_>, verb: &str) -> Result<Command> {
    let mut command = scene.isolated(&scene.stack.client_path(), "conformance")?;
    command.args(["conformance", verb]);
    Ok(command)
}
