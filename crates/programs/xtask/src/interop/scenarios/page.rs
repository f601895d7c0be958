//! The trust page, as a browser shows it.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::interop::{
    install::Tool,
    report::{self, Report},
    scene::Scene,
};

/// What the page must show: every service's URL, and each client that it has commands for.
const SERVICES: [&str; 6] = ["ca", "rekor1", "rekor2", "tsa", "trust", "oidc"];
const CLIENTS: [&str; 6] =
    ["countersign", "cosign initialize", "cosign2.env", "gitsign", "trust-instance", "openssl ts"];

/// Opens the page in headless Chromium.
pub(in crate::interop) fn opens(scene: &Scene<'_>, report: &mut Report) {
    report::part("the trust page");
    let name = "headless Chromium shows URLs, fingerprints and commands, without an error";
    match scene.clients.missing(Tool::Chromium) {
        Some(why) => report.skip(name, &why),
        None => {
            report.step(name, || check(scene));
        }
    }
}

fn check(scene: &Scene<'_>) -> Result<()> {
    let Dump { document, console: said } = dump(scene)?;
    let wrong: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    if !wrong.is_empty() {
        bail!("the browser complains: {}", wrong.join("; "));
    }
    for service in SERVICES {
        let url = scene.url(service)?;
        if !document.contains(url) {
            bail!("the page does not show {service}, {url}");
        }
    }
    for client in CLIENTS {
        if !document.contains(client) {
            bail!("the page says nothing about {client}");
        }
    }
    let checksum =
        crate::process::output(Command::new("sha256sum").arg(scene.trust_file("root.json")?))?;
    let fingerprint = checksum.split_whitespace().next().context("sha256sum printed nothing")?;
    if !document.contains(fingerprint) {
        bail!("the page does not show the SHA-256 of root.json, {fingerprint}");
    }
    Ok(())
}

/// A page in a browser.
struct Dump {
    /// The document after its scripts ran.
    document: String,
    /// What the browser's console said.
    console: String,
}

fn dump(scene: &Scene<'_>) -> Result<Dump> {
    let mut command = scene.command(Tool::Chromium, "chromium")?;
    // A container's root has no sandbox, and little shared memory.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.args(["--disable-background-networking", "--no-first-run"]);
    command.args(["--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=5000"]);
    let answer = command.arg("--dump-dom").arg(scene.url("trust")?).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !answer.status.success() {
        bail!("chromium ended with {}: {}", answer.status, text(&answer.stderr));
    }
    Ok(Dump { document: text(&answer.stdout), console: text(&answer.stderr) })
}
