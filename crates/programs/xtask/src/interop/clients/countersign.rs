//! Our own client, a producer and a verifier like any other.

use std::process::Command;

use anyhow::Result;

use super::{Claim, ExpectedSigner, Kind, Order, Protocol, SigningMethod, Trust, cosign3};
use crate::{
    interop::scene::{PREDICATE_TYPE, Scene},
    process::output,
};

/// `countersign trust init`.
pub(in crate::interop) fn initialize(scene: &Scene<'_>) -> Result<()> {
    let mut command = client(scene, Trust::Tuf)?;
    command.args(["trust", "init", "--url", scene.url("trust")?]);
    output(command.arg("--root").arg(scene.trust_file("root.json")?)).map(drop)
}

pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = client(scene, order.trust)?;
    match order.kind {
        Kind::Blob => command.arg("sign").arg(&scene.artifact),
        Kind::Attestation => command
            .args(["attest", "sign", "--type", PREDICATE_TYPE, "--subjects"])
            .arg(&scene.artifact)
            .arg("--predicate")
            .arg(&scene.predicate),
    };
    match order.method {
        SigningMethod::Keyless => {
            let token = format!("@{}", scene.token()?.display());
            command.args(["--keyless", "--identity-token", &token]);
        }
        SigningMethod::Key => {
            command.arg("--key").arg(cosign3::plain_key(scene)?);
        }
    }
    if order.protocol == Protocol::Rekor1 {
        command.arg("--signing-config").arg(scene.trust_file(order.protocol.signing_config())?);
    }
    output(command.arg("--bundle").arg(&order.bundle)).map(drop)
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = client(scene, claim.trust)?;
    match claim.kind {
        Kind::Blob => command.arg("verify").arg(claim.artifact),
        Kind::Attestation => command.args(["attest", "verify", "--subjects"]).arg(claim.artifact),
    };
    match claim.signer {
        ExpectedSigner::Identity(identity) => {
            if claim.kind == Kind::Attestation {
                command.arg("--keyless");
            }
            command.args(["--certificate-identity", identity]);
            command.args(["--certificate-oidc-issuer", &scene.issuer])
        }
        ExpectedSigner::Key(key) => command.arg("--key").arg(key),
    };
    output(command.arg("--bundle").arg(claim.bundle)).map(drop)
}

fn client(scene: &Scene<'_>, trust: Trust) -> Result<Command> {
    let home = format!("countersign-{}", trust.name());
    let mut command = scene.isolated(&scene.stack.client_path(), &home)?;
    if trust == Trust::Files {
        command.env("COUNTERSIGN_TRUST_CONFIG", scene.trust_file("client_trust_config.json")?);
    }
    Ok(command)
}
