//! Official clients at two tenants of one deployment, before and after a log is frozen: as one process and as
//! one for each kind of service, on both databases.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use super::side_by_side;
use crate::{
    interop::{
        clients::{
            Claim, ExpectedSigner, Kind, Order, Producer, Protocol, SigningMethod, Trust, Verifier,
        },
        install::{Clients, Tool},
        report::{self, Outcome, Report},
        scene::{IDENTITY, Scene},
    },
    postgres::Postgres,
    stack::Instance,
    two_tenants::{Cut, TENANTS, TwoTenants},
};

/// The programs that it needs.
pub(in crate::interop) const TOOLS: [Tool; 3] = [Tool::Cosign3, Tool::Python, Tool::JavaScript];

const PRODUCERS: [Producer; 4] =
    [Producer::Countersign, Producer::Cosign3, Producer::Python, Producer::JavaScript];

const VERIFIERS: [Verifier; 4] = [
    Verifier::Countersign(Trust::Files),
    Verifier::Cosign3(Trust::Files),
    Verifier::Python(Trust::Files),
    Verifier::JavaScript(Trust::Files),
];

/// Signs at both tenants into a log, freezes it, and goes on with the next.
pub(in crate::interop) fn apart(
    clients: &Clients,
    (binaries, directory): (&Path, &Path),
    report: &mut Report,
) -> Result<()> {
    let postgres = Postgres::start()?;
    let cuts = [(Cut::One, "one process"), (Cut::Services, "a process a service")];
    for (number, (cut, processes)) in cuts.into_iter().enumerate() {
        for database in ["SQLite", "PostgreSQL"] {
            let what = format!("{processes} on {database}");
            let url = match database {
                "PostgreSQL" => Some(postgres.database("countersign_tenants")?),
                _ => None,
            };
            report::part(&format!(
                "two tenants by host, a log that is frozen, one that follows, one staged: {what}"
            ));
            // Short: the path of a socket below it has 107 bytes at most.
            let place = directory.join(format!("tenants-{number}-{}", url.is_some()));
            let installation = TwoTenants::start(binaries, &place.join("services"), cut, url)?;
            sign_and_freeze(clients, installation, &place, report)?;
        }
    }
    Ok(())
}

fn sign_and_freeze(
    clients: &Clients,
    mut installation: TwoTenants,
    place: &Path,
    report: &mut Report,
) -> Result<()> {
    let before = instances(&installation, &place.join("before"))?;
    let mut signed = Vec::new();
    for ((tenant, _), instance) in TENANTS.iter().zip(&before) {
        let scene = Scene::new(instance, clients, &place.join(format!("{tenant}-before")))?;
        signed.push(all_sign(
            &scene,
            report,
            &format!("{tenant}, the first log"),
            Protocol::Rekor2,
        )?);
    }
    installation.freeze()?;
    let after = instances(&installation, &place.join("after"))?;
    for (number, ((tenant, _), instance)) in TENANTS.iter().zip(&after).enumerate() {
        let scene = Scene::new(instance, clients, &place.join(format!("{tenant}-after")))?;
        all_verify(&scene, report, &format!("{tenant}, the frozen log"), &signed[number]);
        for (protocol, name) in [(Protocol::Rekor2, "the next log"), (Protocol::Rekor1, "Rekor v1")]
        {
            let name = format!("{tenant}, {name}");
            let made = all_sign(&scene, report, &name, protocol)?;
            all_verify(&scene, report, &name, &made);
        }
        let stranger = format!("{tenant} refuses the other's");
        none_verifies(&scene, report, &stranger, &signed[1 - number]);
        let late = Scene::new(&before[number], clients, &place.join(format!("{tenant}-late")))?;
        nobody_signs(&late, report, &format!("{tenant}, the frozen log"))?;
    }
    installation.stop()
}

fn instances(installation: &TwoTenants, place: &Path) -> Result<Vec<Instance>> {
    TENANTS.iter().map(|(tenant, host)| installation.instance(host, &place.join(tenant))).collect()
}

/// Those that could be made.
fn all_sign(
    scene: &Scene<'_>,
    report: &mut Report,
    name: &str,
    protocol: Protocol,
) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    for producer in PRODUCERS {
        let order = order(scene, producer, protocol)?;
        let outcome = asked(scene, producer.tool(), || producer.sign(scene, &order));
        report.line(&format!("{name}: {} signs", producer.name()), &outcome);
        if matches!(outcome, Outcome::Passed(_)) {
            made.push(order.bundle);
        }
    }
    Ok(made)
}

fn order(scene: &Scene<'_>, producer: Producer, protocol: Protocol) -> Result<Order> {
    let name = format!("{}-{}.sigstore.json", producer.name().replace(' ', "-"), protocol.name());
    let bundle = scene.directory("bundles")?.join(name);
    Ok(Order {
        kind: Kind::Blob,
        protocol,
        trust: Trust::Files,
        method: SigningMethod::Keyless,
        bundle,
    })
}

/// One line a verifier, for all bundles.
fn all_verify(scene: &Scene<'_>, report: &mut Report, name: &str, bundles: &[PathBuf]) {
    let judged = side_by_side(&VERIFIERS, |verifier| {
        asked(scene, verifier.tool(), || {
            ensure!(!bundles.is_empty(), "nobody signed anything");
            bundles.iter().try_for_each(|bundle| verifier.verify(scene, &claim(scene, bundle)))
        })
    });
    for (verifier, outcome) in VERIFIERS.iter().zip(judged) {
        let count = bundles.len();
        report.line(&format!("{name}: {} verifies {count} bundles", verifier.name()), &outcome);
    }
}

fn none_verifies(scene: &Scene<'_>, report: &mut Report, name: &str, bundles: &[PathBuf]) {
    let judged = side_by_side(&VERIFIERS, |verifier| {
        asked(scene, verifier.tool(), || {
            for bundle in bundles {
                if verifier.verify(scene, &claim(scene, bundle)).is_ok() {
                    bail!("it accepted {}", bundle.display());
                }
            }
            Ok(())
        })
    });
    for (verifier, outcome) in VERIFIERS.iter().zip(judged) {
        report.line(&format!("{name}: {}", verifier.name()), &outcome);
    }
}

/// With the signing config of before.
fn nobody_signs(scene: &Scene<'_>, report: &mut Report, name: &str) -> Result<()> {
    for producer in PRODUCERS {
        let order = order(scene, producer, Protocol::Rekor2)?;
        let outcome = asked(scene, producer.tool(), || match producer.sign(scene, &order) {
            Ok(()) => bail!("it signed"),
            Err(error) => {
                let said = format!("{error:#}").to_lowercase();
                let reasons = ["frozen", "405", "method not allowed"];
                if reasons.iter().any(|reason| said.contains(reason)) { Ok(()) } else { Err(error) }
            }
        });
        report.line(&format!("{name}: {} is refused", producer.name()), &outcome);
    }
    Ok(())
}

fn claim<'a>(scene: &'a Scene<'_>, bundle: &'a Path) -> Claim<'a> {
    Claim {
        kind: Kind::Blob,
        trust: Trust::Files,
        bundle,
        artifact: &scene.artifact,
        signer: ExpectedSigner::Identity(IDENTITY),
    }
}

fn asked(scene: &Scene<'_>, tool: Option<Tool>, job: impl FnOnce() -> Result<()>) -> Outcome {
    match tool.and_then(|tool| scene.clients.missing(tool)) {
        Some(missing) => Outcome::Skipped(missing),
        None => Outcome::of(job),
    }
}
