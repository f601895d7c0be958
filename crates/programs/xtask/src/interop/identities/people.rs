//! People and machines of providers that run here, through every client and every way to log in.

use anyhow::{Result, bail};

use super::{
    provider::Provider,
    recipes::{self, COMPOSE, IDENTITY_PROVIDERS},
    signing::{Client, Flow, Login, Signer, sign},
    site::Site,
    table::{Expected, Row},
};
use crate::interop::{
    install::Tool,
    report::{self, Report},
};
use Client::{Cosign, Countersign, Gitsign, Python};
use Expected::{Named, Refused};
use Flow::{Access, Browser, Device, Machine, Token};

/// One login and what must come of it.
struct Case {
    client: Client,
    flow: Flow,
    client_id: &'static str,
    person: &'static str,
    sends: &'static str,
    expected: Expected,
}

const fn case(
    (client, flow): (Client, Flow),
    client_id: &'static str,
    (person, sends): (&'static str, &'static str),
    expected: Expected,
) -> Case {
    Case { client, flow, client_id, person, sends, expected }
}

/// A provider, how the CA is told of it, and who logs in.
struct Scene {
    name: &'static str,
    path: &'static str,
    settings: &'static str,
    /// Page and heading of each recipe.
    recipes: &'static [(&'static str, &'static str)],
    /// The issuer's URL there.
    url: &'static str,
    cases: &'static [Case],
}

/// The clients that are registered at the providers: public ones, and two with a secret.
const PUBLIC: &str = "acme-signing";
const PYTHON: &str = "acme-signing-python";
const BOT: &str = "ci-bot";
const APPLICATION: &str = "66666666-7777-4888-8999-aaaaaaaaaaaa";

const ALICE: (&str, &str) = ("alice", "`email`, verified, and `groups`");
const MALLORY: (&str, &str) = ("mallory", "`email_verified` is false");
const TRUDY: (&str, &str) = ("trudy", "other `groups`");
const MACHINE: (&str, &str) = ("", "a machine's `sub`");
const NOT_MACHINE: (&str, &str) = ("alice", "a person's token by the machine's client");

const COSIGN: &str = "cosign";
const GITSIGN: &str = "gitsign";
const CA: &str = "the CA";
const UNVERIFIED: &str = "not verified by identity provider";

const OIDC_PROVIDER: Scene = Scene {
    name: "oidc-provider",
    path: "/acme",
    settings: "`domains`, `required_claims`",
    recipes: &[(IDENTITY_PROVIDERS, "### Any provider of OpenID Connect")],
    url: "https://login.acme.example",
    cases: &[
        case((Cosign, Browser), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Cosign, Device), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Gitsign, Browser), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Python, Browser), PYTHON, ALICE, Named("alice@acme.example")),
        case((Countersign, Token), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Cosign, Browser), PUBLIC, MALLORY, Refused(COSIGN, UNVERIFIED)),
        case((Countersign, Token), PUBLIC, MALLORY, Refused(CA, "email_verified")),
        case((Cosign, Browser), PUBLIC, TRUDY, Refused(CA, "groups")),
        case(
            (Cosign, Browser),
            PUBLIC,
            ("oscar", "`email` of another domain"),
            Refused(CA, "domain"),
        ),
        case(
            (Cosign, Browser),
            PUBLIC,
            ("upper", "`email` in upper case: `Alice@ACME.example`"),
            Named("Alice@ACME.example"),
        ),
        case(
            (Cosign, Browser),
            PUBLIC,
            ("jorg", "`user@bücher.example`"),
            Named("user@xn--bcher-kva.example"),
        ),
        case((Countersign, Machine), BOT, MACHINE, Named("<issuer>/clients/ci-bot")),
        case((Countersign, Access), BOT, NOT_MACHINE, Refused(CA, "tokens of machines")),
    ],
};

const ENTRA: Scene = Scene {
    name: "Entra's shape, by oidc-provider",
    path: "/11111111-2222-4333-8444-555555555555/v2.0",
    settings: "`name_claim`, `domains`",
    recipes: &[(COMPOSE, "### Microsoft Entra ID (people)")],
    url: "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0",
    cases: &[
        case((Cosign, Browser), APPLICATION, NO_MAIL, Named("anna@acme.example")),
        case((Cosign, Device), APPLICATION, NO_MAIL, Named("anna@acme.example")),
        case((Gitsign, Browser), APPLICATION, NO_MAIL, Named("anna@acme.example")),
        case((Python, Token), APPLICATION, NO_MAIL, Named("anna@acme.example")),
        case((Countersign, Token), APPLICATION, NO_MAIL, Named("anna@acme.example")),
        case((Cosign, Browser), APPLICATION, MAIL, Refused(COSIGN, UNVERIFIED)),
        case((Gitsign, Browser), APPLICATION, MAIL, Refused(GITSIGN, UNVERIFIED)),
        case((Countersign, Token), APPLICATION, MAIL, Named("bert@acme.example")),
        case((Python, Token), APPLICATION, MAIL, Named("bert@acme.example")),
        case((Cosign, Browser), APPLICATION, POLICY, Named("carl@acme.example")),
        case((Gitsign, Browser), APPLICATION, POLICY, Named("carl@acme.example")),
    ],
};

const NO_MAIL: (&str, &str) = ("anna", "`preferred_username`, no `email`");
const MAIL: (&str, &str) = ("bert", "`email` without `email_verified`");
const POLICY: (&str, &str) = ("carl", "`email`, `email_verified` by a claims mapping policy");

const KEYCLOAK: Scene = Scene {
    name: "Keycloak",
    path: "/realms/acme",
    settings: "`domains`, `required_claims`",
    recipes: &[
        (COMPOSE, "### Keycloak (people)"),
        (IDENTITY_PROVIDERS, "### Keycloak, machines too"),
    ],
    url: "https://sso.acme.example/realms/acme",
    cases: &[
        case((Cosign, Browser), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Cosign, Device), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Gitsign, Browser), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Python, Browser), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Countersign, Token), PUBLIC, ALICE, Named("alice@acme.example")),
        case((Cosign, Device), PUBLIC, MALLORY, Refused(COSIGN, UNVERIFIED)),
        case((Countersign, Token), PUBLIC, MALLORY, Refused(CA, "email_verified")),
        case((Cosign, Device), PUBLIC, TRUDY, Refused(CA, "groups")),
        case((Countersign, Machine), BOT, MACHINE, Named("<issuer>/clients/ci-bot")),
        case((Countersign, Access), BOT, NOT_MACHINE, Refused(CA, "tokens of machines")),
    ],
};

const SCENES: [&Scene; 3] = [&OIDC_PROVIDER, &ENTRA, &KEYCLOAK];

/// Their lines of the table.
pub(super) fn rows() -> impl Iterator<Item = Row> {
    SCENES.into_iter().flat_map(|scene| scene.cases.iter().map(|case| row(scene, case)))
}

fn row(scene: &Scene, case: &Case) -> Row {
    Row {
        provider: scene.name,
        client: case.client.name(),
        flow: case.flow.name(),
        sends: case.sends,
        settings: scene.settings,
        result: case.expected.in_words(),
    }
}

/// Everybody logs in, in the scenes that `plays` names.
pub(super) fn log_in(
    site: &mut Site<'_>,
    report: &mut Report,
    plays: &impl Fn(&str) -> bool,
) -> Result<()> {
    let scenes = [&OIDC_PROVIDER, &ENTRA];
    if scenes.iter().any(|scene| plays(scene.name)) {
        let needed = [Tool::OidcProvider, Tool::JavaScript, Tool::Chromium];
        if let Some(why) = needed.iter().find_map(|tool| site.clients.missing(*tool)) {
            report.skip("oidc-provider", &why);
        } else {
            let provider = Provider::oidc_provider(site, &scenes.map(|scene| scene.path))?;
            for scene in scenes.into_iter().filter(|scene| plays(scene.name)) {
                played(site, report, scene, &provider)?;
            }
        }
    }
    if !plays(KEYCLOAK.name) {
        return Ok(());
    }
    if let Some(why) = site.clients.missing(Tool::Keycloak) {
        report.skip(KEYCLOAK.name, &why);
        return Ok(());
    }
    let keycloak = Provider::keycloak(site)?;
    played(site, report, &KEYCLOAK, &keycloak)
}

/// One provider's part of the run.
fn played(
    site: &mut Site<'_>,
    report: &mut Report,
    scene: &Scene,
    provider: &Provider,
) -> Result<()> {
    report::part(&format!("people and machines of {}", scene.name));
    let issuer = provider.issuer(scene.path);
    let recipes = scene.recipes.iter().map(|(page, heading)| recipes::below(page, heading));
    let recipe = recipes.collect::<Result<String>>()?.replace(scene.url, &issuer);
    // The documents' issuers have TLS and are no one's development.
    let table = "[[ca.default.issuer]]\n";
    let recipe = recipe.replace(table, &format!("{table}development = true\n"));
    let told = site.configure(&recipe, &issuer);
    if !report.step(&format!("{}: the CA is told of it by the recipe", scene.name), || told) {
        return Ok(());
    }
    for case in scene.cases {
        let Row { provider, client, flow, sends, .. } = row(scene, case);
        let result = case.expected.in_words();
        let name = format!("{provider}: {client} by {flow}, {sends}: {result}");
        report.step(&name, || as_expected(site, case, &issuer));
    }
    Ok(())
}

fn as_expected(site: &Site<'_>, case: &Case, issuer: &str) -> Result<()> {
    let login = Login {
        issuer,
        client_id: case.client_id,
        has_secret: [PYTHON, BOT].contains(&case.client_id),
        person: case.person,
    };
    let signed = sign(site, case.client, case.flow, &login);
    match case.expected {
        Named(name) => {
            let (name, signed) = (&*name.replace("<issuer>", issuer), signed?);
            signed.holder(site)?.expect(name, &[("8", issuer)])?;
            signed.verify(site, Signer { name, issuer })
        }
        Refused(by, saying) => {
            let said = signed.as_ref().err().map(|error| format!("{error:#}"));
            let said = said.unwrap_or_default();
            let asked = ["Fulcio returned", "it answered"].iter().any(|word| said.contains(word));
            if signed.is_err() && asked != (by == CA) {
                bail!("it should be {by} who refuses: {said}");
            }
            Site::refused(signed, saying)
        }
    }
}
