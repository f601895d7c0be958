//! Volumes that are lost, full, or have what is not theirs.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};

use super::super::machine::{Machine, has_words, write};
use crate::process;

const UP: &str = "docker-compose up -d";
const DOWN: &str = "docker-compose down";
const LOGS: [&str; 3] = ["ct", "rekor1", "rekor2"];

/// Volumes of 1 MiB that are full: anchors stop signing, the audit trail does not, and both are well again by themselves.
pub(super) fn full(machine: &mut Machine) -> Result<()> {
    machine.page_ok(DOWN)?;
    let volumes = ["anchors", "audit"].map(|name| machine.volume(name));
    for volume in &volumes {
        small(volume)?;
    }
    machine.ok(UP)?;
    machine.healthy()?;
    fill(&volumes[0]);
    ensure!(machine.sign().is_err(), "something was signed that no anchor knows");
    has_words("readyz", &machine.unready("log")?, &["the log's last checkpoint cannot be kept"])?;
    fs::remove_file(volumes[0].join("filler"))?;
    machine.healthy()?;
    machine.signs()?;
    fill(&volumes[1]);
    machine.signs()?;
    has_words("logs", &machine.ok("docker-compose logs ca tsa log")?, &["audit"])?;
    fs::remove_file(volumes[1].join("filler"))?;
    machine.signs()?;
    machine.page_ok(DOWN)?;
    for volume in &volumes {
        as_it_was(volume)?;
    }
    machine.ok(UP)?;
    machine.healthy()
}

/// A volume that may be lost, as the page has it.
pub(super) fn lost_state(machine: &mut Machine) -> Result<()> {
    machine.page_ok(DOWN)?;
    machine.ok("docker volume rm countersign_ca-state")?;
    machine.ok(UP)?;
    machine.healthy()?;
    machine.signs()
}

/// The log refuses, and goes on from the checkpoint beside its keys.
pub(super) fn lost_anchors(machine: &mut Machine) -> Result<()> {
    machine.page_ok(DOWN)?;
    machine.ok("docker volume rm countersign_anchors")?;
    machine.refused(UP, &[])?;
    has_words(
        "the log",
        &machine.ok("docker-compose logs init log")?,
        &["anchor", "--checkpoint"],
    )?;
    for log in LOGS {
        machine.page_ok(&format!(
            "docker-compose run --rm --no-deps init log restore {log} --checkpoint /var/lib/countersign/log/checkpoints/{log}"
        ))?;
    }
    machine.page_ok(UP)?;
    machine.goes_on_whole()
}

/// The log has another password than the database.
pub(super) fn wrong_password(machine: &mut Machine) -> Result<()> {
    write(
        &machine.volume("database-password").join("password"),
        "wrong-wrong-wrong-wrong-wrong-wrong",
    )?;
    let _ = machine.say("docker-compose restart log")?;
    let said = machine.refused("docker-compose run --rm --no-deps init check --offline", &[])?;
    has_words("check", &said, &["password"])?;
    told(machine)
}

/// The way back of the page.
fn told(machine: &Machine) -> Result<()> {
    for text in [
        "docker-compose run --rm --no-deps secrets",
        "docker-compose exec -T postgres psql --username=postgres --dbname=countersign --no-psqlrc --set=ON_ERROR_STOP=1 --file=/docker-entrypoint-initdb.d/roles.sql",
        UP,
        "docker-compose restart log",
    ] {
        machine.page_ok(text)?;
    }
    machine.healthy()?;
    machine.signs()
}

/// Lost with its volume; what follows on the page is the way back.
pub(super) fn lost_password(machine: &mut Machine) -> Result<()> {
    machine.page_ok(DOWN)?;
    machine.ok("docker volume rm countersign_database-password countersign_database-owner")?;
    machine.refused(UP, &[])?;
    has_words("init", &machine.ok("docker-compose logs init")?, &["password"])
}

/// A key that is lost is never made anew, and comes back from the backup.
pub(super) fn lost_key(machine: &mut Machine) -> Result<()> {
    machine.ok("deploy/backup $BACKUPS/before-loss")?;
    machine.page_ok(DOWN)?;
    machine.ok("docker volume rm countersign_tsa")?;
    machine.refused(UP, &[])?;
    has_words("secrets", &machine.ok("docker-compose logs secrets")?, &["is lost"])?;
    machine.page_ok("docker-compose run --rm --no-deps -T --entrypoint tar init -C /var/lib/countersign -xf - tsa < /backups/before-loss/volumes.tar")?;
    machine.page_ok(UP)?;
    machine.healthy()?;
    machine.signs()
}

/// A file of another user, as when `init` ran as root once.
pub(super) fn files_of_root(machine: &mut Machine) -> Result<()> {
    let keys = machine.volume("tsa").display().to_string();
    machine.ok(&format!("chown -R 0:0 {keys}"))?;
    machine.refused(UP, &[])?;
    has_words(
        "secrets",
        &machine.ok("docker-compose logs secrets")?,
        &["/var/lib/countersign/tsa", "Permission denied"],
    )?;
    machine.ok(&format!("chown -R 10001:10001 {keys}"))?;
    machine.ok(UP)?;
    machine.healthy()
}

/// The roots' keys sign nothing after the first start.
pub(super) fn without_roots(machine: &mut Machine) -> Result<()> {
    machine.page_ok(UP)?;
    machine.healthy()?;
    machine.signs()?;
    let said = machine.ok("deploy/backup $BACKUPS/without-roots")?;
    has_words("backup", &said, &["the keys of the roots are not here any more"])
}

/// Makes a volume's directory one of 1 MiB.
fn small(volume: &Path) -> Result<()> {
    let kept = volume.with_file_name("kept");
    process::output(Command::new("cp").arg("-a").arg(volume).arg(&kept))?;
    process::output(
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(volume),
    )?;
    moved(&kept, volume)
}

/// Takes that back, with what is in it.
fn as_it_was(volume: &Path) -> Result<()> {
    let kept = volume.with_file_name("kept");
    process::output(Command::new("cp").arg("-a").arg(volume).arg(&kept))?;
    process::output(Command::new("umount").arg(volume))?;
    moved(&kept, volume)
}

fn moved(kept: &Path, volume: &Path) -> Result<()> {
    let mut copy = Command::new("sh");
    copy.args(["-c", "cp -a \"$0/.\" \"$1\" && rm -r \"$0\""]).arg(kept).arg(volume);
    process::output(&mut copy).map(drop)
}

/// Until there is no byte left.
fn fill(volume: &Path) {
    let mut fill = Command::new("dd");
    fill.args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", volume.join("filler").display()));
    // It ends with an error, which is what it is for.
    let _ = fill.output();
}
