//! Disasters, each with its expected words and the way back as the page has it, and promises of the page that no command
//! of it shows.

mod backups;
mod first_start;
mod running;
mod volumes;

use anyhow::{Context, Result};

use super::machine::Machine;

/// A case: what it is called in the table, and what it does.
type Case = (&'static str, fn(&mut Machine) -> Result<()>);

const CASES: &[Case] = &[
    ("healthy", |machine| machine.healthy()),
    ("signs", |machine| machine.signs()),
    ("interrupted-first-start", first_start::interrupted),
    ("two-first-starts", first_start::two_at_once),
    ("umask-077", first_start::umask),
    ("taken-port", first_start::taken_port),
    ("tokens-of-jobs", running::tokens_of_jobs),
    ("login", running::login),
    ("page-of-trust", running::page_of_trust),
    ("containers-killed", running::containers_killed),
    ("daemon-killed", running::daemon_killed),
    ("recreated", running::recreated),
    ("logs-rotate", running::logs_rotate),
    ("fingerprint", running::fingerprint),
    ("database-cut", running::database_cut),
    ("superuser", running::superuser),
    ("issuer-away", running::issuer_away),
    ("caddyfile", running::caddyfile),
    ("down-and-up", running::down_and_up),
    ("full-volume", volumes::full),
    ("lost-state", volumes::lost_state),
    ("lost-anchors", volumes::lost_anchors),
    ("wrong-password", volumes::wrong_password),
    ("lost-password", volumes::lost_password),
    ("lost-key", volumes::lost_key),
    ("files-of-root", volumes::files_of_root),
    ("without-roots", volumes::without_roots),
    ("new-version", backups::new_version),
    ("way-back", backups::way_back),
    ("backup-of-nothing", backups::of_nothing),
    ("restored-beside-its-anchors", backups::restored_beside_its_anchors),
    ("restored-without-anchors", backups::restored_without_anchors),
];

/// Cases that are steps of the page too.
pub(crate) const NEEDED: [&str; 5] =
    ["healthy", "signs", "new-version", "way-back", "lost-password"];

/// Cases after which nothing is there.
pub(crate) const FIRST: [&str; 4] =
    ["interrupted-first-start", "two-first-starts", "umask-077", "taken-port"];

/// Runs a case.
pub(crate) fn run(name: &str, machine: &mut Machine) -> Result<()> {
    let (_, case) = CASES
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("no case `{name}`"))?;
    println!("-- {name}");
    case(machine).with_context(|| format!("case `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::{
        super::table::{ROWS, What},
        CASES,
    };

    #[test]
    fn every_case_of_the_table_is_there_and_follows_a_command() {
        let then: Vec<_> = ROWS.iter().flat_map(|row| row.then).collect();
        for row in ROWS {
            let What::InCase(cases) = row.what else { continue };
            for case in cases {
                assert!(then.contains(&case), "{case} types {} and is never run", row.text);
            }
        }
        for name in then {
            assert!(CASES.iter().any(|(known, _)| known == name), "{name}");
        }
    }
}
