//! What may go wrong before anybody has signed.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use super::super::machine::{Machine, has_words, until};

const UP: &str = "docker-compose up -d";
const CONTAINERS: &str = "docker ps --all --quiet --filter label=com.docker.compose.project=countersign | xargs docker rm --force";
const NETWORKS: &str = "docker network ls --quiet --filter label=com.docker.compose.project=countersign | xargs docker network rm";
const AWAY: &str = "docker-compose down --volumes";

/// Killed while PostgreSQL makes its directory, at several moments: the next `up` recovers, or says what the page has.
pub(super) fn interrupted(machine: &mut Machine) -> Result<()> {
    for moment in [0, 1500] {
        let up = background(machine, UP)?;
        let begun = || machine.inspect("postgres", "{{.State.Running}}") == "true";
        until(Duration::from_mins(2), begun).with_context(|| {
            fs::read_to_string(machine.ground.path("background")).unwrap_or_default()
        })?;
        thread::sleep(Duration::from_millis(moment));
        machine.ok("docker ps --quiet | xargs docker kill --signal KILL")?;
        drop(up);
        let again = machine.page(UP)?;
        if again.code == Some(0) {
            machine.healthy()?;
            println!("    {moment} ms: the next start recovered");
        } else {
            let postgres = machine.health("postgres");
            let init = machine.inspect("init", "{{.State.Status}} {{.State.ExitCode}}");
            println!("    postgres is {postgres}, init {init}");
            ensure!(
                postgres != "healthy" || init.starts_with("exited") && init != "exited 0",
                "{moment} ms: neither shows why\n{}",
                again.text
            );
            println!("    {moment} ms: it has to be thrown away");
        }
        machine.page_ok(AWAY)?;
    }
    machine.page_ok(UP)?;
    machine.healthy()?;
    machine.page_ok(AWAY).map(drop)
}

/// One of them, or the next, starts everything; or the page says what stands in its way.
pub(super) fn two_at_once(machine: &mut Machine) -> Result<()> {
    let first = background(machine, UP)?;
    let second = machine.say(UP)?;
    let first = first.wait_with_output()?;
    println!("    one ended with {:?}, the other with {:?}", first.status.code(), second.code);
    let again = machine.page(UP)?;
    if again.code != Some(0) {
        let is_known =
            ["is ambiguous", "is already in use"].iter().any(|words| again.text.contains(words));
        ensure!(is_known, "the page has nothing about\n{}", again.text);
        println!("    containers and networks have to be taken away");
        machine.page_ok(CONTAINERS)?;
        machine.page_ok(NETWORKS)?;
        machine.page_ok(UP)?;
    }
    machine.healthy()?;
    machine.page_ok(AWAY).map(drop)
}

/// A checkout that nobody else may read.
pub(super) fn umask(machine: &mut Machine) -> Result<()> {
    let mode = |path: &str, mode| {
        fs::set_permissions(machine.checkout().join(path), fs::Permissions::from_mode(mode))
    };
    mode("deploy/countersign.toml", 0o600)?;
    mode("deploy", 0o700)?;
    let said = machine.refused(UP, &[])?;
    let logs = machine.ok("docker-compose logs secrets")?;
    has_words(UP, &format!("{said}{logs}"), &["countersign.toml", "ermission denied"])?;
    machine.page_ok("chmod a+r deploy/countersign.toml && chmod a+x deploy")?;
    machine.page_ok(UP)?;
    machine.healthy()?;
    machine.page_ok(AWAY).map(drop)
}

/// Another program has the port of the trust service.
pub(super) fn taken_port(machine: &mut Machine) -> Result<()> {
    let mut other = machine
        .ground
        .command("python3")
        .args(["-m", "http.server", "--bind", "127.0.0.1", "3005"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let listens = || machine.say("ss -ltn").is_ok_and(|said| said.text.contains("127.0.0.1:3005"));
    until(Duration::from_secs(20), listens)?;
    let said = machine.refused(UP, &["3005", "address already in use"])?;
    let who = machine.page_ok("ss -ltnp")?;
    other.kill()?;
    other.wait()?;
    has_words("ss -ltnp", &who, &["127.0.0.1:3005", "python3"])?;
    ensure!(!said.contains("Traceback"), "{said}");
    machine.page_ok(UP)?;
    machine.healthy()?;
    machine.page_ok(AWAY).map(drop)
}

fn background(machine: &Machine, text: &str) -> Result<std::process::Child> {
    println!("  $ {text} &");
    let text = match machine.ground.compose {
        super::super::ground::Compose::One => text.to_owned(),
        super::super::ground::Compose::Two => text.replace("docker-compose ", "docker compose "),
    };
    let mut command = machine.ground.command("sh");
    command.args(["-c", &text]).current_dir(machine.checkout());
    let said = fs::File::create(machine.ground.path("background"))?;
    Ok(command.stdout(said.try_clone()?).stderr(said).spawn()?)
}
