//! Tokens in the shape of issuers that cannot be run here, signed by a key of ours: certificate with
//! the documented name and extensions, or the refusal that explains itself.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    issuer::Issuer,
    recipes::{self, IDENTITY_PROVIDERS},
    signing::{Client, Given, Signer, with_token},
    site::Site,
    table::{Expected, Row},
};
use crate::interop::{
    install::Tool,
    report::{self, Report},
};
use Expected::{Named, Refused};

/// What every token here is for: people's by the id of their client, jobs' by the deployment's name.
const AUDIENCES: [&str; 2] = ["acme-signing", JOBS];
const JOBS: &str = "https://sign.acme.example";

/// A system, how the CA is told of it, and its tokens.
struct Shape {
    name: &'static str,
    issuer: &'static str,
    settings: &'static str,
    /// Page and heading of the recipe.
    recipe: (&'static str, &'static str),
    /// What is added to each table of it, since the issuer cannot be reached from here.
    keys: &'static str,
    tokens: &'static [Token],
}

/// One token and what must come of it.
struct Token {
    sends: &'static str,
    /// JSON, beside `iss`, `aud` and times.
    claims: &'static str,
    expected: Expected,
    /// By the last number of the OID; `.8` and `.24` among them where they are not `iss` and `sub`.
    extensions: &'static [(&'static str, &'static str)],
}

const fn token(
    sends: &'static str,
    claims: &'static str,
    expected: Expected,
    extensions: &'static [(&'static str, &'static str)],
) -> Token {
    Token { sends, claims, expected, extensions }
}

const CA: &str = "the CA";

/// The keys alone.
const KEYS: &str = "jwks_uri = \"https://127.0.0.1:PORT/keys\"\ntls_roots_file = \"ROOT\"\n";

/// The issuer's discovery.
const DISCOVERY: &str = "discovery_url = \"https://127.0.0.1:PORT/NAME/.well-known/openid-configuration\"\n\
                         tls_roots_file = \"ROOT\"\n";

const ENTRA: Shape = Shape {
    name: "Entra's shape",
    issuer: "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0",
    settings: "`name_claim`; `machine`, `provider = \"entra\"`",
    recipe: (IDENTITY_PROVIDERS, "### Entra, machines too"),
    keys: KEYS,
    tokens: &[
        token(
            "`preferred_username`, no `email`",
            r#"{"sub": "AAAA", "oid": "o-1", "tid": "11111111-2222-4333-8444-555555555555", "acct": 0,
                "preferred_username": "anna@acme.example", "ver": "2.0"}"#,
            Named("anna@acme.example"),
            &[("24", "AAAA")],
        ),
        token(
            "a guest: `acct` is 1",
            r#"{"sub": "AAAB", "oid": "o-2", "acct": 1, "preferred_username": "anna@acme.example"}"#,
            Refused(CA, "acct"),
            &[],
        ),
        token(
            "an application: `idtyp` is `app`",
            r#"{"sub": "o-3", "oid": "o-3", "azp": "66666666-7777-4888-8999-aaaaaaaaaaaa",
                "azpacr": "1", "idtyp": "app", "ver": "2.0"}"#,
            Named(
                "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0/clients/66666666-7777-4888-8999-aaaaaaaaaaaa",
            ),
            &[("24", "o-3")],
        ),
    ],
};

const AUTH0: Shape = Shape {
    name: "Auth0's shape",
    issuer: "https://acme.eu.auth0.com/",
    settings: "`url` with its final slash",
    recipe: (IDENTITY_PROVIDERS, "### Auth0"),
    keys: KEYS,
    tokens: &[
        token(
            "`email`, verified; `iss` ends in a slash",
            r#"{"sub": "auth0|65f0", "email": "alice@acme.example", "email_verified": true}"#,
            Named("alice@acme.example"),
            &[("24", "auth0|65f0")],
        ),
        token(
            "`iss` without its slash",
            r#"{"iss": "https://acme.eu.auth0.com", "sub": "auth0|65f0",
                "email": "alice@acme.example", "email_verified": true}"#,
            Refused(CA, "https://acme.eu.auth0.com"),
            &[],
        ),
        token(
            "an application: `gty` is `client-credentials`",
            r#"{"sub": "k3q@clients", "azp": "k3q", "gty": "client-credentials"}"#,
            Named("https://acme.eu.auth0.com/clients/k3q"),
            &[("24", "k3q@clients")],
        ),
    ],
};

const GOOGLE: Shape = Shape {
    name: "Google's shape",
    issuer: "https://accounts.google.com",
    settings: "`jwks_hosts`, `domains`, `required_claims` of `hd`",
    recipe: (IDENTITY_PROVIDERS, "### Google"),
    keys: DISCOVERY,
    tokens: &[
        token(
            "`email`, verified, and `hd`; keys on another host",
            r#"{"sub": "1034", "email": "alice@acme.example", "email_verified": true,
                "hd": "acme.example"}"#,
            Named("alice@acme.example"),
            &[("24", "1034")],
        ),
        token(
            "an account of Google that belongs to no company: no `hd`",
            r#"{"sub": "1035", "email": "alice@acme.example", "email_verified": true}"#,
            Refused(CA, "hd"),
            &[],
        ),
    ],
};

const DEX: Shape = Shape {
    name: "Dex's shape",
    issuer: "https://dex.acme.example",
    settings: "`issuer_claim`, `issuer_claim_values`",
    recipe: (IDENTITY_PROVIDERS, "### Dex"),
    keys: DISCOVERY,
    tokens: &[
        token(
            "`federated_claims.connector_id`",
            r#"{"sub": "Cgcy", "email": "alice@acme.example", "email_verified": true,
                "federated_claims": {"connector_id": "https://github.com/login/oauth"}}"#,
            Named("alice@acme.example"),
            &[("8", "https://github.com/login/oauth"), ("24", "Cgcy")],
        ),
        token(
            "a connector that is not listed",
            r#"{"sub": "Cgcy", "email": "alice@acme.example", "email_verified": true,
                "federated_claims": {"connector_id": "ldap"}}"#,
            Refused(CA, "federated_claims.connector_id"),
            &[],
        ),
    ],
};

const EKS: Shape = Shape {
    name: "EKS's shape",
    issuer: "https://oidc.eks.eu-central-1.amazonaws.com/id/6B29FC40CA471067B31D00DD010662DA",
    settings: "`url_pattern`, `required_claims` of `iss`",
    recipe: (IDENTITY_PROVIDERS, "### Clusters of a cloud"),
    keys: KEYS,
    tokens: &[
        token(
            "nested `kubernetes.io`",
            r#"{"sub": "system:serviceaccount:ci:builder", "kubernetes.io": {"namespace": "ci",
                "serviceaccount": {"name": "builder", "uid": "1"}}}"#,
            Named("https://kubernetes.io/namespaces/ci/serviceaccounts/builder"),
            &[("24", "system:serviceaccount:ci:builder")],
        ),
        token(
            "a cluster of somebody else",
            r#"{"iss": "https://oidc.eks.eu-central-1.amazonaws.com/id/00000000000000000000000000000000",
                "sub": "system:serviceaccount:ci:builder", "kubernetes.io": {"namespace": "ci",
                "serviceaccount": {"name": "builder", "uid": "1"}}}"#,
            Refused(CA, "iss"),
            &[],
        ),
    ],
};

const SPIFFE: Shape = Shape {
    name: "SPIRE's shape",
    issuer: "https://spire.acme.example",
    settings: "`spiffe`, `trust_domains`",
    recipe: (IDENTITY_PROVIDERS, "### SPIFFE"),
    keys: KEYS,
    tokens: &[
        token(
            "a SPIFFE ID as `sub`",
            r#"{"sub": "spiffe://acme.example/ns/ci/sa/builder"}"#,
            Named("spiffe://acme.example/ns/ci/sa/builder"),
            &[("24", "spiffe://acme.example/ns/ci/sa/builder")],
        ),
        token(
            "an ID of a trust domain below it",
            r#"{"sub": "spiffe://evil.acme.example/ns/ci/sa/builder"}"#,
            Refused(CA, "trust domain"),
            &[],
        ),
    ],
};

const FORGEJO: Shape = Shape {
    name: "Forgejo's shape",
    issuer: "https://forge.acme.example/api/actions",
    settings: "`ci-provider`, `template`",
    recipe: (IDENTITY_PROVIDERS, "### Forgejo Actions"),
    keys: KEYS,
    tokens: &[
        token(
            "a job's claims",
            r#"{"sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app",
                "repository_id": "20", "repository_owner": "acme", "repository_owner_id": "7",
                "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
                "sha": "3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40", "event_name": "push",
                "workflow": "release.yml", "run_id": "81", "run_number": "12", "run_attempt": "1",
                "workflow_ref": "acme/app/.forgejo/workflows/release.yml@refs/heads/main"}"#,
            Named(
                "https://forge.acme.example/acme/app/.forgejo/workflows/release.yml@refs/heads/main",
            ),
            &[
                ("12", "https://forge.acme.example/acme/app"),
                ("13", "3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40"),
                ("14", "refs/heads/main"),
                ("15", "20"),
                ("17", "7"),
                ("20", "push"),
                ("21", "https://forge.acme.example/acme/app/actions/runs/12"),
                ("24", "repo:acme/app:ref:refs/heads/main"),
            ],
        ),
        token(
            "a workflow that leads out of its repository",
            r#"{"sub": "repo:acme/app:ref:refs/heads/main", "repository": "acme/app",
                "ref": "refs/heads/main", "sha": "3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40",
                "event_name": "push", "run_number": "12", "repository_owner_id": "7",
                "workflow_ref": "acme/app/../../evil/release.yml@refs/heads/main"}"#,
            Refused(CA, "workflow_ref"),
            &[],
        ),
    ],
};

const SHAPES: [&Shape; 7] = [&ENTRA, &AUTH0, &GOOGLE, &DEX, &EKS, &SPIFFE, &FORGEJO];

/// Their lines of the table.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    SHAPES.into_iter().flat_map(|shape| {
        shape.tokens.iter().map(|token| Row {
            provider: shape.name,
            client: "countersign, cosign",
            flow: "token",
            sends: token.sends,
            settings: shape.settings,
            result: token.expected.in_words(),
        })
    })
}

/// Every token is shown to a CA that knows its issuer.
pub(super) fn signed(site: &mut Site<'_>, report: &mut Report) -> Result<()> {
    report::part("tokens in the shape of issuers that do not run here");
    let needed = [Tool::OidcProvider, Tool::JavaScript];
    if let Some(why) = needed.iter().find_map(|tool| site.clients.missing(*tool)) {
        report.skip("tokens of the harness's issuer", &why);
        return Ok(());
    }
    let issuer = Issuer::start(site)?;
    // Google's keys are not on the host of its discovery.
    issuer.publish("google", GOOGLE.issuer, "https://localhost:PORT/google/keys")?;
    issuer.publish("dex", DEX.issuer, "https://127.0.0.1:PORT/dex/keys")?;
    for shape in SHAPES {
        let told = site.configure(&told(&issuer, shape)?, shape.issuer);
        if !report.step(&format!("{}: the CA is told of it", shape.name), || told) {
            continue;
        }
        for token in shape.tokens {
            let name = format!("{}: {}: {}", shape.name, token.sends, token.expected.in_words());
            report.step(&name, || as_expected(site, &issuer, shape, token));
        }
    }
    Ok(())
}

/// The recipe, with keys that can be had here.
fn told(issuer: &Issuer, shape: &Shape) -> Result<String> {
    let (page, heading) = shape.recipe;
    let table = "[[ca.default.issuer]]\n";
    let (name, _) = shape.name.split_once('\'').unwrap_or((shape.name, ""));
    let keys = shape.keys.replace("NAME", &name.to_ascii_lowercase());
    let recipe = recipes::below(page, heading)?.replace(table, &format!("{table}{keys}"));
    Ok(issuer.settings(&recipe.replace("www.googleapis.com", "localhost:PORT")))
}

fn as_expected(site: &Site<'_>, issuer: &Issuer, shape: &Shape, token: &Token) -> Result<()> {
    let mut claims = json!({"iss": shape.issuer, "aud": AUDIENCES});
    let said: Value = serde_json::from_str(token.claims)?;
    if let (Some(claims), Some(said)) = (claims.as_object_mut(), said.as_object()) {
        claims.extend(said.clone());
    }
    let text = issuer.token(&claims)?;
    for client in [Client::Countersign, Client::Cosign] {
        let signed = with_token(site, client, Given { token: &text, client_id: JOBS });
        match token.expected {
            Named(name) => {
                let signed = signed?;
                let mut extensions = vec![("8", shape.issuer)];
                extensions.retain(|(id, _)| !token.extensions.iter().any(|(own, _)| own == id));
                extensions.extend(token.extensions);
                let issuer = extensions.iter().find(|(id, _)| *id == "8");
                let issuer = issuer.map_or(shape.issuer, |(_, issuer)| issuer);
                signed.holder(site)?.expect(name, &extensions)?;
                signed.verify(site, Signer { name, issuer })?;
            }
            Refused(_, saying) => Site::refused(signed, saying)?,
        }
    }
    Ok(())
}
