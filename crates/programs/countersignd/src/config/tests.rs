mod tenants;

use std::path::{Path, PathBuf};

use server::TrustedProxies;
use store::LogKind;

use super::*;
use crate::{
    anchors::AnchorPlace,
    cli::Part,
    deployment::{Authority, Log, Repository, TimestampAuthority, Writers},
};

/// The smallest configuration, as `trial.toml` has it.
fn sample(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    std::fs::read_to_string(format!("{root}/{name}")).unwrap()
}

/// Every file that we give people to begin with.
const SAMPLES: [&str; 4] = [
    "docs/samples/trial.toml",
    "docs/samples/production.toml",
    "docs/samples/two-tenants.toml",
    "deploy/countersign.toml",
];

fn trial() -> String {
    sample("docs/samples/trial.toml")
}

impl Deployment {
    fn ca(&self) -> &Authority {
        &self.authorities[0]
    }

    fn tsa(&self) -> &TimestampAuthority {
        &self.timestamp_authorities[0]
    }

    fn trust(&self) -> &Repository {
        &self.repositories[0]
    }

    /// The first of its kind.
    fn of_kind(&self, kind: LogKind) -> &Log {
        self.logs.iter().find(|log| log.kind == kind).unwrap()
    }
}

/// What is said of a configuration that is refused.
fn problems(text: &str) -> String {
    format!("{:#}", parse(text).unwrap_err())
}

/// `trial.toml` with `from` replaced, which must be there once.
fn changed(from: &str, to: &str) -> String {
    let text = trial();
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

#[test]
fn reads_every_sample_and_the_file_of_docker_compose() {
    for name in SAMPLES {
        let config = parse(&sample(name));
        assert!(config.is_ok(), "{name}: {:#}", config.unwrap_err());
    }
}

#[test]
fn every_issuer_of_the_page_on_compose_is_one() {
    let page =
        sample("docs/compose.md").replace("<tenant id>", "11111111-2222-4333-8444-555555555555");
    let development = trial().split_once("[[ca.default.issuer]]").unwrap().1.to_owned();
    let development = development.split_once("[log.ct]").unwrap().0.to_owned();
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let issuers: Vec<&str> =
        blocks.filter(|block| block.starts_with("[[ca.default.issuer]]")).collect();
    assert_eq!(issuers.len(), 5);
    for issuer in issuers {
        // In place of the development issuer, which vouches for the same names.
        let config = parse(&format!(
            "{}\n{issuer}",
            changed(&development, "\n").replace("[[ca.default.issuer]]\n", "")
        ));
        assert!(config.is_ok(), "{issuer}: {:#}", config.unwrap_err());
    }
}

#[test]
fn fills_in_what_is_left_out() {
    let config = parse(&trial()).unwrap();
    assert_eq!(config.listen.address, None);
    assert_eq!(config.ca().service.port, 5555);
    assert_eq!(config.listen.metrics_port(Part::All), 3007);
    assert_eq!(config.listen.metrics_port(Part::OidcDev), 3008);
    assert_eq!(config.ca().key.file, Path::new("/var/tmp/countersign/ca/keys/ca.pem"));
    assert_eq!(config.ca().settings.ct.url.as_str(), "http://localhost:6962/");
    assert_eq!(config.ca().settings.issuers.len(), 9);
    assert_eq!(config.tenants[0].operator, "localhost");
    assert_eq!(config.trust().oidc_url, "http://localhost:3006");
}

#[test]
fn a_process_ends_with_its_clock_where_that_is_said_alone() {
    assert!(!parse(&trial()).unwrap().end_on_jump);
    assert!(parse(&format!("{}\n[clock]\nend_on_jump = true\n", trial())).unwrap().end_on_jump);
    let said = problems(&format!("{}\n[clock]\nend_on_jumps = true\n", trial()));
    assert!(said.contains("end_on_jumps"), "{said}");
}

#[test]
fn takes_what_is_given() {
    let config = parse(&sample("docs/samples/production.toml")).unwrap();
    assert_eq!(config.tenants[0].operator, "signing.acme.example");
    assert_eq!(config.ca().key.file, Path::new("/etc/countersign/keys/ca.pem"));
    assert_eq!(config.ca().settings.ct.url.as_str(), "http://127.0.0.1:6962/");
    assert_eq!(
        {
            let service = &config.of_kind(LogKind::Rekor2).service;
            (service.name.as_str(), service.url.host())
        },
        ("2026", "log2026.acme.example")
    );
    assert_eq!(config.ca().settings.issuers.len(), 6);
    assert!(config.telemetry.json && config.provider.is_none());
}

// Files of before have no such key, and mean the deployment's own CA alone.
#[test]
fn the_ct_log_takes_further_chains_by_absolute_path() {
    let text = sample("docs/samples/production.toml");
    assert!(parse(&text).unwrap().of_kind(LogKind::Ct).options.further_ca_chains.is_empty());
    let more = text.replace("# further_ca_chains", "further_ca_chains");
    let chains = parse(&more).unwrap().of_kind(LogKind::Ct).options.further_ca_chains.clone();
    assert_eq!(chains, [PathBuf::from("/etc/countersign/ca-2025-chain.pem")]);
    let said = problems(&more.replace("/etc/countersign/ca-2025", "ca-2025"));
    assert!(said.contains("`ca-2025-chain.pem` is not an absolute path"), "{said}");
    let elsewhere = text.replace("kind = \"rekor1\"", "kind = \"rekor1\"\nfurther_ca_chains = []");
    assert!(problems(&elsewhere).contains("further_ca_chains: unknown key"), "of the CT log alone");
}

#[test]
fn the_forge_of_names_without_a_host_is_an_https_url_and_perhaps_a_kind() {
    let with = |lines: &str| changed("forge = \"https://github.com\"", lines);
    let forge = |lines| parse(&with(lines)).unwrap().trust().forge.clone();
    assert_eq!(parse(&trial()).unwrap().trust().forge.as_ref().unwrap().url, "https://github.com");
    assert_eq!(forge(""), None);
    let named = forge("forge = \"https://git.acme.example\"\nforge_kind = \"gitlab\"").unwrap();
    assert_eq!(
        (named.url.as_str(), named.kind.as_deref()),
        ("https://git.acme.example", Some("gitlab"))
    );
    for (lines, words) in [
        ("forge = \"http://git.acme.example\"", "trust.default.forge: "),
        ("forge = \"git.acme.example\"", "trust.default.forge: "),
        ("forge = \"\"", "trust.default.forge: must be a text that is not empty"),
        ("forge = \"https://x.example\"\nforge_kind = \"svn\"", "none of github, gitlab"),
        ("forge = \"https://github.com\"\nforge_kind = \"gitlab\"", "of another kind"),
        ("forge_kind = \"github\"", "trust.default.forge_kind: is of no use"),
    ] {
        let said = problems(&with(lines));
        assert!(said.contains(words), "{lines}: {said}");
    }
}

#[test]
fn an_empty_file_is_told_everything_that_is_missing() {
    let said = problems("");
    for place in ["data_dir", "tenant", "ca", "tsa", "trust", "log", "database.kind"] {
        assert!(said.contains(&format!("\n  {place}: ")), "{place}: {said}");
    }
    assert!(said.contains("of kind `rekor2` or `rekor1` is missing"), "{said}");
}

#[test]
fn every_problem_is_named_at_once_with_its_place() {
    let text = trial()
        .replace("organization = \"Trial\"", "organisation = \"Trial\"")
        .replace("kind = \"sqlite\"", "kind = \"mysql\"")
        .replace("http://localhost:3004", "http://tsa.example")
        .replace("oidc-dev = 3008", "oidc-dev = 70000\nca = \"x\"");
    let said = problems(&text);
    for line in [
        "tenant.default.organisation: unknown key; known here are audience, hosts, operator, organization",
        "tenant.default.organization: is missing",
        "database.kind: `mysql` is neither `sqlite` nor `postgres`",
        "tsa.default.url: `http://tsa.example`: must be https",
        "listen.metrics_ports.oidc-dev: 70000 is out of range",
        "listen.metrics_ports.ca: must be a whole number, and is of type string",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(said.contains("6 problems"), "{said}");
}

#[test]
fn refuses_unknown_keys_in_every_table() {
    for table in [
        "[tenant.default]",
        "[listen.metrics_ports]",
        "[database]",
        "[ca.default]",
        "[[ca.default.issuer]]",
        "[log.ct]",
        "[log.rekor1]",
        "[log.rekor2]",
        "[tsa.default]",
        "[trust.default]",
        "[oidc-dev]",
    ] {
        let said = problems(&changed(table, &format!("{table}\nmistyped = 1")));
        assert!(said.contains("1 problem\n"), "{table}: {said}");
        assert!(said.contains("mistyped: unknown key"), "{table}: {said}");
    }
    let said = problems(&format!("mistyped = 1\n{}", trial()));
    assert!(said.contains("\n  mistyped: unknown key"), "{said}");
}

#[test]
fn believes_nobody_unless_told() {
    let issuer = trial().split_once("[[ca.default.issuer]]").unwrap().1.to_owned();
    let issuer = issuer.split_once("[log.ct]").unwrap().0;
    let said = problems(&changed(&format!("[[ca.default.issuer]]{issuer}"), ""));
    assert!(said.contains("ca.default.issuer: nobody would be believed"), "{said}");
}

#[test]
fn the_development_issuer_must_be_called_one() {
    let said = problems(&changed("development = true\n", ""));
    assert!(said.contains("ca.default.issuer[0].type: `oidc-dev` vouches for everybody"), "{said}");
}

#[test]
fn an_http_issuer_needs_development_and_loopback() {
    let issuer = |url: &str, development: &str| {
        changed(
            "type = \"oidc-dev\"\ndevelopment = true\nurl = \"http://localhost:3006\"",
            &format!(
                "type = \"email\"\naudiences = [\"sigstore\"]\nopen_to_all = true\n{development}url = \"{url}\""
            ),
        )
    };
    assert!(parse(&issuer("http://localhost:8080", "development = true\n")).is_ok());
    assert!(parse(&issuer("https://sso.example", "")).is_ok());
    let said = problems(&issuer("http://localhost:8080", ""));
    assert!(said.contains("ca.default.issuer[0]: "), "{said}");
    let said = problems(&issuer("http://sso.example", "development = true\n"));
    assert!(said.contains("ca.default.issuer[0]: "), "{said}");
    // The way to the keys may be another one, for development only.
    let keys = "keys_url = \"http://sso:8080/keys\"\n";
    let said = problems(&issuer("https://sso.example", keys));
    assert!(said.contains("ca.default.issuer[0].keys_url: must be https"), "{said}");
    let text = issuer("http://localhost:8080", &format!("development = true\n{keys}"));
    let config = parse(&text).unwrap();
    let jwks_uri = config.ca().settings.issuers[0].jwks_uri().map(url::Url::as_str);
    assert_eq!(jwks_uri, Some("http://sso:8080/keys"));
}

#[test]
fn problems_of_an_issuer_are_those_of_its_type() {
    let said = problems(&changed(
        "type = \"oidc-dev\"",
        "type = \"github-workflow\"\naudiences = [\"a\"]\nbase_url = \"https://github.com\"\nsubject_domain = \"http://localhost\"",
    ));
    assert!(said.contains("ca.default.issuer[0]: "), "{said}");
    assert!(said.contains("subject_domain"), "{said}");
}

const AUDIENCE: &str = "[tenant.default]\naudience = \"https://localhost/sign\"\n";

#[test]
fn two_issuers_of_the_same_people_are_refused_by_name() {
    let keycloak = "[[ca.default.issuer]]\ntype = \"email\"\nurl = \"https://sso.acme.example\"\n\
        audiences = [\"a\"]\ndomains = [\"acme.example\"]\n";
    let said = problems(&format!("{}\n{keycloak}", trial()));
    for part in [
        "\n  ca.default.issuer[1]: issuers `http://localhost:3006` and `https://sso.acme.example` both",
        "write into the entry of `https://sso.acme.example` the line \
         `shares_names_with = [\"http://localhost:3006\"]`",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let shares = "shares_names_with = [\"http://localhost:3006\"]\n";
    assert!(parse(&format!("{}\n{keycloak}{shares}", trial())).is_ok());
}

#[test]
fn an_issuer_of_strangers_is_refused_by_check() {
    let github = "[[ca.default.issuer]]\ntype = \"github-workflow\"\naudiences = [\"a\"]\n\
        url = \"https://token.actions.githubusercontent.com\"\n\
        shares_names_with = [\"http://localhost:3006/github\"]\n";
    let with = |line: &str| format!("{}\n{github}{line}", trial());
    let said = problems(&with(""));
    assert!(said.contains("every repository on github.com"), "{said}");
    assert!(said.contains("repository_owner_id") && said.contains("open_to_all"), "{said}");
    for line in ["open_to_all = true", "required_claims = { repository_owner = \"acme\" }"] {
        let config = parse(&with(line));
        assert!(config.is_ok(), "{line}: {:#}", config.unwrap_err());
    }
}

#[test]
fn the_tenants_audience_is_that_of_issuers_that_name_none() {
    let issuer = |lines: &str| {
        let text = changed("[tenant.default]\n", AUDIENCE);
        format!("{text}\n[[ca.default.issuer]]\n{lines}")
    };
    let keycloak = "type = \"email\"\nurl = \"https://sso.acme.example\"\n\
        domains = [\"acme.example\"]\nshares_names_with = [\"http://localhost:3006\"]\n";
    let config = parse(&issuer(keycloak)).unwrap();
    assert_eq!(config.tenants[0].audience.as_deref(), Some("https://localhost/sign"));
    let issuers = &config.ca().settings.issuers;
    assert_eq!(issuers.last().unwrap().audiences(), ["https://localhost/sign"]);
    // The development provider is one for all tenants: its tokens have no audience beside it, also as Azure's.
    assert!(
        issuers[..9].iter().all(|one| one.audiences() == ["https://localhost/sign"]),
        "{issuers:?}"
    );
    let own = issuer(&format!("{keycloak}audiences = [\"other\"]"));
    let config = parse(&own).unwrap();
    assert_eq!(config.ca().settings.issuers.last().unwrap().audiences(), ["other"]);

    let without = format!("{}\n[[ca.default.issuer]]\n{keycloak}", trial());
    assert!(problems(&without).contains("`audience` of the tenant"));
    let github = "type = \"github-workflow\"\nurl = \"https://token.actions.githubusercontent.com\"\n\
        open_to_all = true\nshares_names_with = [\"http://localhost:3006/github\"]\n";
    assert!(parse(&issuer(github)).is_ok());
    let said = problems(&issuer(&format!("{github}audiences = [\"sigstore\"]")));
    assert!(said.contains("lack `https://localhost/sign`"), "{said}");
}

#[test]
fn the_tenants_audience_is_of_the_cas_own_domain() {
    for audience in ["sts.amazonaws.com", "https://sign.acme.example", "api://x"] {
        let text = changed(
            "[tenant.default]\n",
            &format!("[tenant.default]\naudience = \"{audience}\"\n"),
        );
        let said = problems(&text);
        assert!(said.contains("tenant.default.audience: "), "{audience}: {said}");
    }
}

#[test]
fn keys_elsewhere_are_not_yet_there_and_say_so() {
    let with = |key: &str| changed("[tsa.default]", &format!("[tsa.default]\nkey = \"{key}\""));
    for key in
        ["pkcs11:token=tsa", "awskms:///alias/tsa", "gcpkms://x", "azurekms://x", "hashivault://x"]
    {
        let said = problems(&with(key));
        assert!(said.contains("tsa.default.key: ") && said.contains("not supported yet"), "{said}");
    }
    for key in ["/etc/key.pem", "file:key.pem", "http://key"] {
        let said = problems(&with(key));
        assert!(said.contains("tsa.default.key: ") && said.contains("must be"), "{said}");
    }
    assert!(parse(&with("file:/etc/key.pem")).is_ok());
}

#[test]
fn the_owner_of_the_tables_is_another_role_than_the_one_of_the_services() {
    for (lines, told) in [
        ("owner_url = \"postgres://me@localhost/x\"", "owner_url: must be of another role"),
        ("roles_file = \"/x\"", "roles_file: has no use without `owner_url`"),
        ("owner_url = \"postgres://o:p@localhost/x\"", "owner_url: must not contain the password"),
        (
            "owner_url = \"postgres://O'o@localhost/x\"\nroles_file = \"/x\"",
            "is no name of small letters",
        ),
    ] {
        let kind = format!("kind = \"postgres\"\nurl = \"postgres://me@localhost/x\"\n{lines}");
        let said = problems(&changed("kind = \"sqlite\"", &kind));
        assert!(said.contains(told), "{said}");
    }
    let owner = "kind = \"postgres\"\nurl = \"postgres://me@localhost/x\"\nowner_url = \"postgres://o@localhost/x\"";
    assert!(parse(&changed("kind = \"sqlite\"", owner)).is_ok());
}

#[test]
fn the_password_of_the_database_is_never_in_the_file() {
    for url in ["postgres://me:secret@db/x", "postgres://me@db/x?password=secret"] {
        let said = problems(&changed(
            "kind = \"sqlite\"",
            &format!("kind = \"postgres\"\nurl = \"{url}\""),
        ));
        assert!(said.contains("database.url: must not contain the password"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
    let said = problems(&changed("kind = \"sqlite\"", "kind = \"postgres\""));
    assert!(said.contains("database.url: is missing"), "{said}");
    let said = problems(&changed("kind = \"sqlite\"", "kind = \"sqlite\"\npassword_file = \"/x\""));
    assert!(said.contains("database.password_file: kind `sqlite` has no use for it"), "{said}");
}

#[test]
fn a_database_elsewhere_says_whether_it_speaks_tls() {
    let said = |url: &str| {
        let kind = format!("kind = \"postgres\"\nurl = \"{url}\"");
        parse(&changed("kind = \"sqlite\"", &kind)).map_err(|error| format!("{error:#}"))
    };
    for url in
        ["postgres://me@db.example/x", "postgres://me@10.0.0.1/x", "postgres://me@[fd00::1]/x"]
    {
        let refused = said(url).unwrap_err();
        assert!(refused.contains("database.url: must say `?sslmode="), "{refused}");
        said(&format!("{url}?sslmode=verify-full")).unwrap();
        said(&format!("{url}?sslmode=disable")).unwrap();
    }
    for url in [
        "postgres://me@localhost/x",
        "postgres://me@127.0.0.2:1/x",
        "postgres://me@[::1]/x",
        "postgres://me@%2Frun%2Fpostgresql/x",
        "postgres://me@localhost/x?host=/run/postgresql",
    ] {
        said(url).unwrap();
    }
    for elsewhere in ["host=db.example", "hostaddr=10.0.0.1"] {
        said(&format!("postgres://me@localhost/x?{elsewhere}")).unwrap_err();
    }
}

#[test]
fn base_urls_have_one_form() {
    for url in [
        "https://ca.example",
        "https://ca.example:8443",
        "http://localhost:5555",
        "http://127.0.0.2",
        "http://[::1]:1",
    ] {
        assert_eq!(url.parse::<BaseUrl>().map(|url| url.to_string()).as_deref(), Ok(url));
    }
    for url in [
        "https://ca.example/",
        "https://ca.example/api",
        "https://CA.example",
        "https://ca.example:443",
        "https://ca.example?x",
        "https://ca.example#x",
        "https://me@ca.example",
        "https://me:pw@ca.example",
        "ftp://ca.example",
        "ca.example",
        "",
    ] {
        let form = url.parse::<BaseUrl>().unwrap_err().to_string();
        assert!(form.contains("without a final slash"), "{url}: {form}");
    }
    let plain = "http://ca.example".parse::<BaseUrl>().unwrap_err().to_string();
    assert!(plain.contains("must be https"), "{plain}");
}

#[test]
fn a_tenant_that_names_its_hosts_has_no_service_elsewhere() {
    let with =
        |hosts: &str| changed("[tenant.default]", &format!("[tenant.default]\nhosts = {hosts}"));
    assert!(parse(&with("[\"localhost\"]")).is_ok());
    let said = problems(&with("[\"sign.example\"]"));
    assert_eq!(said.matches("tenant.default.hosts: do not name the host of").count(), 6, "{said}");
}

#[test]
fn the_development_provider_is_of_this_machine() {
    let text = trial().replace(
        "[oidc-dev]\nurl = \"http://localhost:3006\"",
        "[oidc-dev]\nurl = \"https://oidc.example\"",
    );
    let said = problems(&text);
    assert!(said.contains("oidc-dev.url: must be of the host `localhost`"), "{said}");
}

#[test]
fn what_is_not_toml_is_called_so() {
    assert!(problems("data_dir =").contains("is not TOML"));
    let missing = load(Path::new("/no/such/file")).unwrap_err();
    assert!(format!("{missing:#}").contains("/no/such/file"), "{missing:#}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z\\[\\]=\"0-9{}, .\n]{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_table_that_holds_anything_is_answered(key in "[a-z_]{1,12}", number in proptest::num::i64::ANY) {
        for section in ["ca.x", "log.x", "tsa.x", "trust.x", "tenant.x", "listen", "database", "telemetry", "oidc-dev"] {
            let text = format!("[{section}]\n{key} = {number}");
            proptest::prop_assert!(parse(&text).is_err());
        }
    }
}

#[test]
fn people_are_never_sent_to_log_in_over_plain_http() {
    let with = |url: &str| {
        let issuer = "[[ca.default.issuer]]\ntype = \"email\"\naudiences = [\"acme\"]\n\
                      domains = [\"acme.example\"]\ndevelopment = true\n\
                      shares_names_with = [\"http://localhost:3006\"]";
        let text = changed("[trust.default]", &format!("[trust.default]\noidc_url = {url}"));
        format!("{text}\n{issuer}\nurl = {url}\n")
    };
    for url in ["\"https://sso.acme.example/realms/acme\"", "\"http://127.0.0.1:8080\""] {
        assert!(parse(&with(url)).is_ok(), "{url}");
    }
    for url in ["\"http://sso.acme.example\"", "\"javascript:alert(1)\"", "\"sso.acme.example\""] {
        let said = problems(&with(url));
        assert!(said.contains("trust.default.oidc_url: "), "{url}: {said}");
    }
}

#[test]
fn names_of_logs_are_names_of_files() {
    let long = "x".repeat(65);
    for name in ["../keys/ct.pem", "/etc/passwd", "a b", ".hidden", "", "2026.tmp", &long] {
        let said = problems(&changed("[log.rekor2]", &format!("[log.\"{name}\"]")));
        assert!(said.contains("a log's name has 1 to 64 letters"), "{name}: {said}");
    }
    assert!(parse(&changed("[log.rekor2]", "[log.\"Rekor2-2026.1_b\"]")).is_ok());
}

/// `trial.toml` whose people log in at `login`, with an issuer for them at `issuer`.
fn login(login: &str, issuer: &str) -> String {
    let text = changed("[trust.default]", &format!("[trust.default]\noidc_url = \"{login}\""));
    format!(
        "{text}\n[[ca.default.issuer]]\ntype = \"email\"\naudiences = [\"acme\"]\n\
         domains = [\"acme.example\"]\nshares_names_with = [\"http://localhost:3006\"]\n\
         url = \"{issuer}\"\n"
    )
}

#[test]
fn people_log_in_where_they_are_believed_to_the_letter() {
    const AUTH0: &str = "https://acme.auth0.example/";
    let config = parse(&login(AUTH0, AUTH0)).unwrap();
    assert_eq!(config.trust().oidc_url, AUTH0, "as it was written");

    let said = problems(&login("https://sso.example", "https://login.example"));
    let place = "trust.default.oidc_url: `https://sso.example` is the url of no";
    assert!(said.contains(place), "{said}");
    for (one, other) in [(AUTH0, AUTH0.trim_end_matches('/')), (AUTH0.trim_end_matches('/'), AUTH0)]
    {
        let said = problems(&login(one, other));
        let both = format!("`{one}` and the issuer `{other}` differ by the final slash");
        assert!(said.contains(&both), "{said}");
    }
    for more in
        ["https://u:secret@sso.example", "https://sso.example?a=b", "https://sso.example/#a"]
    {
        let said = problems(&login(more, "https://sso.example"));
        assert!(
            said.contains("trust.default.oidc_url: ") && said.contains("without user"),
            "{said}"
        );
    }
}

#[test]
fn keys_are_said_to_be_at_one_plain_place() {
    let with = |more: &str| {
        problems(&format!(
            "{}\n[[ca.default.issuer]]\ntype = \"email\"\naudiences = [\"acme\"]\n\
             url = \"https://sso.example\"\n{more}\n",
            trial()
        ))
    };
    for (keys_url, why) in [
        ("https://u@sso.example/keys", "must not have a user or password"),
        ("https://u:secret@sso.example/keys", "must not have a user or password"),
        ("https://sso.example/keys?kid=1", "must not have a query"),
        ("https://sso.example/keys#k", "must not have a fragment"),
        ("ftp://sso.example/keys", "must be an https URL"),
    ] {
        let said = with(&format!("development = true\nkeys_url = \"{keys_url}\""));
        assert!(said.contains("].keys_url: ") && said.contains(why), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
    let both = "keys_url = \"https://sso.example/a\"\njwks_uri = \"https://sso.example/b\"";
    let said = with(both);
    assert!(said.contains("keys_url: and `jwks_uri` both say where the keys are"), "{said}");
}

#[test]
fn settings_of_keys_that_contradict_each_other_are_found() {
    let with = |settings: &str| {
        problems(&changed(
            "[trust.default]",
            &format!("[ca.default.oidc]\n{settings}\n[trust.default]"),
        ))
    };
    for (settings, why) in [
        ("timeout_ms = 0", "timeout_ms"),
        ("timeout_ms = 60001", "timeout_ms"),
        ("refresh_after_s = 0", "refresh_after_s"),
        ("min_refresh_interval_s = 301", "min_refresh_interval_s"),
        ("keep_last_good_s = 300", "keep_last_good_s"),
    ] {
        let said = with(settings);
        assert!(said.contains("ca.default") && said.contains(why), "{settings}: {said}");
    }
    for timeout in ["0", "60001"] {
        let settings = format!("[ca.default]\nct_timeout_ms = {timeout}");
        let said = problems(&changed("[ca.default]", &settings));
        assert!(said.contains("ct timeout_ms"), "{said}");
    }
}

#[test]
fn proxies_are_believed_only_where_they_are_listed() {
    assert_eq!(parse(&trial()).unwrap().listen.trusted_proxies, TrustedProxies::default());
    let with = |networks: &str| format!("{}\n[listen]\ntrusted_proxies = {networks}\n", trial());
    let config = parse(&with("[\"10.0.0.0/8\", \"fd00::1\"]")).unwrap();
    let expected = TrustedProxies::parse(&["10.0.0.0/8", "fd00::1"]).unwrap();
    assert_eq!(config.listen.trusted_proxies, expected);
    let said = problems(&with("[\"home\"]"));
    assert!(said.contains("listen.trusted_proxies: `home` is not a network"), "{said}");
}

#[test]
fn a_timestamp_authority_has_the_policies_of_its_section() {
    let with = |keys: &str| changed("[tsa.default]", &format!("[tsa.default]\n{keys}"));
    let settings = |keys: &str| parse(&with(keys)).unwrap().tsa().settings.clone();
    let usual = parse(&trial()).unwrap().tsa().settings.clone();
    assert_eq!((usual.policy, usual.accepted_policies.len()), (tsp::PolicyOid::SIGSTORE, 0));
    assert_eq!(usual.intermediate_usage, tsp::IntermediateUsage::Required);
    let own = settings(
        "policy = \"1.3.6.1.4.1.32473.1\"\naccepted_policies = [\"1.3.6.1.4.1.32473.2\", \
         \"1.3.6.1.4.1.57264.2\"]\nunmarked_intermediates = true",
    );
    assert_eq!(own.policy.to_string(), "1.3.6.1.4.1.32473.1");
    assert_eq!(own.accepted_policies.len(), 2);
    assert_eq!(own.intermediate_usage, tsp::IntermediateUsage::Optional);
    let many = format!("accepted_policies = [{}]", "\"1.2.3\", ".repeat(33));
    for (keys, said) in [
        ("policy = \"acme\"", "tsa.default.policy: `acme`: the policy is not an object identifier"),
        ("policy = \"acme\"", "like 1.3.6.1.4.1.32473.1"),
        ("policy = \"1.3.6.1.4.1.\"", "not an object identifier"),
        ("policy = 1.3", "tsa.default.policy: must be a text"),
        ("policy = \"2.5.29.32.0\"", "anyPolicy is no policy"),
        ("accepted_policies = [\"1..2\"]", "tsa.default.accepted_policies: `1..2`"),
        ("accepted_policies = \"1.2.3\"", "must be a list of texts"),
        ("accepted_policies = [\"1.2.3\", \"1.2.3\"]", "`1.2.3` is there twice"),
        ("policy = \"1.2.3\"\naccepted_policies = [\"1.2.3\"]", "always accepted"),
        (&many, "more than 32"),
    ] {
        let found = problems(&with(keys));
        assert!(found.contains(said), "{keys}: {found}");
    }
}

#[test]
fn nobody_logs_in_unless_the_file_says_so() {
    let login = |text: &str| parse(text).unwrap().provider.unwrap().login;
    assert!(!login(&trial()));
    assert!(login(&changed("[oidc-dev]", "[oidc-dev]\nlogin = true")));
    let said = problems(&changed("[oidc-dev]", "[oidc-dev]\nlogin = \"yes\""));
    assert!(said.contains("oidc-dev.login: must be true or false"), "{said}");
}

/// The trust page named a directory that only `dev` has.
#[test]
fn how_tokens_are_had_is_what_the_file_says_or_nothing() {
    let command = |text: &str| parse(text).unwrap().provider.unwrap().token_command;
    assert_eq!(command(&trial()), None);
    let with = |said: &str| changed("[oidc-dev]", &format!("[oidc-dev]\ntoken_command = {said}"));
    assert_eq!(command(&with("\"make token\"")).as_deref(), Some("make token"));
    let said = problems(&with("\"make token\\nrm -r .\""));
    assert!(said.contains("oidc-dev.token_command: must be one line"), "{said}");
}

/// `check` and `init` said ok, and `serve` died.
#[test]
fn two_entries_that_nothing_tells_apart_are_found_by_reading() {
    let entry = "[[ca.default.issuer]]\ntype = \"kubernetes\"\naudiences = [\"a\"]\n\
                 url = \"https://kubernetes.default.svc.cluster.local\"\n";
    let said = problems(&format!("{}\n{entry}{entry}", trial()));
    assert!(said.contains("configured twice") && said.contains("ca.default"), "{said}");
    let told_apart = format!("{entry}cluster = \"one\"\n{entry}cluster = \"two\"\n");
    parse(&format!("{}\n{told_apart}", trial())).unwrap();
}

/// One problem was told as three.
#[test]
fn an_issuer_with_a_problem_of_its_own_is_not_called_missing() {
    const SSO: &str = "https://sso.acme.example";
    let bad = login(SSO, SSO).replace("audiences = [\"acme\"]\n", "audiences = []\n");
    let said = problems(&bad);
    assert!(said.contains("1 problem\n") && said.contains("audience"), "{said}");
    let other = "[[ca.default.issuer]]\ntype = \"uri\"\naudiences = [\"a\"]\nurl = \"https://b.acme.example\"\n\
                 subject_domain = \"https://b.acme.example\"\n";
    let shares = |url: &str| format!("{bad}\n{other}shares_names_with = [\"{url}\"]\n");
    let said = problems(&shares(SSO));
    assert!(said.contains("1 problem\n"), "{said}");
    let said = problems(&shares("https://gone.example"));
    assert!(said.contains("2 problems") && said.contains("`https://gone.example`"), "{said}");
}

#[test]
fn people_may_log_in_at_an_issuer_of_a_pattern() {
    let pattern = "https://sso.acme.example/realms/*";
    let text = login("https://sso.acme.example/realms/a", "x")
        .replace("url = \"x\"", &format!("url_pattern = \"{pattern}\""))
        .replace(
            "shares_names_with = [",
            &format!("open_to_all = true\nshares_names_with = [\"{pattern}\", "),
        );
    let config = parse(&text);
    assert!(config.is_ok(), "{:#}", config.unwrap_err());
}

#[test]
fn sharing_with_nobody_is_told_from_sharing_with_oneself() {
    let entry = |shares: &str| {
        problems(&format!(
            "{}\n[[ca.default.issuer]]\ntype = \"uri\"\naudiences = [\"a\"]\n\
             url = \"https://b.acme.example\"\nsubject_domain = \"https://b.acme.example\"\n\
             shares_names_with = [\"{shares}\"]\n",
            trial()
        ))
    };
    let said = entry("https://b.acme.example");
    let own = "ca.default.issuer[1]: `shares_names_with` of the issuer `https://b.acme.example` has the \
               issuer's own `url`";
    assert!(said.contains(own), "{said}");
    let said = entry("https://b.acme.example/");
    assert!(said.contains("ca.default.issuer[1]: ") && said.contains("of no entry"), "{said}");
}

#[test]
fn too_many_entries_are_told_with_their_issuer_and_the_limit() {
    let entry = |number: usize| {
        format!(
            "[[ca.default.issuer]]\ntype = \"kubernetes\"\naudiences = [\"a\"]\n\
             url = \"https://kubernetes.default.svc.cluster.local\"\ncluster = \"c{number}\"\n\
             keys_file = \"/c{number}\"\n"
        )
    };
    let with = |count| format!("{}\n{}", trial(), (0..count).map(entry).collect::<String>());
    let config = parse(&with(256));
    assert!(config.is_ok(), "{:#}", config.unwrap_err());
    let said = problems(&with(257));
    for part in ["`https://kubernetes.default.svc.cluster.local`", "257", "at most 256"] {
        assert!(said.contains(part), "{said}");
    }
}

fn warnings(text: &str) -> Vec<String> {
    parse(text).unwrap().warnings
}

#[test]
fn no_sample_is_warned_of() {
    for name in SAMPLES {
        assert_eq!(warnings(&sample(name)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_port_that_was_changed_in_one_place_alone_is_warned_of() {
    let provider = "[oidc-dev]\nurl = \"http://localhost:3006\"";
    let moved = changed(provider, &format!("{provider}\nport = 3016"));
    let [port] = &warnings(&moved)[..] else { panic!() };
    for part in ["[oidc-dev]: ", "`http://localhost:3006`", "port 3016"] {
        assert!(port.contains(part), "{port}");
    }
    let both = moved.replace("3006", "3016");
    assert_eq!(warnings(&both), Vec::<String>::new());
    let [issuer] = &warnings(&changed(
        provider,
        "[oidc-dev]\nurl = \"http://localhost:3016\"\nport = 3016",
    ))[..] else {
        panic!()
    };
    assert!(issuer.starts_with("ca.default.issuer[0].url: "), "{issuer}");
    let tsa = warnings(&changed("[tsa.default]", "[tsa.default]\nport = 13004"));
    assert!(tsa.len() == 1 && tsa[0].contains("[tsa.default]"), "{tsa:?}");
}

#[test]
fn a_rule_that_no_token_can_meet_is_warned_of() {
    let github = |rules: &str| {
        warnings(&format!(
            "{}\n[[ca.default.issuer]]\ntype = \"github-workflow\"\naudiences = [\"a\"]\n\
             url = \"https://token.actions.githubusercontent.com\"\n\
             shares_names_with = [\"http://localhost:3006/github\"]\n\
             required_claims = {{ repository_owner_id = 1, {rules} }}\n",
            trial()
        ))
    };
    let [warning] = &github("ref = \"main\"")[..] else { panic!() };
    assert!(warning.starts_with("ca.default.issuer[1]: ") && warning.contains("refs/heads/main"));
    assert_eq!(github("ref = \"refs/heads/main\""), Vec::<String>::new());
}

#[test]
fn domains_that_nobody_owns_are_refused_with_the_reason() {
    let with = |domain: &str| {
        problems(
            &login("https://sso.example", "https://sso.example").replace("acme.example", domain),
        )
    };
    for (domain, why) in
        [("*.co.uk", "strangers"), ("example", "single label"), ("a@b.example", "`@`")]
    {
        let said = with(domain);
        assert!(
            said.contains(&format!("`domains` has `{domain}`")) && said.contains(why),
            "{said}"
        );
    }
}

#[test]
fn anchors_are_of_all_logs_or_of_one_and_never_among_the_data() {
    let all = parse(&trial()).unwrap();
    let of = |deployment: &Deployment, kind| deployment.of_kind(kind).anchors.clone();
    let directory = |path: &str| AnchorPlace::Directory(path.into());
    let common = [directory("/var/tmp/countersign-anchors")];
    assert_eq!(of(&all, LogKind::Ct), common);
    all.demand_anchors().unwrap();
    let own = "[log.rekor2]\nanchors = [\"file:/mnt/a\", \"https://anchors.acme.example/c/\"]";
    let one = parse(&changed("[log.rekor2]", own)).unwrap();
    assert_eq!(of(&one, LogKind::Ct), common);
    assert_eq!(of(&one, LogKind::Rekor2)[0], directory("/mnt/a"));
    assert_eq!(of(&one, LogKind::Rekor2).len(), 2);
    for (anchor, said) in [
        ("file:/var/tmp/countersign/log/a", "is in `data_dir`, and comes back with it"),
        ("file:/var/tmp/other/../countersign/a", "is in `data_dir`, and comes back with it"),
        ("http://anchors.acme.example/", "must be https"),
        ("/mnt/a", "must be file:/ABSOLUTE/DIRECTORY or https://"),
    ] {
        let wrong = problems(&changed("file:/var/tmp/countersign-anchors", anchor));
        assert!(wrong.contains(&format!("anchors: `{anchor}`")) && wrong.contains(said), "{wrong}");
    }
    // It is read all the same: `serve` refuses it, and `check` and `init` say so.
    let none = parse(&changed("anchors = [\"file:/var/tmp/countersign-anchors\"]", "")).unwrap();
    let said = none.demand_anchors().unwrap_err().to_string();
    assert!(said.contains("[log.ct], [log.rekor1], [log.rekor2] without `anchors`"), "{said}");
}

/// `trial.toml` with other `writers` of its Rekor v2 log.
fn with_writers(writers: &str) -> String {
    let log = "kind = \"rekor2\"\nwriters = \"open\"\n";
    changed(log, &format!("kind = \"rekor2\"\n{writers}\n"))
}

#[test]
fn who_may_write_to_a_rekor_log_has_to_be_said() {
    for kind in ["rekor1", "rekor2"] {
        let said = format!("kind = \"{kind}\"\nwriters = \"open\"\n");
        let told = problems(&changed(&said, &format!("kind = \"{kind}\"\n")));
        assert!(told.contains(&format!("log.{kind}.writers: is missing: write")), "{told}");
        for form in ["writers = \"open\"", "ca:NAME", "key:/FILE.pem", "issuer:URL"] {
            assert!(told.contains(form), "{told}");
        }
    }
    let config = parse(&trial()).unwrap();
    assert!(matches!(config.of_kind(LogKind::Rekor2).options.writers, Writers::Open));
    // It takes certificates of configured chains alone, and has no such setting.
    let told = problems(&changed("kind = \"ct\"\n", "kind = \"ct\"\nwriters = \"open\"\n"));
    assert!(told.contains("log.ct.writers: unknown key"), "{told}");
}

#[test]
fn writers_are_looked_up_and_tokens_for_a_log_are_for_nothing_else() {
    let issuer = "issuer:http://localhost:3006";
    let text = with_writers(&format!(
        "writers = [\"ca:default\", \"key:/etc/release.pub\", \"{issuer}\"]"
    ));
    let config = parse(&text).unwrap();
    let Writers::Listed(listed) = &config.of_kind(LogKind::Rekor2).options.writers else {
        panic!("not listed")
    };
    assert_eq!(listed.authorities, ["default"]);
    assert_eq!(listed.keys, [PathBuf::from("/etc/release.pub")]);
    assert_eq!(listed.audience, "http://localhost:3003");
    assert_eq!(listed.issuers.len(), 1);
    assert!(listed.issuers[0].iter().all(|one| one.audiences() == ["http://localhost:3003"]));
    for (writers, expected) in [
        ("writers = \"opne\"", "write `writers = \"open\"`"),
        ("writers = []", "must be 1 to"),
        ("writers = [\"open\"]", "write `writers = \"open\"`"),
        ("writers = [\"ca:other\"]", "there is no [ca.other] of its tenant"),
        ("writers = [\"key:release.pub\"]", "not an absolute path"),
        ("writers = [\"issuer:https://elsewhere.example\"]", "is the `url` of no issuer"),
        ("writers = [\"ca:default\"]\nwriters_audience = \"x\"", "name no `issuer:URL`"),
        (
            "writers = [\"issuer:http://localhost:3006\"]\nwriters_audience = \"sigstore\"",
            "`sigstore` is an audience of a CA",
        ),
    ] {
        let told = problems(&with_writers(writers));
        assert!(told.contains(expected), "{writers}: {told}");
    }
}

#[test]
fn a_log_that_takes_nothing_need_not_say_of_whom() {
    let text = trial().replace(
        "[tsa.default]",
        "[log.old]\nkind = \"rekor2\"\nurl = \"http://127.0.0.9:3003\"\nstate = \"frozen\"\n\
         valid_until = \"2026-01-01T00:00:00Z\"\n[tsa.default]",
    );
    assert!(parse(&text).is_ok(), "{:#}", parse(&text).unwrap_err());
}

#[test]
fn limits_are_read_where_they_mean_something_and_there_are_none_unless_they_are_said() {
    use server::Rate;
    let number = |number| std::num::NonZeroU32::new(number).unwrap();
    let config = parse(&trial()).unwrap();
    assert!(config.services().all(|service| !service.per_peer.is_some()));
    let per_peer =
        "per_peer = { rate = \"100/min\", burst = 20, writes_per_day = 5000, mib_per_day = 64 }";
    let config = parse(&changed("[tsa.default]", &format!("[tsa.default]\n{per_peer}"))).unwrap();
    let read = config.tsa().service.per_peer;
    let rate = Rate { interval: std::time::Duration::from_millis(600), burst: number(20) };
    assert_eq!((read.rate, read.writes_per_day), (Some(rate), Some(number(5000))));
    assert_eq!(read.mib_per_day, Some(number(64)));
    let text = changed("[ca.default]", "[ca.default]\nper_subject = { rate = \"10/h\" }");
    let read = parse(&text).unwrap().ca().settings.per_subject.rate.unwrap();
    assert_eq!(read.burst, number(10), "as many as come in the time");
    for (table, told) in [
        (
            "[tsa.default]\nper_peer = { rate = \"ten\" }",
            "tsa.default.per_peer.rate: `ten` must be like",
        ),
        ("[tsa.default]\nper_peer = { rate = \"0/s\" }", "must be like"),
        ("[tsa.default]\nper_peer = { burst = 1 }", "is of a `rate`, which is missing"),
        ("[tsa.default]\nper_peer = { writes_per_day = 0 }", "leave it out"),
        ("[tsa.default]\nper_peer = { day = 1 }", "unknown key"),
        ("[tsa.default]\nper_subject = { rate = \"1/s\" }", "tsa.default.per_subject: unknown key"),
    ] {
        let said = problems(&changed("[tsa.default]", table));
        assert!(said.contains(told), "{table}: {said}");
    }
    let said = problems(&with_writers("writers = \"open\"\nper_subject = { rate = \"1/s\" }"));
    assert!(said.contains("log.rekor2.per_subject: is of identities"), "{said}");
    assert!(
        parse(&with_writers("writers = [\"ca:default\"]\nper_subject = { rate = \"1/s\" }"))
            .is_ok()
    );
}
