//! The main job on a fresh machine: start the stack, attest an artifact keyless, verify it, show it in the log.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    options::Options,
    process::{build_binaries, output},
    stack::Stack,
};

const IDENTITY: &str = "alice@acme.internal";

/// `cargo xtask demo [--keep]`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let binaries = build_binaries(false)?;
    let built = begin.elapsed();
    let directory = tempfile::Builder::new().prefix("countersign-demo-").tempdir()?;
    let directory = directory.keep();
    let stack = Stack::start(&binaries, &directory.join("data"), None)?;
    let artifact = directory.join("countersign");
    fs::copy(binaries.join("countersign"), &artifact)?;
    let token = directory.join("token.jwt");
    fs::write(&token, stack.token(&["--email", IDENTITY])?)?;

    let (_, attest_time) = attest(&stack, &artifact, &token)?;
    let (verified, verify_time) = verify(&stack, &artifact)?;
    show(&verified)?;
    let bundle = directory.join("countersign.sigstore.json");
    show_log(&bundle, &stack)?;
    println!(
        "timings       build {:.1} s, start {} ms, attest {} ms, verify {} ms",
        built.as_secs_f64(),
        stack.start.as_millis(),
        attest_time.as_millis(),
        verify_time.as_millis()
    );
    println!("files         {}", directory.display());
    if options.keep {
        println!("running       {} (pid {})", stack.ready("trust")?, stack.pid());
        stack.leave_running();
        return Ok(());
    }
    stack.stop()
}

fn attest(stack: &Stack, artifact: &Path, token: &Path) -> Result<(Value, Duration)> {
    let mut command = stack.client()?;
    command.args(["attest", "generate-and-sign", "--keyless", "--output", "json", "--subjects"]);
    command.arg(artifact).args(["--identity-token", &format!("@{}", token.display())]);
    command.current_dir(artifact.parent().context("the artifact is in no directory")?);
    timed(|| output(&mut command))
}

fn verify(stack: &Stack, artifact: &Path) -> Result<(Value, Duration)> {
    let mut command = stack.client()?;
    command.args(["attest", "verify", "--keyless", "--output", "json", "--subjects"]);
    command.arg(artifact).args(["--certificate-identity", IDENTITY]);
    command.args(["--certificate-oidc-issuer", stack.ready("oidc")?]);
    timed(|| output(&mut command))
}

fn timed(job: impl FnOnce() -> Result<String>) -> Result<(Value, Duration)> {
    let begin = Instant::now();
    let said = job()?;
    let time = begin.elapsed();
    Ok((serde_json::from_str(&said).with_context(|| format!("not JSON: {said}"))?, time))
}

/// Prints what the verification found.
fn show(verified: &Value) -> Result<()> {
    let found = verified["verified"].get(0).context("nothing was verified")?;
    let text = |name: &str| found[name].as_str().unwrap_or("?").to_owned();
    println!("subject       {} (sha256:{})", text("subject"), text("sha256"));
    println!("identity      {} (by {})", text("identity"), text("issuer"));
    println!("provenance    {}, {}", text("predicateType"), text("level"));
    println!("timestamp     {}", found["timestamps"][0].as_str().unwrap_or("?"));
    let checks = found["checks"].as_array().into_iter().flatten();
    let checks: Vec<&str> = checks.filter_map(Value::as_str).collect();
    println!("checks        {}", checks.join(", "));
    Ok(())
}

/// Prints what the bundle says of the log.
fn show_log(bundle: &Path, stack: &Stack) -> Result<()> {
    let text = fs::read_to_string(bundle).context("the bundle was not written")?;
    let parsed: Value = serde_json::from_str(&text)?;
    let entry = &parsed["verificationMaterial"]["tlogEntries"][0];
    let checkpoint = entry["inclusionProof"]["checkpoint"]["envelope"].as_str().unwrap_or("?");
    let mut lines = checkpoint.lines();
    let mut line = || lines.next().unwrap_or("?");
    let (origin, size, root) = (line(), line(), line());
    println!("log index     {}", entry["logIndex"].as_str().unwrap_or("?"));
    println!("checkpoint    {origin}, {size} entries, root {root}");
    println!("in the log    {}/tile/entries/000.p/{size}", stack.ready("rekor2")?);
    println!("bundle        {}", bundle.display());
    Ok(())
}
