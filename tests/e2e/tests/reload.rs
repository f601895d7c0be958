//! Another configuration without another start.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use e2e::{Client, Services, countersignd, free_port, said};
use serde_json::Value;

/// Longest wait for anything, on a machine that runs other tests too.
const LIMIT: Duration = Duration::from_mins(2);

/// The sample for trying out, on ports of its own, as two processes.
struct Deployment {
    services: Services,
    /// Of `all` and of the development provider.
    metrics: [u16; 2],
    text: String,
    ca: u16,
    ct: u16,
    trust: u16,
    oidc: u16,
}

impl Deployment {
    fn new() -> Self {
        let services = Services::new().unwrap();
        let mut text = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/samples/trial.toml"),
        )
        .unwrap();
        let anchors = services.path().join("anchors").display().to_string();
        text = text.replace("/var/tmp/countersign-anchors", &anchors);
        text = text.replace("/var/tmp/countersign", &services.data("").display().to_string());
        let mut moved = |from: u16| {
            let port = free_port();
            text = text.replace(
                &format!("url = \"http://localhost:{from}\"\n"),
                &format!("url = \"http://localhost:{port}\"\nport = {port}\n"),
            );
            port
        };
        let [ca, ct, _, _, _, trust, oidc] =
            [5555, 6962, 3000, 3003, 3004, 3005, 3006].map(&mut moved);
        // The issuer's table has no port.
        text = text.replacen(&format!("port = {oidc}\n"), "", 1);
        let metrics = [free_port(), free_port()];
        text = text.replace(
            "[listen.metrics_ports]\noidc-dev = 3008",
            &format!(
                "[listen]\nmetrics_port = {}\n[listen.metrics_ports]\noidc-dev = {}",
                metrics[0], metrics[1]
            ),
        );
        let deployment = Self { services, metrics, text, ca, ct, trust, oidc };
        deployment.write(&deployment.text);
        deployment
    }

    fn start() -> Self {
        let mut deployment = Self::new();
        let made = deployment.services.countersignd(&["init"]).unwrap();
        assert_eq!(made.code, Some(0), "{made:?}");
        let [all, oidc] = deployment.metrics;
        deployment.services.start("oidc-dev", oidc).unwrap();
        deployment.services.start("all", all).unwrap();
        deployment
    }

    /// As an editor does: a new file in the place of the old one.
    fn write(&self, text: &str) {
        let new = self.services.path().join("new.toml");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.services.config()).unwrap();
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.services.pid("all").unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    fn metric(&self, name: &str) -> f64 {
        let metrics = get(&format!("http://127.0.0.1:{}/metrics", self.metrics[0])).1;
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    fn readiness(port: u16) -> (u16, Value) {
        let (status, body) = get(&format!("http://127.0.0.1:{port}/readyz"));
        (status, serde_json::from_str(&body).unwrap())
    }

    /// How often a new configuration was taken up.
    fn taken_up(&self) -> usize {
        self.services.log("all").matches("was read again and is in use").count()
    }

    fn refused(&self) -> usize {
        self.services.log("all").matches("the new configuration is refused").count()
    }

    fn reload(&self) {
        let before = self.taken_up();
        self.signal("HUP");
        self.wait_for("a reload", || self.taken_up() > before);
    }

    fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(begin.elapsed() < LIMIT, "{what}: {}", self.services.log("all"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signs(&self, name: &str) {
        let file = self.services.path().join("client_trust_config.json");
        let url = format!("http://localhost:{}/client_trust_config.json", self.trust);
        fs::write(&file, get(&url).1).unwrap();
        let token = said(
            countersignd()
                .args(["token", "--email", "alice@acme.internal", "--data-dir"])
                .arg(self.services.data("oidc-dev")),
        );
        let issuer = format!("http://localhost:{}", self.oidc);
        let client = Client { trust: file, token: token.unwrap().stdout, issuer };
        let artifact = self.services.path().join(name);
        fs::write(&artifact, name).unwrap();
        let signed = client.sign(&artifact).unwrap();
        assert_eq!(signed.code, Some(0), "{signed:?} {}", self.services.log("all"));
    }

    /// What the process holds: descriptors, threads, and KiB of memory.
    fn held(&self) -> [usize; 3] {
        let process = format!("/proc/{}", self.services.pid("all").unwrap());
        let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().count();
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        [descriptors, number("Threads:"), number("VmRSS:")]
    }
}

fn get(url: &str) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = reqwest::get(url).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// Issuers of the sample, whose provider plays several.
const FIRST: usize = 9;

/// The same with [`MORE_ISSUERS`].
const MORE: usize = FIRST + 2;

/// Ends who asks when it is dropped.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const MORE_ISSUERS: &str = "
[[ca.default.issuer]]
type = \"email\"
url = \"https://one.example\"
jwks_uri = \"https://one.example/keys\"
domains = [\"one.example\"]
shares_names_with = [\"PEOPLE\"]
audiences = [\"sigstore\"]
[[ca.default.issuer]]
type = \"email\"
url = \"https://two.example\"
jwks_uri = \"https://two.example/keys\"
domains = [\"two.example\"]
shares_names_with = [\"PEOPLE\"]
audiences = [\"sigstore\"]
";

#[test]
fn issuers_that_come_and_go_by_sighup_are_seen_whole_by_every_request_and_none_fails() {
    let mut deployment = Deployment::start();
    deployment.signs("before");
    let url = format!("http://localhost:{}/api/v2/configuration", deployment.ca);
    let people = format!("http://localhost:{}", deployment.oidc);
    let more = MORE_ISSUERS.replace("PEOPLE", &people);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut seen = [0_usize; 2];
            while !done.load(Ordering::Relaxed) {
                let (status, body) = get(&url);
                assert_eq!(status, 200, "{body}");
                let believed: Value = serde_json::from_str(&body).unwrap();
                match believed["issuers"].as_array().unwrap().len() {
                    FIRST => seen[0] += 1,
                    MORE => seen[1] += 1,
                    other => panic!("{other} issuers: {body}"),
                }
            }
            seen
        });
        // Also where something fails below.
        let done = Done(&done);
        for _ in 0..5 {
            deployment.write(&format!("{}{more}", deployment.text));
            deployment.reload();
            deployment.wait_for("more issuers", || get(&url).1.contains("two.example"));
            deployment.write(&deployment.text);
            deployment.reload();
            deployment.wait_for("those of before", || !get(&url).1.contains("two.example"));
        }
        drop(done);
        let seen = asking.join().unwrap();
        assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
    });
    // The provider is away: the keys of the issuer that stayed are kept.
    deployment.signs("after");
    assert!(deployment.metric("countersign_config_reload_success_timestamp_seconds") > 1e9);
    deployment.services.terminate().unwrap();
}

#[test]
fn a_bad_configuration_leaves_the_one_before_in_use_and_is_told_until_it_is_good() {
    let mut deployment = Deployment::start();
    assert!((deployment.metric("countersign_config_reload_success") - 1.0).abs() < 0.1);
    let first = &deployment.text;
    let another_port = first.replacen(&format!("\nport = {}\n", deployment.ca), "\nport = 9\n", 1);
    let cases: [(&str, String, &str); 5] = [
        ("half-written", first[..first.len() / 2].to_owned(), "countersign.toml"),
        ("an issuer that is none", first.replace("\"oidc-dev\"", "\"nobody\""), "nobody"),
        ("a port", another_port, "`port` of [ca.default]"),
        (
            "a limit of a log",
            first.replace("\nkind = \"ct\"", "\nkind = \"ct\"\nmin_free_mib = 70"),
            "[log.ct]",
        ),
        (
            "a chain that is missing",
            first.replace("\nkind = \"ct\"", "\nkind = \"ct\"\nfurther_ca_chains = [\"/nowhere\"]"),
            "/nowhere",
        ),
    ];
    for (what, text, why) in &cases {
        assert_ne!(text, first, "{what}");
        let (refused, taken_up) = (deployment.refused(), deployment.taken_up());
        // Nobody sends a signal.
        deployment.write(text);
        deployment.wait_for(what, || deployment.refused() > refused);
        let log = deployment.services.log("all");
        let line = log.lines().rev().find(|line| line.contains("is refused")).unwrap();
        assert!(line.contains("ERROR") && line.contains(why), "{what}: {line}");
        assert!(deployment.metric("countersign_config_reload_success") < 0.1, "{what}");
        let (status, report) = Deployment::readiness(deployment.metrics[0]);
        let told = report["degraded"]["configuration"].as_str().unwrap();
        assert!(status == 200 && told.contains(why), "{report}");
        let (status, report) = Deployment::readiness(deployment.ca);
        let told = report["degraded"]["configuration"].as_str().unwrap();
        assert!(status == 200 && !told.contains(why) && told.contains("refused"), "{report}");
        deployment.signs(&format!("while {what}"));

        deployment.write(first);
        deployment.wait_for("the good one", || deployment.taken_up() > taken_up);
        assert!((deployment.metric("countersign_config_reload_success") - 1.0).abs() < 0.1);
        assert_eq!(Deployment::readiness(deployment.ca).1.get("degraded"), None);
    }
    deployment.services.terminate().unwrap();
}

#[test]
fn a_chain_that_a_log_is_to_take_too_is_taken_up_when_its_file_comes() {
    let mut deployment = Deployment::start();
    let other = Deployment::new();
    assert_eq!(other.services.countersignd(&["init"]).unwrap().code, Some(0));
    let roots = || {
        let url = format!("http://localhost:{}/ct/v1/get-roots", deployment.ct);
        let body: Value = serde_json::from_str(&get(&url).1).unwrap();
        body["certificates"].as_array().unwrap().len()
    };
    assert_eq!(roots(), 1);
    let file = deployment.services.path().join("other-chain.pem");
    let named = format!("\nkind = \"ct\"\nfurther_ca_chains = [\"{}\"]", file.display());
    deployment.write(&deployment.text.replace("\nkind = \"ct\"", &named));
    deployment.wait_for("the refusal", || deployment.refused() > 0);
    let chain = fs::read_dir(other.services.data("ca")).unwrap().map(|entry| entry.unwrap().path());
    let chain = chain.chain(walk(&other.services.data(""))).find(|path| {
        path.to_string_lossy().contains("ca") && path.to_string_lossy().ends_with("chain.pem")
    });
    fs::copy(chain.unwrap(), &file).unwrap();
    deployment.wait_for("two roots", || roots() == 2);
    deployment.signs("with two");
    deployment.services.terminate().unwrap();
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn reloads_leave_nothing_behind_and_sigterm_drains_in_the_middle_of_one() {
    const RELOADS: usize = 60;
    let mut deployment = Deployment::start();
    deployment.signs("before");
    for _ in 0..15 {
        deployment.reload();
    }
    deployment.signs("warm");
    let before = deployment.held();
    for _ in 0..RELOADS {
        deployment.reload();
    }
    deployment.signs("after");
    let after = deployment.held();
    // Connections of clients come and go; a reload that kept one thing would have kept sixty.
    let grown = [0, 1].map(|what| after[what].saturating_sub(before[what]));
    assert!(grown.iter().all(|more| *more < RELOADS / 3), "{before:?} {after:?}");
    assert!(after[2].saturating_sub(before[2]) < 16 * 1024, "{before:?} {after:?}");
    deployment.signal("HUP");
    deployment.services.terminate().unwrap();
}

/// Its terminal is closed: it was ended by the signal, without a word, and left what says that it runs.
#[test]
fn dev_ends_in_order_with_its_terminal_unless_nohup_said_otherwise() {
    for (ignored, code) in [("", Some(0)), ("trap '' HUP;", None)] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let program = countersignd();
        let words = format!(
            "{ignored} exec {} dev --port-base auto --data-dir {}",
            program.get_program().to_string_lossy(),
            data.display()
        );
        // Also where the tests themselves run by `nohup`.
        let mut dev = Command::new("env")
            .args(["--default-signal=HUP", "sh", "-c", &words])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let ready = data.join("ready.json");
        let begin = Instant::now();
        while !ready.exists() {
            assert!(begin.elapsed() < LIMIT, "not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        let hang_up = format!("kill -HUP {}", dev.id());
        assert!(Command::new("sh").args(["-c", &hang_up]).status().unwrap().success());
        if code.is_some() {
            assert_eq!(dev.wait().unwrap().code(), code);
            assert!(!ready.exists());
            let said = fs::read_to_string(directory.path().join("log")).unwrap();
            assert!(said.contains("SIGHUP"), "{said}");
        } else {
            std::thread::sleep(Duration::from_millis(500));
            assert!(dev.try_wait().unwrap().is_none() && ready.exists());
            dev.kill().unwrap();
            dev.wait().unwrap();
        }
    }
}
