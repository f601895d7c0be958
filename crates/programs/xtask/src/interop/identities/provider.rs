//! Running identity providers that nobody here wrote.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    child::{Child, free_ports},
    site::Site,
};
use crate::{interop::install::Tool, process::output};

/// What everybody's password is; oidc-provider's pages take any.
const PASSWORD: &str = "interop";

/// A running provider.
pub(super) struct Provider {
    /// It lives as long as this.
    process: Child,
    url: String,
}

impl Provider {
    /// `oidc-provider`, with an issuer below each of `paths`.
    pub(super) fn oidc_provider(site: &Site<'_>, paths: &[&str]) -> Result<Self> {
        let [port] = free_ports()?;
        let url = format!("http://localhost:{port}");
        let issuers: Vec<String> = paths.iter().map(|path| format!("{url}{path}")).collect();
        let settings = json!({
            "port": port,
            "issuers": issuers,
            "clients": clients(),
            "accounts": accounts(),
            "keys": [signing_key(site)?],
        });
        let directory = site.directory("oidc-provider")?;
        let file = directory.join("settings.json");
        fs::write(&file, settings.to_string())?;
        let mut command = Command::new(site.clients.path(Tool::JavaScript)?);
        command.current_dir(site.clients.path(Tool::OidcProvider)?);
        command.arg("provider.mjs").arg(&file);
        let process = Child::start(&mut command, &directory.join("log"))?;
        let first = paths.first().copied().unwrap_or_default();
        Self { process, url }.answering(site, first)
    }

    /// Keycloak, with the realm of `scripts/realm.json`.
    pub(super) fn keycloak(site: &Site<'_>) -> Result<Self> {
        let home = site.clients.path(Tool::Keycloak)?;
        let import = home.join("data/import");
        fs::create_dir_all(&import)?;
        fs::write(import.join("acme.json"), include_str!("scripts/realm.json"))?;
        let [port, management] = free_ports()?;
        let mut command = Command::new("sh");
        command.arg(home.join("bin/kc.sh")).args(["start-dev", "--db=dev-mem", "--import-realm"]);
        command.arg("--http-host=127.0.0.1").arg(format!("--http-port={port}"));
        command.arg(format!("--http-management-port={management}"));
        command.env("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m");
        let log = site.directory("keycloak")?.join("log");
        let process = Child::start(&mut command, &log)?;
        Self { process, url: format!("http://localhost:{port}") }.answering(site, "/realms/acme")
    }

    fn answering(mut self, site: &Site<'_>, path: &str) -> Result<Self> {
        let path = path.trim_end_matches('/');
        let discovery = format!("{}{path}/.well-known/openid-configuration", self.url);
        let curl = site.clients.path(Tool::Curl)?;
        let answers = || output(Command::new(curl).args(["-fsS", &discovery])).is_ok();
        self.process.wait(answers)?;
        Ok(self)
    }

    /// The issuer below `path`.
    pub(super) fn issuer(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// A key for tokens, as a JWK: RSA, since cosign reads no other on its command line.
fn signing_key(site: &Site<'_>) -> Result<Value> {
    let script = "const key = require('node:crypto').generateKeyPairSync('rsa', {modulusLength: 2048});\
                  console.log(JSON.stringify(key.privateKey.export({format: 'jwk'})))";
    let node = site.clients.path(Tool::JavaScript)?;
    let mut jwk: Value = serde_json::from_str(&output(Command::new(node).args(["-e", script]))?)?;
    for (member, value) in [("kid", "one"), ("use", "sig"), ("alg", "RS256")] {
        jwk[member] = value.into();
    }
    Ok(jwk)
}

/// Public clients, as the documents tell to make them, and two with a secret.
fn clients() -> Value {
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let redirects = ["http://localhost/auth/callback"];
    let public = |id: &str| {
        json!({
            "client_id": id,
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "redirect_uris": redirects,
            "grant_types": ["authorization_code", device],
        })
    };
    json!([
        public("acme-signing"),
        // Entra's clients are called by ids.
        public("66666666-7777-4888-8999-aaaaaaaaaaaa"),
        {
            "client_id": "acme-signing-python",
            "client_secret": PASSWORD,
            "application_type": "native",
            "redirect_uris": redirects,
            "grant_types": ["authorization_code"],
        },
        {
            "client_id": "ci-bot",
            "client_secret": PASSWORD,
            "token_endpoint_auth_method": "client_secret_post",
            "application_type": "native",
            "redirect_uris": redirects,
            "grant_types": ["client_credentials", "authorization_code", device],
        },
    ])
}

/// Who can log in, and what a token says of them.
fn accounts() -> Value {
    json!({
        "alice": {"email": "alice@acme.example", "email_verified": true, "groups": ["staff", "signers"]},
        "mallory": {"email": "mallory@acme.example", "email_verified": false, "groups": ["signers"]},
        "trudy": {"email": "trudy@acme.example", "email_verified": true, "groups": ["staff"]},
        "oscar": {"email": "oscar@other.example", "email_verified": true, "groups": ["signers"]},
        "upper": {"email": "Alice@ACME.example", "email_verified": true, "groups": ["signers"]},
        "jorg": {"email": "user@bücher.example", "email_verified": true, "groups": ["signers"]},
        // Entra's v2.0 tokens: ids, and `email` only where there is a mailbox.
        "anna": {
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "tid": "11111111-2222-4333-8444-555555555555",
            "preferred_username": "anna@acme.example",
            "acct": 0,
            "ver": "2.0",
        },
        "bert": {
            "oid": "00000000-0000-0000-77f3-3332eca7ea82",
            "tid": "11111111-2222-4333-8444-555555555555",
            "preferred_username": "bert@acme.example",
            "email": "bert@acme.example",
            "acct": 0,
            "ver": "2.0",
        },
        // The same with a claims mapping policy that adds a constant, which is a text.
        "carl": {
            "oid": "00000000-0000-0000-88f3-3332eca7ea83",
            "tid": "11111111-2222-4333-8444-555555555555",
            "preferred_username": "carl@acme.example",
            "email": "carl@acme.example",
            "email_verified": "true",
            "acct": 0,
            "ver": "2.0",
        },
    })
}

/// Logs somebody in at a page, in a browser without a screen.
pub(super) fn log_in(site: &Site<'_>, url: &str, name: &str) -> Result<()> {
    let mut node = Command::new(site.clients.path(Tool::JavaScript)?);
    node.current_dir(site.clients.path(Tool::OidcProvider)?);
    node.env("CHROMIUM", site.clients.path(Tool::Chromium)?);
    output(node.args(["login.mjs", url, name, PASSWORD])).map(drop)
}

/// How a token is got without a Sigstore client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant<'a> {
    /// Client credentials.
    Machine,
    /// An ID token of somebody who logs in.
    Id(&'a str),
    /// An access token of somebody who logs in.
    Access(&'a str),
}

/// A token of `issuer` for `client`.
pub(super) fn token(
    site: &Site<'_>,
    issuer: &str,
    (client, has_secret): (&str, bool),
    grant: Grant<'_>,
) -> Result<String> {
    let mut node = Command::new(site.clients.path(Tool::JavaScript)?);
    node.current_dir(site.clients.path(Tool::OidcProvider)?);
    node.env("CHROMIUM", site.clients.path(Tool::Chromium)?);
    node.args(["token.mjs", issuer, client, if has_secret { PASSWORD } else { "" }]);
    match grant {
        Grant::Machine => node.arg("machine"),
        Grant::Id(name) => node.args(["device", name]),
        Grant::Access(name) => node.args(["access", name]),
    };
    output(&mut node)
}

/// A shell script that opens a page as `xdg-open` does: at once, and in the background.
pub(super) fn opener(site: &Site<'_>, name: &str) -> Result<std::path::PathBuf> {
    let directory = site.directory(&format!("openers/{name}"))?;
    let quoted = |path: &Path| format!("'{}'", path.display());
    let script = format!(
        "#!/bin/sh\ncd {}\nCHROMIUM={} nohup {} login.mjs \"$1\" {name} {PASSWORD} >>{} 2>&1 &\n",
        quoted(site.clients.path(Tool::OidcProvider)?),
        quoted(site.clients.path(Tool::Chromium)?),
        quoted(site.clients.path(Tool::JavaScript)?),
        quoted(&directory.join("log"))
    );
    let file = directory.join("xdg-open");
    fs::write(&file, script)?;
    output(Command::new("chmod").arg("+x").arg(&file))?;
    Ok(directory)
}
