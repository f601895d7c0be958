//! The example programs of sigstore-go.

use std::fs;

use anyhow::{Context, Result};

use super::{Claim, ExpectedSigner, Kind, Order, Trust};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// The program prints the public key, then the bundle.
pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = scene.command(Tool::GoSigning, "go-signing")?;
    command.args(["-id-token", &scene.token_text()?, "-rekor", "-tsa", "-s"]);
    command.arg(scene.trust_file(order.protocol.signing_config())?);
    command.arg("-t").arg(scene.trust_file("trusted_root.json")?);
    match order.kind {
        Kind::Blob => command.arg(&scene.artifact),
        Kind::Attestation => command.arg("-in-toto").arg(&scene.statement),
    };
    let said = output(&mut command)?;
    let start = said.find("\n{").context("the program printed no bundle")?;
    fs::write(&order.bundle, &said[start..])?;
    Ok(())
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let home = format!("go-verification-{}", claim.trust.name());
    let mut command = scene.command(Tool::GoVerification, &home)?;
    command.arg("-artifact").arg(claim.artifact);
    match claim.signer {
        ExpectedSigner::Identity(identity) => {
            command.args(["-expectedSAN", identity, "-expectedIssuer", &scene.issuer])
        }
        ExpectedSigner::Key(key) => command.arg("-requireCTlog=false").arg("-publicKey").arg(key),
    };
    match claim.trust {
        Trust::Files => {
            command.arg("-trustedrootJSONpath").arg(scene.trust_file("trusted_root.json")?)
        }
        Trust::Tuf => command
            .args(["-trustedrootJSONpath", "", "-tufRootURL", scene.url("trust")?])
            .arg("-tufTrustedRoot")
            .arg(scene.trust_file("root.json")?),
    };
    output(command.arg(claim.bundle)).map(drop)
}
