//! Real bundles of every client and version, broken in one or two places at random: none is
//! accepted, and the program ends in an orderly way.
//!
//! `COUNTERSIGN_MUTATIONS` says how many, `COUNTERSIGN_MUTATION_SEED` from where,
//! `COUNTERSIGN_MUTATION_BUNDLES` names a directory with more: `NAME.sigstore.json` beside
//! `NAME.root.json`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mutation {
    pub(crate) mod difference;
    pub(crate) mod mutate;
    pub(crate) mod sample;
}

use std::{collections::BTreeMap, fs, path::Path};

use clap::Parser;
use countersign::{Exit, World, cli::Cli, run};
use moment::UnixSeconds;
use serde_json::Value;
use verify::{Artifact, Conditions, ExpectedSigner, IdentityPolicy, Trust, UnverifiedBundle};

use mutation::{difference, mutate::Mutator, sample::Sample};

/// How many when nothing else is said: enough to meet every kind of change, few enough for every run.
const MUTATIONS: usize = 4_000;

/// After all of the vectors were made.
fn now() -> UnixSeconds {
    UnixSeconds(1_800_000_000)
}

fn world() -> World {
    World {
        clock: now,
        variables: BTreeMap::new(),
        stdin: |_| Ok(Vec::new()),
        trust_directory: None,
        on_terminal: false,
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::vars().find(|(key, _)| key == name)?.1.parse().ok()
}

/// Whether the bundle is taken; by exit code and message where the program was asked.
fn verify(sample: &Sample, bundle: &Path, root: &Path) -> Result<(), (u8, String)> {
    let Some(sha512) = sample.sha512 else {
        let arguments = sample.arguments(bundle, root);
        return run(Cli::try_parse_from(&arguments).unwrap(), &world())
            .map(drop)
            .map_err(|failure| (failure.exit().code(), failure.to_string()));
    };
    // The command line has no way to give this digest alone, and the artifact is not at hand.
    let trust = Trust::from_json(&sample.root).unwrap();
    let identity = IdentityPolicy::default();
    let expected = match &sample.key {
        Some(key) => ExpectedSigner::Key { key, trust: Some(&trust) },
        None => ExpectedSigner::Keyless { trust: &trust, identity: &identity },
    };
    UnverifiedBundle::parse(&fs::read(bundle).unwrap())
        .and_then(|bundle| {
            let artifact = Artifact::from_sha512(sha512);
            verify::verify(&bundle, &artifact, &expected, &Conditions::at(now()))
        })
        .map(drop)
        .map_err(|error| (Exit::Verification.code(), error.to_string()))
}

#[test]
fn accepts_no_bundle_that_was_broken_in_one_or_two_places() {
    let samples = mutation::sample::all();
    assert!(!samples.is_empty(), "nothing to break");
    let count = number("COUNTERSIGN_MUTATIONS").map_or(MUTATIONS, |n| n.try_into().unwrap());
    let mut mutator = Mutator::new(number("COUNTERSIGN_MUTATION_SEED").unwrap_or(1));
    let directory = tempfile::tempdir().unwrap();
    let (bundle, root) = (directory.path().join("bundle"), directory.path().join("root"));
    let others: Vec<&Value> = samples.iter().map(|sample| &sample.bundle).collect();
    let mut tally: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for sample in &samples {
        fs::write(&root, &sample.root).unwrap();
        fs::write(&bundle, sample.bundle.to_string()).unwrap();
        let honest = verify(sample, &bundle, &root);
        assert_eq!(honest, Ok(()), "{}", sample.name);
        for _ in 0..count.div_ceil(samples.len()) {
            let broken = mutator.broken(&sample.bundle, &others);
            let row = tally.entry(sample.name.clone()).or_default();
            if difference::is_spelling(sample.bundle.to_string().as_bytes(), &broken) {
                row[2] += 1;
                continue;
            }
            fs::write(&bundle, &broken).unwrap();
            if let Err((code, message)) = verify(sample, &bundle, &root) {
                assert!([1, 2].contains(&code), "{}: {code} {message}", sample.name);
                row[0] += 1;
                continue;
            }
            let broken: Value = serde_json::from_slice(&broken).unwrap();
            let unexplained = difference::unexplained(&sample.bundle, &broken);
            assert!(unexplained.is_empty(), "{}: {unexplained:#?}", sample.name);
            row[1] += 1;
        }
    }
    println!(
        "| bundle | refused | evidence left out | only spelled otherwise |\n|---|---|---|---|"
    );
    let mut sum = [0; 3];
    for (name, row) in &tally {
        println!("| {name} | {} | {} | {} |", row[0], row[1], row[2]);
        sum = [sum[0] + row[0], sum[1] + row[1], sum[2] + row[2]];
    }
    println!("{} bundles, {} refused", sum[0] + sum[1] + sum[2], sum[0]);
    assert!(sum[0] > 0);
}
