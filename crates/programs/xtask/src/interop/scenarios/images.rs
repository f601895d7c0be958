//! Images of a local registry, signed and attested in every form, judged by every verifier of images.

use anyhow::{Result, bail};

use super::{Signers, side_by_side};
use crate::interop::{
    clients::{
        Kind, Protocol, SigningMethod, Trust, cosign3,
        images::{self, Form, Sealing},
        registry::Registry,
    },
    install::Tool,
    limits,
    report::{self, Outcome, Report},
    scene::Scene,
};

/// Verifiers of images, and the heads of their columns.
const VERIFIERS: [(Tool, Trust, &str); 5] = [
    (Tool::Cosign3, Trust::Files, "cosign 3"),
    (Tool::Cosign3, Trust::Tuf, "cosign 3"),
    (Tool::Cosign2, Trust::Files, "cosign 2"),
    (Tool::Cosign2, Trust::Tuf, "cosign 2"),
    (Tool::GoImages, Trust::Files, "go"),
];

/// A registry, an image for each way to sign, and every verifier.
pub(in crate::interop) fn sealed(scene: &Scene<'_>, report: &mut Report) -> Result<()> {
    report::part(
        "images in a local registry: seconds to sign, and to verify and refuse another signer",
    );
    for tool in [Tool::Registry, Tool::Curl] {
        if let Some(why) = scene.clients.missing(tool) {
            report.skip("images", &why);
            return Ok(());
        }
    }
    cosign3::make_keys(scene)?;
    let registry = Registry::start(scene)?;
    let heads = VERIFIERS.map(|(_, _, name)| name);
    report::table_line("signed by", std::iter::once("").chain(heads));
    let trusts = VERIFIERS.map(|(_, trust, _)| trust.name());
    report::table_line("", std::iter::once("signs").chain(trusts));
    for (number, sealing) in plan().into_iter().enumerate() {
        let image = registry.push(scene, &format!("app{number}"))?;
        let name = name(sealing);
        let marks = row(scene, report, sealing, (&name, &image));
        report::table_line(&name, marks);
    }
    Ok(())
}

fn plan() -> Vec<Sealing> {
    use Protocol::{Rekor1, Rekor2};
    use SigningMethod::{Key, Keyless};
    let ways = [
        (Tool::Cosign3, Trust::Files, Rekor2, Keyless, Form::Bundles),
        (Tool::Cosign3, Trust::Files, Rekor1, Keyless, Form::Bundles),
        (Tool::Cosign3, Trust::Tuf, Rekor2, Keyless, Form::Bundles),
        (Tool::Cosign3, Trust::Files, Rekor2, Key, Form::Bundles),
        (Tool::Cosign3, Trust::Tuf, Rekor1, Keyless, Form::Tags),
        (Tool::Cosign2, Trust::Files, Rekor1, Keyless, Form::Tags),
        (Tool::Cosign2, Trust::Tuf, Rekor1, Keyless, Form::Tags),
        (Tool::Cosign2, Trust::Files, Rekor1, Key, Form::Tags),
        (Tool::Cosign2, Trust::Files, Rekor1, Keyless, Form::Bundles),
    ];
    let mut plan = Vec::new();
    for (tool, trust, protocol, method, form) in ways {
        for kind in Kind::ALL {
            // cosign 2.5 has --new-bundle-format for attestations of images, not for signatures.
            if (tool, form, kind) != (Tool::Cosign2, Form::Bundles, Kind::Blob) {
                plan.push(Sealing { tool, kind, trust, protocol, method, form });
            }
        }
    }
    plan
}

fn name(sealing: Sealing) -> String {
    let act = match sealing.kind {
        Kind::Blob => "sign",
        Kind::Attestation => "attest",
    };
    let key = match sealing.method {
        SigningMethod::Keyless => "",
        SigningMethod::Key => " by key",
    };
    let form = match sealing.form {
        Form::Bundles => "bundle",
        Form::Tags => "old tags",
    };
    let (tool, log, trust) = (sealing.tool.name(), sealing.protocol.name(), sealing.trust.name());
    format!("{tool} {act}{key}, {log}, {trust}, {form}")
}

fn row(
    scene: &Scene<'_>,
    report: &mut Report,
    sealing: Sealing,
    (name, image): (&str, &str),
) -> Vec<String> {
    let signed = scene
        .clients
        .missing(sealing.tool)
        .map_or_else(|| Outcome::of(|| images::sign(scene, sealing, image)), Outcome::Skipped);
    let mut marks = vec![report.record(name, &signed)];
    if !matches!(signed, Outcome::Passed(_)) {
        marks.extend(VERIFIERS.map(|_| "-".to_owned()));
        return marks;
    }
    let judged = side_by_side(&VERIFIERS, |(tool, trust, _)| {
        let outcome = scene.clients.missing(*tool).map_or_else(
            || Outcome::of(|| check(scene, (*tool, *trust), sealing, image)),
            Outcome::Skipped,
        );
        outcome.explained_by(|said| limits::of_image(sealing, (*tool, *trust), said))
    });
    for ((tool, trust, _), outcome) in VERIFIERS.iter().zip(judged) {
        let name = format!("{} ({}) verifies: {name}", tool.name(), trust.name());
        marks.push(report.record(&name, &outcome));
    }
    marks
}

fn check(scene: &Scene<'_>, verifier: (Tool, Trust), sealing: Sealing, image: &str) -> Result<()> {
    let signers = Signers::new(scene, sealing.method, cosign3::key_pair)?;
    images::verify(scene, verifier, sealing, (image, signers.right()))?;
    if images::verify(scene, verifier, sealing, (image, signers.wrong())).is_ok() {
        bail!("it accepted another signer too");
    }
    Ok(())
}
