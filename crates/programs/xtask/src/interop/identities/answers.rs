//! What a deployment says by HTTP to those that watch it, and to a client that came too early.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::site::Site;
use crate::{interop::install::Tool, process::output};

/// Readiness and metrics say that an issuer does not answer, and it stays ready: its last good keys
/// count.
pub(super) fn tells_who_is_away(site: &Site<'_>, issuer: &str) -> Result<()> {
    let ready = text(site, &format!("{}/readyz", site.ca_url()))?;
    if !(ready.contains("degraded") && ready.contains(issuer)) {
        bail!("readiness does not say who is away: {ready}");
    }
    let metrics = text(site, &format!("{}/metrics", site.metrics_url()))?;
    let of_issuer = format!("countersign_ca_issuer_failing{{issuer=\"{issuer}\"");
    let failing = |line: &&str| line.starts_with(&of_issuer) && line.ends_with(" 1");
    if metrics.lines().filter(failing).count() != 1 {
        bail!("metrics do not say that one source of {issuer} fails");
    }
    Ok(())
}

/// A token by a key that the CA does not know yet is refused for now, and the answer says for how
/// many seconds.
pub(super) fn tells_when_to_come(site: &Site<'_>, token: &str, at_most_s: u64) -> Result<()> {
    let key = fs::read_to_string(site.trust_file("rekor1.pub"))?;
    let request = site.directory("requests")?.join("early.json");
    // The token is looked at before the proof.
    let proven =
        json!({"publicKey": {"algorithm": "ECDSA", "content": key}, "proofOfPossession": "AAAA"});
    let body = json!({"credentials": {"oidcIdentityToken": token}, "publicKeyRequest": proven});
    fs::write(&request, body.to_string())?;
    let mut curl = Command::new(site.clients.path(Tool::Curl)?);
    curl.args(["-sS", "-o", "/dev/null", "-H", "content-type: application/json"]);
    curl.args(["-w", "%{http_code} %header{retry-after}", "--data-binary"]);
    curl.arg(format!("@{}", request.display()));
    let said = output(curl.arg(format!("{}/api/v2/signingCert", site.ca_url())))?;
    let seconds = said.strip_prefix("503 ").with_context(|| format!("it answered {said}"))?;
    let seconds: u64 = seconds.parse().with_context(|| format!("Retry-After is `{seconds}`"))?;
    if !(1..=at_most_s).contains(&seconds) {
        bail!("Retry-After is {seconds}, and the interval {at_most_s} s");
    }
    Ok(())
}

fn text(site: &Site<'_>, url: &str) -> Result<String> {
    output(Command::new(site.clients.path(Tool::Curl)?).args(["-sS", url]))
}
