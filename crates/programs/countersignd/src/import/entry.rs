//! One issuer of a Fulcio configuration.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::Table;
use url::Url;

use super::{
    Format, Keys, Source,
    go_template::{Context, Translated},
    legacy,
};

/// One provider of `ci-issuer-metadata`, translated.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// `template` in our words.
    pub(super) template: Table,
    /// The server that names begin with, as far as constants tell.
    pub(super) base_url: Option<String>,
    /// Hosts that defaults name, and forges when a claim may name any.
    pub(super) source_hosts: Vec<String>,
}

const NAME: &str = "subject_alternative_name";

/// Forges of which a claim may name repositories when upstream lets it name any.
const FORGES: [&str; 3] = ["github.com", "gitlab.com", "bitbucket.org"];

impl Metadata {
    pub(super) fn read(
        value: &Value,
        format: Format,
        notes: &mut Vec<String>,
    ) -> Result<Self, String> {
        let Value::Object(table) = value else { return Err("is no table".to_owned()) };
        let mut keys = Keys::new(table, format, notes);
        let name = keys.text("subject-alternative-name-template");
        let extensions = keys.table("extension-templates");
        let defaults = texts(keys.table("default-template-values"))?;
        keys.end("a ci-provider")?;
        let name = name.ok_or("`subject-alternative-name-template` is missing")?;
        let mut metadata =
            Self { template: Table::new(), base_url: None, source_hosts: Vec::new() };
        metadata.add(NAME, name, &defaults)?;
        for (extension, text) in taken(extensions, format, notes)? {
            if matches!(extension, "issuer" | "subject") {
                notes.push(format!("`{extension}` is the token's own; Fulcio ignores it too"));
            } else {
                metadata.add(&extension.replace('-', "_"), text, &defaults)?;
            }
        }
        let values = defaults.into_iter().map(|(name, value)| (name, toml::Value::String(value)));
        let values: Table = values.collect();
        if !values.is_empty() {
            metadata.template.insert("values".to_owned(), toml::Value::Table(values));
        }
        notes.push(
            "the defaults are used for claims that a token lacks, as in Fulcio; write `{$name}` \
             where a claim must never count"
                .to_owned(),
        );
        Ok(metadata)
    }

    fn add(
        &mut self,
        setting: &str,
        text: &str,
        defaults: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let is_uri = setting == NAME || setting.ends_with("_uri");
        let context = Context { defaults, is_uri };
        let translated =
            Translated::of(text).map_err(|fault| format!("`{setting}`: {fault} in `{text}`"))?;
        let begin = translated.begin(context).filter(|_| is_uri);
        let begin = begin.and_then(|begin| Url::parse(&begin).ok()).filter(Url::has_host);
        let host = begin.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
        if setting == NAME {
            self.base_url = begin
                .filter(|_| !host.is_empty())
                .map(|url| url.as_str().trim_end_matches('/').to_owned());
        } else if translated.is_one_claim() && setting.starts_with("source_repository") && is_uri {
            self.source_hosts.extend(FORGES.map(str::to_owned));
        } else if !host.is_empty() && host.contains('.') {
            self.source_hosts.push(host);
        }
        self.source_hosts.sort();
        self.source_hosts.dedup();
        self.template.insert(setting.to_owned(), toml::Value::String(translated.text(context)));
        Ok(())
    }
}

/// Fulcio's extensions, as its YAML has them.
const EXTENSIONS: [&str; 22] = [
    "issuer",
    "github-workflow-trigger",
    "github-workflow-sha",
    "github-workflow-name",
    "github-workflow-repository",
    "github-workflow-ref",
    "build-signer-uri",
    "build-signer-digest",
    "runner-environment",
    "source-repository-uri",
    "source-repository-digest",
    "source-repository-ref",
    "source-repository-identifier",
    "source-repository-owner-uri",
    "source-repository-owner-identifier",
    "build-config-uri",
    "build-config-digest",
    "build-trigger",
    "run-invocation-uri",
    "source-repository-visibility-at-signing",
    "deployment-environment",
    "subject",
];

/// The extensions' templates that are not empty.
fn taken<'v>(
    table: &'v Map<String, Value>,
    format: Format,
    notes: &mut Vec<String>,
) -> Result<Vec<(&'static str, &'v str)>, String> {
    let mut keys = Keys::new(table, format, notes);
    let texts = EXTENSIONS.map(|name| (name, keys.text(name).map(str::trim).unwrap_or_default()));
    keys.end("the extensions")?;
    Ok(texts.into_iter().filter(|(_, text)| !text.is_empty()).collect())
}

fn texts(table: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let text = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) => Ok((name.clone(), text.to_owned())),
        None => Err(format!("the default `{name}` is no text")),
    };
    table.iter().map(text).collect()
}

/// What a platform calls its own machines, by the host of its issuer, to the letter: a company's
/// `acme-gitlab.com` has none.
const HOSTED: [(&str, &str); 6] = [
    ("token.actions.githubusercontent.com", "github-hosted"),
    ("gitlab.com", "gitlab-hosted"),
    ("agent.buildkite.com", "buildkite-hosted"),
    ("oidc.buddyusercontent.com", "platform-hosted"),
    ("eu-oidc.buddyusercontent.com", "platform-hosted"),
    ("asia-oidc.buddyusercontent.com", "platform-hosted"),
];

/// An issuer in our words.
pub(super) fn translate(
    source: Source<'_>,
    metadata: &BTreeMap<String, Metadata>,
    notes: &mut Vec<String>,
) -> Result<Table, String> {
    let Source { name, value, is_pattern, format } = source;
    let Value::Object(fields) = value else { return Err("is no table".to_owned()) };
    let mut keys = Keys::new(fields, format, notes);
    let mut entry = Table::new();
    let mut set = |key: &str, value: toml::Value| drop(entry.insert(key.to_owned(), value));
    let text = |text: &str| toml::Value::String(text.to_owned());
    let url = keys.text("issuer-url");
    if let Some(url) = url.filter(|url| *url != name) {
        let says = format!("its key and `issuer-url` (`{url}`) disagree; the key is taken");
        keys.notes.push(says);
    }
    set(if is_pattern { "url_pattern" } else { "url" }, text(name));
    match keys.text("client-id") {
        Some(audience) => set("audiences", toml::Value::Array(vec![text(audience)])),
        None => keys.notes.push("add `audiences`: there is no `client-id`".to_owned()),
    }
    common(&mut keys, &mut set);
    let kind = keys.text("type").ok_or("`type` is missing")?;
    let provider = keys.text("ci-provider");
    let domain = keys.text("subject-domain");
    let trust_domain = keys.text("spiffe-trust-domain");
    keys.end("an issuer")?;
    match kind {
        "email" | "kubernetes" => set("type", text(kind)),
        "uri" | "username" => {
            set("type", text(kind));
            let domain = domain.ok_or("`subject-domain` is missing")?;
            let bare = bare_domain(domain);
            if bare != domain {
                notes.push(format!("of `subject-domain`, Fulcio compares `{bare}` alone"));
            }
            set("subject_domain", text(&bare));
        }
        "spiffe" => {
            let domain = trust_domain.ok_or("`spiffe-trust-domain` is missing")?;
            set("type", text(kind));
            set("trust_domains", toml::Value::Array(vec![text(domain)]));
        }
        "ci-provider" => {
            let provider = provider.ok_or("`ci-provider` is missing")?;
            let metadata = metadata.get(provider).ok_or_else(|| {
                format!(
                    "`ci-issuer-metadata` has no usable `{provider}`; Fulcio would find that \
                         out when the first token came"
                )
            })?;
            ci(name, metadata.clone(), &mut set, notes);
        }
        other => {
            let template =
                legacy::template(other).ok_or_else(|| format!("the type `{other}` is unknown"))?;
            ci(name, template, &mut set, notes);
        }
    }
    if kind == "email" {
        notes.push(
            "add `domains`, the domains of the addresses that it may vouch for (or `open_to_all`)"
                .to_owned(),
        );
    }
    Ok(entry)
}

/// Settings that every type has.
fn common(keys: &mut Keys<'_, '_>, set: &mut impl FnMut(&str, toml::Value)) {
    if let Some(claim) = keys.text("issuer-claim") {
        // JSONPath: a dot leads into an object, and never is part of a name.
        let path = claim.strip_prefix("$.").unwrap_or(claim);
        let names = path.split('.').map(|name| toml::Value::String(name.to_owned()));
        set("issuer_claim", toml::Value::Array(names.collect()));
        if path.contains(['[', '*', '$', '?']) {
            keys.notes.push(format!("`issuer-claim` (`{claim}`) is more than names with dots"));
        }
        keys.notes.push(
            "add `issuer_claim_values`: the issuers that this claim may name in certificates"
                .to_owned(),
        );
    }
    if keys.flag("skip-email-verification") {
        set("skip_email_verification", toml::Value::Boolean(true));
    }
    if keys.text("ca-cert").is_some() {
        let file = "/etc/countersign/issuer-roots.pem";
        set("tls_roots_file", toml::Value::String(file.to_owned()));
        keys.notes.push(format!("write the PEM of `ca-cert` to {file}, or change the path"));
    }
    if keys.text("challenge-claim").is_some() {
        keys.notes.push(
            "`challenge-claim` has no equal: proofs over `sub` and over a verified address are \
             both accepted"
                .to_owned(),
        );
    }
    if keys.text("environment").is_some() {
        keys.notes.push("`environment` is left out: Fulcio's server does not read it".to_owned());
    }
    keys.ignore("description");
    keys.ignore("contact");
}

fn ci(
    name: &str,
    mut metadata: Metadata,
    set: &mut impl FnMut(&str, toml::Value),
    notes: &mut Vec<String>,
) {
    let host = host_of(name);
    let hosted = HOSTED.iter().find(|(of, _)| host == *of);
    if let Some((_, runner)) = hosted {
        let runner = toml::Value::String((*runner).to_owned());
        metadata.template.insert("hosted_runners".to_owned(), toml::Value::Array(vec![runner]));
    }
    set("type", toml::Value::String("ci-provider".to_owned()));
    if let Some(base_url) = metadata.base_url {
        set("base_url", toml::Value::String(base_url));
    }
    if !metadata.source_hosts.is_empty() {
        let hosts = metadata.source_hosts.into_iter().map(toml::Value::String).collect();
        set("source_hosts", toml::Value::Array(hosts));
    }
    set("template", toml::Value::Table(metadata.template));
    notes.push(
        "refs and commits must have Git's form, and URIs be on `base_url`, the issuer's host or \
         `source_hosts`; the presets of docs/ci-issuers.md check more and say more"
            .to_owned(),
    );
}

/// Scheme and host of a URI's domain, without the port and path over which Fulcio reads.
fn bare_domain(domain: &str) -> String {
    let url = Url::parse(domain).ok().filter(Url::has_host);
    let bare = url.and_then(|url| Some(format!("{}://{}", url.scheme(), url.host_str()?)));
    bare.unwrap_or_else(|| domain.to_owned())
}

fn host_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned()
}
