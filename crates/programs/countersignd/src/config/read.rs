//! From the loose file to a [`Config`]. Every key is read before anything is given up, so that
//! all problems are found at once.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use identity::IssuerConfig;
use service::TrustedProxies;
use wire::countersign::Forge;

use super::{
    BaseUrl, Config, KeyFile, Listen, OidcDev, Telemetry, Trust, Tsa, ca, database,
    issuers::Around, logs, ports, section::Section, tsa, values::LoginUrl,
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
    let database = database::read(file.section("database"));
    let oidc_dev = oidc_dev(&mut file);
    let audience = tenant.as_ref().and_then(|tenant| tenant.audience.as_deref());
    let provider = oidc_dev.as_ref().map(|oidc| oidc.url.to_string());
    let around = Around { audience, provider: provider.as_deref() };
    let ca = only(&mut file, "ca").and_then(|section| ca::read(section, &dirs, around));
    let tsa = only(&mut file, "tsa").and_then(|section| stamping(section, &dirs));
    let trust = only(&mut file, "trust").and_then(|section| trust(section, &dirs, provider));
    let logs = logs::read(&mut file, &dirs);
    file.end();
    let (tenant, logs, mut ca, tsa, (trust, trust_section)) = (tenant?, logs?, ca?, tsa?, trust?);
    let issuer_urls = std::mem::take(&mut ca.issuer_urls);
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
        warnings: Vec::new(),
    };
    tenant.check_hosts(&config);
    check_login(&trust_section, &config, &issuer_urls);
    ports::check(&trust_section, &config);
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

pub(super) fn default_tenant(section: &mut Section<'_>, kind: &str) {
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
/// first user. The URL is compared to the letter, as the `iss` of tokens is. `issuer_urls` are those of
/// all tables: one that has a problem of its own is there, and told.
fn check_login(section: &Section<'_>, config: &Config, issuer_urls: &[String]) {
    // The default is the development provider's, and who leaves that out of the issuers does not mean it.
    if !section.was_given("oidc_url") {
        return;
    }
    let url = &config.trust.oidc_url;
    let issuers = &config.ca.settings.issuers;
    let written =
        || issuers.iter().map(IssuerConfig::url).chain(issuer_urls.iter().map(String::as_str));
    let is_believed =
        issuers.iter().any(|issuer| issuer.is_of(url)) || written().any(|one| one == url);
    let is_unread = |url: &&String| !issuers.iter().any(|issuer| issuer.url() == url.as_str());
    let may_match = issuer_urls.iter().filter(is_unread).any(|url| url.contains('*'));
    // What is wrong with the issuers themselves is said already.
    if written().next().is_none() || is_believed || may_match {
        return;
    }
    let same_but_slash =
        written().find(|issuer| issuer.trim_end_matches('/') == url.trim_end_matches('/'));
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

/// What every service has: URL, port, key.
pub(super) fn common(
    section: &mut Section<'_>,
    face: Face,
    key_name: &'static str,
    default_key: PathBuf,
) -> (Option<BaseUrl>, u16, Option<KeyFile>) {
    let url = section.required("url", Section::parsed);
    let port = section.integer("port").unwrap_or(face.default_port());
    (url, port, key(section, key_name, default_key))
}

pub(super) fn key(
    section: &mut Section<'_>,
    name: &'static str,
    default: PathBuf,
) -> Option<KeyFile> {
    if section.has(name) { section.parsed(name) } else { Some(KeyFile(default)) }
}
