//! Files signed by URLs alone, in the forms of cosign 1 and 2, judged by cosign 2 and 3.

use anyhow::{Result, bail};

use super::Signers;
use crate::interop::{
    clients::{
        Claim, Kind, SigningMethod, Trust, cosign3,
        old_forms::{self, OldForm, OldOrder},
    },
    install::Tool,
    limits,
    report::{self, Outcome, Report},
    scene::Scene,
};

/// Every old form of both versions.
pub(in crate::interop) fn signed(scene: &Scene<'_>, report: &mut Report) -> Result<()> {
    report::part("files in the forms of cosign 1 and 2, Rekor v1");
    let directory = scene.directory("old-forms")?;
    for (number, mut order) in plan().into_iter().enumerate() {
        order.stem = directory.join(number.to_string());
        let name = name(&order);
        if let Some(why) = scene.clients.missing(order.tool) {
            report.skip(&name, &why);
            continue;
        }
        if !report.step(&format!("{name}: signs"), || old_forms::sign(scene, &order)) {
            continue;
        }
        for tool in [Tool::Cosign2, Tool::Cosign3] {
            let outcome = scene
                .clients
                .missing(tool)
                .map_or_else(|| Outcome::of(|| check(scene, tool, &order)), Outcome::Skipped);
            let outcome = outcome.explained_by(|said| limits::of_old_form(&order, said));
            report.line(&format!("{name}: {} verifies", tool.name()), &outcome);
        }
    }
    Ok(())
}

fn plan() -> Vec<OldOrder> {
    use SigningMethod::{Key, Keyless};
    let signers =
        [(Tool::Cosign2, Trust::Files), (Tool::Cosign2, Trust::Tuf), (Tool::Cosign3, Trust::Tuf)];
    let forms = [
        (Kind::Blob, Keyless, OldForm::Bundle, None),
        (Kind::Blob, Keyless, OldForm::BundleAndTimestamp, None),
        (Kind::Blob, Keyless, OldForm::Parts, None),
        (Kind::Blob, Key, OldForm::Bundle, None),
        (Kind::Blob, Key, OldForm::Parts, None),
        (Kind::Attestation, Keyless, OldForm::Bundle, None),
        (Kind::Attestation, Keyless, OldForm::Bundle, Some("intoto")),
        (Kind::Attestation, Key, OldForm::Bundle, None),
        (Kind::Attestation, Keyless, OldForm::Parts, None),
    ];
    let mut plan = Vec::new();
    for (tool, trust) in signers {
        for (kind, method, form, entry_type) in forms {
            let stem = std::path::PathBuf::new();
            plan.push(OldOrder { tool, kind, trust, method, form, entry_type, stem });
        }
    }
    plan
}

fn name(order: &OldOrder) -> String {
    let key = match order.method {
        SigningMethod::Keyless => "",
        SigningMethod::Key => " by key",
    };
    let entry = order.entry_type.map(|kind| format!(" as {kind}")).unwrap_or_default();
    let (tool, kind) = (order.tool.name(), order.kind.name());
    format!("{tool} {kind}{key}{entry}, {}, {}", order.trust.name(), order.form.name())
}

fn check(scene: &Scene<'_>, tool: Tool, order: &OldOrder) -> Result<()> {
    let signers = Signers::new(scene, order.method, cosign3::key_pair)?;
    let claim = Claim {
        kind: order.kind,
        trust: order.trust,
        bundle: &order.stem,
        artifact: &scene.artifact,
        signer: signers.right(),
    };
    old_forms::verify(scene, tool, order, &claim)?;
    let other = Claim { artifact: &scene.stranger, ..claim };
    if old_forms::verify(scene, tool, order, &other).is_ok() {
        bail!("it accepted another artifact too");
    }
    if old_forms::verify(scene, tool, order, &Claim { signer: signers.wrong(), ..claim }).is_ok() {
        bail!("it accepted another signer too");
    }
    Ok(())
}
