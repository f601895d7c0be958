//! The services of docker-compose.yml as processes: its commands in its order, by deploy/countersign.toml, with both roles of
//! the database, the anchors and the audit trail.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use e2e::{Said, Services, binaries, countersignd, free_port};
use yaml_rust2::{Yaml, YamlLoader};

use super::{Machine, ROOT, alone};

/// Ports of deploy/countersign.toml, each with the table that listens on it.
const PORTS: [(u16, &str); 7] = [
    (5555, "[ca.default]"),
    (6962, "[log.ct]"),
    (3000, "[log.rekor1]"),
    (3003, "[log.rekor2]"),
    (3004, "[tsa.default]"),
    (3005, "[trust.default]"),
    (3006, "[oidc-dev]"),
];

/// The names of containers within their network.
const HOSTS: [&str; 2] = ["log", "oidc-dev"];

struct Topology {
    compose: Yaml,
    services: Services,
    machine: Machine,
    ports: BTreeMap<u16, u16>,
    metrics_ports: BTreeMap<String, u16>,
}

impl Topology {
    fn new(machine: Machine) -> Self {
        let text = fs::read_to_string(format!("{ROOT}/docker-compose.yml")).unwrap();
        let compose = YamlLoader::load_from_str(&text).unwrap().remove(0);
        let ports = PORTS.map(|(port, _)| (port, free_port())).into();
        let parts = ["log", "ca", "tsa", "trust", "oidc-dev"];
        let metrics_ports = parts.map(|part| (part.to_owned(), free_port())).into();
        let services = Services::new().unwrap();
        let topology = Self { compose, services, machine, ports, metrics_ports };
        fs::write(topology.services.config(), topology.config()).unwrap();
        topology
    }

    /// The file that containers mount, with ports and hosts of this machine.
    fn config(&self) -> String {
        let mut text = fs::read_to_string(self.machine.path("countersign.toml")).unwrap();
        for host in HOSTS {
            text = text.replace(&format!("http://{host}:"), "http://localhost:");
        }
        for (port, table) in PORTS {
            let own = self.ports[&port];
            text = text.replace(&format!("localhost:{port}"), &format!("localhost:{own}"));
            text = text.replace(&format!("\n{table}\n"), &format!("\n{table}\nport = {own}\n"));
        }
        text = text.replace("address = \"0.0.0.0\"\nmetrics_port = 3007\n", "");
        let metrics = self.metrics_ports.iter().map(|(part, port)| format!("{part} = {port}\n"));
        format!("{text}\n[listen.metrics_ports]\n{}", metrics.collect::<String>())
    }

    fn member(&self, service: &str, name: &str) -> Yaml {
        let service = &self.compose["services"][service];
        match &service[name] {
            Yaml::BadValue => service["<<"][name].clone(),
            own => own.clone(),
        }
    }

    fn command(&self, service: &str) -> Vec<String> {
        let command = self.member(service, "command");
        command.as_vec().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    fn waits_for(&self, service: &str) -> Vec<String> {
        let waits = self.member(service, "depends_on");
        let names = waits.as_hash().into_iter().flatten();
        names.map(|(name, _)| name.as_str().unwrap().to_owned()).collect()
    }

    /// Starts everything as `up` does: whatever waits for nothing that is not there yet.
    fn up(&mut self) -> Vec<String> {
        let all = self.compose["services"].as_hash().unwrap();
        let mut left: Vec<String> =
            all.keys().map(|name| name.as_str().unwrap().to_owned()).collect();
        let mut started: Vec<String> = Vec::new();
        while !left.is_empty() {
            let ready =
                |name: &String| self.waits_for(name).iter().all(|other| started.contains(other));
            // None: they wait for each other.
            let position = left.iter().position(ready).unwrap();
            let service = left.remove(position);
            self.begin(&service);
            started.push(service);
        }
        started
    }

    /// Until it has ended, or is as healthy as its check wants it.
    fn begin(&mut self, service: &str) {
        let command = if service == "postgres" { Vec::new() } else { self.command(service) };
        match command.first().map(String::as_str) {
            None => self.tells_postgres(),
            Some("serve") => {
                let port = self.metrics_ports[&command[1]];
                // The issuer may come after the CA, which is ready only when it has had keys: nothing waits for that.
                let path = if service == "ca" { "healthz" } else { "readyz" };
                let url = format!("http://127.0.0.1:{port}/{path}");
                self.services.start_until(&command[1], &url).unwrap();
            }
            Some(_) => {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                let said = self.services.countersignd(&words).unwrap();
                assert_eq!(said.code, Some(0), "{service}: {said:?}");
            }
        }
    }

    /// What its entrypoint does with docker-entrypoint-initdb.d.
    fn tells_postgres(&self) {
        let mut psql = self.machine.command(Path::new("psql"));
        psql.args(["--quiet", "--no-psqlrc", "--username=postgres", "--dbname=countersign"]);
        psql.args(["--set=ON_ERROR_STOP=1", "--file"]);
        let told = psql.arg(self.machine.path("run/database-roles/roles.sql")).output().unwrap();
        assert!(told.status.success(), "{told:?}");
    }

    fn url(&self, port: u16) -> String {
        format!("http://localhost:{}", self.ports[&port])
    }

    fn token(&self) -> String {
        let mut token = countersignd();
        token.args(["token", "--email", "you@example.com", "--data-dir"]);
        e2e::said(token.arg(self.machine.path("data/oidc-dev"))).unwrap().stdout
    }

    /// `countersign`, of somebody who knows `root.json`.
    fn countersign(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(binaries().join("countersign"));
        command.env("COUNTERSIGN_TRUST_DIR", self.services.path().join("pin"));
        command.env_remove("COUNTERSIGN_TRUST_CONFIG").env_remove("SIGSTORE_ID_TOKEN");
        let said = e2e::said(command.args(arguments).current_dir(self.services.path())).unwrap();
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said
    }

    /// As docs/compose.md has it.
    fn signs_and_verifies(&self) {
        let (issuer, token) = (self.url(3006), self.token());
        self.countersign(&[
            "attest",
            "generate-and-sign",
            "--subjects",
            "app",
            "--keyless",
            "--identity-token",
            &token,
        ]);
        self.countersign(&[
            "attest",
            "verify",
            "--subjects",
            "app",
            "--keyless",
            "--certificate-identity",
            "you@example.com",
            "--certificate-oidc-issuer",
            &issuer,
        ]);
    }
}

#[test]
fn the_services_of_compose_start_in_its_order_on_postgres_sign_and_leave_a_trail() {
    let _alone = alone();
    let mut topology = Topology::new(Machine::new());
    let order = topology.up();
    let place = |name: &str| order.iter().position(|other| other == name).unwrap();
    assert!(place("secrets") < place("postgres") && place("postgres") < place("init"));
    assert!(place("init") < place("log") && place("log") < place("ca"));

    fs::write(topology.services.path().join("app"), "something to sign").unwrap();
    let root = topology.machine.path("data/public/root.json").display().to_string();
    topology.countersign(&["trust", "init", "--url", &topology.url(3005), "--root", &root]);
    topology.signs_and_verifies();
    let trail = fs::read_to_string(topology.machine.path("audit/ca.log")).unwrap();
    assert!(trail.contains("serial"), "{trail}");
    let anchors = fs::read_dir(topology.machine.path("data-anchors")).unwrap();
    let mut anchored: Vec<_> = anchors.map(|entry| entry.unwrap().file_name()).collect();
    anchored.retain(|name| !name.to_string_lossy().ends_with(".lock"));
    anchored.sort();
    assert_eq!(anchored, ["ct", "rekor1", "rekor2"]);
    let check = topology.services.countersignd(&["check"]).unwrap();
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(!check.stdout.contains("take away the triggers"), "{check:?}");

    topology.services.terminate().unwrap();
    topology.up();
    topology.signs_and_verifies();
}
