//! Two tenants by host on one installation, with shared logs and timestamp authorities in every state.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use e2e::{Client, Database, Services, countersignd, free_port, said};
use serde_json::{Value, json};

/// A tenant and the host of what is its alone.
const TENANTS: [(&str, &str); 2] = [("acme", "127.0.0.2"), ("globex", "127.0.0.3")];

/// How the processes are cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// A process a kind of service.
    Services,
    /// One process with one port, and the development provider.
    One,
}

/// Ports of ca, ct, rekor1, rekor2, tsa, trust, oidc, then those of the metrics.
struct Ports(Vec<u16>);

const SERVICES: [&str; 7] = ["ca", "ct", "rekor1", "rekor2", "tsa", "trust", "oidc"];

const PARTS: [&str; 6] = ["log", "ca", "tsa", "trust", "all", "oidc-dev"];

impl Ports {
    /// Ports that were free a moment ago.
    fn free() -> Self {
        Self((0..7 + PARTS.len()).map(|_| free_port()).collect())
    }

    fn of(&self, service: &str) -> u16 {
        self.0[SERVICES.iter().position(|one| *one == service).unwrap()]
    }

    fn metrics(&self, part: &str) -> u16 {
        self.0[7 + PARTS.iter().position(|one| *one == part).unwrap()]
    }
}

struct Installation {
    services: Services,
    ports: Ports,
    cut: Cut,
    database: Database,
}

/// State of the logs of 2025 and 2026.
struct States(&'static str, &'static str);

impl Installation {
    fn new(database: Database, cut: Cut) -> Self {
        let installation =
            Self { services: Services::new().unwrap(), ports: Ports::free(), cut, database };
        installation.write_config(&States("active", "staged"), "");
        installation
    }

    /// The log of 2025 has `frozen` in its table too.
    fn write_config(&self, States(first, second): &States, frozen: &str) {
        let database = match &self.database {
            Database::Sqlite => "kind = \"sqlite\"".to_owned(),
            Database::Postgres { url } => format!("kind = \"postgres\"\nurl = \"{url}\""),
        };
        let data = self.services.data("");
        let mut text = format!(
            "data_dir = \"{}\"\nanchors = [\"file:{}\"]\n[database]\n{database}\n[listen.metrics_ports]\n",
            data.display(),
            self.services.path().join("anchors").display()
        );
        for part in PARTS {
            writeln!(text, "{part} = {}", self.ports.metrics(part)).unwrap();
        }
        let oidc = format!("url = \"http://localhost:{}\"", self.ports.of("oidc"));
        writeln!(text, "[oidc-dev]\n{oidc}\nport = {}", self.ports.of("oidc")).unwrap();
        let mut add = |table: &str, service: &str, host: &str, more: &str| {
            let (url, port) = (self.url(service, host), self.port(service));
            writeln!(text, "[{table}]\nurl = \"{url}\"\nport = {port}\n{more}").unwrap();
        };
        for (tenant, host) in TENANTS {
            let own = format!("tenant = \"{tenant}\"");
            add(&format!("trust.{tenant}"), "trust", host, &own);
            add(&format!("log.{tenant}-ct"), "ct", host, &format!("{own}\nkind = \"ct\""));
            let issuer = format!(
                "{own}\n[[ca.{tenant}.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\n{oidc}"
            );
            add(&format!("ca.{tenant}"), "ca", host, &issuer);
        }
        add("log.v1", "rekor1", "127.0.0.4", "kind = \"rekor1\"\nwriters = \"open\"");
        for (name, host, state, more) in [
            ("2025", "127.0.0.4", *first, frozen),
            ("2026", "127.0.0.5", *second, ""),
            ("2027", "127.0.0.6", "staged", ""),
        ] {
            let more =
                format!("kind = \"rekor2\"\nwriters = \"open\"\nstate = \"{state}\"\n{more}");
            add(&format!("log.{name}"), "rekor2", host, &more);
        }
        for (name, host, state) in
            [("main", "127.0.0.4", "active"), ("next", "127.0.0.5", "staged")]
        {
            let more = format!("organization = \"Sign\"\nstate = \"{state}\"");
            add(&format!("tsa.{name}"), "tsa", host, &more);
        }
        for (tenant, host) in TENANTS {
            let own = ["ca", "ct", "trust"].map(|service| self.host(service, host));
            let hosts = format!("hosts = {own:?}\naudience = \"https://{host}\"");
            writeln!(text, "[tenant.{tenant}]\norganization = \"{tenant}\"\n{hosts}").unwrap();
        }
        fs::write(self.services.config(), text).unwrap();
    }

    fn url(&self, service: &str, host: &str) -> String {
        format!("http://{}:{}", self.host(service, host), self.port(service))
    }

    /// Where everything has one port, each kind of service has hosts of its own.
    fn host(&self, service: &str, host: &str) -> String {
        match SERVICES.iter().position(|one| *one == service) {
            Some(network) if self.cut == Cut::One && service != "oidc" => {
                host.replace("127.0.0.", &format!("127.0.{network}."))
            }
            _ => host.to_owned(),
        }
    }

    fn port(&self, service: &str) -> u16 {
        let one = self.cut == Cut::One && service != "oidc";
        self.ports.of(if one { "ca" } else { service })
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let said = self.services.countersignd(arguments).unwrap();
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.stdout
    }

    fn start(&mut self) {
        let parts: &[&str] = match self.cut {
            // The issuers first: a CA that never had keys of any is not ready.
            Cut::Services => &["oidc-dev", "log", "ca", "tsa", "trust"],
            Cut::One => &["oidc-dev", "all"],
        };
        for part in parts {
            self.services.start(part, self.ports.metrics(part)).unwrap();
        }
    }

    /// Somebody of a tenant, who knows what its trust repository publishes now.
    fn client(&self, (tenant, host): (&str, &str)) -> Client {
        let trust = self.services.path().join(format!("{tenant}.json"));
        fs::write(&trust, get(&self.url("trust", host), "client_trust_config.json").1).unwrap();
        let audience = format!("https://{host}");
        let arguments =
            ["token", "--email", "alice@acme.internal", "--aud", &audience, "--data-dir"];
        let token =
            said(countersignd().args(arguments).arg(self.services.data("oidc-dev"))).unwrap();
        assert_eq!(token.code, Some(0), "{token:?}");
        let issuer = self.url("oidc", "localhost");
        Client { trust, token: token.stdout, issuer }
    }

    fn artifact(&self, name: &str) -> PathBuf {
        let path = self.services.path().join(name);
        fs::write(&path, name).unwrap();
        path
    }

    /// Size of a Rekor v2 log.
    fn size(&self, host: &str) -> u64 {
        let (status, checkpoint) = get(&self.url("rekor2", host), "checkpoint");
        let origin = self.host("rekor2", host);
        assert_eq!((status, checkpoint.lines().next()), (200, Some(&*origin)), "{checkpoint}");
        checkpoint.lines().nth(1).unwrap().parse().unwrap()
    }
}

fn signs(client: &Client, artifact: &Path) {
    let signed = client.sign(artifact).unwrap();
    assert_eq!(signed.code, Some(0), "{signed:?}");
    verifies(client, artifact);
}

fn verifies(client: &Client, artifact: &Path) {
    let verified = client.verify(artifact).unwrap();
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

/// A part of what the client trusts.
fn trusted(client: &Client, part: &str, list: &str) -> Vec<Value> {
    let config: Value = serde_json::from_slice(&fs::read(&client.trust).unwrap()).unwrap();
    config[part][list].as_array().unwrap().clone()
}

/// A list of the signing config.
fn urls(client: &Client, list: &str) -> Vec<String> {
    let services = trusted(client, "signingConfig", list);
    services.iter().map(|service| service["url"].as_str().unwrap().to_owned()).collect()
}

fn bundle(artifact: &Path) -> Value {
    let path = format!("{}.sigstore.json", artifact.display());
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn ask(make: impl FnOnce(reqwest::Client) -> reqwest::RequestBuilder) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(answer(make(reqwest::Client::new())))
}

fn get(base: &str, path: &str) -> (u16, String) {
    ask(|client| client.get(format!("{base}/{path}")))
}

fn signs_at_both_tenants(database: Database, cut: Cut) {
    let mut installation = Installation::new(database, cut);
    installation.succeeds(&["init"]);
    installation.succeeds(&["check"]);
    installation.start();
    let before: Vec<(Client, PathBuf)> = TENANTS
        .into_iter()
        .map(|tenant| {
            let client = installation.client(tenant);
            let artifact = installation.artifact(&format!("{}-before", tenant.0));
            signs(&client, &artifact);
            (client, artifact)
        })
        .collect();
    let old_trust = fs::read(&before[0].0.trust).unwrap();
    let frozen_size = installation.size("127.0.0.4");
    assert!(frozen_size >= 3, "{frozen_size}");
    installation.services.terminate().unwrap();

    freeze(&mut installation);
    installation.start();
    assert_eq!(installation.size("127.0.0.4"), frozen_size, "it is read");
    let staged_size = installation.size("127.0.0.6");
    for (number, tenant) in TENANTS.into_iter().enumerate() {
        let client = installation.client(tenant);
        verifies(&client, &before[number].1);
        signs(&client, &installation.artifact(tenant.0));
        lists_of(&installation, &client, tenant.1);
    }
    assert!(installation.size("127.0.0.5") >= 3);
    assert_eq!(
        (installation.size("127.0.0.4"), installation.size("127.0.0.6")),
        (frozen_size, staged_size)
    );

    nobody_signs_to_the_frozen_log(&installation, &old_trust);
    tenants_are_apart(&installation);
    hosts_of_nobody_are_misdirected(&installation);
    installation.services.terminate().unwrap();
    let fsck = installation.succeeds(&["fsck"]);
    for line in [
        "log 2025: ok",
        "log 2026: ok",
        "log v1: ok",
        "log acme-ct: ok",
        "ca globex: ok",
        "tsa next: ok",
        "trust acme: ok",
    ] {
        assert!(fsck.contains(line), "{line}: {fsck}");
    }
}

/// As an operator does it: the database first, then the file; either alone is told.
fn freeze(installation: &mut Installation) {
    let frozen = States("frozen", "active");
    installation.write_config(&frozen, "");
    let services = &installation.services;
    for arguments in [["check"].as_slice(), &["serve", "log"]] {
        let told = services.countersignd(arguments).unwrap();
        assert_eq!(told.code, Some(1), "{told:?}");
        let all = told.stdout + &told.stderr;
        assert!(all.contains("`frozen` in the configuration and takes entries"), "{all}");
    }
    let missing = services.countersignd(&["log", "freeze", "2024"]).unwrap();
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("has no log `2024`, it has 2025, 2026"), "{missing:?}");

    installation.write_config(&States("active", "staged"), "");
    let said = installation.succeeds(&["log", "freeze", "2025"]);
    let again = installation.succeeds(&["log", "freeze", "2025"]);
    assert_eq!(again.lines().next(), said.lines().next(), "for good, and once");
    let check = installation.services.countersignd(&["check"]).unwrap();
    assert_eq!(check.code, Some(1), "{check:?}");
    let mismatch = "`2025` is frozen in the database and `active` in the configuration";
    assert!(check.stdout.contains(mismatch), "{check:?}");
    // All logs are served all the same, and whoever watches them is told.
    installation.services.start("log", installation.ports.metrics("log")).unwrap();
    let metrics = format!("http://127.0.0.1:{}", installation.ports.metrics("log"));
    let (status, report) = get(&metrics, "readyz");
    let report: Value = serde_json::from_str(&report).unwrap();
    let degraded = report["degraded"]["log 2025"].as_str().unwrap_or_default();
    assert!(status == 200 && degraded.contains(mismatch), "{report}");
    assert!(installation.size("127.0.0.4") > 0 && installation.size("127.0.0.6") > 0);
    installation.services.terminate().unwrap();

    let until = said.lines().find(|line| line.starts_with("valid_until = ")).unwrap();
    assert!(said.contains("\n[log.2025]\nstate = \"frozen\"\n"), "{said}");
    installation.write_config(&frozen, until);
    let kept = installation.succeeds(&["init"]);
    assert!(kept.lines().all(|line| line.starts_with("kept: ")), "{kept}");
    installation.succeeds(&["check"]);
}

/// Active services to sign with, all to verify by, and nobody else's.
fn lists_of(installation: &Installation, client: &Client, host: &str) {
    assert_eq!(urls(client, "caUrls"), [installation.url("ca", host)]);
    let logs = [installation.url("rekor2", "127.0.0.5"), installation.url("rekor1", "127.0.0.4")];
    assert_eq!(urls(client, "rekorTlogUrls"), logs);
    assert_eq!(
        urls(client, "tsaUrls"),
        [installation.url("tsa", "127.0.0.4") + "/api/v1/timestamp"]
    );
    for (list, count) in
        [("tlogs", 4), ("timestampAuthorities", 2), ("ctlogs", 1), ("certificateAuthorities", 1)]
    {
        assert_eq!(trusted(client, "trustedRoot", list).len(), count, "{list}");
    }
}

/// Somebody whose signing config is of last year.
fn nobody_signs_to_the_frozen_log(installation: &Installation, old_trust: &[u8]) {
    let mut client = installation.client(TENANTS[0]);
    client.trust = installation.services.path().join("old.json");
    fs::write(&client.trust, old_trust).unwrap();
    let signed = client.sign(&installation.artifact("late")).unwrap();
    assert_ne!(signed.code, Some(0), "{signed:?}");
    assert!(signed.stderr.contains("frozen") && signed.stderr.contains("405"), "{signed:?}");
}

/// What is one tenant's is not taken at the other's host.
fn tenants_are_apart(installation: &Installation) {
    let [acme, globex] = TENANTS.map(|tenant| installation.client(tenant));
    let stranger = Client { token: acme.token.clone(), ..installation.client(TENANTS[1]) };
    let refused = stranger.sign(&installation.artifact("stranger")).unwrap();
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("audience"), "{refused:?}");

    let artifact = installation.artifact("of-acme");
    signs(&acme, &artifact);
    let verified = globex.verify(&artifact).unwrap();
    assert_ne!(verified.code, Some(0), "another tenant's CA is not trusted: {verified:?}");

    let trust: Value = serde_json::from_slice(&fs::read(&acme.trust).unwrap()).unwrap();
    let leaf = bundle(&artifact)["verificationMaterial"]["certificate"]["rawBytes"].clone();
    let chain = &trust["trustedRoot"]["certificateAuthorities"][0]["certChain"]["certificates"];
    let mut all = vec![leaf];
    all.extend(chain.as_array().unwrap().iter().map(|one| one["rawBytes"].clone()));
    assert!(STANDARD.decode(all[0].as_str().unwrap()).is_ok());
    let submit = |host: &str| {
        let url = format!("{}/ct/v1/add-chain", installation.url("ct", host));
        ask(|client| client.post(url).body(json!({"chain": all}).to_string()))
    };
    assert_eq!(submit(TENANTS[0].1).0, 200);
    let (status, why) = submit(TENANTS[1].1);
    assert_eq!(status, 400, "{why}");
}

/// Also by HTTP/2, as gRPC asks.
fn hosts_of_nobody_are_misdirected(installation: &Installation) {
    let base = installation.url("ca", TENANTS[0].1);
    for host in ["nobody.example", "localhost", "127.0.0.4"] {
        let asked =
            |path: &str| ask(|client| client.get(format!("{base}/{path}")).header("host", host));
        let (status, body) = asked("api/v2/configuration");
        assert_eq!(status, 421, "{body}");
        assert!(
            TENANTS.iter().all(|(name, at)| !body.contains(name) && !body.contains(at)),
            "{body}"
        );
        assert_eq!((asked("healthz").0, asked("readyz").0), (200, 200));
    }
    let known = ask(|client| client.get(format!("{base}/api/v2/configuration")));
    assert_eq!(known.0, 200);
    for (host, status) in [(TENANTS[0].1, 200), (TENANTS[1].1, 200), ("localhost", 421)] {
        let url = installation.url("ca", host) + "/api/v2/configuration";
        let h2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        assert_eq!(ask(|_| h2.get(url)).0, status, "{host}");
    }
}

#[test]
fn services_of_two_tenants_sign_and_verify_on_sqlite() {
    signs_at_both_tenants(Database::Sqlite, Cut::Services);
}

#[test]
fn services_of_two_tenants_sign_and_verify_on_postgres() {
    let database = Database::postgres("countersign_e2e_tenants").unwrap();
    signs_at_both_tenants(database, Cut::Services);
}

#[test]
fn one_process_for_two_tenants_signs_and_verifies_on_sqlite() {
    signs_at_both_tenants(Database::Sqlite, Cut::One);
}

#[test]
fn one_process_for_two_tenants_signs_and_verifies_on_postgres() {
    let database = Database::postgres("countersign_e2e_tenants_in_one").unwrap();
    signs_at_both_tenants(database, Cut::One);
}

/// By the command line in its first lines: a log that is new and `frozen` was made to take entries, and then
/// nothing started.
#[test]
fn the_sample_as_it_is_written_inits_and_starts() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/samples/two-tenants.toml");
    let sample = fs::read_to_string(sample).unwrap();
    let mut services = Services::new().unwrap();
    let (port, metrics) = (free_port(), free_port());
    let database = sample.lines().skip_while(|line| *line != "[database]").skip(1).take(3);
    let database: Vec<&str> = database.collect();
    assert!(database[0].starts_with("kind = ") && database[2].starts_with("password_file"));
    let text = sample
        .replace(&database.join("\n"), "kind = \"sqlite\"")
        .replace("/var/lib/countersign", &services.path().join("data").display().to_string())
        .replace("8080", &port.to_string())
        .replace("metrics_port = 9100", &format!("metrics_port = {metrics}"));
    fs::write(services.config(), text).unwrap();
    for command in [&["init"][..], &["check", "--offline"], &["init"]] {
        let said = services.countersignd(command).unwrap();
        assert_eq!(said.code, Some(0), "{command:?}: {said:?}");
    }
    // Its issuers are nobody's, so its CAs could not verify a token.
    services.start_until("all", &format!("http://127.0.0.1:{metrics}/healthz")).unwrap();
    services.terminate().unwrap();
}
