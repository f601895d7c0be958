//! `sigstore-verify` of sigstore-rust, behind the example program of our crate `verify`, whose oracle it is.

use std::process::Command;

use anyhow::Result;

use super::{Claim, ExpectedSigner};
use crate::{
    interop::scene::Scene,
    process::{cargo, output, run},
};

/// Builds the program, which the tests of `verify` need as well.
pub(in crate::interop) fn build() -> Result<()> {
    run(cargo()?.args(["build", "--locked", "--package", "verify", "--example", "oracle"]))
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = Command::new(crate::paths::target()?.join("debug/examples/oracle"));
    command.arg(scene.trust_file("trusted_root.json")?).arg(claim.bundle).arg(claim.artifact);
    match claim.signer {
        ExpectedSigner::Identity(identity) => command.args([identity, &scene.issuer]),
        ExpectedSigner::Key(key) => command.arg(key),
    };
    output(&mut command).map(drop)
}
