//! Every bundle of every producer, judged by every verifier.

use anyhow::{Result, bail};

use super::{Signers, side_by_side};
use crate::interop::{
    clients::{Claim, Kind, Order, Producer, Protocol, SigningMethod, Trust, Verifier, cosign3},
    limits,
    report::{self, Outcome, Report},
    scene::Scene,
};

/// One row: who signs what, into which log, trusting by what.
struct Row {
    producer: Producer,
    order: Order,
    verifiers: Vec<Verifier>,
}

impl Row {
    fn name(&self) -> String {
        let key = match self.order.method {
            SigningMethod::Keyless => "",
            SigningMethod::Key => " by key",
        };
        let (kind, log) = (self.order.kind.name(), self.order.protocol.name());
        format!("{} {kind}{key}, {log}, {}", self.producer.name(), self.order.trust.name())
    }
}

/// Every producer against every verifier, in both protocols and both forms of trust.
pub(in crate::interop) fn full(scene: &Scene<'_>, report: &mut Report) -> Result<()> {
    cosign3::make_keys(scene)?;
    let mut rows = Vec::new();
    for producer in Producer::ALL {
        for way in ways() {
            let order = order(scene, rows.len(), way)?;
            if limits::can_produce(producer, &order) {
                rows.push(Row { producer, order, verifiers: Verifier::ALL.to_vec() });
            }
        }
    }
    run(scene, report, &rows, &Verifier::ALL);
    report::part("what no client of these can make");
    for (name, why) in limits::NOT_PRODUCED {
        report.skip(name, why);
    }
    Ok(())
}

/// Every way to sign; no producer knows them all.
fn ways() -> Vec<(Kind, Protocol, Trust, SigningMethod)> {
    let mut ways = Vec::new();
    for method in [SigningMethod::Keyless, SigningMethod::Key] {
        for trust in Trust::ALL {
            for protocol in Protocol::ALL {
                ways.extend(Kind::ALL.map(|kind| (kind, protocol, trust, method)));
            }
        }
    }
    ways
}

/// The core: four producers and verifiers, and the oracle of ours. Both protocols, both kinds, and both forms of trust on
/// each side meet each other, with one form for each row instead of four.
pub(in crate::interop) fn core(scene: &Scene<'_>, report: &mut Report) -> Result<()> {
    let plan = [
        (Kind::Blob, Protocol::Rekor2, Trust::Tuf, Trust::Files),
        (Kind::Attestation, Protocol::Rekor2, Trust::Files, Trust::Tuf),
        (Kind::Blob, Protocol::Rekor1, Trust::Files, Trust::Tuf),
        (Kind::Attestation, Protocol::Rekor1, Trust::Files, Trust::Files),
    ];
    let producers =
        [Producer::Countersign, Producer::Cosign3, Producer::Python, Producer::JavaScript];
    let mut rows = Vec::new();
    for producer in producers {
        for (kind, protocol, signs_by, verifies_by) in plan {
            let mut order =
                order(scene, rows.len(), (kind, protocol, signs_by, SigningMethod::Keyless))?;
            if !limits::can_produce(producer, &order) {
                order.trust = Trust::Files;
            }
            let verifiers = vec![
                Verifier::Countersign(verifies_by),
                Verifier::Cosign3(verifies_by),
                Verifier::Python(verifies_by),
                Verifier::JavaScript(verifies_by),
                Verifier::Rust,
            ];
            rows.push(Row { producer, order, verifiers });
        }
    }
    let columns: Vec<Verifier> = Verifier::ALL
        .into_iter()
        .filter(|verifier| rows.iter().any(|row| row.verifiers.contains(verifier)))
        .collect();
    run(scene, report, &rows, &columns);
    Ok(())
}

fn order(
    scene: &Scene<'_>,
    number: usize,
    (kind, protocol, trust, method): (Kind, Protocol, Trust, SigningMethod),
) -> Result<Order> {
    let bundle = scene.directory("bundles")?.join(format!("{number}.sigstore.json"));
    Ok(Order { kind, protocol, trust, method, bundle })
}

fn run(scene: &Scene<'_>, report: &mut Report, rows: &[Row], columns: &[Verifier]) {
    report::part(
        "bundles: seconds to sign, and to verify, refuse another signer and another artifact",
    );
    let head = columns.iter().map(|verifier| verifier.heading().0);
    report::table_line("signed by", std::iter::once("").chain(head));
    let trust = columns.iter().map(|verifier| verifier.heading().1);
    report::table_line("", std::iter::once("signs").chain(trust));
    for row in rows {
        let marks = marks(scene, report, row, columns);
        report::table_line(&row.name(), marks);
    }
}

fn marks(scene: &Scene<'_>, report: &mut Report, row: &Row, columns: &[Verifier]) -> Vec<String> {
    let missing = row.producer.tool().and_then(|tool| scene.clients.missing(tool));
    let signed = missing
        .map_or_else(|| Outcome::of(|| row.producer.sign(scene, &row.order)), Outcome::Skipped);
    let mut marks = vec![report.record(&format!("{} signs", row.name()), &signed)];
    if !matches!(signed, Outcome::Passed(_)) {
        marks.extend(columns.iter().map(|_| "-".to_owned()));
        return marks;
    }
    let judged = side_by_side(columns, |column| {
        row.verifiers.contains(column).then(|| judge(scene, row, *column))
    });
    for (column, outcome) in columns.iter().zip(judged) {
        marks.push(outcome.map_or_else(
            || "-".to_owned(),
            |outcome| {
                report.record(&format!("{} verifies: {}", column.name(), row.name()), &outcome)
            },
        ));
    }
    marks
}

fn judge(scene: &Scene<'_>, row: &Row, verifier: Verifier) -> Outcome {
    if let Some(missing) = verifier.tool().and_then(|tool| scene.clients.missing(tool)) {
        return Outcome::Skipped(missing);
    }
    Outcome::of(|| check(scene, row, verifier))
        .explained_by(|said| limits::of_verification((row.producer, &row.order), verifier, said))
}

/// The right signer and artifact must pass, the wrong ones must not: a verifier that accepts all
/// proves nothing.
fn check(scene: &Scene<'_>, row: &Row, verifier: Verifier) -> Result<()> {
    let key = match row.producer {
        Producer::Countersign => cosign3::plain_key,
        _ => cosign3::key_pair,
    };
    let signers = Signers::new(scene, row.order.method, key)?;
    let claim = Claim {
        kind: row.order.kind,
        trust: verifier.trust(),
        bundle: &row.order.bundle,
        artifact: &scene.artifact,
        signer: signers.right(),
    };
    verifier.verify(scene, &claim)?;
    if verifier.verify(scene, &Claim { signer: signers.wrong(), ..claim }).is_ok() {
        bail!("it accepted another signer too");
    }
    if verifier.verify(scene, &Claim { artifact: &scene.stranger, ..claim }).is_ok() {
        bail!("it accepted another artifact too");
    }
    Ok(())
}
