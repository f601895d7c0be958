//! Trust that outlives its timestamps: the servers run on while their clock moves beyond two
//! lifetimes, and clients with the real time still find fresh metadata.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    interop::{
        clients::{
            Claim, ExpectedSigner, Kind, Order, Producer, Protocol, SigningMethod, Trust, Verifier,
            cosign3,
        },
        install::{Clients, Tool},
        report::{self, Report},
        scene::{IDENTITY, Scene},
    },
    process::output,
    stack::Stack,
};

/// Beyond two lifetimes of the timestamp role, which is a week at most.
const AWAY_S: i64 = 15 * 24 * 3600;

/// Longest wait for the servers to sign fresh metadata after a jump of their clock.
const REFRESH_LIMIT: Duration = Duration::from_mins(1);

/// What happens once the clock stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Nothing is signed: authorities refuse to sign into the past of what they have signed.
    OnlyTrust,
    SignAndVerify,
}

/// A stack that was born fifteen days ago lives on, goes fifteen days ahead, comes back, and goes again.
pub(in crate::interop) fn moved(
    binaries: &Path,
    clients: &Clients,
    directory: &Path,
    report: &mut Report,
) -> Result<()> {
    report::part("cosign by TUF alone, while the servers' clock moves");
    if let Some(why) = clients.missing(Tool::Cosign3) {
        report.skip("cosign 3 under a moved clock", &why);
        return Ok(());
    }
    let offset = directory.join("clock-offset");
    fs::create_dir_all(directory)?;
    fs::write(&offset, format!("-{AWAY_S}"))?;
    let stack = Stack::start_at(binaries, &directory.join("data"), &offset)?;
    let journey = [
        ("fifteen days after birth", 0, Act::SignAndVerify),
        ("fifteen days ahead", AWAY_S, Act::OnlyTrust),
        ("back", 0, Act::SignAndVerify),
        ("ahead again", AWAY_S, Act::SignAndVerify),
    ];
    let mut furthest = -AWAY_S;
    for (number, (name, seconds, act)) in journey.into_iter().enumerate() {
        let before = timestamp(&stack)?;
        fs::write(&offset, seconds.to_string())?;
        if seconds > furthest {
            furthest = seconds;
            report
                .step(&format!("{name}: the servers sign a fresh timestamp by themselves"), || {
                    await_newer(&stack, &before)
                });
        }
        // The servers read the file each second.
        std::thread::sleep(Duration::from_secs(2));
        let scene = Scene::new(&stack, clients, &directory.join(number.to_string()))?;
        let initialized =
            report.step(&format!("{name}: cosign initialize"), || cosign3::initialize(&scene));
        if initialized && act == Act::SignAndVerify {
            sign_and_verify(&scene, report, name)?;
        }
    }
    stack.stop()
}

fn sign_and_verify(scene: &Scene<'_>, report: &mut Report, when: &str) -> Result<()> {
    let order = Order {
        kind: Kind::Blob,
        protocol: Protocol::Rekor2,
        trust: Trust::Tuf,
        method: SigningMethod::Keyless,
        bundle: scene.directory("bundles")?.join("blob.sigstore.json"),
    };
    let signed = report.step(&format!("{when}: cosign sign-blob, no file option"), || {
        Producer::Cosign3.sign(scene, &order)
    });
    if signed {
        let claim = Claim {
            kind: Kind::Blob,
            trust: Trust::Tuf,
            bundle: &order.bundle,
            artifact: &scene.artifact,
            signer: ExpectedSigner::Identity(IDENTITY),
        };
        report.step(&format!("{when}: cosign verify-blob, no file option"), || {
            Verifier::Cosign3(Trust::Tuf).verify(scene, &claim)
        });
    }
    Ok(())
}

/// What `timestamp.json` says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Timestamp {
    version: u64,
    expires: String,
}

fn timestamp(stack: &Stack) -> Result<Timestamp> {
    let url = format!("{}/timestamp.json", stack.ready("trust")?);
    let text = output(std::process::Command::new("curl").args(["-sSf", &url]))?;
    let parsed: Value = serde_json::from_str(&text)?;
    let version = parsed["signed"]["version"].as_u64().context("timestamp.json has no version")?;
    let expires = parsed["signed"]["expires"].as_str().context("timestamp.json never expires")?;
    Ok(Timestamp { version, expires: expires.to_owned() })
}

fn await_newer(stack: &Stack, before: &Timestamp) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < REFRESH_LIMIT {
        let now = timestamp(stack)?;
        if now.version > before.version && now.expires > before.expires {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    bail!("timestamp.json is still {before:?} after {} s", REFRESH_LIMIT.as_secs())
}
