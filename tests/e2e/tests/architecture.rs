//! The two floors of docs/architecture.md, held by machine: which crate may know which.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the workspace has failed")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Direct edges between our crates that are allowed, without `countersign-`; test edges are free.
const ALLOWED: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("tlog", &["crypto"]),
    ("wire", &[]),
    ("x509", &["crypto", "wire"]),
    ("tsp", &["crypto"]),
    ("identity", &["wire", "x509"]),
    ("provenance", &["crypto", "wire"]),
    ("entry", &["crypto", "tlog", "wire", "x509"]),
    ("verify", &["crypto", "tlog", "x509", "tsp", "entry", "wire", "provenance"]),
    ("service", &["crypto"]),
    ("log-store", &["tlog"]),
    ("log-sqlite", &["log-store", "tlog"]),
    ("log-postgres", &["log-store", "tlog"]),
    ("log", &["service", "log-store", "tlog", "entry", "wire", "x509", "crypto"]),
    ("ca", &["service", "crypto", "x509", "identity", "wire"]),
    ("tsa", &["service", "crypto", "tsp", "wire"]),
    ("trust", &["service", "wire", "crypto", "x509", "tlog", "provenance"]),
    (
        "server",
        &[
            "service",
            "ca",
            "log",
            "tsa",
            "trust",
            "log-store",
            "log-postgres",
            "log-sqlite",
            "crypto",
            "x509",
            "tsp",
            "tlog",
            "identity",
            "wire",
        ],
    ),
    ("client", &["verify", "crypto", "tlog", "x509", "tsp", "entry", "wire", "provenance"]),
];

/// Crates that know formats and rules and do no I/O.
const PURE: &[&str] =
    &["crypto", "tlog", "wire", "x509", "tsp", "identity", "provenance", "entry", "verify"];

/// What would let a pure crate wait, listen, store, log or read a clock.
const FORBIDDEN_BELOW: &[&str] =
    &["tokio", "axum", "hyper", "reqwest", "sqlx", "tracing", "metrics", "clap", "jsonwebtoken"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path("../../Cargo.toml").exec().unwrap()
}

/// Direct dependencies of each member, without those of tests.
fn edges(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let members = metadata.workspace_packages();
    members
        .iter()
        .map(|package| {
            let direct = package.dependencies.iter();
            let direct = direct.filter(|dependency| dependency.kind == DependencyKind::Normal);
            (package.name.to_string(), direct.map(|dependency| dependency.name.clone()).collect())
        })
        .collect()
}

#[test]
fn crates_know_only_what_the_table_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for (name, dependencies) in edges(&metadata()) {
        let Some(short) = name.strip_prefix("countersign-") else { continue };
        let Some(allowed) = allowed.get(short) else {
            assert!(["e2e", "load"].contains(&short), "{short} is not in the table");
            continue;
        };
        let own = dependencies.iter().filter_map(|name| name.strip_prefix("countersign-"));
        for dependency in own {
            assert!(allowed.contains(&dependency), "{short} must not depend on {dependency}");
        }
    }
}

#[test]
fn pure_crates_do_no_io() {
    let edges = edges(&metadata());
    for name in PURE {
        let dependencies = &edges[&format!("countersign-{name}")];
        for forbidden in FORBIDDEN_BELOW {
            assert!(!dependencies.contains(*forbidden), "{name} must not depend on {forbidden}");
        }
    }
}

#[test]
fn xtask_builds_without_the_workspace() {
    let dependencies = &edges(&metadata())["xtask"];
    assert!(!dependencies.iter().any(|name| name.starts_with("countersign-")), "{dependencies:?}");
}

#[test]
fn one_crate_each_knows_the_backend_and_the_verifier() {
    for (name, dependencies) in edges(&metadata()) {
        for (crate_name, owners) in [
            // `server` installs the process-wide default of rustls.
            ("aws-lc-rs", &["countersign-crypto", "countersign-server"][..]),
            // An oracle of tests.
            ("sigstore-verify", &[]),
            ("openidconnect", &["countersign-client"]),
        ] {
            let knows = dependencies.contains(crate_name);
            assert!(!knows || owners.contains(&name.as_str()), "{name} depends on {crate_name}");
        }
    }
}

#[test]
fn one_generation_of_asn1_crates_ships() {
    let metadata = metadata();
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let mut waiting: Vec<&PackageId> = metadata
        .workspace_packages()
        .iter()
        .filter(|package| {
            ["countersign-client", "countersign-server"].contains(&package.name.as_str())
        })
        .map(|package| &package.id)
        .collect();
    assert_eq!(waiting.len(), 2);
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|node| node.id == *id).unwrap();
        waiting.extend(node.deps.iter().filter_map(|dependency| {
            let kinds = &dependency.dep_kinds;
            kinds.iter().any(|kind| kind.kind == DependencyKind::Normal).then_some(&dependency.pkg)
        }));
    }
    for name in ["der", "spki", "x509-cert", "const-oid"] {
        let versions: Vec<String> = metadata
            .packages
            .iter()
            .filter(|package| package.name == name && reached.contains(&package.id))
            .map(|package| package.version.to_string())
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}
