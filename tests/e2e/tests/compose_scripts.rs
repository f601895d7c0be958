//! deploy/backup, deploy/restore and deploy/upgrade, run as they are; what containers would do is done by processes.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

#[path = "compose/topology.rs"]
mod topology;

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use e2e::{Database, binaries};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// docker-compose, as far as the scripts ask it: `run`, `exec`, `up`, `ps` and `build`, with volumes as directories.
const COMPOSE: &str = r#"#!/bin/sh
set -eu
echo "$*" >>"$FAKE/asked"
here() {
    printf %s "$1" | sed -e "s#/var/lib/countersign#$FAKE/data#g" -e "s#/var/log/countersign#$FAKE/audit#g" \
        -e "s#/run/countersign#$FAKE/run#g" -e "s#--host=127.0.0.1#--host=$PGHOST#"
}
countersignd() { "$FAKE_BIN/countersignd" "$@" --config "$FAKE/countersign.toml"; }
case $1 in
run)
    [ -e "$FAKE/image" ] || { echo "No such image: countersign:local" >&2; exit 1; }
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
    case $* in
    pg_isready*--host=*) if [ -e "$FAKE/first-start" ]; then rm "$FAKE/first-start"; exit 2; fi ;;
    # By the socket, the server of the image's entrypoint, which makes the database, answers too, and then ends.
    pg_isready*) exit 0 ;;
    *) if [ -e "$FAKE/first-start" ]; then echo "the database system is shutting down" >&2; exit 2; fi ;;
    esac
    if [ -e "$FAKE/starts-anew" ]; then
        case $* in psql*) echo "psql: error: the database system is starting up" >&2; exit 2 ;; esac
    fi
    if [ -e "$FAKE/one-role" ]; then
        case $* in
        *--username=postgres*--no-password*) echo "psql: error: fe_sendauth: no password supplied" >&2; exit 2 ;;
        *--username=postgres*) echo "Password for user postgres:" >>"$FAKE/prompted"; exit 2 ;;
        esac
    fi
    for argument; do shift; set -- "$@" "$(here "$argument")"; done
    exec "$@"
    ;;
up)
    touch "$FAKE/image"
    countersignd init --secrets-only >&2
    psql --quiet --no-psqlrc --username=postgres --dbname=countersign --set=ON_ERROR_STOP=1 --file="$FAKE/run/database-roles/roles.sql"
    if [ "${3:-}" = postgres ]; then touch "$FAKE/first-start"; else countersignd init; fi
    ;;
ps) if [ -e "$FAKE/running" ]; then cat "$FAKE/running"; fi ;;
build) if [ ! -e "$FAKE/no-build" ]; then touch "$FAKE/image"; fi ;;
*) exit 64 ;;
esac
"#;

/// The database `countersign` of the server, and its roles, are there for one machine at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A machine: its checkout, its volumes, and the database.
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
        fs::create_dir_all(machine.path("checkout/deploy")).unwrap();
        fs::create_dir_all(machine.path("data-anchors")).unwrap();
        for name in ["lib.sh", "backup", "restore", "upgrade", "countersign.toml"] {
            let copy = machine.path("checkout/deploy").join(name);
            fs::copy(format!("{ROOT}/deploy/{name}"), copy).unwrap();
        }
        for name in ["docker-compose.yml", ".env"] {
            let copy = machine.path("checkout").join(name);
            fs::copy(format!("{ROOT}/{name}"), copy).unwrap();
        }
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
        let script = self.path("checkout/deploy").join(name);
        self.command(&script).arg(argument).output().unwrap()
    }

    fn compose(&self, arguments: &[&str]) -> Output {
        self.command(&self.path("compose")).args(arguments).output().unwrap()
    }

    /// One on which everything was made.
    fn begun() -> Self {
        let machine = Self::new();
        let up = machine.compose(&["up", "-d"]);
        assert!(up.status.success(), "{}", said(&up));
        machine
    }

    fn mark(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
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
        self.compose(&["run", "init", "check", "--offline"])
    }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// The archive of a deployment under another name was empty, with exit code 0, and the dump had no password.
#[test]
fn what_is_saved_on_postgres_is_restored_and_nothing_saved_is_no_success() {
    let _alone = alone();
    let saved = TempDir::new().unwrap();
    let (backup, later) = (saved.path().join("backup"), saved.path().join("later"));
    let machine = Machine::new();
    machine.mark("image", "");
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

    // Another machine, whose database is empty too, and which has no image.
    drop(machine);
    let machine = Machine::new();
    machine.mark("no-build", "");
    let blind = machine.script("restore", &backup);
    assert!(said(&blind).contains("no container could look"), "{blind:?}");
    assert!(!said(&blind).contains("--volumes"), "nothing is known: {blind:?}");
    fs::remove_file(machine.path("no-build")).unwrap();
    let restored = machine.script("restore", &backup);
    assert!(restored.status.success(), "{}", said(&restored));
    assert_eq!(fs::read(machine.path("data/public/root.json")).unwrap(), root);
    assert!(!said(&restored).contains("made: the key"), "{restored:?}");
    assert!(said(&restored).contains("the volume anchors, which no backup has"), "{restored:?}");
    let check = machine.check();
    assert!(check.status.success() && !said(&check).contains("take away"), "{check:?}");
    let again = machine.script("restore", &backup);
    assert!(said(&again).contains("there are keys already"), "{again:?}");
    fs::write(backup.join("database.dump"), "").unwrap();
    let broken = Machine::new().script("restore", &backup);
    assert!(said(&broken).contains("no whole backup"), "{broken:?}");
}

/// tar ends with 1 when a file changes while it is read, and those of a busy deployment always do.
#[test]
fn a_deployment_that_writes_meanwhile_is_saved() {
    let _alone = alone();
    let saved = TempDir::new().unwrap();
    let machine = Machine::begun();
    let trails: Vec<PathBuf> = (0..8).map(|n| machine.path(&format!("audit/{n}.log"))).collect();
    for trail in &trails {
        fs::write(trail, vec![b'x'; 4 << 20]).unwrap();
    }
    let ended = AtomicBool::new(false);
    let backup = thread::scope(|scope| {
        scope.spawn(|| {
            let checkpoint = machine.path("data/log/checkpoints/rekor2");
            let unfinished = machine.path("data/log/checkpoints/.rekor2.Ab3.new");
            fs::create_dir_all(checkpoint.parent().unwrap()).unwrap();
            while !ended.load(Ordering::Relaxed) {
                for trail in &trails {
                    let mut trail = fs::OpenOptions::new().append(true).open(trail).unwrap();
                    trail.write_all(b"a line").unwrap();
                }
                fs::write(&unfinished, "a checkpoint").unwrap();
                fs::rename(&unfinished, &checkpoint).unwrap();
            }
        });
        let backup = machine.script("backup", &saved.path().join("backup/"));
        ended.store(true, Ordering::Relaxed);
        backup
    });
    assert!(backup.status.success(), "{}", said(&backup));
    let listed = |archive: &str| {
        let archive = saved.path().join("backup").join(archive);
        said(&Command::new("tar").arg("-tf").arg(archive).output().unwrap())
    };
    assert!(!listed("log.tar").contains(".new"), "what was not finished");
    assert!(listed("audit.tar").contains("7.log"));
}

/// What the log signed between the backup and the end of the old deployment was lost, and its history had forked.
#[test]
fn one_of_before_there_were_two_roles_is_saved_only_while_its_log_is_stopped() {
    let _alone = alone();
    let saved = TempDir::new().unwrap();
    let backup = saved.path().join("backup");
    let machine = Machine::begun();
    machine.mark("starts-anew", "");
    let unknown = machine.script("backup", &backup);
    assert!(said(&unknown).contains("the database system is starting up"), "{unknown:?}");
    assert!(!said(&unknown).contains("before there were"), "nothing is known: {unknown:?}");
    fs::remove_file(machine.path("starts-anew")).unwrap();
    machine.mark("one-role", "");
    let upgrade = machine.script("upgrade", &backup);
    assert!(said(&upgrade).contains("before there were two roles"), "{upgrade:?}");
    machine.mark("running", "postgres\nlog\nca\n");
    let beside = machine.script("backup", &backup);
    assert!(!beside.status.success(), "{beside:?}");
    assert!(said(&beside).contains("docker-compose stop ca log tsa trust oidc-dev"), "{beside:?}");
    assert_eq!(fs::read_dir(saved.path()).unwrap().count(), 0, "nothing was begun");
    machine.mark("running", "postgres\n");
    let owner = machine.path("run/database-owner/password");
    fs::copy(owner, machine.path("run/database/password")).unwrap();
    let stopped = machine.script("backup", &backup);
    assert!(stopped.status.success(), "{}", said(&stopped));
    assert!(!machine.path("prompted").exists(), "nobody is there to type a password");
}

#[test]
fn a_backup_goes_where_there_is_a_place_and_asks_for_no_keys_that_are_elsewhere() {
    let _alone = alone();
    let saved = TempDir::new().unwrap();
    let machine = Machine::begun();
    let nowhere = machine.script("backup", &saved.path().join("not-mounted/today"));
    assert!(said(&nowhere).contains("not-mounted is not there"), "{nowhere:?}");

    fs::remove_file(machine.path("data/ca/keys/ca.pem")).unwrap();
    let lost = machine.script("backup", &saved.path().join("lost"));
    assert!(said(&lost).contains("has no key of [ca.NAME]"), "{lost:?}");
    let config = machine.path("checkout/deploy/countersign.toml");
    let text = fs::read_to_string(&config).unwrap();
    let elsewhere = "[ca.default]\nkey = \"file:/etc/countersign/ca.pem\"";
    fs::write(&config, text.replace("[ca.default]", elsewhere)).unwrap();
    let made = machine.script("backup", &saved.path().join("made"));
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("a `key` of another place"), "{made:?}");
    assert!(saved.path().join("made/docker-compose.yml").exists());
}
