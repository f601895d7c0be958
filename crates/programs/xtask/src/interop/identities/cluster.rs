//! A real Kubernetes API server with its own etcd, and the token of a service account.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    child::{Child, free_ports},
    site::Site,
    tls::Tls,
};
use crate::{interop::install::Tool, process::output};

/// What kubeadm calls the issuer of every cluster.
pub(super) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The token of an administrator, who is in `system:masters`.
const ADMINISTRATOR: &str = "administrator-of-this-test";

/// One cluster, as far as tokens need it: no nodes, no controllers.
pub(super) struct Cluster {
    directory: PathBuf,
    curl: PathBuf,
    api_server: PathBuf,
    tls: Tls,
    ports: [u16; 3],
    /// It lives as long as this.
    _etcd: Child,
    server: Option<Child>,
}

impl Cluster {
    pub(super) fn start(site: &Site<'_>, name: &str) -> Result<Self> {
        let directory = site.directory(name)?;
        let tls = Tls::new(site, &directory.join("pki"))?;
        fs::write(
            directory.join("tokens.csv"),
            format!("{ADMINISTRATOR},administrator,1,system:masters\n"),
        )?;
        let ports: [u16; 3] = free_ports()?;
        let etcd = start_etcd(site, &directory, ports)?;
        let mut cluster = Self {
            curl: site.clients.path(Tool::Curl)?.to_owned(),
            api_server: site.clients.path(Tool::ApiServer)?.to_owned(),
            directory,
            tls,
            ports,
            _etcd: etcd,
            server: None,
        };
        cluster.new_key()?;
        cluster.restart()?;
        let account = |name: &str| json!({"metadata": {"name": name}}).to_string();
        cluster.post("/api/v1/namespaces", &account("ci"))?;
        cluster.post("/api/v1/namespaces/ci/serviceaccounts", &account("builder"))?;
        // Which may read discovery, as every service account may, and is nobody else's.
        cluster.post("/api/v1/namespaces/ci/serviceaccounts", &account("countersign"))?;
        Ok(cluster)
    }

    /// Makes a key for tokens; the server takes it at its next start, and then believes no other.
    pub(super) fn new_key(&self) -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&self.directory).args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-out",
            "sa.key",
        ]);
        output(openssl.args(["-pkeyopt", "rsa_keygen_bits:2048"])).map(drop)
    }

    /// Starts the server, or starts it anew.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let [port, etcd, _] = self.ports;
        let mut command = Command::new(&self.api_server);
        command.current_dir(&self.directory);
        command.arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"));
        command.arg(format!("--secure-port={port}"));
        command.arg("--tls-cert-file").arg(&self.tls.certificate);
        command.arg("--tls-private-key-file").arg(&self.tls.key);
        command.arg(format!("--service-account-issuer={ISSUER}"));
        command.args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-signing-key-file=sa.key",
            "--service-account-key-file=sa.key",
            "--authorization-mode=RBAC",
            "--token-auth-file=tokens.csv",
            // There is no controller that makes the default accounts of namespaces.
            "--disable-admission-plugins=ServiceAccount",
        ]);
        let mut server = Child::start(&mut command, &self.directory.join("log"))?;
        server.wait(|| self.get("/readyz", Some(ADMINISTRATOR)).is_ok())?;
        self.server = Some(server);
        Ok(())
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Child::stop)
    }

    pub(super) const fn port(&self) -> u16 {
        self.ports[0]
    }

    pub(super) fn root(&self) -> &Path {
        &self.tls.root
    }

    /// A projected token of `account` in the namespace `ci`; without an audience one for the API.
    pub(super) fn token(&self, account: &str, audience: Option<&str>) -> Result<String> {
        let mut spec = json!({"expirationSeconds": 3600});
        if let Some(audience) = audience {
            spec["audiences"] = json!([audience]);
        }
        let url = format!("/api/v1/namespaces/ci/serviceaccounts/{account}/token");
        let answer = self.post(&url, &json!({ "spec": spec }).to_string())?;
        let answer: Value = serde_json::from_str(&answer)?;
        answer["status"]["token"].as_str().map(str::to_owned).context("no token")
    }

    /// Takes from service accounts the right to read discovery, which they have by default.
    pub(super) fn forbid_discovery(&self) -> Result<()> {
        let binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:service-account-issuer-discovery";
        self.curl(binding, Some(ADMINISTRATOR), &["-X", "DELETE"]).map(drop)
    }

    /// What the API answers to `GET`, as somebody or anonymously.
    ///
    /// # Errors
    /// Every answer but a good one.
    pub(super) fn get(&self, path: &str, bearer: Option<&str>) -> Result<String> {
        self.curl(path, bearer, &[])
    }

    fn post(&self, path: &str, body: &str) -> Result<String> {
        let json = "Content-Type: application/json";
        self.curl(path, Some(ADMINISTRATOR), &["-H", json, "--data", body])
    }

    fn curl(&self, path: &str, bearer: Option<&str>, options: &[&str]) -> Result<String> {
        let mut curl = Command::new(&self.curl);
        curl.args(["-sS", "--fail-with-body", "--cacert"]).arg(&self.tls.root).args(options);
        if let Some(token) = bearer {
            curl.arg("-H").arg(format!("Authorization: Bearer {token}"));
        }
        output(curl.arg(format!("https://127.0.0.1:{}{path}", self.port())))
    }
}

fn start_etcd(site: &Site<'_>, directory: &Path, [_, client, peer]: [u16; 3]) -> Result<Child> {
    let mut command = Command::new(site.clients.path(Tool::Etcd)?);
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    command.arg("--data-dir").arg(directory.join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"]);
    let mut etcd = Child::start(&mut command, &directory.join("etcd.log"))?;
    let curl = site.clients.path(Tool::Curl)?;
    etcd.wait(|| output(Command::new(curl).args(["-fsS", &format!("{client}/health")])).is_ok())?;
    Ok(etcd)
}
