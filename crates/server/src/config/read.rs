//! From the loose file to a [`Config`]. Every key is read before anything is given up, so that
//! all problems are found at once.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use ca::{CaConfig, CtConfig, OidcConfig};
use identity::{IssuerConfig, is_loopback};
use log_store::LogKind;
use serde::Deserialize;
use service::TrustedProxies;
use url::Url;
use wire::countersign::Forge;

use super::{
    BaseUrl, Ca, Config, Database, KeyFile, Listen, Log, OidcDev, Telemetry, Trust, Tsa, issuers,
    section::Section, tsa, values::LoginUrl,
};
use crate::{
    cli::Part,
    deployment_dirs::DeploymentDirs,
    endpoints::{Face, HOST},
};

pub(super) fn config(mut file: Section<'_>) -> Option<Config> {
    let data_dir = file.required("data_dir", Section::path);
    // Problems with keys are found also when nobody knows where keys would be.
    let dirs = DeploymentDirs::new(data_dir.as_deref().unwrap_or(Path::new("/")));
    let tenant = tenant(&mut file);
    let listen = listen(file.section("listen"));
    let telemetry = telemetry(file.section("telemetry"));
    let database = database(file.section("database"));
    let oidc_dev = oidc_dev(&mut file);
    let audience = tenant.as_ref().and_then(|tenant| tenant.audience.as_deref());
    let ca = only(&mut file, "ca").and_then(|section| ca(section, &dirs, audience));
    let tsa = only(&mut file, "tsa").and_then(|section| stamping(section, &dirs));
    let provider = oidc_dev.as_ref().map(|oidc| oidc.url.to_string());
    let trust = only(&mut file, "trust").and_then(|section| trust(section, &dirs, provider));
    let logs = logs(&mut file, &dirs);
    file.end();
    let (tenant, logs, ca, tsa, (trust, trust_section)) = (tenant?, logs?, ca?, tsa?, trust?);
    let config = Config {
        data_dir: data_dir?,
        operator: tenant.operator.clone().unwrap_or_else(|| trust.url.host().to_owned()),
        organization: tenant.organization.clone(),
        audience: tenant.audience.clone(),
        listen,
        telemetry,
        database: database?,
        ca: ca.settled(&logs.ct),
        ct: logs.ct,
        further_ca_chains: logs.further_ca_chains,
        rekor1: logs.rekor1,
        rekor1_tiles_key: logs.tiles_key,
        rekor2: logs.rekor2,
        tsa,
        trust,
        oidc_dev,
    };
    tenant.check_hosts(&config);
    check_login(&trust_section, &config);
    tenant.check_audience(&config);
    Some(config)
}

struct Tenant<'p> {
    organization: String,
    operator: Option<String>,
    hosts: Option<Vec<String>>,
    audience: Option<String>,
    section: Section<'p>,
}

fn tenant<'p>(file: &mut Section<'p>) -> Option<Tenant<'p>> {
    let mut section = only(file, "tenant")?;
    let organization = section.required_text("organization");
    let operator = section.text("operator");
    let hosts = section.texts("hosts");
    let audience = section.text("audience");
    section.end();
    Some(Tenant { organization: organization?, operator, hosts, audience, section })
}

impl Tenant<'_> {
    /// An audience that clients would not ask for is of no use.
    fn check_audience(&self, config: &Config) {
        let Some(audience) = &self.audience else { return };
        if let Some(finding) = trust::lint::audience(audience, &config.ca.url.to_string()) {
            self.section.wrong("audience", finding);
        }
    }

    /// A tenant that names its hosts has no service elsewhere: a mistyped URL is found here.
    fn check_hosts(&self, config: &Config) {
        let Some(hosts) = &self.hosts else { return };
        let urls = [
            &config.ca.url,
            &config.ct.url,
            &config.rekor1.url,
            &config.rekor2.url,
            &config.tsa.url,
            &config.trust.url,
        ];
        for url in urls {
            if !hosts.iter().any(|host| host == url.host()) {
                self.section.wrong("hosts", format!("do not name the host of {url}"));
            }
        }
    }
}

/// The one table `kind.<name>`: the tenant that has it is always `default` so far.
fn only<'p>(file: &mut Section<'p>, kind: &'static str) -> Option<Section<'p>> {
    let mut all = file.named(kind);
    let (_, mut section) = all.pop().or_else(|| {
        file.wrong(kind, format!("[{kind}.<name>] is missing"));
        None
    })?;
    for (_, other) in all {
        other.wrong_here(format!("more than one [{kind}.<name>] is not supported yet"));
    }
    default_tenant(&mut section, kind);
    Some(section)
}

fn default_tenant(section: &mut Section<'_>, kind: &str) {
    if kind != "tenant"
        && let Some(tenant) = section.text("tenant")
        && tenant != "default"
    {
        section
            .wrong("tenant", format!("`{tenant}`: tenants beside `default` are not supported yet"));
    }
}

fn listen(mut section: Section<'_>) -> Listen {
    let address: Option<IpAddr> = section.parsed("address");
    let metrics_port = section.integer("metrics_port").unwrap_or(Face::Metrics.default_port());
    let mut ports = section.section("metrics_ports");
    let metrics_ports = Part::ALL
        .into_iter()
        .filter_map(|part| ports.integer(part.name()).map(|port| (part, port)))
        .collect();
    ports.end();
    let proxies = section.texts("trusted_proxies").unwrap_or_default();
    let trusted_proxies = TrustedProxies::parse(&proxies).unwrap_or_else(|error| {
        section.wrong("trusted_proxies", error);
        TrustedProxies::default()
    });
    section.end();
    Listen { address, metrics_port, metrics_ports, trusted_proxies }
}

fn telemetry(mut section: Section<'_>) -> Telemetry {
    let log = section.text("log");
    if let Some(Err(error)) = log.as_deref().map(tracing_subscriber::EnvFilter::try_new) {
        section.wrong("log", error);
    }
    let json = match section.text("format").as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            section.wrong("format", format!("`{other}` is neither `text` nor `json`"));
            false
        }
    };
    section.end();
    Telemetry { log, json }
}

fn database(mut section: Section<'_>) -> Option<Database> {
    let kind = section.required_text("kind");
    let url: Option<Url> = section.parsed("url");
    let password_file = section.path("password_file");
    section.end();
    match kind?.as_str() {
        "sqlite" => {
            for (key, given) in [("url", url.is_some()), ("password_file", password_file.is_some())]
            {
                if given {
                    section.wrong(key, "kind `sqlite` has no use for it");
                }
            }
            Some(Database::Sqlite)
        }
        "postgres" => postgres(&section, url, password_file),
        other => {
            section.wrong("kind", format!("`{other}` is neither `sqlite` nor `postgres`"));
            None
        }
    }
}

fn postgres(
    section: &Section<'_>,
    url: Option<Url>,
    password_file: Option<PathBuf>,
) -> Option<Database> {
    let Some(url) = url else {
        section.wrong("url", "is missing, or not a URL");
        return None;
    };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        section.wrong("url", "must be postgres://USER@HOST/DATABASE");
    }
    // Also in the query, where sqlx would take it from.
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        section.wrong("url", "must not contain the password; use password_file");
    }
    if !stays_on_this_machine(&url) && !url.query_pairs().any(|(key, _)| is_tls_mode(&key)) {
        // Left alone, sqlx falls back to plain text without a word.
        section.wrong(
            "url",
            "must say `?sslmode=verify-full`, or `?sslmode=disable` on a network of its own",
        );
    }
    Some(Database::Postgres { url, password_file })
}

fn is_tls_mode(parameter: &str) -> bool {
    matches!(parameter, "sslmode" | "ssl-mode")
}

/// Loopback, or a socket in the file system. The query may name another host than the URL does.
fn stays_on_this_machine(url: &Url) -> bool {
    let named_in_query = url
        .query_pairs()
        .any(|(key, host)| matches!(&*key, "host" | "hostaddr") && !host.starts_with('/'));
    let socket = |host: &str| host.is_empty() || host.to_ascii_lowercase().starts_with("%2f");
    !named_in_query && (url.host_str().is_none_or(socket) || is_loopback(url))
}

fn oidc_dev(file: &mut Section<'_>) -> Option<OidcDev> {
    if !file.has("oidc-dev") {
        return None;
    }
    let mut section = file.section("oidc-dev");
    let url: Option<BaseUrl> = section.required("url", Section::parsed);
    let port = section.integer("port").unwrap_or(Face::Oidc.default_port());
    if let Some(url) = &url
        && url.host() != HOST
    {
        section.wrong("url", "must be of the host `localhost`: it vouches for everybody");
    }
    let login = section.flag("login");
    section.end();
    Some(OidcDev { url: url?, port, login })
}

/// Whoever logs in at a provider that the CA does not believe is refused there: found here, not by the
/// first user. The URL is compared to the letter, as the `iss` of tokens is.
fn check_login(section: &Section<'_>, config: &Config) {
    // The default is the development provider's, and who leaves that out of the issuers does not mean it.
    if !section.was_given("oidc_url") {
        return;
    }
    let url = &config.trust.oidc_url;
    let issuers: Vec<&str> = config.ca.settings.issuers.iter().map(IssuerConfig::url).collect();
    // What is wrong with the issuers themselves is said already.
    if issuers.is_empty() || issuers.contains(&url.as_str()) {
        return;
    }
    let same_but_slash =
        issuers.iter().find(|issuer| issuer.trim_end_matches('/') == url.trim_end_matches('/'));
    let why = match same_but_slash {
        Some(issuer) => format!(
            "`{url}` and the issuer `{issuer}` differ by the final slash: write both as the `issuer` of \
             the provider's discovery document has it"
        ),
        None => format!(
            "`{url}` is the url of no [[ca.<name>.issuer]]: whoever logs in there would be refused"
        ),
    };
    section.wrong("oidc_url", why);
}

/// A certificate authority, before it is known where its log is.
struct OpenCa {
    url: BaseUrl,
    port: u16,
    key: KeyFile,
    settings: CaConfig,
    ct_url: Option<Url>,
    state_dir: Option<PathBuf>,
}

impl OpenCa {
    fn settled(mut self, ct: &Log) -> Ca {
        if let Some(url) = self.ct_url.or_else(|| Url::parse(&ct.url.to_string()).ok()) {
            self.settings.ct.url = url;
        }
        Ca {
            url: self.url,
            port: self.port,
            key: self.key,
            settings: self.settings,
            state_dir: self.state_dir,
        }
    }
}

fn ca(mut section: Section<'_>, dirs: &DeploymentDirs, audience: Option<&str>) -> Option<OpenCa> {
    let (url, port, key) = common(&mut section, Face::Ca, "key", dirs.key_file(Part::Ca, "ca"));
    let ct_url: Option<Url> = section.parsed("ct_url");
    let ct_timeout_ms = section.integer("ct_timeout_ms");
    let lifetime_s = section.integer("lifetime_s");
    let backdate_s = section.integer("backdate_s");
    let state_dir = section.path("state_dir");
    let oidc = section.raw("oidc").map(OidcConfig::deserialize).transpose();
    let listed = section.listed("issuer");
    let nobody = listed.is_empty();
    let issuers = issuers::read(listed, audience);
    let conflicts = identity::name_conflicts(&issuers);
    for conflict in &conflicts {
        section.wrong("issuer", conflict);
    }
    if nobody {
        section.wrong("issuer", "nobody would be believed; add [[ca.<name>.issuer]]");
    }
    if let Err(error) = &oidc {
        section.wrong("oidc", error.message());
    }
    let url = url?;
    let mut settings = CaConfig::new(issuers, Url::parse(&url.to_string()).ok()?);
    settings.ct =
        CtConfig { timeout_ms: ct_timeout_ms.unwrap_or(settings.ct.timeout_ms), ..settings.ct };
    settings.lifetime_s = lifetime_s.unwrap_or(settings.lifetime_s);
    settings.backdate_s = backdate_s.unwrap_or(settings.backdate_s);
    if let Ok(Some(oidc)) = oidc {
        settings.oidc = oidc;
    }
    match settings.check() {
        Err(ca::CaConfigError::Issuers(error)) if conflicts.contains(&error) => {}
        Err(error) => section.wrong_here(error),
        Ok(()) => {}
    }
    section.end();
    Some(OpenCa { url, port, key: key?, settings, ct_url, state_dir })
}

fn stamping(mut section: Section<'_>, dirs: &DeploymentDirs) -> Option<Tsa> {
    let (url, port, key) = common(&mut section, Face::Tsa, "key", dirs.key_file(Part::Tsa, "tsa"));
    let settings = tsa::settings(&mut section);
    section.end();
    Some(Tsa { url: url?, port, key: key?, settings })
}

fn trust<'p>(
    mut section: Section<'p>,
    dirs: &DeploymentDirs,
    provider: Option<String>,
) -> Option<(Trust, Section<'p>)> {
    let root_file = dirs.key_file(Part::Trust, "tuf-root");
    let (url, port, root_key) = common(&mut section, Face::Trust, "root_key", root_file);
    let online_key = key(&mut section, "online_key", dirs.key_file(Part::Trust, "tuf-online"));
    let login = section.has("oidc_url").then(|| section.parsed::<LoginUrl>("oidc_url"));
    let oidc_url = login.map_or(provider, |login| login.map(|LoginUrl(url)| url));
    if oidc_url.is_none() {
        section.wrong("oidc_url", "is missing: the identity provider that people log in to");
    }
    let forge = forge(&mut section);
    section.end();
    let trust = Trust {
        url: url?,
        port,
        root_key: root_key?,
        online_key: online_key?,
        oidc_url: oidc_url?,
        forge,
    };
    Some((trust, section))
}

/// The forge of names without a host, and its kind where the host does not tell.
fn forge(section: &mut Section<'_>) -> Option<Forge> {
    let (url, kind) = (section.text("forge"), section.text("forge_kind"));
    let Some(url) = url else {
        if kind.is_some() {
            section.wrong("forge_kind", "is of no use without `forge`");
        }
        return None;
    };
    let forge = Forge { url, kind };
    if let Some(finding) = trust::lint::forge(&forge) {
        section.wrong("forge", finding);
    }
    Some(forge)
}

/// One log of each kind.
struct LogSections {
    ct: Log,
    further_ca_chains: Vec<PathBuf>,
    rekor1: Log,
    tiles_key: KeyFile,
    rekor2: Log,
}

fn logs(file: &mut Section<'_>, dirs: &DeploymentDirs) -> Option<LogSections> {
    let mut found = [None, None, None];
    let [ct, rekor1, rekor2] = &mut found;
    let mut tiles_key = None;
    let mut further_ca_chains = Vec::new();
    for (name, mut section) in file.named("log") {
        default_tenant(&mut section, "log");
        if !is_file_name(&name) {
            section.wrong_here("a log's name has letters, digits, `-`, `_` and `.`, not at first");
        }
        let (kind, face, place) = match section.required_text("kind").as_deref() {
            Some("ct") => (LogKind::Ct, Face::Ct, &mut *ct),
            Some("rekor1") => (LogKind::Rekor1, Face::Rekor1, &mut *rekor1),
            Some("rekor2") => (LogKind::Rekor2, Face::Rekor2, &mut *rekor2),
            Some(other) => {
                section.wrong("kind", format!("`{other}` is none of ct, rekor1, rekor2"));
                continue;
            }
            None => continue,
        };
        if place.is_some() {
            section.wrong_here(format!("a second {} log is not supported yet", kind.as_str()));
        }
        let (url, port, own_key) =
            common(&mut section, face, "key", dirs.key_file(Part::Log, kind.as_str()));
        if kind == LogKind::Rekor1 {
            tiles_key = key(&mut section, "tiles_key", dirs.key_file(Part::Log, "rekor1-tiles"));
        }
        if kind == LogKind::Ct {
            further_ca_chains = section.paths("further_ca_chains");
        }
        section.end();
        *place = Some((name, url, port, own_key));
    }
    for (kind, log) in ["ct", "rekor1", "rekor2"].into_iter().zip(&found) {
        if log.is_none() {
            file.wrong("log", format!("a [log.<name>] of kind `{kind}` is missing"));
        }
    }
    let [ct, rekor1, rekor2] = found.map(|log| {
        let (name, url, port, key) = log?;
        Some(Log { name, url: url?, port, key: key? })
    });
    let (ct, rekor1, rekor2) = (ct?, rekor1?, rekor2?);
    Some(LogSections { ct, further_ca_chains, rekor1, tiles_key: tiles_key?, rekor2 })
}

/// The last checkpoint of a log is in a file of its name.
fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

/// What every service has: URL, port, key.
fn common(
    section: &mut Section<'_>,
    face: Face,
    key_name: &'static str,
    default_key: PathBuf,
) -> (Option<BaseUrl>, u16, Option<KeyFile>) {
    let url = section.required("url", Section::parsed);
    let port = section.integer("port").unwrap_or(face.default_port());
    (url, port, key(section, key_name, default_key))
}

fn key(section: &mut Section<'_>, name: &'static str, default: PathBuf) -> Option<KeyFile> {
    if section.has(name) { section.parsed(name) } else { Some(KeyFile(default)) }
}
