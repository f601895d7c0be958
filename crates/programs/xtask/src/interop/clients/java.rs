//! sigstore-java's library, through a small program.

use anyhow::{Result, bail};

use super::{Claim, ExpectedSigner};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let ExpectedSigner::Identity(identity) = claim.signer else {
        bail!("sigstore-java has no option for keys");
    };
    let program = scene.clients.path(Tool::Java)?;
    let mut command = scene.isolated("java".as_ref(), "java")?;
    // A program that lives for a second gains nothing from the second compiler.
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
    command.arg("-cp").arg(format!("{0}:{0}/lib/*", program.display())).arg("Verify");
    command.arg(claim.bundle).arg(claim.artifact);
    command.arg(scene.trust_file("trusted_root.json")?);
    output(command.args([identity, &scene.issuer])).map(drop)
}
