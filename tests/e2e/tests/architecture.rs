//! The two floors of docs/architecture.md, held by machine: which crate may know which.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the workspace has failed")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Direct edges between our crates: these, and no others. Test edges are free.
const EDGES: &[(&str, &[&str])] = &[
    ("crypto", &[]),
    ("moment", &[]),
    ("tlog", &["crypto"]),
    ("wire", &[]),
    ("ct", &["crypto", "moment"]),
    ("x509", &["crypto", "ct", "moment", "wire"]),
    ("tsp", &["crypto", "moment"]),
    ("identity", &["moment", "wire", "x509"]),
    ("provenance", &["crypto", "wire"]),
    ("entry", &["crypto", "moment", "tlog", "wire"]),
    ("verify", &["crypto", "entry", "moment", "provenance", "tlog", "tsp", "wire", "x509"]),
    ("store", &["moment", "tlog"]),
    ("sqlite", &["moment", "store", "tlog"]),
    ("postgres", &["moment", "store", "tlog"]),
    ("engine", &["crypto", "moment", "signing", "store", "tlog"]),
    ("server", &["crypto", "signing"]),
    ("signing", &["crypto", "moment"]),
    (
        "ctlog",
        &["crypto", "ct", "engine", "moment", "server", "signing", "store", "tlog", "wire", "x509"],
    ),
    (
        "rekor",
        &["crypto", "engine", "entry", "moment", "server", "signing", "store", "tlog", "wire"],
    ),
    ("ca", &["crypto", "ct", "identity", "moment", "server", "signing", "wire", "x509"]),
    ("tsa", &["crypto", "moment", "server", "signing", "tsp", "wire"]),
    ("trust", &["crypto", "moment", "provenance", "server", "signing", "tlog", "wire"]),
    ("oidc", &["crypto", "identity", "moment", "server", "signing", "wire"]),
    (
        "countersignd",
        &[
            "ca", "crypto", "ctlog", "engine", "identity", "moment", "oidc", "postgres", "rekor",
            "server", "signing", "sqlite", "store", "terminal", "tlog", "trust", "tsa", "tsp",
            "wire", "x509",
        ],
    ),
    (
        "countersign",
        &[
            "crypto",
            "entry",
            "moment",
            "provenance",
            "terminal",
            "tlog",
            "tsp",
            "verify",
            "wire",
            "x509",
        ],
    ),
    ("terminal", &["wire"]),
    ("xtask", &[]),
];

/// What would let a pure crate wait, listen, store, log or read a clock.
const IMPURE: &[&str] =
    &["tokio", "axum", "hyper", "reqwest", "sqlx", "tracing", "metrics", "clap", "jsonwebtoken"];

/// What only services have: a client that reaches one of these is no thin client.
const OF_SERVICES: &[&str] = &[
    "axum", "sqlx", "store", "engine", "server", "signing", "ca", "ctlog", "oidc", "rekor", "tsa",
    "trust",
];

/// The services: each is reached over HTTP alone, also by those of its own process.
const SERVICES: &[&str] = &["ca", "ctlog", "oidc", "rekor", "tsa", "trust"];

/// What the part that could fork a log must not know: bodies, certificates, HTTP.
const PROTOCOLS: &[&str] = &["ct", "entry", "wire", "x509", "server", "axum", "hyper", "http"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path("../../Cargo.toml").exec().unwrap()
}

/// Direct dependencies of a member, without those of tests.
fn direct(package: &Package) -> BTreeSet<&str> {
    let all = package.dependencies.iter();
    let normal = all.filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.as_str()).collect()
}

/// The names of all that is linked into members of these names.
fn linked<'m>(metadata: &'m Metadata, names: &[&str]) -> BTreeMap<&'m PackageId, &'m Package> {
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let members = metadata.workspace_packages();
    let chosen = members.iter().filter(|package| names.contains(&package.name.as_str()));
    let mut waiting: Vec<&PackageId> = chosen.map(|package| &package.id).collect();
    assert_eq!(waiting.len(), names.len(), "{names:?}");
    let mut reached = BTreeMap::new();
    while let Some(id) = waiting.pop() {
        if reached.insert(id, &metadata[id]).is_some() {
            continue;
        }
        waiting.extend(nodes[id].deps.iter().filter_map(|dependency| {
            let kinds = &dependency.dep_kinds;
            kinds.iter().any(|kind| kind.kind == DependencyKind::Normal).then_some(&dependency.pkg)
        }));
    }
    reached
}

/// The members of a folder of `crates/`.
fn folder(metadata: &Metadata, name: &str) -> Vec<String> {
    let part = format!("/crates/{name}/");
    let members = metadata.workspace_packages();
    let inside = members.iter().filter(|package| package.manifest_path.as_str().contains(&part));
    inside.map(|package| package.name.to_string()).collect()
}

#[test]
fn crates_know_what_the_table_says_and_no_more() {
    let metadata = metadata();
    let mut expected: BTreeMap<&str, BTreeSet<&str>> =
        EDGES.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    let ours: BTreeSet<&str> = expected.keys().copied().collect();
    for package in metadata.workspace_packages() {
        if ["e2e", "load", "testlog", "vectors"].contains(&package.name.as_str()) {
            continue;
        }
        let edges: BTreeSet<&str> = direct(package).intersection(&ours).copied().collect();
        assert_eq!(expected.remove(package.name.as_str()), Some(edges), "{}", package.name);
    }
    assert!(expected.is_empty(), "not in the workspace: {expected:?}");
}

#[test]
fn folder_package_and_name_are_one_word() {
    for package in metadata().workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().file_name().unwrap();
        assert_eq!(package.name.as_str(), folder);
        for target in package.targets.iter().filter(|target| target.is_lib()) {
            assert_eq!(target.name, folder);
        }
    }
}

#[test]
fn formats_do_no_io_whatever_they_link() {
    let metadata = metadata();
    for name in folder(&metadata, "formats") {
        for package in linked(&metadata, &[&name]).values() {
            assert!(!IMPURE.contains(&package.name.as_str()), "{name} links {}", package.name);
        }
    }
}

#[test]
fn the_log_knows_no_protocol() {
    let metadata = metadata();
    for name in folder(&metadata, "log") {
        for package in linked(&metadata, &[&name]).values() {
            let other = package.name.as_str();
            let is_protocol = PROTOCOLS.contains(&other) || SERVICES.contains(&other);
            assert!(!is_protocol, "{name} links {other}");
        }
    }
}

#[test]
fn the_client_links_nothing_of_services() {
    for package in linked(&metadata(), &["countersign"]).values() {
        assert!(!OF_SERVICES.contains(&package.name.as_str()), "it links {}", package.name);
    }
}

#[test]
fn no_service_links_another() {
    let metadata = metadata();
    for name in SERVICES {
        for package in linked(&metadata, &[name]).values() {
            let other = package.name.as_str();
            assert!(!SERVICES.contains(&other) || other == *name, "{name} links {other}");
        }
    }
}

#[test]
fn one_crate_each_knows_the_backend_and_the_verifier() {
    for package in metadata().workspace_packages() {
        for (crate_name, owners) in [
            // `countersignd` installs the process-wide default of rustls.
            ("aws-lc-rs", &["crypto", "countersignd"][..]),
            // An oracle of tests.
            ("sigstore-verify", &[]),
            ("openidconnect", &["countersign"]),
        ] {
            let knows = direct(package).contains(crate_name);
            assert!(
                !knows || owners.contains(&package.name.as_str()),
                "{} depends on {crate_name}",
                package.name
            );
        }
    }
}

#[test]
fn one_generation_of_asn1_crates_ships() {
    let metadata = metadata();
    let shipped = linked(&metadata, &["countersign", "countersignd"]);
    for name in ["der", "spki", "x509-cert", "const-oid"] {
        let of_name = shipped.values().filter(|package| package.name == name);
        let versions: Vec<String> = of_name.map(|package| package.version.to_string()).collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

/// Build scripts are held by cargo-deny, from the same file.
#[test]
fn what_runs_in_the_compiler_is_named() {
    let text = include_str!("../../../deny.toml");
    let (_, named) = text.split_once("# proc-macros:\n").unwrap();
    let (named, _) = named.split_once("# end of proc-macros").unwrap();
    let named: BTreeSet<&str> = named.split_whitespace().filter(|word| *word != "#").collect();
    let metadata = metadata();
    let is_macro =
        |package: &&Package| package.targets.iter().any(cargo_metadata::Target::is_proc_macro);
    let macros = metadata.packages.iter().filter(is_macro);
    let found: BTreeSet<&str> = macros.map(|package| package.name.as_str()).collect();
    assert_eq!(found, named, "a new one is reviewed as code, then named in deny.toml");
}
