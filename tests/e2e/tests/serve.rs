//! A deployment by one configuration: every service a process of its own, as docker-compose runs them.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

#[path = "serve/drill.rs"]
mod drill;
#[path = "serve/log_tokens.rs"]
mod log_tokens;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use e2e::{Client, Database, Said, Services, countersignd, free_port, said};
use serde_json::Value;

const PARTS: [&str; 5] = ["log", "ca", "tsa", "trust", "oidc-dev"];

/// A configuration, its data and its processes.
struct Deployment {
    services: Services,
    /// Of ca, ct, rekor1, rekor2, tsa, trust, oidc-dev.
    ports: [u16; 7],
    /// Of the parts' metrics.
    metrics_ports: [u16; 5],
}

impl Deployment {
    /// Writes a configuration for `database`; nothing is made or started.
    fn new(database: &Database) -> Self {
        let services = Services::new().unwrap();
        let (ports, metrics_ports) = ([(); 7].map(|()| free_port()), [(); 5].map(|()| free_port()));
        let deployment = Self { services, ports, metrics_ports };
        deployment.write_config(database);
        deployment
    }

    fn write_config(&self, database: &Database) {
        let [ca, ct, rekor1, rekor2, tsa, trust, oidc] = self.ports;
        let database = match database {
            Database::Sqlite => "kind = \"sqlite\"".to_owned(),
            Database::Postgres { url } => format!("kind = \"postgres\"\nurl = \"{url}\""),
        };
        let mut text = format!(
            "data_dir = \"{}\"\nanchors = [\"file:{}\"]\n[tenant.default]\norganization = \"Acme\"\nhosts = [\"localhost\"]\n\
             [database]\n{database}\n[listen.metrics_ports]\n",
            self.data("").display(),
            self.services.path().join("anchors").display()
        );
        for (part, port) in PARTS.into_iter().zip(self.metrics_ports) {
            writeln!(text, "{part} = {port}").unwrap();
        }
        for (section, port) in [
            ("[ca.main]", ca),
            ("[log.ct]\nkind = \"ct\"", ct),
            ("[log.first]\nkind = \"rekor1\"\nwriters = \"open\"", rekor1),
            ("[log.2026]\nkind = \"rekor2\"\nwriters = \"open\"", rekor2),
            ("[tsa.main]", tsa),
            ("[trust.main]", trust),
        ] {
            writeln!(text, "{section}\nurl = \"http://localhost:{port}\"\nport = {port}").unwrap();
        }
        let issuer = format!("url = \"http://localhost:{oidc}\"");
        writeln!(text, "[oidc-dev]\n{issuer}\nport = {oidc}").unwrap();
        writeln!(text, "[[ca.main.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\n{issuer}")
            .unwrap();
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.services.config()
    }

    fn data(&self, path: &str) -> PathBuf {
        self.services.data(path)
    }

    fn url(&self, position: usize) -> String {
        format!("http://localhost:{}", self.ports[position])
    }

    /// `countersignd <arguments> --config <this>`, to its end.
    fn countersignd(&self, arguments: &[&str]) -> Said {
        self.services.countersignd(arguments).unwrap()
    }

    fn init(&self) -> String {
        let init = self.countersignd(&["init"]);
        assert_eq!(init.code, Some(0), "{init:?}");
        init.stdout
    }

    /// Starts `part` and waits until it is ready.
    fn start(&mut self, part: &'static str) {
        let position = PARTS.iter().position(|other| *other == part).unwrap();
        self.services.start(part, self.metrics_ports[position]).unwrap();
    }

    /// The issuer first: a CA that never had keys of any is not ready.
    fn start_all(&mut self) {
        for part in ["oidc-dev", "log", "ca", "tsa", "trust"] {
            self.start(part);
        }
    }

    /// SIGTERM to every process, which each ends with 0.
    fn terminate(&mut self) {
        self.services.terminate().unwrap();
    }

    /// A client with what the trust service publishes now.
    fn client(&self) -> Client {
        let file = self.services.path().join("client_trust_config.json");
        let url = format!("{}/client_trust_config.json", self.url(5));
        fs::write(&file, get(&url)).unwrap();
        let token = said(
            countersignd()
                .args(["token", "--email", "alice@acme.internal", "--data-dir"])
                .arg(self.data("oidc-dev")),
        );
        Client { trust: file, token: token.unwrap().stdout, issuer: self.url(6) }
    }

    /// Size of the Rekor v2 log.
    fn size(&self) -> u64 {
        let checkpoint = get(&format!("{}/checkpoint", self.url(3)));
        checkpoint.lines().nth(1).unwrap().parse().unwrap()
    }
}

/// Signs, and says at which index the log has it.
fn sign(client: &Client, artifact: &Path) -> u64 {
    fs::write(artifact, artifact.display().to_string()).unwrap();
    let signed = client.sign(artifact).unwrap();
    assert_eq!(signed.code, Some(0), "{signed:?}");
    let bundle = fs::read(format!("{}.sigstore.json", artifact.display())).unwrap();
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let index = &bundle["verificationMaterial"]["tlogEntries"][0]["logIndex"];
    index.as_str().unwrap().parse().unwrap()
}

fn get(url: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(url).await.unwrap().error_for_status().unwrap();
        answer.text().await.unwrap()
    })
}

fn signs_verifies_and_goes_on(database: &Database) {
    let mut deployment = Deployment::new(database);
    let made = deployment.init();
    assert!(made.lines().all(|line| line.starts_with("made: ")), "{made}");
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    deployment.start_all();
    let client = deployment.client();
    let artifact = |name| deployment.services.path().join(name);
    let (first, second) = (artifact("first"), artifact("second"));
    let first_index = sign(&client, &first);
    assert_eq!(client.verify(&first).unwrap().code, Some(0));
    let size = deployment.size();
    let published = fs::read(&client.trust).unwrap();

    // As `docker-compose up` does it: init runs again, then everything.
    deployment.terminate();
    let kept = deployment.init();
    assert!(kept.lines().all(|line| line.starts_with("kept: ")), "{kept}");
    deployment.start_all();
    let client = deployment.client();
    assert_eq!(fs::read(&client.trust).unwrap(), published);
    assert!(deployment.size() >= size);
    let verified = client.verify(&first).unwrap();
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(sign(&client, &second) > first_index);
    assert_eq!(client.verify(&second).unwrap().code, Some(0));
    assert!(deployment.size() > size);
    deployment.terminate();
    let fsck = deployment.countersignd(&["fsck"]);
    assert_eq!(fsck.code, Some(0), "{fsck:?}");
    for part in ["log ct: ok", "log first: ok", "log 2026: ok", "ca: ok", "tsa: ok", "trust: ok"] {
        assert!(fsck.stdout.contains(part), "{part}: {fsck:?}");
    }
}

#[test]
fn separate_processes_sign_verify_and_go_on_after_a_restart_on_sqlite() {
    signs_verifies_and_goes_on(&Database::Sqlite);
}

#[test]
fn separate_processes_sign_verify_and_go_on_after_a_restart_on_postgres() {
    signs_verifies_and_goes_on(&Database::postgres("countersign_e2e_serve").unwrap());
}

#[test]
fn init_may_run_while_everything_runs() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    deployment.start_all();
    let kept = deployment.init();
    assert!(kept.lines().all(|line| line.starts_with("kept: ")), "{kept}");
}

#[test]
fn a_service_is_never_served_without_init() {
    let deployment = Deployment::new(&Database::Sqlite);
    for part in PARTS {
        let refused = deployment.countersignd(&["serve", part]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("init"), "{refused:?}");
    }
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    for part in ["configuration: ok", "ca: BAD", "tsa: BAD", "log: BAD", "trust: BAD"] {
        assert!(check.stdout.contains(part), "{part}: {check:?}");
    }
}

#[test]
fn a_lost_key_is_never_replaced() {
    let deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    for key in [
        "ca/keys/main.pem",
        "log/keys/2026.pem",
        "tsa/keys/main.pem",
        "trust/keys/tuf-main-root.pem",
    ] {
        let (path, saved) = (deployment.data(key), deployment.data("saved.pem"));
        fs::rename(&path, &saved).unwrap();
        let refused = deployment.countersignd(&["init"]);
        assert_eq!(refused.code, Some(1), "{key}: {refused:?}");
        assert!(refused.stderr.contains("is lost"), "{key}: {refused:?}");
        assert!(!path.exists(), "{key}");
        fs::rename(&saved, &path).unwrap();
    }
    assert_eq!(deployment.countersignd(&["check"]).code, Some(0));
}

#[test]
fn a_lost_volume_never_becomes_a_new_authority() {
    let deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    for volume in ["ca", "log", "tsa", "trust", "trust/tuf-main", "public"] {
        let (path, saved) = (deployment.data(volume), deployment.data("saved"));
        fs::rename(&path, &saved).unwrap();
        // As a volume is that was made again, empty.
        fs::create_dir(&path).unwrap();
        let refused = deployment.countersignd(&["init"]);
        assert_eq!(refused.code, Some(1), "{volume}: {refused:?}");
        assert!(refused.stderr.contains("lost"), "{volume}: {refused:?}");
        let check = deployment.countersignd(&["check"]);
        assert_eq!(check.code, Some(1), "{volume}: {check:?}");
        fs::remove_dir_all(&path).unwrap();
        fs::rename(&saved, &path).unwrap();
    }
    assert_eq!(deployment.countersignd(&["check"]).code, Some(0));
}

/// Before there could be several of a kind, files were called by it, whatever the section's name.
#[test]
fn files_of_a_deployment_from_before_are_used_under_their_names() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    for (own, before) in [
        ("ca/keys/main.pem", "ca/keys/ca.pem"),
        ("tsa/keys/main.pem", "tsa/keys/tsa.pem"),
        ("log/keys/first.pem", "log/keys/rekor1.pem"),
        ("log/keys/first-tiles.pem", "log/keys/rekor1-tiles.pem"),
        ("log/keys/2026.pem", "log/keys/rekor2.pem"),
        ("trust/keys/tuf-main-root.pem", "trust/keys/tuf-root.pem"),
        ("trust/keys/tuf-main-online.pem", "trust/keys/tuf-online.pem"),
        ("trust/tuf-main", "trust/tuf"),
        ("offline/ca-main-root.pem", "offline/ca-root.pem"),
        ("offline/tsa-main-root.pem", "offline/tsa-root.pem"),
        ("public/ca-main_chain.pem", "public/ca_chain.pem"),
        ("public/tsa-main_chain.pem", "public/tsa_chain.pem"),
        ("public/first.pub", "public/rekor1.pub"),
        ("public/first-tiles.pub", "public/rekor1-tiles.pub"),
        ("public/first-tree-id", "public/rekor1-tree-id"),
        ("public/2026.pub", "public/rekor2.pub"),
        ("public/tuf-main-root.json", "public/root.json"),
    ] {
        fs::rename(deployment.data(own), deployment.data(before)).unwrap();
    }
    let kept = deployment.init();
    assert!(kept.lines().all(|line| line.starts_with("kept: ")), "{kept}");
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    deployment.start_all();
    assert!(!deployment.data("ca/keys/main.pem").exists());

    // A second log of a kind: nobody guesses whose files those are.
    let text = fs::read_to_string(deployment.config()).unwrap();
    let next =
        "[log.2027]\nkind = \"rekor2\"\nwriters = \"open\"\nurl = \"http://127.0.0.2:3003\"\n";
    fs::write(deployment.config(), text + next).unwrap();
    let refused = deployment.countersignd(&["init"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("public/rekor2.pub is of one of 2026, 2027"), "{refused:?}");
}

/// The whole way: announced, used, ended, gone; on one port each, by host.
#[test]
fn the_next_ca_and_timestamp_authority_follow_and_bundles_of_before_verify() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    let [ca, .., tsa, _, oidc] = deployment.ports;
    let text = fs::read_to_string(deployment.config()).unwrap();
    let next = format!(
        "[ca.next]\nurl = \"http://127.0.0.2:{ca}\"\nport = {ca}\nstate = \"staged\"\n\
         [[ca.next.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\nurl = \"http://localhost:{oidc}\"\n\
         [tsa.next]\nurl = \"http://127.0.0.2:{tsa}\"\nport = {tsa}\nstate = \"staged\"\n"
    );
    let staged = text.replace("[\"localhost\"]", "[\"localhost\", \"127.0.0.2\"]") + &next;
    fs::write(deployment.config(), &staged).unwrap();
    deployment.init();
    deployment.start_all();
    let artifact = |deployment: &Deployment, name| deployment.services.path().join(name);
    let (first, second) = (artifact(&deployment, "first"), artifact(&deployment, "second"));
    sign(&deployment.client(), &first);
    deployment.terminate();

    let ended = "valid_until = \"2099-01-01T00:00:00Z\"\n";
    let followed = staged
        .replace("state = \"staged\"\n", "")
        .replace("[ca.main]\n", &format!("[ca.main]\nstate = \"retired\"\n{ended}"))
        .replace("[tsa.main]\n", &format!("[tsa.main]\nstate = \"frozen\"\n{ended}"));
    fs::write(deployment.config(), followed).unwrap();
    // What is retired needs no key, and nobody makes it a new one.
    fs::remove_file(deployment.data("ca/keys/main.pem")).unwrap();
    let kept = deployment.init();
    assert!(kept.lines().all(|line| line.starts_with("kept: ")), "{kept}");
    assert!(!deployment.data("ca/keys/main.pem").exists());
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.stdout.contains("ca main: ok, 2 certificates, retired"), "{check:?}");
    deployment.start_all();
    let client = deployment.client();
    let verified = client.verify(&first).unwrap();
    assert_eq!(verified.code, Some(0), "{verified:?}");
    sign(&client, &second);
    assert_eq!(client.verify(&second).unwrap().code, Some(0));
    let config = fs::read_to_string(&client.trust).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let urls = ["caUrls", "tsaUrls"].map(|list| config["signingConfig"][list].clone());
    assert!(urls.iter().all(|all| all.as_array().unwrap().len() == 1), "{urls:?}");
    assert!(urls.iter().all(|all| all[0]["url"].as_str().unwrap().contains("127.0.0.2")));
    let (status, _) =
        post_query(&format!("http://localhost:{tsa}/api/v1/timestamp"), vec![0x30, 0]);
    assert_eq!(status, 405, "the frozen one");
}

#[test]
fn init_with_a_wrong_database_does_not_spoil_the_next() {
    let (other, deployment) =
        (Deployment::new(&Database::Sqlite), Deployment::new(&Database::Sqlite));
    other.init();
    fs::create_dir_all(deployment.data("log")).unwrap();
    let database = deployment.data("log/log.db");
    fs::copy(other.data("log/log.db"), &database).unwrap();
    assert_eq!(deployment.countersignd(&["init"]).code, Some(1));
    fs::remove_file(&database).unwrap();
    deployment.init();
}

#[test]
fn a_lost_database_is_noticed_by_init_and_by_serve() {
    let deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    fs::remove_file(deployment.data("log/log.db")).unwrap();
    for arguments in [["serve", "log"].as_slice(), &["init"]] {
        let refused = deployment.countersignd(arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("the database has no"), "{refused:?}");
    }
}

#[test]
fn the_log_and_the_trust_service_run_once() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    deployment.start("log");
    deployment.start("trust");
    for part in ["log", "trust"] {
        let refused = deployment.countersignd(&["serve", part]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("another countersignd runs"), "{refused:?}");
    }
}

/// What is said, whatever the status.
fn report(url: &str) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

/// Neither the oidc-dev of its issuers nor its CT log run.
#[test]
fn issuers_are_shown_at_once_to_the_operator_and_briefly_to_anybody() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    let alive = format!("http://127.0.0.1:{}/healthz", deployment.metrics_ports[1]);
    deployment.services.start_until("ca", &alive).unwrap();
    let metrics = |path| get(&format!("http://127.0.0.1:{}/{path}", deployment.metrics_ports[1]));
    assert!(metrics("metrics").contains("countersign_ca_issuer_keys{"), "from the first moment");
    let begin = Instant::now();
    while !metrics("metrics")
        .lines()
        .any(|line| line.starts_with("countersign_ca_issuer_failing{") && line.ends_with(" 1"))
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "not at the next look");
    }
    // Nobody could get a certificate, for two reasons; the CT log is asked a little later.
    let begin = Instant::now();
    let public = loop {
        let (status, public) = report(&format!("{}/readyz", deployment.url(0)));
        assert_eq!(status, 503, "{public}");
        if public["checks"]["ca ct log"] != "ok" {
            break public;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "{public}");
    };
    let said = |check: &str| public["checks"][check].as_str().unwrap().to_owned();
    assert!(said("ca issuers").starts_with("no keys of any issuer"), "{public}");
    assert_eq!(said("ca ct log"), "the CT log gives no SCT: away");
    let degraded = public["degraded"].as_object().unwrap();
    assert!(degraded.len() > 1);
    for (name, word) in degraded.iter().filter(|(name, _)| *name != "ct log") {
        let issuer = name.strip_prefix("issuer http://localhost:").unwrap();
        assert!(!issuer.contains(' ') && !issuer.contains(".well-known"), "{name}");
        assert!(["away", "not_asked"].contains(&word.as_str().unwrap()), "{word}");
    }
    let (_, detailed) = report(&format!("http://127.0.0.1:{}/readyz", deployment.metrics_ports[1]));
    let detailed = detailed.to_string();
    assert!(
        detailed.contains(".well-known") && detailed.contains("away (connection)"),
        "{detailed}"
    );
    assert!(detailed.contains("ct_url http://"), "{detailed}");
    let begin = Instant::now();
    let shows = |check: &str| {
        metrics("metrics").contains(&format!("countersign_ready{{check=\"{check}\"}} 0"))
    };
    while !(shows("ca issuers") && shows("ca ct log")) {
        assert!(begin.elapsed() < Duration::from_mins(1), "{}", metrics("metrics"));
    }
    assert!(deployment.data("ca-state/admin.sock").exists());
    deployment.terminate();
    assert!(!deployment.data("ca-state/admin.sock").exists());
}

#[test]
fn check_tells_a_state_dir_that_the_ca_could_not_use() {
    let deployment = Deployment::new(&Database::Sqlite);
    deployment.init();
    assert!(deployment.countersignd(&["check"]).stdout.contains("ca state: ok"));
    let file = deployment.data("a-file");
    fs::write(&file, "").unwrap();
    let long = deployment.data(&"long".repeat(25));
    let text = fs::read_to_string(deployment.config()).unwrap();
    for (state_dir, says) in [(&file, "ot a directory"), (&long, "name a shorter `state_dir`")] {
        let line = format!("[ca.main]\nstate_dir = \"{}\"\n", state_dir.display());
        fs::write(deployment.config(), text.replace("[ca.main]\n", &line)).unwrap();
        let check = deployment.countersignd(&["check"]);
        assert_eq!(check.code, Some(1), "{check:?}");
        let told = check.stdout.lines().find(|line| line.starts_with("ca state: BAD")).unwrap();
        assert!(told.contains(says) && told.contains("state_dir"), "{told}");
    }
}

#[test]
fn a_bad_configuration_is_explained_by_every_command() {
    let deployment = Deployment::new(&Database::Sqlite);
    let text = fs::read_to_string(deployment.config()).unwrap();
    let text = text.replace("[tsa.main]\n", "[tsa.main]\nkey = \"pkcs11:token=x\"\nmistyped = 1\n");
    fs::write(deployment.config(), text).unwrap();
    for arguments in [["check"].as_slice(), &["init"], &["serve", "all"]] {
        let refused = deployment.countersignd(arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("tsa.main.key: "), "{refused:?}");
        assert!(refused.stderr.contains("tsa.main.mistyped: unknown key"), "{refused:?}");
    }
}

#[test]
fn clocks_are_never_moved_in_production() {
    let deployment = Deployment::new(&Database::Sqlite);
    let refused = deployment.countersignd(&["serve", "all", "--clock-offset-file", "/tmp/x"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

/// Extensions of a corporate hierarchy: nobody but the issuing CA says what its key is for.
const CORPORATE: &str = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nO = Acme\n\
    [root]\nbasicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = hash\n\
    [policy]\nbasicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = hash\n\
    [ca]\nbasicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign\n\
    extendedKeyUsage = codeSigning\nsubjectKeyIdentifier = hash\n\
    [tsa]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n\
    extendedKeyUsage = critical, timeStamping\n";

impl Deployment {
    fn openssl(&self, arguments: &str) -> Said {
        let mut command = Command::new("openssl");
        command.current_dir(self.services.path()).args(arguments.split_whitespace());
        said(&mut command).unwrap()
    }

    fn made_by_openssl(&self, arguments: &str) {
        let made = self.openssl(arguments);
        assert_eq!(made.code, Some(0), "{arguments}: {made:?}");
    }

    /// Replaces the chains of the CA and the timestamp authority, before anybody has seen them, by ones
    /// of the same keys below a company's root and policy CA.
    fn take_corporate_chains(&self) {
        fs::write(self.services.path().join("corporate.cnf"), CORPORATE).unwrap();
        self.made_by_openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out root.key");
        self.made_by_openssl(
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out policy.key",
        );
        self.made_by_openssl(
            "req -x509 -new -key root.key -subj /O=Acme/CN=root -days 90 -extensions root \
             -config corporate.cnf -out root.pem",
        );
        for (name, key, issuer) in [
            ("policy", "policy.key", "root"),
            ("ca", "data/ca/keys/main.pem", "policy"),
            ("tsa", "data/tsa/keys/main.pem", "policy"),
        ] {
            self.made_by_openssl(&format!(
                "req -new -key {key} -subj /O=Acme/CN={name} -config corporate.cnf -out {name}.csr"
            ));
            self.made_by_openssl(&format!(
                "x509 -req -days 60 -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key \
                 -CAcreateserial -extfile corporate.cnf -extensions {name} -out {name}.pem"
            ));
        }
        let pem = |name: &str| {
            fs::read_to_string(self.services.path().join(format!("{name}.pem"))).unwrap()
        };
        let above = pem("policy") + &pem("root");
        for name in ["ca", "tsa"] {
            fs::write(self.data(&format!("public/{name}-main_chain.pem")), pem(name) + &above)
                .unwrap();
        }
    }

    /// Adds `keys` to the section of the timestamp authority.
    fn configure_tsa(&self, keys: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        let text = text.replace("[tsa.main]\n", &format!("[tsa.main]\n{keys}\n"));
        fs::write(self.config(), text).unwrap();
    }
}

#[test]
fn a_policy_ca_without_key_usages_signs_verifies_and_stamps_under_policies_of_its_own() {
    let mut deployment = Deployment::new(&Database::Sqlite);
    let made = deployment.countersignd(&["init", "--secrets-only"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    deployment.take_corporate_chains();
    deployment.init();
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(1), "sigstore-go wants intermediates of a TSA marked: {check:?}");
    assert!(check.stdout.contains("ca: ok") && check.stdout.contains("tsa: BAD"), "{check:?}");
    deployment.configure_tsa(
        "unmarked_intermediates = true\npolicy = \"1.3.6.1.4.1.32473.1\"\n\
         accepted_policies = [\"1.3.6.1.4.1.32473.2\"]",
    );
    let check = deployment.countersignd(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    deployment.start_all();
    let client = deployment.client();
    let artifact = deployment.services.path().join("artifact");
    sign(&client, &artifact);
    let verified = client.verify(&artifact).unwrap();
    assert_eq!(verified.code, Some(0), "{verified:?}");
    // The root alone is trusted, and openssl finds the way through the policy CA.
    for (asked, stamped) in [
        ("", Some("1.3.6.1.4.1.32473.1")),
        ("-tspolicy 1.3.6.1.4.1.32473.2", Some("1.3.6.1.4.1.32473.2")),
        ("-tspolicy 1.3.6.1.4.1.57264.2", None),
    ] {
        deployment
            .made_by_openssl(&format!("ts -query -data artifact -sha256 -cert {asked} -out q"));
        let query = fs::read(deployment.services.path().join("q")).unwrap();
        let reply = post(&format!("{}/api/v1/timestamp", deployment.url(4)), query);
        fs::write(deployment.services.path().join("r"), reply).unwrap();
        let text = deployment.openssl("ts -reply -in r -text").stdout;
        let Some(policy) = stamped else {
            assert!(text.contains("unacceptedPolicy") || text.contains("not supported"), "{text}");
            continue;
        };
        assert!(text.contains(&format!("Policy OID: {policy}")), "{text}");
        deployment.made_by_openssl(
            "ts -verify -queryfile q -in r -CAfile root.pem -untrusted policy.pem",
        );
    }
}

fn post(url: &str, query: Vec<u8>) -> Vec<u8> {
    post_query(url, query).1
}

fn post_query(url: &str, query: Vec<u8>) -> (u16, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().post(url).body(query);
        let request = request.header("content-type", "application/timestamp-query");
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    })
}
