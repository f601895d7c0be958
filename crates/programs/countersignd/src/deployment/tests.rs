//! Generations: what is said of each, and what stays when another table comes or goes.

use std::{path::Path, time::Duration};

use moment::UnixSeconds;
use serde_json::Value;
use trust::TrustFiles;

use super::*;
use crate::serve::make;

/// 2026-01-01T00:00:00Z.
const MADE: UnixSeconds = UnixSeconds(1_767_225_600);
const LATER: UnixSeconds = MADE.saturating_add(days(100));

/// `trial.toml` with `more` at its end, each of `changes` made.
fn read(directory: &Path, changes: &[(&str, &str)], more: &str) -> Deployment {
    let file = directory.join("countersign.toml");
    let mut text = include_str!("../../../../../docs/samples/trial.toml").to_owned();
    let root = directory.join("data").display().to_string();
    for (from, to) in [("/var/tmp/countersign", root.as_str())].iter().chain(changes) {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    std::fs::write(&file, format!("{text}\n{more}\n")).unwrap();
    crate::config::load(&file).unwrap()
}

const fn days(number: u64) -> Duration {
    Duration::from_hours(number * 24)
}

/// As `init` does, at `now`; without the database, which no trust file needs.
fn make(deployment: &Deployment, now: UnixSeconds) {
    make::directories(deployment).unwrap();
    make::keys(deployment, now, &mut |_| {}).unwrap();
}

fn files(deployment: &Deployment) -> TrustFiles {
    trust_files(deployment, &deployment.repositories[0], LATER.saturating_add(days(365))).unwrap()
}

fn json(deployment: &Deployment, name: &str) -> Value {
    serde_json::from_slice(&content(deployment, name)).unwrap()
}

fn content(deployment: &Deployment, name: &str) -> Vec<u8> {
    let files = files(deployment);
    files.files().iter().find(|file| file.name == name).unwrap().content.to_vec()
}

/// Since when the log at `url` is trusted.
fn start(deployment: &Deployment, url: &str) -> String {
    let root = json(deployment, "trusted_root.json");
    let lists = ["tlogs", "ctlogs"].map(|list| root[list].as_array().unwrap().clone());
    let log = lists.iter().flatten().find(|log| log["baseUrl"] == url).unwrap();
    log["publicKey"]["validFor"]["start"].as_str().unwrap().to_owned()
}

const TRUSTED_ROOT: &str = "trusted_root.json";
const REKOR2: &str = "http://localhost:3003";
const NEXT: &str = "http://127.0.0.9:3003";
const NEXT_LOG: &str =
    "[log.2027]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.9:3003\"";
const NEXT_CA: &str = "[ca.next]\nurl = \"http://127.0.0.9:5555\"\nstate_dir = \"/var/tmp/next\"\n\
    [[ca.next.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\nurl = \"http://localhost:3006\"";

#[test]
fn a_log_that_is_added_later_begins_later_and_clients_take_it() {
    let directory = tempfile::tempdir().unwrap();
    make(&read(directory.path(), &[], ""), MADE);
    let both = read(directory.path(), &[], NEXT_LOG);
    make(&both, LATER);
    assert_eq!(start(&both, REKOR2), "2025-12-31T00:00:00Z");
    assert_eq!(start(&both, NEXT), "2026-04-10T00:00:00Z");
    let config = json(&both, "signing_config.v0.2.json");
    let urls: Vec<_> =
        config["rekorTlogUrls"].as_array().unwrap().iter().map(|one| &one["url"]).collect();
    assert_eq!(urls, [NEXT, "http://localhost:3000"]);
}

/// The same bytes as before there was a file for it, and the same after another table goes.
#[test]
fn logs_of_before_begin_with_the_first_ca_and_do_not_jump_when_its_table_goes() {
    let directory = tempfile::tempdir().unwrap();
    let one = read(directory.path(), &[], "");
    make(&one, MADE);
    let published = json(&one, "trusted_root.json");
    let kept = || one.logs.iter().map(|log| log.since_file.as_ref().unwrap());
    kept().for_each(|file| std::fs::remove_file(file).unwrap());
    assert_eq!(json(&one, "trusted_root.json"), published);
    // The next `init`, whatever it is run for.
    make(&one, LATER);
    assert_eq!(json(&one, "trusted_root.json"), published);
    make(&read(directory.path(), &[], NEXT_CA), LATER);
    let gone = read(
        directory.path(),
        &[("[ca.default]", "[ca.next]"), ("[[ca.default.issuer]]", "[[ca.next.issuer]]")],
        "",
    );
    assert_eq!(start(&gone, REKOR2), "2025-12-31T00:00:00Z");
}

/// Such a version is kept for weeks, and no process of the trust repository would have started meanwhile.
#[test]
fn a_url_that_was_tried_and_taken_back_is_no_contradiction() {
    let directory = tempfile::tempdir().unwrap();
    let at = |url: &str| read(directory.path(), &[(REKOR2, url)], "");
    make(&at(REKOR2), MADE);
    // As a version published it that did not refuse yet.
    let tried = content(&at(NEXT), TRUSTED_ROOT);
    let published = [("1", content(&at(REKOR2), TRUSTED_ROOT)), ("2", tried)];
    let targets = at(REKOR2).repositories[0].tuf_dir.join("targets");
    std::fs::create_dir_all(&targets).unwrap();
    for (hash, content) in published {
        std::fs::write(targets.join(format!("{hash}.trusted_root.json")), content).unwrap();
    }
    files(&at(REKOR2));
    let third = at("http://127.0.0.8:3003");
    let told = trust_files(&third, &third.repositories[0], LATER).unwrap_err();
    assert!(told.to_string().contains("has the key of the one at"), "{told:#}");
}

#[test]
fn a_log_whose_key_somebody_else_made_begins_when_init_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    make(&read(directory.path(), &[], ""), MADE);
    let both = read(directory.path(), &[], NEXT_LOG);
    both.log("2027").unwrap().key.load_or_make().unwrap();
    make(&both, LATER);
    assert_eq!(start(&both, NEXT), "2026-04-10T00:00:00Z");
}

/// It has run, so signatures of its are older than the file that was lost.
#[test]
fn a_log_that_has_lost_its_public_files_does_not_begin_anew() {
    let directory = tempfile::tempdir().unwrap();
    let one = read(directory.path(), &[], "");
    make(&one, MADE);
    let log = one.log("rekor2").unwrap();
    std::fs::create_dir_all(log.checkpoint_file.parent().unwrap()).unwrap();
    std::fs::write(&log.checkpoint_file, "a checkpoint").unwrap();
    std::fs::remove_file(log.since_file.as_ref().unwrap()).unwrap();
    std::fs::remove_file(log.key.public_file.as_ref().unwrap()).unwrap();
    make(&one, LATER);
    assert_eq!(start(&one, REKOR2), "2025-12-31T00:00:00Z");
}

#[test]
fn a_time_that_cannot_be_read_is_told_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let one = read(directory.path(), &[], "");
    make(&one, MADE);
    std::fs::write(one.log("ct").unwrap().since_file.as_ref().unwrap(), "soon").unwrap();
    let told = trust_files(&one, &one.repositories[0], MADE).unwrap_err();
    assert!(format!("{told:#}").contains("ct-since holds no time"), "{told:#}");
}

/// What has ended is verified by its key; who keeps its tree id or its tiles' key is another matter.
#[test]
fn a_retired_rekor_1_log_needs_its_public_key_alone() {
    let directory = tempfile::tempdir().unwrap();
    make(&read(directory.path(), &[], ""), MADE);
    let url = "url = \"http://localhost:3000\"";
    let end = format!("{url}\nstate = \"retired\"\nvalid_until = \"2026-03-01T00:00:00Z\"");
    let retired = read(directory.path(), &[(url, &end)], "");
    let places = retired.log("rekor1").unwrap().rekor1.as_ref().unwrap();
    assert!(!places.tree_id_file.exists());
    let has_tiles = || files(&retired).files().iter().any(|file| file.name == "rekor1_tiles.vkey");
    assert!(has_tiles());
    std::fs::remove_file(places.tiles_key.public_file.as_ref().unwrap()).unwrap();
    assert!(!has_tiles());
}

const NEXT_CT: &str = "[log.ct2]\nkind = \"ct\"\nurl = \"http://127.0.0.9:6962\"";

/// The processes of log and CA read the file one after the other, in either order: at each moment the log
/// that the CA asks must know its chain already, and still.
#[test]
fn both_ct_logs_take_the_chain_before_and_after_a_ca_changes_to_the_next_log() {
    let directory = tempfile::tempdir().unwrap();
    let staged = format!("{NEXT_CT}\nstate = \"staged\"");
    let named = |log: &str| format!("[ca.default]\nct_log = \"{log}\"");
    let chain = read(directory.path(), &[], "").authorities[0].chain.file.clone();
    for (ca_uses, next) in [("ct", staged.as_str()), ("ct", NEXT_CT), ("ct2", NEXT_CT)] {
        let deployment = read(directory.path(), &[("[ca.default]", &named(ca_uses))], next);
        assert_eq!(deployment.authorities[0].ct_log, ca_uses);
        for log in ["ct", "ct2"] {
            let taken: Vec<_> = deployment.ca_chain_files(deployment.log(log).unwrap()).collect();
            assert_eq!(taken, [&chain], "{log}, while the CA uses {ca_uses}");
        }
    }
}
