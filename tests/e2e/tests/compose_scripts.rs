//! deploy/backup, deploy/restore and deploy/upgrade, run as they are; what containers would do is done by processes.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::{Database, binaries};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// docker-compose, as far as the scripts ask it: `run`, `exec`, `up` and `build`, with volumes as directories.
const COMPOSE: &str = r#"#!/bin/sh
set -eu
echo "$*" >>"$FAKE/asked"
here() { printf %s "$1" | sed -e "s#/var/lib/countersign#$FAKE/data#g" -e "s#/var/log/countersign#$FAKE/audit#g"; }
countersignd() { "$FAKE_BIN/countersignd" "$@" --config "$FAKE/countersign.toml"; }
case $1 in
run)
    shift
    program=countersignd
    while :; do
        case $1 in
        --entrypoint) program=$2; shift 2 ;;
        -*) shift ;;
        *) break ;;
        esac
    done
    shift
    if [ "$program" = countersignd ]; then countersignd "${@:-init}"; exit; fi
    for argument; do shift; set -- "$@" "$(here "$argument")"; done
    exec "$program" "$@"
    ;;
exec)
    shift 3
    exec "$@"
    ;;
up)
    countersignd init --secrets-only >&2
    psql --quiet --no-psqlrc --username=postgres --dbname=countersign --set=ON_ERROR_STOP=1 --file="$FAKE/run/database-roles/roles.sql"
    [ "${3:-}" = postgres ] || countersignd init
    ;;
build) ;;
*) exit 64 ;;
esac
"#;

/// A machine: its volumes, and the database `countersign` of the server, which is there for one at a time.
struct Machine {
    directory: TempDir,
    database: String,
}

impl Machine {
    fn new() -> Self {
        let Database::Postgres { url } = Database::postgres("countersign").unwrap() else {
            panic!("no PostgreSQL")
        };
        let machine = Self { directory: TempDir::new().unwrap(), database: url };
        let data = ["ca", "ca-state", "log", "tsa", "trust", "oidc-dev", "public", "offline"];
        let run = ["database", "database-owner", "database-roles"];
        let all = data.map(|name| format!("data/{name}")).into_iter();
        for name in all.chain(run.map(|name| format!("run/{name}"))).chain(["audit".to_owned()]) {
            fs::create_dir_all(machine.path(&name)).unwrap();
        }
        let config = fs::read_to_string(format!("{ROOT}/deploy/countersign.toml")).unwrap();
        let here = |name| machine.path(name).display().to_string();
        let config = config
            .replace("/var/lib/countersign", &here("data"))
            .replace("/var/log/countersign", &here("audit"))
            .replace("/run/countersign", &here("run"))
            .replace("@postgres/", &format!("@{}/", machine.server()));
        fs::write(machine.path("countersign.toml"), config).unwrap();
        let compose = machine.path("compose");
        fs::write(&compose, COMPOSE).unwrap();
        fs::set_permissions(&compose, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Host and port.
    fn server(&self) -> &str {
        let (_, address) = self.database.split_once('@').unwrap();
        address.split('/').next().unwrap()
    }

    fn command(&self, program: &Path) -> Command {
        let (host, port) = self.server().split_once(':').unwrap_or((self.server(), "5432"));
        let mut command = Command::new(program);
        command.env("COUNTERSIGN_COMPOSE", self.path("compose")).env("PGHOST", host);
        command.env("PGPORT", port).env("PGUSER", "postgres");
        command
            .env("FAKE", self.directory.path())
            .env("FAKE_BIN", binaries())
            .env_remove("RUST_LOG");
        command
    }

    fn script(&self, name: &str, argument: &Path) -> Output {
        let script = format!("{ROOT}/deploy/{name}");
        self.command(Path::new(&script)).arg(argument).output().unwrap()
    }

    fn compose(&self, arguments: &[&str]) -> Output {
        self.command(&self.path("compose")).args(arguments).output().unwrap()
    }

    /// Restored with the rest, anchors would agree with a log that is too old.
    fn saved_no_anchor(&self, backup: &Path) {
        for archive in ["log.tar", "volumes.tar", "roots.tar", "audit.tar"] {
            let mut list = self.command(Path::new("tar"));
            let list = list.arg("-tf").arg(backup.join(archive)).output().unwrap();
            assert!(list.status.success() && !list.stdout.is_empty(), "{list:?}");
            assert!(!said(&list).contains("anchor") && !said(&list).contains("kept"), "{list:?}");
        }
    }

    fn check(&self) -> Output {
        self.compose(&["run", "init", "check"])
    }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// The archive of a deployment under another name was empty, with exit code 0, and the dump had no password.
#[test]
fn what_is_saved_on_postgres_is_restored_and_nothing_saved_is_no_success() {
    let saved = TempDir::new().unwrap();
    let (backup, later) = (saved.path().join("backup"), saved.path().join("later"));
    let machine = Machine::new();
    let nothing = machine.script("backup", &backup);
    assert!(!nothing.status.success() && !backup.exists(), "{nothing:?}");
    assert!(said(&nothing).contains("nothing of it was saved"), "{nothing:?}");
    fs::remove_dir_all(saved.path().join("backup.unfinished")).unwrap();
    let nothing = machine.script("upgrade", &backup);
    assert!(said(&nothing).contains("no deployment of this name"), "{nothing:?}");

    assert!(machine.compose(&["up", "-d"]).status.success());
    let check = machine.check();
    assert!(check.status.success(), "{check:?}");
    assert!(!said(&check).contains("take away the triggers"), "{check:?}");
    fs::write(machine.path("data-anchors/kept"), "a checkpoint").unwrap();
    let made = machine.script("backup", &backup);
    assert!(made.status.success(), "{made:?}");
    let again = machine.script("backup", &backup);
    assert!(said(&again).contains("is there already"), "{again:?}");
    let mode = fs::metadata(backup.join("volumes.tar")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "it has keys in it");
    machine.saved_no_anchor(&backup);
    let upgraded = machine.script("upgrade", &later);
    assert!(upgraded.status.success() && later.join("database.dump").exists(), "{upgraded:?}");
    let root = fs::read(machine.path("data/public/root.json")).unwrap();

    // Another machine, whose database is empty too.
    drop(machine);
    let machine = Machine::new();
    let restored = machine.script("restore", &backup);
    assert!(restored.status.success(), "{}", said(&restored));
    assert_eq!(fs::read(machine.path("data/public/root.json")).unwrap(), root);
    assert!(!said(&restored).contains("made: the key"), "{restored:?}");
    let check = machine.check();
    assert!(check.status.success() && !said(&check).contains("take away"), "{check:?}");
    let again = machine.script("restore", &backup);
    assert!(said(&again).contains("there are keys already"), "{again:?}");
    fs::write(backup.join("database.dump"), "").unwrap();
    let broken = Machine::new().script("restore", &backup);
    assert!(said(&broken).contains("no whole backup"), "{broken:?}");
}
