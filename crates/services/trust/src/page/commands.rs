//! What to type, per client, as each client's own documentation and our interoperability runs have it.

mod by_files;

use crate::{Authority, Deployment, Development, LogKey, deployment::current, shell::quoted};

/// The issuer of GitHub's jobs, where no provider stands in for it.
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// Base URLs of a deployment; the TSA's is complete.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) operator: String,
    trust: String,
    oidc: String,
    ca: String,
    ct: String,
    rekor1: Option<String>,
    rekor2: Option<String>,
    tsa: String,
    /// Of tokens, where it is not the usual one: clients that look at tokens have to be told of it.
    audience: Option<String>,
    development: Option<Development>,
}

/// A client and its commands; all but `text` is markup of ours.
pub(super) struct Client {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) note: &'static str,
    pub(super) commands: Vec<Command>,
}

/// A block of commands to copy.
pub(super) struct Command {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) text: String,
}

impl Endpoints {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let base_url = |logs: &[LogKey]| current(logs).map(|log| log.base_url.clone());
        let url = |all: &[Authority]| current(all).map(|one| one.url.clone()).unwrap_or_default();
        Self {
            operator: deployment.operator.clone(),
            trust: deployment.trust_url.clone(),
            oidc: deployment.oidc_url.clone(),
            ca: url(&deployment.certificate_authorities),
            ct: base_url(&deployment.ct_logs).unwrap_or_default(),
            rekor1: base_url(&deployment.rekor1_logs),
            rekor2: base_url(&deployment.rekor2_logs),
            tsa: url(&deployment.timestamp_authorities),
            audience: deployment.audience.clone(),
            development: deployment.development.clone(),
        }
    }

    /// Each service.
    pub(super) fn named(&self) -> Vec<Named<'_>> {
        let named = |id, name, url| Named { id, name, url };
        let mut services = vec![named("ca", "Certificates (Fulcio)", self.ca.as_str())];
        services.extend(self.rekor2.as_deref().map(|url| named("rekor2", "Log (Rekor v2)", url)));
        services.extend(self.rekor1.as_deref().map(|url| named("rekor1", "Log (Rekor v1)", url)));
        services.extend([
            named("tsa", "Timestamps (RFC 3161)", self.tsa.as_str()),
            named("ct", "Certificate log (CT)", self.ct.as_str()),
            named("oidc", "Identity provider", self.oidc.as_str()),
            named("trust", "Trust (TUF mirror)", self.trust.as_str()),
        ]);
        services
    }
}

/// A service as the page shows it.
pub(super) struct Named<'a> {
    pub(super) id: &'static str,
    /// For people.
    pub(super) name: &'static str,
    pub(super) url: &'a str,
}

/// Every client that can use the deployment. `root` is the SHA-256 of `root.json`.
pub(super) fn clients(endpoints: &Endpoints, root: &str) -> Vec<Client> {
    let words = Words {
        trust: quoted(&endpoints.trust),
        oidc: quoted(&endpoints.oidc),
        github: endpoints.development.as_ref().map_or_else(
            || GITHUB.to_owned(),
            |one| quoted(&format!("{}/github", one.url.trim_end_matches('/'))),
        ),
        token: endpoints.development.as_ref().and_then(|one| one.token_command.as_deref()),
        ca: quoted(&endpoints.ca),
        rekor1: endpoints.rekor1.as_deref().map(quoted),
        tsa: quoted(&endpoints.tsa),
        tsa_base: quoted(endpoints.tsa.strip_suffix("/api/v1/timestamp").unwrap_or(&endpoints.tsa)),
        audience: endpoints.audience.as_deref().map(quoted),
        root,
    };
    let mut clients = vec![words.begin(), words.countersign(), words.cosign3()];
    if let Some(rekor1) = &words.rekor1 {
        clients.push(words.cosign2(rekor1));
        clients.push(words.gitsign(rekor1));
    }
    clients.push(words.python());
    if let Some(rekor1) = &words.rekor1 {
        clients.push(words.javascript(rekor1));
    }
    clients.extend([words.go(), words.openssl(), words.gh(), words.by_files()]);
    clients
}

/// The endpoints as words of a shell.
struct Words<'a> {
    trust: String,
    oidc: String,
    /// Who issues the tokens of GitHub's jobs.
    github: String,
    /// How whoever runs the development provider gets a token of it.
    token: Option<&'a str>,
    ca: String,
    rekor1: Option<String>,
    tsa: String,
    tsa_base: String,
    audience: Option<String>,
    root: &'a str,
}

impl Words<'_> {
    /// An option with the audience, if there is one to tell.
    fn told(&self, option: &str) -> String {
        let audience = self.audience.as_ref();
        audience.map(|audience| format!(" \\\n  {option} {audience}")).unwrap_or_default()
    }

    fn begin(&self) -> Client {
        let Self { trust, root, .. } = self;
        let files = format!(
            "curl -fsS -O {trust}/root.json\n\
             echo \"{root}  root.json\" \\\n  | sha256sum --check"
        );
        let mut commands = vec![command("files", "Root of trust", files)];
        let asked = |token| {
            let options = self.told("--aud");
            format!("{token} --email alice@example.com{options} > token.jwt")
        };
        commands.extend(
            self.token.map(|token| command("token", "Token, in development", asked(token))),
        );
        Client {
            id: "begin",
            name: "Begin here",
            note: "The one file from which clients verify everything else, and a token of your identity \
                   provider or your CI, as <code>token.jwt</code>. A development provider gives tokens to \
                   whoever may run it.",
            commands,
        }
    }

    fn countersign(&self) -> Client {
        let pin = format!("countersign trust init --url {} --root root.json", self.trust);
        let sign = "countersign sign --identity-token @token.jwt FILE";
        let verify = format!(
            "countersign verify --certificate-identity alice@example.com \\\n  \
             --certificate-oidc-issuer {} FILE",
            self.oidc
        );
        Client {
            id: "countersign",
            name: "countersign",
            note: "The bundle is written beside the file, as <code>FILE.sigstore.json</code>.",
            commands: vec![
                command("initialize", "Once", pin),
                command("sign", "Sign", sign.to_owned()),
                command("verify", "Verify", verify),
            ],
        }
    }

    /// Signing and verifying, with more options each.
    fn cosign(&self, signs: &str, verifies: &str) -> (String, String) {
        let oidc = &self.oidc;
        let sign = format!(
            "cosign sign-blob --yes --identity-token token.jwt {signs}\\\n  \
             --bundle FILE.sigstore.json FILE"
        );
        let verify = format!(
            "cosign verify-blob {verifies}--bundle FILE.sigstore.json \\\n  \
             --certificate-identity alice@example.com \\\n  \
             --certificate-oidc-issuer {oidc} FILE"
        );
        (sign, verify)
    }

    fn cosign3(&self) -> Client {
        let (sign, verify) = self.cosign("", "");
        let initialize = format!("cosign initialize --mirror {} --root root.json", self.trust);
        Client {
            id: "cosign3",
            name: "cosign 3",
            note: "After <code>initialize</code> it follows this deployment by itself.",
            commands: vec![
                command("initialize", "Once", initialize),
                command("sign", "Sign", sign),
                command("verify", "Verify", verify),
            ],
        }
    }

    fn cosign2(&self, rekor1: &str) -> Client {
        let Self { trust, oidc, ca, .. } = self;
        let sign = format!(
            "cosign sign-blob --yes --identity-token token.jwt \\\n  \
             --fulcio-url {ca} --rekor-url {rekor1} \\\n  --bundle FILE.bundle FILE"
        );
        let verify = format!(
            "cosign verify-blob --bundle FILE.bundle --rekor-url {rekor1} \\\n  \
             --certificate-identity alice@example.com \\\n  \
             --certificate-oidc-issuer {oidc} FILE"
        );
        Client {
            id: "cosign2",
            name: "cosign 2",
            note: "By the mirror. <a href=\"#by-files\">Without TUF</a> it has variables; leave them out \
                   of a shell that runs cosign 3.",
            commands: vec![
                command(
                    "initialize",
                    "Once",
                    format!("cosign initialize --mirror {trust} --root root.json"),
                ),
                command("sign", "Sign", sign),
                command("verify", "Verify", verify),
            ],
        }
    }

    fn gitsign(&self, rekor1: &str) -> Client {
        let Self { trust, oidc, ca, .. } = self;
        let configure = format!(
            "gitsign initialize --mirror {trust} --root root.json\n\
             git config gpg.format x509\ngit config gpg.x509.program gitsign\n\
             git config gitsign.fulcio {ca}\ngit config gitsign.rekor {rekor1}\n\
             git config gitsign.issuer {oidc}"
        );
        let client =
            self.audience.as_ref().map(|one| format!("\ngit config gitsign.clientID {one}"));
        let configure = configure + &client.unwrap_or_default();
        let verify = format!(
            "gitsign verify --certificate-identity alice@example.com \\\n  \
             --certificate-oidc-issuer {oidc} HEAD"
        );
        Client {
            id: "gitsign",
            name: "gitsign",
            note: "It reads its trust at two places: the TUF mirror, and the variables of cosign 2, which are \
                   <a href=\"#by-files\">without TUF</a> and have to be there too.",
            commands: vec![
                command("configure", "Once per repository", configure),
                command(
                    "sign",
                    "Sign",
                    "SIGSTORE_ID_TOKEN=$(cat token.jwt) git commit -S -m MESSAGE".to_owned(),
                ),
                command("verify", "Verify", verify),
            ],
        }
    }

    fn python(&self) -> Client {
        let Self { trust, oidc, .. } = self;
        let instance = format!("sigstore --instance {trust}");
        let token =
            format!("--identity-token \"$(cat token.jwt)\"{}", self.told("--oidc-client-id"));
        let verify = format!(
            "{instance} verify identity \\\n  \
             --cert-identity alice@example.com \\\n  --cert-oidc-issuer {oidc} FILE"
        );
        Client {
            id: "sigstore-python",
            name: "sigstore-python",
            note: "After <code>trust-instance</code> it follows this deployment by its mirror.",
            commands: vec![
                command("initialize", "Once", format!("{instance} trust-instance root.json")),
                command("sign", "Sign", format!("{instance} sign \\\n  {token} FILE")),
                command("verify", "Verify", verify),
            ],
        }
    }

    fn javascript(&self, rekor1: &str) -> Client {
        let Self { trust, oidc, ca, tsa_base, .. } = self;
        let attest = format!(
            "CI=1 SIGSTORE_ID_TOKEN=$(cat token.jwt) \\\n  sigstore attest statement.json \\\n  \
             --fulcio-url {ca} --rekor-url {rekor1} \\\n  --tsa-server-url {tsa_base} -o bundle.json"
        );
        let verify = format!(
            "sigstore verify bundle.json \\\n  \
             --tuf-mirror-url {trust} --tuf-root-path root.json \\\n  \
             --certificate-identity-email alice@example.com \\\n  --certificate-issuer {oidc}"
        );
        Client {
            id: "sigstore-js",
            name: "sigstore-js",
            note: "The command line of <code>@sigstore/cli</code>. It signs in-toto statements.",
            commands: vec![
                command(
                    "initialize",
                    "Once",
                    format!("sigstore initialize --mirror {trust} --root root.json"),
                ),
                command("attest", "Attest", attest),
                command("verify", "Verify", verify),
            ],
        }
    }

    fn go(&self) -> Client {
        let Self { trust, oidc, .. } = self;
        let verify = format!(
            "sigstore-go-verification -artifact FILE \\\n  \
             -expectedIssuer {oidc} -expectedSAN alice@example.com \\\n  \
             -tufRootURL {trust} -tufTrustedRoot root.json \\\n  FILE.sigstore.json"
        );
        Client {
            id: "sigstore-go",
            name: "sigstore-go",
            note: "The example programs of the library. The first one prints more than the bundle, and takes \
                   files that are <a href=\"#by-files\">without TUF</a>.",
            commands: vec![
                command(
                    "sign",
                    "Sign",
                    "sigstore-go-signing -id-token \"$(cat token.jwt)\" -rekor -tsa \\\n  \
                     -s signing_config.v0.2.json -t trusted_root.json FILE \\\n  \
                     | sed -n '/^{/p' > FILE.sigstore.json"
                        .to_owned(),
                ),
                command("verify", "Verify", verify),
            ],
        }
    }

    fn openssl(&self) -> Client {
        let Self { tsa, .. } = self;
        let timestamp = format!(
            "openssl ts -query -data FILE -sha256 -cert -out request.tsq\n\
             curl -fsS -H 'Content-Type: application/timestamp-query' \\\n  \
             --data-binary @request.tsq -o response.tsr {tsa}"
        );
        let verify = "openssl ts -verify -in response.tsr -queryfile request.tsq \\\n  -CAfile tsa_chain.pem";
        Client {
            id: "openssl",
            name: "openssl ts",
            note: "A timestamp of any file, by RFC 3161. It verifies by a file that is \
                   <a href=\"#by-files\">without TUF</a>.",
            commands: vec![
                command("timestamp", "Timestamp", timestamp),
                command("verify", "Verify", verify.to_owned()),
            ],
        }
    }

    fn gh(&self) -> Client {
        let verify = format!(
            "gh attestation verify FILE --owner OWNER --bundle FILE.sigstore.json \\\n  \
             --custom-trusted-root trusted_root.jsonl \\\n  --cert-oidc-issuer {}",
            self.github
        );
        Client {
            id: "gh",
            name: "gh attestation",
            note: "Only for what a GitHub job signed; on a GitHub of your own give its issuer. It takes a \
                   file that is <a href=\"#by-files\">without TUF</a>.",
            commands: vec![command("verify", "Verify", verify)],
        }
    }
}

fn command(id: &'static str, label: &'static str, text: String) -> Command {
    Command { id, label, text }
}
