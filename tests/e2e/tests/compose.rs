//! docker-compose.yml and the image, as far as they can be checked without a daemon.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{collections::BTreeSet, fs, process::Command};

use e2e::{binaries, said};
use yaml_rust2::{Yaml, YamlLoader};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Every long-running service; the others end.
const RUNNING: [&str; 6] = ["postgres", "log", "ca", "tsa", "trust", "oidc-dev"];
const ONE_SHOT: [&str; 2] = ["secrets", "init"];

/// The ports of `countersignd dev`, by service.
const PORTS: [(&str, &[u16]); 6] = [
    ("postgres", &[]),
    ("log", &[6962, 3000, 3003]),
    ("ca", &[5555]),
    ("tsa", &[3004]),
    ("trust", &[3005]),
    ("oidc-dev", &[3006]),
];

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap()
}

fn compose() -> Yaml {
    YamlLoader::load_from_str(&read("docker-compose.yml")).unwrap().remove(0)
}

/// A member of a service, also where it comes from the shared part (`<<`).
fn member(compose: &Yaml, service: &str, name: &str) -> Yaml {
    let service = &compose["services"][service];
    match &service[name] {
        Yaml::BadValue => service["<<"][name].clone(),
        own => own.clone(),
    }
}

fn texts(list: &Yaml) -> Vec<String> {
    let items = list.as_vec().cloned().unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn services(compose: &Yaml) -> BTreeSet<String> {
    let services = compose["services"].as_hash().unwrap();
    services.keys().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_services_are_those_of_the_design() {
    let expected = RUNNING.into_iter().chain(ONE_SHOT).map(str::to_owned).collect();
    assert_eq!(services(&compose()), expected);
}

#[test]
fn no_version_is_named_which_compose_2_warns_of() {
    assert!(compose()["version"].is_badvalue());
}

#[test]
fn every_service_but_the_database_is_of_one_image_which_is_built_once() {
    let compose = compose();
    for service in services(&compose) {
        let image = member(&compose, &service, "image");
        let image = image.as_str().unwrap();
        if service == "postgres" {
            assert!(image.starts_with("postgres:15-bookworm@sha256:"), "{image}");
        } else {
            assert_eq!(image, "countersign:local", "{service}");
        }
        assert_eq!(!member(&compose, &service, "build").is_badvalue(), service == "secrets");
    }
}

#[test]
fn every_running_service_has_a_health_check_and_those_that_end_have_none() {
    let compose = compose();
    for service in RUNNING {
        let check = member(&compose, service, "healthcheck");
        assert!(texts(&check["test"]).len() > 1, "{service}");
        assert!(check["retries"].as_i64().is_some(), "{service}");
        assert_eq!(
            member(&compose, service, "restart").as_str(),
            Some("unless-stopped"),
            "{service}"
        );
    }
    for service in ONE_SHOT {
        let check = member(&compose, service, "healthcheck");
        assert_eq!(check["disable"].as_bool(), Some(true), "{service}");
        assert_eq!(member(&compose, service, "restart").as_str(), Some("no"), "{service}");
    }
}

/// Each request is a line: without a limit callers fill the disk that the database is on.
#[test]
fn logs_of_every_service_have_a_limit() {
    let compose = compose();
    for service in services(&compose) {
        let logging = member(&compose, &service, "logging");
        assert_eq!(logging["driver"].as_str(), Some("json-file"), "{service}");
        assert_eq!(logging["options"]["max-size"].as_str(), Some("50m"), "{service}");
        assert_eq!(logging["options"]["max-file"].as_str(), Some("5"), "{service}");
    }
}

#[test]
fn ports_are_those_of_dev_and_published_to_this_machine_alone() {
    let compose = compose();
    for (service, ports) in PORTS {
        let expected: Vec<String> =
            ports.iter().map(|port| format!("127.0.0.1:{port}:{port}")).collect();
        assert_eq!(texts(&member(&compose, service, "ports")), expected, "{service}");
    }
    for service in ONE_SHOT {
        assert!(member(&compose, service, "ports").is_badvalue(), "{service}");
    }
}

#[test]
fn containers_may_do_little() {
    let compose = compose();
    for service in services(&compose) {
        assert_eq!(member(&compose, &service, "read_only").as_bool(), Some(true), "{service}");
        assert_eq!(texts(&member(&compose, &service, "cap_drop")), ["ALL"], "{service}");
        let options = texts(&member(&compose, &service, "security_opt"));
        assert_eq!(options, ["no-new-privileges:true"], "{service}");
        for forbidden in ["privileged", "pid", "ipc", "cap_add", "devices"] {
            assert!(member(&compose, &service, forbidden).is_badvalue(), "{service} {forbidden}");
        }
    }
}

#[test]
fn there_is_no_secret_in_any_file() {
    let compose = compose();
    for service in services(&compose) {
        let environment = member(&compose, &service, "environment");
        for (name, value) in environment.as_hash().into_iter().flatten() {
            let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
            let secret =
                ["PASSWORD", "SECRET", "TOKEN", "KEY"].iter().any(|word| name.contains(word));
            assert!(
                !secret || (name.ends_with("_FILE") && value.starts_with('/')),
                "{service} {name}"
            );
        }
        assert!(member(&compose, &service, "env_file").is_badvalue(), "{service}");
    }
    for file in ["docker-compose.yml", "deploy/countersign.toml", "deploy/Dockerfile"] {
        let text = read(file);
        for word in ["PRIVATE KEY", "POSTGRES_PASSWORD:", "POSTGRES_HOST_AUTH_METHOD", "password ="]
        {
            assert!(!text.contains(word), "{file} has {word}");
        }
    }
}

/// The user of the services was the superuser, who may take away what keeps entries as they are.
#[test]
fn nobody_is_the_superuser_of_the_database_over_the_network() {
    // What initdb is not told, it trusts: without the second, every connection over its loopback.
    let environment = member(&compose(), "postgres", "environment");
    let arguments = environment["POSTGRES_INITDB_ARGS"].as_str().unwrap().to_owned();
    for way in ["--auth-local=peer", "--auth-host=scram-sha-256"] {
        assert!(arguments.contains(way), "{way}");
    }
    assert!(environment["POSTGRES_USER"].is_badvalue(), "the superuser is `postgres`");
    let password = environment["POSTGRES_PASSWORD_FILE"].as_str();
    assert_eq!(password, Some("/proc/sys/kernel/random/uuid"), "nobody knows it");
    let config = read("deploy/countersign.toml");
    for url in ["url = \"postgres://countersign_log@", "owner_url = \"postgres://countersign@"] {
        assert!(config.contains(url), "{url}");
    }
}

#[test]
fn private_keys_are_mounted_only_where_they_are_used() {
    let compose = compose();
    let mounted = |service: &str| -> BTreeSet<String> {
        let volumes = texts(&member(&compose, service, "volumes"));
        volumes.iter().map(|volume| volume.split(':').next().unwrap().to_owned()).collect()
    };
    for service in RUNNING {
        let volumes = mounted(service);
        for other in ["ca", "log", "tsa", "trust", "oidc-dev", "offline"] {
            assert_eq!(volumes.contains(other), service == other, "{service} has {other}");
        }
        assert_eq!(volumes.contains("database-password"), service == "log", "{service}");
        assert!(!volumes.contains("database-owner"), "{service}");
        assert_eq!(volumes.contains("anchors"), service == "log", "{service}");
        // No secret is in what it is told.
        assert_eq!(volumes.contains("database-roles"), service == "postgres", "{service}");
    }
    for (service, read_only) in
        [("ca", "ca:/"), ("tsa", "tsa:/"), ("log", "public:/"), ("trust", "public:/")]
    {
        let volumes = texts(&member(&compose, service, "volumes"));
        let volume = volumes.iter().find(|volume| volume.starts_with(read_only)).unwrap();
        assert!(volume.ends_with(":ro"), "{service}: {volume}");
    }
}

#[test]
fn every_volume_and_network_that_is_used_is_declared_and_the_other_way_round() {
    let compose = compose();
    let declared = |kind: &str| -> BTreeSet<String> {
        let all = compose[kind].as_hash().unwrap();
        all.keys().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let used = |kind: &str| -> BTreeSet<String> {
        let all = services(&compose);
        let names = all.iter().flat_map(|service| texts(&member(&compose, service, kind)));
        let names = names.map(|name| name.split(':').next().unwrap().to_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    };
    assert_eq!(used("volumes"), declared("volumes"));
    assert_eq!(used("networks"), declared("networks"));
    assert_eq!(compose["networks"]["database"]["internal"].as_bool(), Some(true));
    assert_eq!(texts(&member(&compose, "postgres", "networks")), ["database"]);
}

#[test]
fn services_wait_for_what_they_need() {
    let compose = compose();
    let waits = |service: &str, other: &str| {
        let condition = member(&compose, service, "depends_on")[other]["condition"].clone();
        condition.as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(waits("postgres", "secrets"), "service_completed_successfully");
    assert_eq!(waits("init", "postgres"), "service_healthy");
    assert_eq!(waits("ca", "log"), "service_healthy");
    for service in ["log", "tsa", "trust", "oidc-dev"] {
        assert_eq!(waits(service, "init"), "service_completed_successfully", "{service}");
    }
}

#[test]
fn the_mounted_configuration_is_one_and_countersignd_reads_it() {
    let compose = compose();
    for service in services(&compose).into_iter().filter(|service| service != "postgres") {
        let volumes = texts(&member(&compose, &service, "volumes"));
        let mounted = "./deploy/countersign.toml:/etc/countersign/countersign.toml:ro";
        assert_eq!(volumes.first().map(String::as_str), Some(mounted), "{service}");
    }
    assert!(
        read("deploy/Dockerfile").contains("COUNTERSIGN_CONFIG=/etc/countersign/countersign.toml")
    );
    let mut check = Command::new(binaries().join("countersignd"));
    check.args(["check", "--offline", "--config"]).arg(format!("{ROOT}/deploy/countersign.toml"));
    let said = said(&mut check).unwrap();
    // Nothing is there that it names, but itself it is good.
    assert!(said.stdout.contains("configuration: ok, 9 issuers"), "{said:?}");
}

#[test]
fn each_command_is_one_of_countersignd() {
    let compose = compose();
    for service in services(&compose).into_iter().filter(|service| service != "postgres") {
        let mut arguments = texts(&member(&compose, &service, "command"));
        arguments.push("--help".to_owned());
        let said = said(Command::new(binaries().join("countersignd")).args(&arguments)).unwrap();
        assert_eq!(said.code, Some(0), "{service}: {said:?}");
    }
}

/// The trail was gone with each container that was made anew.
#[test]
fn whoever_has_a_key_keeps_the_audit_trail_where_no_container_ends() {
    let compose = compose();
    for service in RUNNING.into_iter().filter(|service| *service != "postgres") {
        let volumes = texts(&member(&compose, service, "volumes"));
        assert!(volumes.contains(&"audit:/var/log/countersign".to_owned()), "{service}");
    }
    assert!(read("deploy/countersign.toml").contains("audit_dir = \"/var/log/countersign\""));
}

/// `deploy/restore` by Compose 2 could not write the roles: the database's container is made before they are.
#[test]
fn an_empty_volume_of_ours_does_not_become_the_databases() {
    let volumes = texts(&member(&compose(), "postgres", "volumes"));
    let ours = volumes.iter().find(|volume| volume.starts_with("database-roles:")).unwrap();
    assert!(ours.ends_with(":ro,nocopy"), "{ours}");
}

/// A log that is restored with its anchors does not know that it is too old.
#[test]
fn anchors_are_a_volume_that_no_script_saves_or_brings_back() {
    let volume = "anchors:/var/lib/countersign-anchors".to_owned();
    for service in ["secrets", "init", "log"] {
        assert!(texts(&member(&compose(), service, "volumes")).contains(&volume), "{service}");
    }
    let config = read("deploy/countersign.toml");
    assert!(config.contains("anchors = [\"file:/var/lib/countersign-anchors\"]"));
    for script in ["backup", "restore", "upgrade", "lib.sh"] {
        assert!(!read(&format!("deploy/{script}")).contains("countersign-anchors"), "{script}");
    }
}

/// Volumes carried the name of the checkout's directory: a new version beside the old one was a new deployment.
#[test]
fn the_name_of_the_deployment_does_not_depend_on_where_it_lies() {
    let name = "COMPOSE_PROJECT_NAME=countersign";
    assert!(read(".env").lines().any(|line| line == name));
    assert!(!read("docs/compose.md").contains("docker run"), "which knows no project");
}

/// A site address and its block on one line is no Caddyfile.
#[test]
fn the_proxy_has_each_port_and_is_written_as_caddy_reads_it() {
    let text = read("deploy/Caddyfile");
    for (_, ports) in PORTS.into_iter().filter(|(service, _)| *service != "oidc-dev") {
        for port in ports {
            assert!(text.contains(&format!("127.0.0.1:{port}\n")), "{port}");
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let is_site = line.ends_with(" {") && !line.starts_with(char::is_whitespace);
        let is_directive = line.starts_with("\treverse_proxy ") && !line.contains(['{', '}']);
        assert!(is_site || is_directive || line == "}", "{line}");
    }
}

/// What is typed after `docker-compose` on the page, up to the end of its command.
fn commands_of_the_page() -> Vec<Vec<String>> {
    let page = read("docs/compose.md");
    let commands = page.split("docker-compose ").skip(1).map(|rest| {
        let end = rest.find(['`', '\n', '>', '|', '&', ';', '(', ',']).unwrap_or(rest.len());
        rest[..end].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    let is_command = |words: &Vec<String>| {
        words.first().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
    };
    commands.filter(is_command).collect()
}

/// `check` as the page had it never began, since what it waits for fails first.
#[test]
fn every_command_of_the_page_is_one() {
    let compose = compose();
    let known = ["build", "up", "ps", "exec", "run", "restart", "stop", "down", "logs", "kill"];
    let commands = commands_of_the_page();
    assert!(commands.len() > 20);
    for words in commands {
        let (command, rest) = words.split_first().unwrap();
        assert!(known.contains(&command.as_str()), "{words:?}");
        if !["exec", "run"].contains(&command.as_str()) {
            continue;
        }
        let mut rest = rest.iter().map(String::as_str).peekable();
        let mut program = "countersignd";
        while let Some(option) = rest.next_if(|word| word.starts_with('-')) {
            match option {
                "--entrypoint" => program = rest.next().unwrap(),
                "-e" => _ = rest.next(),
                _ => (),
            }
        }
        let Some(service) = rest.next() else { continue };
        assert!(services(&compose).contains(service), "{words:?}");
        let mut arguments: Vec<&str> = rest.collect();
        if command == "exec" {
            program = arguments.remove(0);
        } else {
            assert!(words.contains(&"--no-deps".to_owned()), "{words:?}");
        }
        if program == "countersignd" {
            arguments.push("--help");
            let said = said(Command::new(binaries().join(program)).args(&arguments)).unwrap();
            assert_eq!(said.code, Some(0), "{words:?}: {said:?}");
        }
    }
    for script in ["backup", "restore", "upgrade"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(format!("{ROOT}/deploy/{script}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
        assert!(read("docs/compose.md").contains(&format!("\ndeploy/{script} ")), "{script}");
    }
}

/// The lines of the page in the one fence that has `line`.
fn fence_with(line: &str) -> Vec<String> {
    let page = read("docs/compose.md");
    let mut fences = page.split("```").skip(1).step_by(2);
    let fence = fences.find(|fence| fence.lines().any(|other| other.trim() == line));
    fence.unwrap().lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

/// Between the backup and the end of the old deployment the log signed on, and what it signed was lost.
#[test]
fn whoever_signs_is_stopped_before_a_deployment_is_moved() {
    let moved = fence_with("deploy/backup /backups/before-two-roles");
    let names = moved[0].strip_prefix("docker-compose stop ").unwrap();
    let stopped: BTreeSet<&str> = names.split(' ').collect();
    let running = RUNNING.into_iter().filter(|service| *service != "postgres");
    assert_eq!(stopped, running.collect());
    assert_eq!(moved.last().unwrap(), "docker-compose up -d");
    for script in ["deploy/restore", "deploy/upgrade"] {
        assert!(read(script).contains("fork"), "{script}");
    }
    assert!(read("docs/compose.md").contains("\n**The way back** "));
}

/// The sample had an owner of the tables, and no page said how the database comes to know two roles.
#[test]
fn a_sample_with_two_roles_says_how_the_database_comes_to_know_them() {
    let sample = read("docs/samples/production.toml");
    assert!(sample.contains("\nowner_url = ") && sample.contains("\nroles_file = "));
    let page = read("docs/deployment.md");
    let (_, how) = page.split_once("\n## The database's roles\n").unwrap();
    let made = how.find("countersignd init --secrets-only").unwrap();
    let told = how.find("--set=ON_ERROR_STOP=1 --file=ROLES-FILE").unwrap();
    assert!(made < told && told < how.find("countersignd init --config").unwrap());
}

/// A running log has the old password, and psql ends with 0 whatever a file of its did.
#[test]
fn a_lost_password_of_the_database_is_told_to_all_who_have_it() {
    let steps = fence_with("docker-compose run --rm --no-deps secrets");
    assert!(steps[1].contains(" --set=ON_ERROR_STOP=1 "), "{steps:?}");
    assert!(steps.contains(&"docker-compose restart log".to_owned()), "{steps:?}");
}

#[test]
fn the_image_runs_as_nobody_and_takes_its_inputs_by_name() {
    let dockerfile = read("deploy/Dockerfile");
    for base in ["TOOLCHAIN", "BASE"] {
        let named =
            dockerfile.lines().find(|line| line.starts_with(&format!("ARG {base}="))).unwrap();
        let digest = named.split_once("@sha256:").unwrap().1;
        assert!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{named}"
        );
    }
    let stages = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    assert!(stages.clone().all(|stage| {
        ["$TOOLCHAIN", "$BASE", "toolchain"].contains(&stage.split(' ').next().unwrap())
    }));
    assert!(dockerfile.contains("/out/countersign /usr/local/bin/"), "the client is in it too");
    let runtime = dockerfile.rsplit_once("\nFROM ").unwrap().1;
    assert!(runtime.contains("\nUSER 10001:10001\n"));
    assert!(runtime.contains("\nHEALTHCHECK "));
    assert_eq!(dockerfile.matches("--locked").count(), dockerfile.matches("cargo build").count());
    // Everything that is copied passes the list of what may be.
    assert!(read(".dockerignore").lines().any(|line| line == "*"));
}
