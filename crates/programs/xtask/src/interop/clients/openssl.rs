//! `openssl ts` and curl, as RFC 3161 was used before there were clients for it.

use std::path::Path;

use anyhow::Result;

use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// `openssl ts -query`, then a POST of it: the reply's file holds what the authority answered.
pub(in crate::interop) fn stamp(scene: &Scene<'_>, reply: &Path) -> Result<()> {
    let query = reply.with_extension("tsq");
    let mut command = scene.command(Tool::OpenSsl, "openssl")?;
    command.args(["ts", "-query", "-sha256", "-cert", "-data"]).arg(&scene.artifact);
    output(command.arg("-out").arg(&query))?;
    let mut post = scene.command(Tool::Curl, "curl")?;
    post.args(["--silent", "--show-error", "--fail", "-H"]);
    post.args(["Content-Type: application/timestamp-query", "--data-binary"]);
    post.arg(format!("@{}", query.display())).arg("-o").arg(reply).arg(scene.url("tsa")?);
    output(&mut post).map(drop)
}

/// `openssl ts -verify` against the published chain.
pub(in crate::interop) fn verify(scene: &Scene<'_>, reply: &Path, artifact: &Path) -> Result<()> {
    let mut command = scene.command(Tool::OpenSsl, "openssl")?;
    command.args(["ts", "-verify", "-data"]).arg(artifact).arg("-in").arg(reply);
    let chain = scene.trust_file("tsa_chain.pem")?;
    // The chain holds the root as well as what lies between.
    output(command.arg("-CAfile").arg(&chain).arg("-untrusted").arg(&chain)).map(drop)
}
