//! Signing as a person does, with each client and each way to log in that it has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    certificate::Holder,
    child::{Child, until},
    provider::{Grant, log_in, opener, token},
    site::Site,
};
use crate::{
    interop::install::{Tool, path_variable},
    process::output,
};

/// Longest wait for a client to say at which page one logs in.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Countersign,
    Cosign,
    Gitsign,
    Python,
}

impl Client {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Countersign => "countersign",
            Self::Cosign => "cosign",
            Self::Gitsign => "gitsign",
            Self::Python => "sigstore-python",
        }
    }
}

/// How a person or a machine gets its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The client opens a browser (authorization code with PKCE).
    Browser,
    /// The client prints a page and a code (RFC 8628).
    Device,
    /// An ID token that somebody got otherwise, by `--identity-token`.
    Token,
    /// An access token that somebody got otherwise.
    Access,
    /// A machine's, by client credentials.
    Machine,
}

impl Flow {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Device => "device",
            Self::Token => "ID token",
            Self::Access => "access token",
            Self::Machine => "client credentials",
        }
    }
}

/// Who logs in, where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) has_secret: bool,
    pub(super) person: &'a str,
}

/// What came of it.
pub(super) struct Signed {
    client: Client,
    /// A bundle, or a repository with a signed commit.
    what: PathBuf,
}

/// Who a certificate must name, and whose token it must be of.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) name: &'a str,
    pub(super) issuer: &'a str,
}

impl Signed {
    /// What the certificate says.
    pub(super) fn holder(&self, site: &Site<'_>) -> Result<Holder> {
        if self.client != Client::Gitsign {
            return Holder::of(site.clients, &self.what);
        }
        let commit = git(site, &self.what, &["cat-file", "commit", "HEAD"])?;
        let (_, signature) = commit.split_once("gpgsig ").context("the commit is not signed")?;
        let lines = signature.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        let pem: Vec<&str> = lines
            .scan(false, |done, line| {
                let this = (!*done).then_some(line);
                *done |= line.starts_with("-----END");
                this
            })
            .collect();
        let file = self.what.join("signature.pem");
        fs::write(&file, pem.join("\n") + "\n")?;
        Holder::of(site.clients, &file)
    }

    /// Verifies it with official clients and with ours: for this signer, and for no other.
    pub(super) fn verify(&self, site: &Site<'_>, signer: Signer<'_>) -> Result<()> {
        self.verify_once(site, signer)?;
        let by_another = Signer { name: "mallory@acme.internal", ..signer };
        let of_another = Signer { issuer: "https://other.example", ..signer };
        for other in [by_another, of_another] {
            if self.verify_once(site, other).is_ok() {
                bail!("it was accepted as of {}, vouched for by {}", other.name, other.issuer);
            }
        }
        Ok(())
    }

    fn verify_once(&self, site: &Site<'_>, signer: Signer<'_>) -> Result<()> {
        let Signer { name, issuer } = signer;
        let demand = ["--certificate-identity", name, "--certificate-oidc-issuer", issuer];
        if self.client == Client::Gitsign {
            let mut gitsign = gitsign_environment(site, site.clients.path(Tool::Gitsign)?)?;
            gitsign.current_dir(&self.what).arg("verify").args(demand);
            return output(gitsign.arg("HEAD")).map(drop);
        }
        let mut ours = site.countersign()?;
        ours.args(["verify", "--bundle"]).arg(&self.what).args(demand);
        output(ours.arg(site.artifact()))?;
        let mut cosign = site.isolated(site.clients.path(Tool::Cosign3)?, "cosign")?;
        cosign.args(["verify-blob", "--bundle"]).arg(&self.what).args(demand);
        cosign.arg("--trusted-root").arg(site.trust_file("trusted_root.json"));
        output(cosign.arg(site.artifact())).map(drop)
    }
}

/// Lets `login.person` sign.
///
/// # Errors
/// What the client said.
pub(super) fn sign(
    site: &Site<'_>,
    client: Client,
    flow: Flow,
    login: &Login<'_>,
) -> Result<Signed> {
    let grant = match flow {
        Flow::Browser | Flow::Device => None,
        Flow::Token => Some(Grant::Id(login.person)),
        Flow::Access => Some(Grant::Access(login.person)),
        Flow::Machine => Some(Grant::Machine),
    };
    let Some(grant) = grant else { return interactively(site, client, flow, login) };
    let token = token(site, login.issuer, (login.client_id, login.has_secret), grant)?;
    with_token(site, client, Given { token: &token, client_id: login.client_id })
}

/// A token that is there already.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) token: &'a str,
    /// Whose it is.
    pub(super) client_id: &'a str,
}

/// Signs with a token that is there already.
pub(super) fn with_token(
    site: &Site<'_>,
    client: Client,
    Given { token, client_id }: Given<'_>,
) -> Result<Signed> {
    let file = site.directory("tokens")?.join("token.jwt");
    fs::write(&file, token)?;
    let bundle = fresh_bundle(site, client)?;
    let mut command = match client {
        Client::Countersign => {
            let mut command = site.countersign()?;
            command.args(["sign", "--keyless", "--identity-token"]);
            command.arg(format!("@{}", file.display()));
            command
        }
        Client::Cosign => {
            let mut command = cosign(site)?;
            command.arg("--identity-token").arg(&file);
            command
        }
        Client::Python => {
            let mut command = python(site)?;
            command.args(["--identity-token", token, "--oidc-client-id", client_id]);
            command
        }
        Client::Gitsign => {
            let repository = repository(site)?;
            commit(site, &repository, |git| {
                git.env("SIGSTORE_ID_TOKEN", token);
            })?;
            return Ok(Signed { client, what: repository });
        }
    };
    output(command.arg("--bundle").arg(&bundle).arg(site.artifact()))?;
    Ok(Signed { client, what: bundle })
}

/// Lets the client itself log somebody in.
fn interactively(site: &Site<'_>, client: Client, flow: Flow, login: &Login<'_>) -> Result<Signed> {
    let opener = opener(site, login.person)?;
    let path = format!("{}:{}", opener.display(), path_variable());
    let bundle = fresh_bundle(site, client)?;
    let secret = if login.has_secret { "interop" } else { "" };
    let mut command = match client {
        Client::Countersign => bail!("countersign logs nobody in"),
        Client::Gitsign => {
            let repository = repository(site)?;
            commit(site, &repository, |git| {
                git.env("PATH", &path).env("GITSIGN_OIDC_ISSUER", login.issuer);
                git.env("GITSIGN_OIDC_CLIENT_ID", login.client_id);
            })?;
            return Ok(Signed { client, what: repository });
        }
        Client::Cosign => {
            let mut command = cosign(site)?;
            let way = if flow == Flow::Device { "device" } else { "normal" };
            command.args(["--fulcio-auth-flow", way, "--oidc-client-id", login.client_id]);
            command
        }
        Client::Python => {
            let mut command = python(site)?;
            command.args(["--oidc-client-id", login.client_id, "--oidc-client-secret", secret]);
            command.env("BROWSER", opener.join("xdg-open"));
            command
        }
    };
    command.env("PATH", path).arg("--bundle").arg(&bundle).arg(site.artifact());
    if flow == Flow::Device {
        at_its_page(site, &mut command, login.person)?;
    } else {
        output(&mut command)?;
    }
    Ok(Signed { client, what: bundle })
}

/// Runs a client that prints a page and a code, and logs in there.
fn at_its_page(site: &Site<'_>, command: &mut Command, person: &str) -> Result<()> {
    let log = site.directory("device")?.join("log");
    let _ = fs::remove_file(&log);
    let mut client = Child::start(command, &log)?;
    let page = |said: &str| -> Option<String> {
        let (_, rest) = said.split_once("in your browser at: ")?;
        Some(rest.lines().next()?.trim().to_owned())
    };
    let shown = || page(&fs::read_to_string(&log).unwrap_or_default());
    until("a page to log in at", PAGE_LIMIT, || shown().is_some())
        .with_context(|| client.said())?;
    log_in(site, &shown().unwrap_or_default(), person)?;
    client.ended()
}

fn fresh_bundle(site: &Site<'_>, client: Client) -> Result<PathBuf> {
    let bundle = site.directory("bundles")?.join(format!("{}.sigstore.json", client.name()));
    if bundle.exists() {
        fs::remove_file(&bundle)?;
    }
    Ok(bundle)
}

fn cosign(site: &Site<'_>) -> Result<Command> {
    let mut command = site.isolated(site.clients.path(Tool::Cosign3)?, "cosign")?;
    command.args(["sign-blob", "--yes"]);
    command.arg("--signing-config").arg(site.trust_file("signing_config.v0.2.json"));
    command.arg("--trusted-root").arg(site.trust_file("trusted_root.json"));
    Ok(command)
}

fn python(site: &Site<'_>) -> Result<Command> {
    let mut command = site.isolated(site.clients.path(Tool::Python)?, "python")?;
    command.arg("--trust-config").arg(site.trust_file("client_trust_config.json")).arg("sign");
    Ok(command)
}

/// A fresh repository of which gitsign signs every commit.
fn repository(site: &Site<'_>) -> Result<PathBuf> {
    let directory = site.directory("repository")?;
    fs::remove_dir_all(&directory)?;
    let directory = site.directory("repository")?;
    git(site, &directory, &["init", "-q", "-b", "main"])?;
    let program = site.clients.path(Tool::Gitsign)?.display().to_string();
    for (name, value) in [
        ("user.name", "Somebody"),
        ("user.email", "somebody@acme.example"),
        ("commit.gpgsign", "true"),
        ("gpg.format", "x509"),
        ("gpg.x509.program", &program),
    ] {
        git(site, &directory, &["config", name, value])?;
    }
    Ok(directory)
}

fn commit(site: &Site<'_>, repository: &Path, who: impl FnOnce(&mut Command)) -> Result<()> {
    let mut git = gitsign_environment(site, site.clients.path(Tool::Git)?)?;
    who(&mut git);
    git.current_dir(repository).args(["commit", "-q", "--allow-empty", "-m", "signed"]);
    // git swallows what its signer says.
    let log = repository.join("gitsign.log");
    git.env("GITSIGN_LOG", &log);
    output(&mut git).map(drop).map_err(|error| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        error.context(said)
    })
}

fn git(site: &Site<'_>, repository: &Path, arguments: &[&str]) -> Result<String> {
    let mut git = gitsign_environment(site, site.clients.path(Tool::Git)?)?;
    output(git.current_dir(repository).args(arguments))
}

/// What `cosign2.env` says, for gitsign and for git, which calls it.
fn gitsign_environment(site: &Site<'_>, program: &Path) -> Result<Command> {
    let mut command = site.isolated(program, "gitsign")?;
    for (variable, file) in [
        ("SIGSTORE_ROOT_FILE", "fulcio_chain.pem"),
        ("SIGSTORE_REKOR_PUBLIC_KEY", "rekor1.pub"),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", "ctlog.pub"),
        ("SIGSTORE_TSA_CERTIFICATE_FILE", "tsa_chain.pem"),
    ] {
        command.env(variable, site.trust_file(file));
    }
    command.env("GITSIGN_FULCIO_URL", site.ca_url()).env("GITSIGN_REKOR_URL", site.rekor1_url());
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    Ok(command)
}
