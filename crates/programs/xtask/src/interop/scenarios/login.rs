//! People who log in: each client asks the development issuer by its own flow, and somebody answers on
//! the page that it opens, as a browser without scripts would.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    interop::{
        clients::{
            Claim, ExpectedSigner, Kind, Trust, cosign3,
            gitsign::{self, SignedCommit},
            python,
        },
        install::{Tool, path_variable},
        report::{self, Report},
        scene::{IDENTITY, Scene},
    },
    process::{Guarded, output},
};

/// Follows the URL to the page, and sends its form. Beside whoever opened it: some wait for their
/// browser, and answer it only then.
const PERSON: &str = r#"#!/bin/sh
{
page=$(curl -sSL --write-out '\n%{url_effective}\n' "$1")
secret=$(printf '%s\n' "$page" | sed -n 's/.*name="page" value="\([^"]*\)".*/\1/p' | head -n 1)
base=$(printf '%s\n' "$page" | tail -n 1 | sed 's|^\(http://[^/]*\)/.*|\1|')
curl -sSL --output /dev/null --data "page=$secret" --data-urlencode "email=IDENTITY" "$base/login"
} < /dev/null > /dev/null 2>&1 &
"#;

/// From the start of a client to the code that it shows.
const PATIENCE: Duration = Duration::from_mins(1);

/// Each client's flow, and that what it signed is of who logged in.
pub(in crate::interop) fn by_people(scene: &Scene<'_>, report: &mut Report) -> Result<()> {
    report::part("logging in, by each client's own flow");
    let browser = browser(scene)?;
    let ways: [(&str, &[Tool], Way); 5] = [
        ("cosign 3, browser", &[Tool::Cosign3], cosign_by_browser),
        ("cosign 3, device", &[Tool::Cosign3], cosign_by_device),
        ("sigstore-python, browser", &[Tool::Python], python_by_browser),
        ("model_signing, browser", &[Tool::ModelSigning], model_by_browser),
        ("gitsign, browser", &[Tool::Gitsign, Tool::Git], commit_by_browser),
    ];
    for (name, tools, way) in ways {
        let mut needed = tools.iter().chain(&[Tool::Curl]);
        match needed.find_map(|tool| scene.clients.missing(*tool)) {
            Some(why) => report.skip(name, &why),
            None => {
                report.step(name, || way(scene, &browser));
            }
        }
    }
    Ok(())
}

type Way = fn(&Scene<'_>, &Path) -> Result<()>;

/// A browser by every name that clients look for; gives its directory.
fn browser(scene: &Scene<'_>) -> Result<PathBuf> {
    let directory = scene.directory("browser")?;
    for name in ["xdg-open", "x-www-browser", "www-browser"] {
        let path = directory.join(name);
        fs::write(&path, PERSON.replace("IDENTITY", IDENTITY))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    Ok(directory)
}

/// Lets a client find the browser.
fn with_browser<'c>(command: &'c mut Command, browser: &Path) -> &'c mut Command {
    command.env("PATH", format!("{}:{}", browser.display(), path_variable()));
    command.env("BROWSER", browser.join("xdg-open"))
}

fn cosign_by_browser(scene: &Scene<'_>, browser: &Path) -> Result<()> {
    let bundle = scene.work.join("login-cosign.json");
    let mut command = cosign3::cosign(scene, Trust::Tuf)?;
    command.args(["sign-blob", "--yes", "--fulcio-auth-flow", "normal", "--bundle"]).arg(&bundle);
    output(with_browser(&mut command, browser).arg(&scene.artifact))?;
    cosign3::verify(scene, &claim(scene, &bundle))
}

/// Without a terminal cosign shows a code, and polls until somebody has typed it.
fn cosign_by_device(scene: &Scene<'_>, browser: &Path) -> Result<()> {
    let (bundle, said) =
        (scene.work.join("login-device.json"), scene.work.join("login-device.txt"));
    let mut command = cosign3::cosign(scene, Trust::Tuf)?;
    command.args(["sign-blob", "--yes", "--bundle"]).arg(&bundle).arg(&scene.artifact);
    let log = File::create(&said)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut client = Guarded(command.spawn().context("cannot start cosign")?);
    let begin = Instant::now();
    let page = loop {
        let text = fs::read_to_string(&said)?;
        let mut words = text.split_whitespace();
        if let Some(page) = words.find(|word| word.contains("?user_code=")) {
            break page.to_owned();
        }
        if begin.elapsed() > PATIENCE || client.0.try_wait()?.is_some() {
            bail!("cosign shows no code: {text}");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    output(Command::new(browser.join("xdg-open")).arg(page))?;
    if !client.0.wait()?.success() {
        bail!("cosign failed: {}", fs::read_to_string(&said)?);
    }
    cosign3::verify(scene, &claim(scene, &bundle))
}

fn python_by_browser(scene: &Scene<'_>, browser: &Path) -> Result<()> {
    let bundle = scene.work.join("login-python.json");
    let mut command = scene.command(Tool::Python, "python-login")?;
    command.arg("--trust-config").arg(scene.trust_file("client_trust_config.json")?);
    command.args(["sign", "--bundle"]).arg(&bundle);
    output(with_browser(&mut command, browser).arg(&scene.artifact))?;
    python::verify(scene, &claim(scene, &bundle))
}

fn model_by_browser(scene: &Scene<'_>, browser: &Path) -> Result<()> {
    let (model, signature) = (scene.directory("model")?, scene.work.join("model.sig"));
    fs::write(model.join("weights"), "1 2 3\n")?;
    let trust = scene.trust_file("client_trust_config.json")?;
    let run = |verb: &str, more: &[&str]| -> Result<()> {
        let mut command = scene.command(Tool::ModelSigning, "model-signing")?;
        command.args([verb, "sigstore"]).arg(&model).arg("--signature").arg(&signature);
        command.arg("--trust_config").arg(&trust).args(more);
        output(with_browser(&mut command, browser)).map(drop)
    };
    run("sign", &[])?;
    run("verify", &["--identity", IDENTITY, "--identity_provider", &scene.issuer])
}

fn commit_by_browser(scene: &Scene<'_>, browser: &Path) -> Result<()> {
    let repository = gitsign::repository_of_a_person(scene)?;
    gitsign::commit_by_login(scene, &repository, |git| {
        with_browser(git, browser);
    })?;
    let signed = SignedCommit { commit: "HEAD", identity: IDENTITY };
    gitsign::verify(scene, &repository, signed)
}

fn claim<'a>(scene: &'a Scene<'_>, bundle: &'a Path) -> Claim<'a> {
    let signer = ExpectedSigner::Identity(IDENTITY);
    Claim { kind: Kind::Blob, trust: Trust::Files, bundle, artifact: &scene.artifact, signer }
}
