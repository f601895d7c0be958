//! Two real Kubernetes clusters with one issuer name, each with a TLS root of its own and with
//! discovery forbidden to strangers, as kubeadm makes them.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    answers::{tells_when_to_come, tells_who_is_away},
    child::{Child, free_ports},
    cluster::{Cluster, ISSUER},
    issuer::Issuer,
    recipes::{self, CI_ISSUERS, IDENTITY_PROVIDERS},
    signing::{Client, Given, Signer, with_token},
    site::Site,
    table::{Expected, Row},
};
use crate::interop::{
    install::Tool,
    report::{self, Report},
};

const AUDIENCE: &str = "https://sign.acme.example";

/// Longest wait for the CA to believe a key that serves since just now: its interval, and load.
const ROTATION_LIMIT: Duration = Duration::from_secs(90);

/// How long a slow server lets one wait, within what the CA bears.
const SLOW_MS: &str = "3000";

/// Between two tries.
const POLL: Duration = Duration::from_secs(2);

/// A cluster, and what its `builder` is called in certificates.
struct Builder {
    cluster: &'static str,
    subject: &'static str,
}

const NAMES: [Builder; 2] = [
    Builder {
        cluster: "prod-1",
        subject: "https://kubernetes.io/clusters/prod-1/namespaces/ci/serviceaccounts/builder",
    },
    Builder {
        cluster: "prod-2",
        subject: "https://kubernetes.io/clusters/prod-2/namespaces/ci/serviceaccounts/builder",
    },
];

/// Their lines of the table.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    NAMES.into_iter().map(|Builder { subject, .. }| Row {
        provider: "Kubernetes, two clusters with one issuer name",
        client: "countersign, cosign",
        flow: "projected token",
        sends: "`kubernetes.io`",
        settings: "`cluster`, `jwks_uri`, `tls_roots_file`, `bearer_token_file`",
        result: Expected::Named(subject).in_words(),
    })
}

/// A cluster, and the wire between it and the CA.
struct Wired {
    cluster: Cluster,
    name: &'static str,
    subject: &'static str,
    _proxy: Child,
    port: u16,
    /// What the wire does.
    state: PathBuf,
    bearer: PathBuf,
}

impl Wired {
    fn start(site: &Site<'_>, Builder { cluster: name, subject }: Builder) -> Result<Self> {
        let cluster = Cluster::start(site, name)?;
        let directory = site.directory(name)?;
        let (state, bearer) = (directory.join("wire"), directory.join("bearer"));
        fs::write(&state, "up")?;
        fs::write(&bearer, cluster.token("countersign", None)?)?;
        let [port] = free_ports()?;
        let mut command = Command::new(site.clients.path(Tool::JavaScript)?);
        command.current_dir(site.clients.path(Tool::OidcProvider)?);
        command.args(["proxy.mjs", &port.to_string(), &cluster.port().to_string()]).arg(&state);
        let log = directory.join("wire.log");
        let mut proxy = Child::start(&mut command, &log)?;
        proxy.wait(|| fs::read_to_string(&log).is_ok_and(|said| said.contains("ready")))?;
        Ok(Self { cluster, name, subject, _proxy: proxy, port, state, bearer })
    }

    /// How the CA is told of it.
    fn table(&self) -> Result<String> {
        let recipe = recipes::below(CI_ISSUERS, "### Clusters that have one issuer name")?;
        let tables = recipe.split("[[ca.default.issuer]]\n");
        let own = format!("cluster = \"{}\"\n", self.name);
        let table = tables.into_iter().find(|table| table.contains(&own));
        let table = table.with_context(|| format!("no recipe for {}", self.name))?;
        let file = |kind: &str| format!("/etc/countersign/{}-{kind}", self.name);
        let table = table
            .replace(
                &format!("{}.acme.example:6443", self.name),
                &format!("127.0.0.1:{}", self.port),
            )
            .replace(&file("ca.pem"), &self.cluster.root().display().to_string())
            .replace(&file("token"), &self.bearer.display().to_string());
        Ok(format!("[[ca.default.issuer]]\n{table}"))
    }

    fn wire(&self, state: &str) -> Result<()> {
        Ok(fs::write(&self.state, state)?)
    }

    /// Its `builder` signs with both clients, and both bundles are this cluster's and no other's.
    fn signs(&self, site: &Site<'_>) -> Result<()> {
        let token = self.cluster.token("builder", Some(AUDIENCE))?;
        for client in [Client::Countersign, Client::Cosign] {
            let signed = with_token(site, client, Given { token: &token, client_id: AUDIENCE })?;
            let subject = ("24", "system:serviceaccount:ci:builder");
            signed.holder(site)?.expect(self.subject, &[("8", ISSUER), subject])?;
            signed.verify(site, Signer { name: self.subject, issuer: ISSUER })?;
        }
        Ok(())
    }
}

/// The whole story, in which each step leaves what the next begins with.
pub(super) fn told_apart(site: &mut Site<'_>, report: &mut Report) -> Result<()> {
    report::part("two Kubernetes clusters with one issuer name");
    let needed = [Tool::ApiServer, Tool::Etcd, Tool::JavaScript, Tool::OidcProvider];
    if let Some(why) = needed.iter().find_map(|tool| site.clients.missing(*tool)) {
        report.skip("clusters", &why);
        return Ok(());
    }
    let [one, two] = NAMES;
    let (mut one, two) = (Wired::start(site, one)?, Wired::start(site, two)?);
    let told = site.configure_with(OFTEN, &(one.table()? + &two.table()?), ISSUER);
    if !report.step("the CA is told of both clusters", || told) {
        return Ok(());
    }
    report.step("strangers may not read discovery", || {
        Site::refused(one.cluster.get("/openid/v1/jwks", None), "403")
    });
    report.step("check --online finds both sound", || sound(site));
    for cluster in [&one, &two] {
        let name = format!("a pod of {} signs by countersign and cosign", cluster.name);
        report.step(&name, || cluster.signs(site));
    }
    away(site, report, (&one, &two))?;
    renewed(site, report, &mut one)?;
    broken(site, report, (&one, &two))
}

/// When the CA asks an issuer again: an API server restarts within that time.
const OFTEN: &str = "[ca.default.oidc]\nmin_refresh_interval_s = 30\n\n";
const OFTEN_S: u64 = 30;

/// The provider is down and back; the CA is restarted meanwhile.
fn away(site: &mut Site<'_>, report: &mut Report, (one, two): (&Wired, &Wired)) -> Result<()> {
    one.wire("down")?;
    report
        .step("one cluster is away: its pods sign by the keys that are known", || one.signs(site));
    report.step("check --online says which is away", || complaint(site, &[&one.port.to_string()]));
    report.step("the CA is restarted while it is away", || site.restart());
    report.step("its pods sign by the keys that were kept", || one.signs(site));
    report.step("readiness and metrics say who is away", || tells_who_is_away(site, ISSUER));
    report.step("the other cluster's pods sign", || two.signs(site));
    one.wire("up")
}

/// The API server has another key, and is restarted.
fn renewed(site: &Site<'_>, report: &mut Report, one: &mut Wired) -> Result<()> {
    one.cluster.restart()?;
    report.step("the API server was restarted: pods sign", || one.signs(site));
    one.wire(SLOW_MS)?;
    report.step("the key was renewed, and the API server is slow: pods sign", || {
        renew(one)?;
        eventually(|| one.signs(site)).map(drop)
    });
    one.wire("up")?;
    report.step("and again within the interval: told to come again, then pods sign", || {
        renew(one)?;
        tells_when_to_come(site, &one.cluster.token("builder", Some(AUDIENCE))?, OFTEN_S)?;
        let refusals = eventually(|| one.signs(site))?;
        if refusals == 0 {
            bail!("the CA asked again at once, as an attacker could let it do");
        }
        Ok(())
    });
    Ok(())
}

/// Another key serves, alone.
fn renew(one: &mut Wired) -> Result<()> {
    one.cluster.new_key()?;
    one.cluster.restart()?;
    // What the CA asks with was signed by the key before.
    Ok(fs::write(&one.bearer, one.cluster.token("countersign", None)?)?)
}

/// Waits out the interval; until it is over, the answer must be that it passes. How often it was.
fn eventually(mut sign: impl FnMut() -> Result<()>) -> Result<u32> {
    let begin = Instant::now();
    let mut refusals = 0;
    loop {
        let Err(error) = sign() else { return Ok(refusals) };
        let said = format!("{error:#}");
        if !said.contains("503") {
            bail!("a key that is not known yet is told as final: {said}");
        }
        refusals += 1;
        if begin.elapsed() > ROTATION_LIMIT {
            bail!("still refused, {refusals} times: {said}");
        }
        std::thread::sleep(POLL);
    }
}

/// A cluster whose discovery is of something else.
const OTHER_ISSUER: &str = r#"
[[ca.default.issuer]]
type = "kubernetes"
url = "https://kubernetes.default.svc.cluster.local"
audiences = ["https://sign.acme.example"]
discovery_url = "https://127.0.0.1:PORT/other/.well-known/openid-configuration"
tls_roots_file = "ROOT"
"#;

/// Each way to get it wrong, and what `check --online` says of it.
fn broken(site: &mut Site<'_>, report: &mut Report, (one, two): (&Wired, &Wired)) -> Result<()> {
    let good = one.table()?;
    let line = |key: &str| -> Result<String> {
        let found = good.lines().find(|line| line.starts_with(key));
        found.map(|line| format!("{line}\n")).with_context(|| format!("no {key}"))
    };
    let states = [
        ("no bearer token", good.replace(&line("bearer_token_file")?, ""), "403"),
        ("the system's TLS roots", good.replace(&line("tls_roots_file")?, ""), "certificate"),
        (
            "the other cluster's TLS root",
            good.replace(
                &one.cluster.root().display().to_string(),
                &two.cluster.root().display().to_string(),
            ),
            "certificate",
        ),
    ];
    for (what, table, said) in states {
        let told = site.configure_with(OFTEN, &table, ISSUER);
        report.step(&format!("check --online, {what}: `{said}`"), || {
            told?;
            complaint(site, &[said])
        });
    }
    let told = site.configure_with(OFTEN, &two.table()?, ISSUER);
    report.step("only one cluster is believed: a pod of the other gets no certificate", || {
        told?;
        two.signs(site)?;
        let token = one.cluster.token("builder", Some(AUDIENCE))?;
        Site::refused(
            with_token(site, Client::Countersign, Given { token: &token, client_id: AUDIENCE }),
            "it answered",
        )
    });
    one.cluster.forbid_discovery()?;
    let told = site.configure_with(OFTEN, &good, ISSUER);
    report.step("check --online, service accounts may not read discovery: `403`", || {
        told?;
        complaint(site, &["403"])
    });
    let issuer = Issuer::start(site)?;
    issuer.publish("other", "https://other.example", "https://127.0.0.1:PORT/other/keys")?;
    let table = issuer.settings(OTHER_ISSUER);
    let told = site.configure_with(OFTEN, &table, ISSUER);
    report.step("check --online, discovery is of another issuer", || {
        told?;
        complaint(site, &["https://other.example"])
    });
    replaced(site, report, &issuer)
}

/// An issuer that names all its keys alike.
fn replaced(site: &mut Site<'_>, report: &mut Report, issuer: &Issuer) -> Result<()> {
    let name = "https://spire.acme.example";
    let keys = "[[ca.default.issuer]]\njwks_uri = \"https://127.0.0.1:PORT/keys\"\ntls_roots_file = \"ROOT\"\n";
    let table = recipes::below(IDENTITY_PROVIDERS, "### SPIFFE")?;
    let table = issuer.settings(&table.replace("[[ca.default.issuer]]\n", keys));
    let told = site.configure_with(OFTEN, &table, name);
    let claims =
        serde_json::json!({"iss": name, "aud": AUDIENCE, "sub": "spiffe://acme.example/x"});
    let sign = || {
        let token = issuer.token(&claims)?;
        with_token(site, Client::Countersign, Given { token: &token, client_id: AUDIENCE })
            .map(drop)
    };
    report.step("a workload signs", || {
        told?;
        sign()
    });
    issuer.replace_key()?;
    report.step("the key was replaced under its kid: told to come again, then it signs", || {
        eventually(sign).map(drop)
    });
    Ok(())
}

fn sound(site: &Site<'_>) -> Result<()> {
    let said = of_issuers(site)?;
    if said.is_empty() || said.iter().any(|line| !line.contains(": ok,")) {
        bail!("{}", said.join("\n"));
    }
    Ok(())
}

/// `check --online` has a complaint of an issuer that names each of these.
fn complaint(site: &Site<'_>, words: &[&str]) -> Result<()> {
    let said = of_issuers(site)?;
    for line in &said {
        println!("            {line}");
    }
    let bad = said.iter().filter(|line| !line.contains(": ok,"));
    if bad.clone().any(|line| words.iter().all(|word| line.contains(word))) {
        return Ok(());
    }
    bail!("no complaint has {words:?}")
}

/// What `check --online` says of issuers. Of the rest it complains rightly: the log is in use.
fn of_issuers(site: &Site<'_>) -> Result<Vec<String>> {
    let (_, said) = site.check(&["--online"])?;
    Ok(said.lines().filter(|line| line.starts_with("issuers:")).map(str::to_owned).collect())
}
