//! The harness's own issuer: TLS with a root of its own, tokens that say whatever they are told.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    child::{Child, free_ports},
    site::Site,
    tls::Tls,
};
use crate::{interop::install::Tool, process::output};

/// A running issuer.
pub(super) struct Issuer {
    /// It lives as long as this.
    _process: Child,
    directory: PathBuf,
    curl: PathBuf,
    tls: Tls,
    port: u16,
}

impl Issuer {
    pub(super) fn start(site: &Site<'_>) -> Result<Self> {
        let directory = site.directory("issuer")?;
        let tls = Tls::new(site, &directory)?;
        let [port] = free_ports()?;
        let mut command = Command::new(site.clients.path(Tool::JavaScript)?);
        command.current_dir(site.clients.path(Tool::OidcProvider)?);
        command.arg("issuer.mjs").arg(&directory).arg(port.to_string());
        let mut process = Child::start(&mut command, &directory.join("log"))?;
        let log = directory.join("log");
        let ready = || fs::read_to_string(&log).is_ok_and(|said| said.contains("ready"));
        process.wait(ready)?;
        let curl = site.clients.path(Tool::Curl)?.to_owned();
        Ok(Self { _process: process, directory, curl, tls, port })
    }

    /// A table with this issuer in place of what cannot be reached from here.
    pub(super) fn settings(&self, table: &str) -> String {
        let root = self.tls.root.display().to_string();
        table.replace("PORT", &self.port.to_string()).replace("ROOT", &root)
    }

    /// Publishes a discovery document below `path`, of an issuer with this name.
    pub(super) fn publish(&self, path: &str, issuer: &str, keys: &str) -> Result<()> {
        let directory = self.directory.join("www").join(path).join(".well-known");
        fs::create_dir_all(&directory)?;
        let document = json!({
            "issuer": issuer,
            "jwks_uri": self.settings(keys),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        Ok(fs::write(directory.join("openid-configuration"), document.to_string())?)
    }

    /// A token that says this, from now on for ten minutes.
    pub(super) fn token(&self, claims: &Value) -> Result<String> {
        self.order("sign", &json!({ "claims": claims }))
    }

    /// Another key serves from now on, under the name of the one before.
    pub(super) fn replace_key(&self) -> Result<()> {
        self.order("key", &json!({})).map(drop)
    }

    fn order(&self, what: &str, body: &Value) -> Result<String> {
        let mut curl = Command::new(&self.curl);
        curl.args(["-fsS", "--cacert"]).arg(&self.tls.root);
        curl.arg("--data").arg(body.to_string());
        output(curl.arg(format!("https://127.0.0.1:{}/{what}", self.port)))
    }
}
