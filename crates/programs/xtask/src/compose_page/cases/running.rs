//! Kills and cuts of what runs.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use super::super::machine::{Machine, RUNNING, has_words, until};

const UP: &str = "docker-compose up -d";
const CHECK: &str = "docker-compose run --rm --no-deps init check --offline";

/// `countersignd token --ci github` where the page says that tokens are made.
pub(super) fn tokens_of_jobs(machine: &mut Machine) -> Result<()> {
    let token = machine.ok("docker-compose exec -T oidc-dev countersignd token --ci github")?;
    ensure!(token.matches('.').count() == 2, "no token: {token}");
    Ok(())
}

/// With `login = true` there is a page on which people say who they are.
pub(super) fn login(machine: &mut Machine) -> Result<()> {
    let authorize = "curl -s -o /dev/null -w '%{http_code}\\n' 'http://localhost:3006/auth?client_id=sigstore&response_type=code&scope=openid+email&redirect_uri=http%3A%2F%2Flocalhost%3A4321%2Fauth%2Fcallback&state=s&nonce=n&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256'";
    let before = machine.ok(authorize)?;
    ensure!(!before.starts_with("200"), "people log in unasked: {before}");
    machine.ok("sed -i 's/^# login = true/login = true/' deploy/countersign.toml")?;
    machine.page_ok("docker-compose restart oidc-dev")?;
    machine.healthy()?;
    let found = machine.ok("curl -s http://localhost:3006/.well-known/openid-configuration")?;
    has_words("discovery", &found, &["authorization_endpoint", "token_endpoint"])?;
    machine.ok("sed -i 's/^login = true/# login = true/' deploy/countersign.toml")?;
    machine.page_ok("docker-compose restart oidc-dev")?;
    machine.healthy()
}

/// The page of the trust service shows no command that cannot work here.
pub(super) fn page_of_trust(machine: &mut Machine) -> Result<()> {
    let page = machine.ok("curl -fsS http://localhost:3005/")?;
    ensure!(!page.contains("--data-dir .countersign"), "it shows a directory that is not here");
    has_words(
        "the page",
        &page,
        &["sha256sum --check", "cosign initialize --mirror http://localhost:3005"],
    )
}

/// Every container's processes at once, as a crash of the machine: they come back by themselves.
pub(super) fn containers_killed(machine: &mut Machine) -> Result<()> {
    machine.signs()?;
    let before = processes(machine);
    machine.ok(&format!("kill -9 {}", before.join(" ")))?;
    come_back(machine, &before)?;
    machine.signs()?;
    machine.whole()
}

/// The daemon itself, while they run: it takes that for a stop by hand, and the page says what to do.
pub(super) fn daemon_killed(machine: &mut Machine) -> Result<()> {
    let before = processes(machine);
    machine.ground.kill_daemon();
    machine.ground.start_daemon()?;
    let ended = || processes(machine).iter().all(|pid| !before.contains(pid));
    until(Duration::from_mins(1), ended).context("they run on under a daemon of before")?;
    machine.page_ok(UP)?;
    come_back(machine, &before)?;
    machine.signs()
}

fn processes(machine: &Machine) -> [String; 6] {
    RUNNING.map(|service| machine.inspect(service, "{{.State.Pid}}"))
}

/// Other processes than `before`, and healthy.
fn come_back(machine: &Machine, before: &[String]) -> Result<()> {
    let back = || processes(machine).iter().all(|pid| pid != "0" && !before.contains(pid));
    until(Duration::from_mins(2), back).context("they did not come back")?;
    machine.healthy()
}

/// The audit trail is there after every container was made anew.
pub(super) fn recreated(machine: &mut Machine) -> Result<()> {
    let trail = "docker-compose exec -T ca cat /var/log/countersign/ca.log";
    let before = machine.page_ok(trail)?;
    ensure!(before.contains("serial"), "no certificate in the audit trail: {before}");
    machine.ok("docker-compose up -d --force-recreate")?;
    machine.healthy()?;
    let after = machine.page_ok(trail)?;
    ensure!(
        after.starts_with(before.trim_end()),
        "the audit trail is another one after a recreate"
    );
    machine.signs()
}

/// Docker keeps no more than it is told to.
pub(super) fn logs_rotate(machine: &mut Machine) -> Result<()> {
    for service in RUNNING {
        let found = machine.inspect(service, "{{json .HostConfig.LogConfig}}");
        has_words(service, &found, &["json-file", "\"max-file\":\"5\"", "\"max-size\":\"50m\""])?;
    }
    Ok(())
}

/// What `check` shows is the digest of what was fetched.
pub(super) fn fingerprint(machine: &mut Machine) -> Result<()> {
    let digest = machine.page_ok("sha256sum root.json")?;
    let digest = digest.split(' ').next().unwrap_or_default().to_owned();
    has_words(CHECK, &machine.page_ok(CHECK)?, &[&digest])
}

/// The network to the database is cut: the log says so, and is well again by itself.
pub(super) fn database_cut(machine: &mut Machine) -> Result<()> {
    let container = machine.inspect("postgres", "{{.Id}}");
    machine.ok(&format!("docker network disconnect --force countersign_database {container}"))?;
    machine.becomes("log", "unhealthy")?;
    let ready = machine.readyz("log")?;
    ensure!(ready.code != Some(0), "a log without a database is ready");
    has_words("readyz", &ready.text, &["writes"])?;
    let refused = machine.sign();
    ensure!(refused.is_err(), "something was signed without a database");
    machine
        .ok(&format!("docker network connect --alias postgres countersign_database {container}"))?;
    machine.healthy()?;
    machine.signs()
}

/// As the page has it, the superuser is whoever may run programs in the database's container; `log` is not.
pub(super) fn superuser(machine: &mut Machine) -> Result<()> {
    let psql = "docker-compose exec -T postgres psql --username=postgres countersign --tuples-only --command";
    let roles = machine.ok(&format!("{psql} 'SELECT rolname FROM pg_roles WHERE rolsuper'"))?;
    ensure!(roles.trim() == "postgres", "superusers: {roles}");
    machine.refused(
        "docker-compose exec -T postgres psql --host=127.0.0.1 --no-password --username=postgres countersign --command 'SELECT 1'",
        &["password"],
    )?;
    Ok(())
}

/// An issuer that does not answer is named by the order that asks it.
pub(super) fn issuer_away(machine: &mut Machine) -> Result<()> {
    machine.ok("docker-compose stop oidc-dev")?;
    let online = "docker-compose run --rm --no-deps ca check --issuers --online";
    let said = machine.page(online)?;
    ensure!(said.code != Some(0), "`check` says ok to an issuer that is away:\n{}", said.text);
    has_words(online, &said.text, &["oidc-dev:3006"])?;
    machine.ok(UP)?;
    machine.healthy()
}

/// Where there is a caddy.
pub(super) fn caddyfile(machine: &mut Machine) -> Result<()> {
    if let Some(caddy) = std::env::var_os("COUNTERSIGN_CADDY") {
        let program = machine.ground.path("programs/caddy");
        if !Path::new(&program).exists() {
            std::os::unix::fs::symlink(caddy, program)?;
        }
    }
    if machine.say("caddy version")?.code != Some(0) {
        println!("    no caddy here (COUNTERSIGN_CADDY names one): not tried");
        return Ok(());
    }
    let said = machine.page_ok("caddy validate --config deploy/Caddyfile")?;
    has_words("caddy validate", &said, &["Valid configuration"])
}

/// Stopped in order, started in order: nothing is lost.
pub(super) fn down_and_up(machine: &mut Machine) -> Result<()> {
    machine.page_ok("docker-compose down")?;
    machine.ok(UP)?;
    machine.goes_on_whole()
}
