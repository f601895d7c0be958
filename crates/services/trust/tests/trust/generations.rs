//! Several generations of one service: which one clients sign with, and what old signatures are verified by.

use crypto::KeyType;
use serde_json::Value;
use trust::{Authority, Deployment, LogKey, State, TrustFiles};

use crate::common::{NOW, REKOR1, START, chain, deployment, log, rekor1, since, with_rekor1};

fn text(files: &TrustFiles, name: &str) -> String {
    let file = files.files().iter().find(|file| file.name == name);
    String::from_utf8(file.unwrap_or_else(|| panic!("{name}")).content.to_vec()).unwrap()
}

fn services(files: &TrustFiles, list: &str) -> Vec<Value> {
    let config: Value = serde_json::from_str(&text(files, "signing_config.v0.2.json")).unwrap();
    config[list].as_array().unwrap().clone()
}

/// How a client chooses among the services of one operator; docs/divergences.md has whose rule is where.
type Choice = fn(&[Value]) -> &Value;

fn version(service: &Value) -> u64 {
    service["majorApiVersion"].as_u64().unwrap()
}

fn start(service: &Value) -> &str {
    service["validFor"]["start"].as_str().unwrap()
}

fn of_highest_version(services: &[Value]) -> impl Iterator<Item = &Value> {
    let highest = services.iter().map(version).max();
    services.iter().filter(move |service| Some(version(service)) == highest)
}

const CHOICES: [(&str, Choice); 5] = [
    ("sigstore-python: the last", |all| of_highest_version(all).last().unwrap()),
    ("sigstore-rust, countersign: the first", |all| of_highest_version(all).next().unwrap()),
    ("sigstore-go: the latest start, of several the last", |all| {
        of_highest_version(all).max_by_key(|one| start(one)).unwrap()
    }),
    ("sigstore-java: the latest start, of several the first", |all| {
        let all: Vec<_> = of_highest_version(all).collect();
        all.into_iter().rev().max_by_key(|one| start(one)).unwrap()
    }),
    ("sigstore-js: the latest start of any version, of several the first", |all| {
        all.iter().rev().max_by_key(|one| start(one)).unwrap()
    }),
];

fn assert_all_choose(files: &TrustFiles, list: &str, expected: &str, case: &str) {
    let listed = services(files, list);
    for (client, choose) in CHOICES {
        assert_eq!(choose(&listed)["url"], expected, "{list}, {client}, {case}: {listed:?}");
    }
}

/// The next one of each, its tables before or after the first one's.
fn with_next(mut deployment: Deployment, after_s: u64, before: bool) -> Deployment {
    let place = usize::from(!before);
    let next = |key_type| LogKey {
        origin: "next.acme.internal".to_owned(),
        valid_for: since(START + after_s),
        ..log("http://next.acme.internal", key_type)
    };
    deployment.rekor2_logs.insert(place, next(KeyType::Ed25519));
    deployment.ct_logs.insert(place, next(KeyType::EcdsaP256));
    for (authorities, path, is_ca) in [
        (&mut deployment.certificate_authorities, "", true),
        (&mut deployment.timestamp_authorities, "/api/v1/timestamp", false),
    ] {
        let next = Authority {
            url: format!("http://next.acme.internal{path}"),
            chain_der: chain("Acme", "Acme next", is_ca),
            valid_for: since(START + after_s),
            state: State::Active,
        };
        authorities.insert(place, next);
    }
    deployment
}

#[test]
fn of_several_active_ones_all_clients_take_the_newest_and_all_files_name_it() {
    for before in [true, false] {
        let deployment = with_next(with_rekor1(), 1, before);
        let files = TrustFiles::build(&deployment, NOW).unwrap();
        let case = format!("before {before}");
        assert_all_choose(&files, "rekorTlogUrls", "http://next.acme.internal", &case);
        assert_all_choose(&files, "caUrls", "http://next.acme.internal", &case);
        let stamps = "http://next.acme.internal/api/v1/timestamp";
        assert_all_choose(&files, "tsaUrls", stamps, &case);
        let next = usize::from(!before);
        assert_eq!(text(&files, "rekor2.pub"), deployment.rekor2_logs[next].public_key.to_pem());
        assert_eq!(text(&files, "ctlog.pub"), deployment.ct_logs[next].public_key.to_pem());
        let environment = text(&files, "cosign2.env");
        assert!(environment.contains("COSIGN_FULCIO_URL=http://next.acme.internal\n"));
        let page = String::from_utf8(files.page(b"{}").content.to_vec()).unwrap();
        for service in ["rekor2", "ct", "ca"] {
            let row = format!("data-service=\"{service}\">http://next.acme.internal<");
            assert!(page.contains(&row), "{service}");
        }
    }
}

/// Two that began in one second are the tables' order, for every file alike.
#[test]
fn of_two_that_began_at_once_all_clients_and_files_take_the_same() {
    for before in [true, false] {
        let deployment = with_next(deployment(), 0, before);
        let files = TrustFiles::build(&deployment, NOW).unwrap();
        let last = &deployment.rekor2_logs[1];
        assert_all_choose(&files, "rekorTlogUrls", &last.base_url, "equal");
        assert_eq!(text(&files, "rekor2.pub"), last.public_key.to_pem());
        let last = &deployment.certificate_authorities[1];
        assert_all_choose(&files, "caUrls", &last.url, "equal");
        let last = &deployment.timestamp_authorities[1];
        assert_all_choose(&files, "tsaUrls", &last.url, "equal");
    }
}

/// sigstore-js compares starts alone: it would sign to the v1 log, and the others to the v2 log.
#[test]
fn a_rekor_1_log_that_is_newer_draws_no_client_away_from_rekor_2() {
    let mut deployment = with_rekor1();
    deployment.rekor1_logs[0].valid_for = since(START + 9);
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    assert_all_choose(&files, "rekorTlogUrls", "http://localhost:3003", "newer v1");
    let root: Value = serde_json::from_str(&text(&files, "trusted_root.json")).unwrap();
    let of_rekor2 = &root["tlogs"][0];
    assert_eq!(of_rekor2["baseUrl"], "http://localhost:3003");
    assert_eq!(of_rekor2["publicKey"]["validFor"]["start"], "2026-01-01T00:00:00Z", "as it is");
}

/// cosign 2 takes each certificate of the file, as a root if it is its own issuer.
#[test]
fn the_chains_of_all_generations_are_in_the_file_of_cosign_2_once_and_the_current_one_first() {
    let mut deployment = with_next(deployment(), 1, false);
    deployment.certificate_authorities[0].state = State::Retired;
    let same_root = Authority {
        state: State::Staged,
        url: "http://staged.acme.internal".to_owned(),
        ..deployment.certificate_authorities[1].clone()
    };
    deployment.certificate_authorities.push(same_root);
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let blocks = pem::parse_many(text(&files, "fulcio_chain.pem")).unwrap();
    let found: Vec<_> = blocks.iter().map(|block| block.contents().to_vec()).collect();
    let [first, next, _] = &deployment.certificate_authorities[..] else { panic!() };
    assert_eq!(found, [&next.chain_der[..], &first.chain_der[..]].concat());
}

/// It reads one key of a file and one chain of a TSA, and refuses or forgets what follows.
#[test]
fn files_of_which_cosign_2_reads_one_have_the_current_one_alone() {
    let mut deployment = with_next(with_rekor1(), 1, false);
    let next =
        LogKey { valid_for: since(START + 1), ..rekor1("http://next.acme.internal", "next") };
    deployment.rekor1_logs.push(next);
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    assert_eq!(text(&files, "rekor1.pub"), deployment.rekor1_logs[1].public_key.to_pem());
    assert_eq!(text(&files, "ctlog.pub"), deployment.ct_logs[1].public_key.to_pem());
    let blocks = pem::parse_many(text(&files, "tsa_chain.pem")).unwrap();
    let found: Vec<_> = blocks.iter().map(|block| block.contents().to_vec()).collect();
    assert_eq!(found, deployment.timestamp_authorities[1].chain_der);
}

#[test]
fn tiles_of_every_rekor_1_log_have_their_key_in_the_file_the_current_one_first() {
    let mut deployment = with_rekor1();
    deployment.rekor1_logs[0].state = State::Frozen;
    deployment.rekor1_logs.push(rekor1("http://next.acme.internal", "next.acme.internal"));
    let files = TrustFiles::build(&deployment, NOW).unwrap();
    let lines = text(&files, "rekor1_tiles.vkey");
    let origins: Vec<_> = lines.lines().map(|line| line.split('+').next().unwrap()).collect();
    assert_eq!(origins, ["next.acme.internal/rekor1", "localhost/rekor1"]);
}

/// What was signed is verified for longer than there is a log of v1.
#[test]
fn the_files_of_cosign_2_and_of_tiles_outlive_the_last_rekor_1_log() {
    for (state, has_files) in
        [(State::Frozen, true), (State::Retired, true), (State::Staged, false)]
    {
        let mut deployment = with_rekor1();
        deployment.rekor1_logs[0].state = state;
        let files = TrustFiles::build(&deployment, NOW).unwrap();
        let names: Vec<_> = files.files().iter().map(|file| file.name).collect();
        for name in ["rekor1.pub", "rekor1_tiles.vkey", "cosign2.env"] {
            assert_eq!(names.contains(&name), has_files, "{name}, {state}");
        }
        assert!(!names.contains(&"signing_config.rekor1.v0.2.json"), "{state}");
        if has_files {
            let line = format!("COSIGN_REKOR_URL={REKOR1}\n");
            assert!(text(&files, "cosign2.env").contains(&line), "not the public log");
        }
    }
}
