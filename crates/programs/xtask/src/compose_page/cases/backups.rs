//! Upgrades, backups that must fail, and restores with and without the volume `anchors`.

use std::fs;

use anyhow::{Result, ensure};

use super::super::machine::{Machine, has_words};

const UP: &str = "docker-compose up -d";
const BACKUP: &str = "deploy/backup /backups/2026-01-31";
const RESTORE: &str = "deploy/restore /backups/2026-01-31";
const REMOVE: &str = "docker volume ls --quiet --filter label=com.docker.compose.project=countersign | grep -vE '_(anchors|audit)$' | xargs docker volume rm";
const LOGS: [&str; 3] = ["ct", "rekor1", "rekor2"];

/// Unpacked in another directory, with what the page says to take over.
pub(super) fn new_version(machine: &mut Machine) -> Result<()> {
    let old = machine.checkout();
    machine.ground.copy_checkout("new-version")?;
    let new = machine.ground.path("new-version");
    for file in [".env", "deploy/countersign.toml", "docker-compose.override.yml"] {
        fs::copy(old.join(file), new.join(file))?;
    }
    machine.go_to(new);
    Ok(())
}

/// The same deployment, from the directory of before.
pub(super) fn way_back(machine: &mut Machine) -> Result<()> {
    machine.goes_on_whole()?;
    machine.go_to(machine.ground.path("checkout"));
    Ok(())
}

/// Nothing saved is no success: no database, another name, a directory that is there.
pub(super) fn of_nothing(machine: &mut Machine) -> Result<()> {
    machine.refused("deploy/backup $BACKUPS/2026-01-31", &["is there already"])?;
    machine.refused(
        "COMPOSE_PROJECT_NAME=another deploy/backup $BACKUPS/another",
        &["no deployment of the name in .env runs"],
    )?;
    machine.refused(
        "COMPOSE_PROJECT_NAME=another deploy/upgrade $BACKUPS/another",
        &["no database runs under this name"],
    )?;
    machine.ok("docker-compose stop postgres")?;
    machine.refused("deploy/backup $BACKUPS/nothing", &["the database does not answer"])?;
    ensure!(!machine.ground.path("backups/nothing").exists(), "a backup of nothing");
    machine.ok(UP)?;
    machine.healthy()
}

/// An older backup beside the anchors of today: refused, whatever is tried, until the entries are there again.
pub(super) fn restored_beside_its_anchors(machine: &mut Machine) -> Result<()> {
    machine.signs()?;
    machine.ok("deploy/backup $BACKUPS/newer")?;
    machine.page_ok("docker-compose down")?;
    machine.page_ok(REMOVE)?;
    let said = machine.page(RESTORE)?;
    ensure!(said.code != Some(0), "an older backup is taken for the log of today:\n{}", said.text);
    has_words(
        RESTORE,
        &said.text,
        &["restored, but for the volume anchors", "restored from an old copy"],
    )?;
    machine.refused(UP, &[])?;
    has_words(
        "the log",
        &machine.ok("docker-compose logs log")?,
        &["log restore", "log begin-anew"],
    )?;
    copied(machine)?;
    machine.page_ok(UP)?;
    machine.goes_on_whole()?;
    // And a newer dump.
    machine.ok("deploy/backup $BACKUPS/newest")?;
    machine.page_ok("docker-compose down")?;
    machine.page_ok(REMOVE)?;
    machine.ok("deploy/restore $BACKUPS/newest")?;
    machine.ok(UP)?;
    machine.healthy()?;
    machine.signs()
}

/// The entries from a copy: the newer dump in a database beside.
fn copied(machine: &Machine) -> Result<()> {
    const PASSWORD: &str = "PGPASSWORD=$(docker-compose run --rm --no-deps -T --entrypoint cat init /run/countersign/database-owner/password)";
    const FROM: &str = "docker-compose run --rm --no-deps -T -e PGPASSWORD init log restore NAME --from postgres://countersign@postgres/copy";
    for text in [
        "docker-compose exec -T postgres createdb --username=postgres --owner=countersign copy",
        "docker-compose exec -T postgres pg_restore --username=postgres --dbname=copy --no-owner --no-privileges --role=countersign --exit-on-error < /backups/newer/database.dump",
    ] {
        machine.page_ok(text)?;
    }
    for log in LOGS {
        machine.ok(&format!("export {PASSWORD}\n{}", FROM.replace("NAME", log)))?;
    }
    machine.page_ok("docker-compose exec -T postgres dropdb --username=postgres copy").map(drop)
}

/// The anchors are lost too: refused until each log has the newest checkpoint that anybody has.
pub(super) fn restored_without_anchors(machine: &mut Machine) -> Result<()> {
    // Of this moment, so that nothing is signed twice in one place.
    machine.ok("docker-compose stop ca log tsa trust oidc-dev && rm -r $BACKUPS/2026-01-31")?;
    machine.page_ok(BACKUP)?;
    machine.page_ok("docker-compose down --volumes")?;
    let said = machine.page(RESTORE)?;
    ensure!(said.code != Some(0), "a log without its anchor is taken:\n{}", said.text);
    machine.refused(UP, &[])?;
    for log in LOGS {
        machine.ok(&format!(
            "docker-compose run --rm --no-deps init log restore {log} --checkpoint /var/lib/countersign/log/checkpoints/{log}"
        ))?;
    }
    machine.page_ok(UP)?;
    machine.goes_on_whole()
}
