//! `countersignd init` from several places at once: one deployment, whole.
//!
//! `COUNTERSIGN_ROUNDS` says how often, per database (`cargo xtask test --rounds N`).

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Output, Stdio},
};

use e2e::{Database, Services, countersignd};

const AT_ONCE: usize = 8;

#[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` hands over --rounds")]
fn rounds() -> usize {
    std::env::var("COUNTERSIGN_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// A configuration as `trial.toml` has it; nothing is made.
fn installation(database: &Database) -> Services {
    let services = Services::new().unwrap();
    let sqlite = "kind = \"sqlite\"".to_owned();
    let kind = match database {
        Database::Sqlite => sqlite.clone(),
        Database::Postgres { url } => format!("kind = \"postgres\"\nurl = \"{url}\""),
    };
    let text = include_str!("../../../docs/samples/trial.toml");
    let anchors = services.path().join("anchors").display().to_string();
    let text = text
        .replace("/var/tmp/countersign-anchors", &anchors)
        .replace("/var/tmp/countersign\"", &format!("{}\"", services.data("").display()));
    assert!(text.contains(&sqlite));
    fs::write(services.config(), text.replace(&sqlite, &kind)).unwrap();
    services
}

fn start_init(services: &Services) -> Child {
    let mut init = countersignd();
    init.arg("init").arg("--config").arg(services.config());
    init.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// All at once, to their ends.
fn at_once<'s>(services: impl Iterator<Item = &'s Services>) -> Vec<Output> {
    let started: Vec<Child> = services.map(start_init).collect();
    started.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

/// How often each thing was made, by what it is called.
fn made(outputs: &[Output]) -> BTreeMap<String, usize> {
    let mut made = BTreeMap::new();
    for output in outputs {
        for line in String::from_utf8(output.stdout.clone()).unwrap().lines() {
            if let Some((what, _)) =
                line.strip_prefix("made: ").and_then(|line| line.split_once(", "))
            {
                *made.entry(what.to_owned()).or_default() += 1;
            }
        }
    }
    made
}

fn is_whole(services: &Services) {
    let check = services.countersignd(&["check"]).unwrap();
    assert_eq!(check.code, Some(0), "{check:?}");
    let fsck = services.countersignd(&["fsck"]).unwrap();
    assert_eq!(fsck.code, Some(0), "{fsck:?}");
    for directory in ["ca/keys", "tsa/keys", "log/keys", "trust/keys", "public", "offline"] {
        for file in fs::read_dir(services.data(directory)).unwrap() {
            let file = file.unwrap().path();
            assert!(file.extension().is_none_or(|end| end != "new"), "{} was left", file.display());
        }
    }
}

fn eight_make_one_deployment(database: impl Fn() -> Database) {
    for round in 0..rounds() {
        let services = installation(&database());
        let outputs = at_once(std::iter::repeat_n(&services, AT_ONCE));
        for output in &outputs {
            assert!(output.status.success(), "round {round}: {output:?}");
        }
        let made = made(&outputs);
        assert!(made.len() > 10 && made.values().all(|times| *times == 1), "{round}: {made:?}");
        is_whole(&services);
    }
}

/// In each of twelve tries keys did not belong to their chains.
#[test]
fn eight_inits_at_once_make_one_deployment_on_sqlite() {
    eight_make_one_deployment(|| Database::Sqlite);
}

#[test]
fn eight_inits_at_once_make_one_deployment_on_postgres() {
    eight_make_one_deployment(|| Database::postgres("countersign_e2e_inits").unwrap());
}

/// Two machines, or a data directory that was given anew: one has the logs, and the other makes nothing.
#[test]
fn inits_of_two_machines_on_one_postgres_make_one_deployment() {
    for round in 0..rounds() {
        let database = Database::postgres("countersign_e2e_init_twice").unwrap();
        let machines = [installation(&database), installation(&database)];
        let outputs = at_once(machines.iter().cycle().take(AT_ONCE));
        let succeeded = |machine: usize| {
            let own = outputs.iter().skip(machine).step_by(machines.len());
            own.filter(|output| output.status.success()).count()
        };
        let winner = usize::from(succeeded(0) == 0);
        assert_eq!(succeeded(winner), AT_ONCE / machines.len(), "round {round}: {outputs:?}");
        assert_eq!(succeeded(1 - winner), 0, "round {round}: {outputs:?}");
        is_whole(&machines[winner]);
        for output in outputs.iter().filter(|output| !output.status.success()) {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("the database of another deployment"), "{said}");
        }
        assert!(!machines[1 - winner].data("ca/keys/ca.pem").exists(), "nothing is made");
    }
}
