//! sigstore-js: the libraries through two small programs, and the command line.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{Claim, ExpectedSigner, Kind, Order};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// node with one of our programs, which lie where `node_modules` is.
fn program(scene: &Scene<'_>, script: &str) -> Result<Command> {
    let node = scene.clients.path(Tool::JavaScript)?;
    let directory = node.ancestors().nth(3).context("node does not lie in node_modules/.bin")?;
    let mut command = scene.command(Tool::JavaScript, "javascript")?;
    command.arg(directory.join(script));
    Ok(command)
}

/// `sigstore` of npm, run by the node beside it.
fn cli(scene: &Scene<'_>) -> Result<Command> {
    let mut command = scene.command(Tool::JavaScript, "javascript-cli")?;
    command.arg(scene.clients.path(Tool::JavaScriptCli)?);
    Ok(command)
}

/// `sigstore initialize`.
pub(in crate::interop) fn initialize(scene: &Scene<'_>) -> Result<()> {
    let mut command = cli(scene)?;
    command.args(["initialize", "--mirror", scene.url("trust")?]);
    output(command.arg("--root").arg(scene.trust_file("root.json")?)).map(drop)
}

pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = program(scene, "sign.mjs")?;
    match order.kind {
        Kind::Blob => command.arg("blob").arg(&scene.artifact),
        Kind::Attestation => command.arg("attest").arg(&scene.statement),
    };
    command.arg(scene.token()?).arg(scene.trust_file(order.protocol.signing_config())?);
    output(command.arg(&order.bundle)).map(drop)
}

/// The command line takes a statement and URLs, and logs to Rekor v1 as `intoto` 0.0.2.
pub(in crate::interop) fn sign_by_cli(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = cli(scene)?;
    let timestamp_url = scene.url("tsa")?;
    let origin = timestamp_url.split("/api/").next().unwrap_or(timestamp_url);
    command.env("CI", "1").env("SIGSTORE_ID_TOKEN", scene.token_text()?);
    command.arg("attest").arg(&scene.statement).args(["--fulcio-url", scene.url("ca")?]);
    command.args(["--rekor-url", scene.url("rekor1")?, "--tsa-server-url", origin]);
    output(command.arg("--output-file").arg(&order.bundle)).map(drop)
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = program(scene, "verify.mjs")?;
    command.arg(claim.bundle).arg(claim.artifact);
    command.arg(scene.trust_file("trusted_root.json")?);
    match claim.signer {
        ExpectedSigner::Identity(identity) => command.args([identity, &scene.issuer]),
        ExpectedSigner::Key(key) => command.arg("--key").arg(key),
    };
    output(&mut command).map(drop)
}

/// The command line verifies with trust from TUF. It judges an attestation without its artifact, so
/// that for another artifact the bundle itself is changed.
pub(in crate::interop) fn verify_by_cli(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = cli(scene)?;
    command.arg("verify");
    match claim.kind {
        Kind::Blob => command.arg(claim.bundle).arg("--blob-file").arg(claim.artifact),
        Kind::Attestation if claim.artifact == scene.artifact => command.arg(claim.bundle),
        Kind::Attestation => command.arg(with_another_payload(scene, claim.bundle)?),
    };
    command.args(["--tuf-mirror-url", scene.url("trust")?, "--tuf-root-path"]);
    command.arg(scene.trust_file("root.json")?);
    if let ExpectedSigner::Identity(identity) = claim.signer {
        command.args(["--certificate-identity-email", identity]);
        command.args(["--certificate-issuer", &scene.issuer]);
    }
    output(&mut command).map(drop)
}

fn with_another_payload(scene: &Scene<'_>, bundle: &Path) -> Result<std::path::PathBuf> {
    let mut parsed: serde_json::Value = serde_json::from_str(&fs::read_to_string(bundle)?)?;
    let payload = parsed["dsseEnvelope"]["payload"].as_str().context("no payload")?;
    // Every payload is a JSON object that starts with a quoted name: `{"` is `eyJ`, `{'` is `eyc`.
    let changed = payload.replacen("eyJ", "eyc", 1);
    parsed["dsseEnvelope"]["payload"] = changed.into();
    let path = scene.work.join("changed.sigstore.json");
    fs::write(&path, parsed.to_string())?;
    Ok(path)
}
