//! The page at `/`: where the services are, how to recognise them, and what to type.
//!
//! One document with nothing from elsewhere. Programs that check it find their way by
//! `data-` attributes: docs/adr/0010 lists them.

mod commands;

use std::sync::LazyLock;

use wire::Base64;

use self::commands::{Client, Endpoints, Named};
use crate::{Authority, Deployment, LogKey, State, TrustFile, deployment::Published};

/// What the page shows of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    endpoints: Endpoints,
    fingerprints: Vec<Fingerprint>,
    files: Vec<&'static str>,
}

/// SHA-256 of a key (its SPKI, DER) or a certificate (DER).
#[derive(Debug, Clone)]
struct Fingerprint {
    id: String,
    name: String,
    sha256: String,
}

/// Nothing from elsewhere, and no style or script but the page's own.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |text: &str| Base64(crypto::sha256(text.as_bytes()).to_vec()).encode();
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
});

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

impl Page {
    pub(crate) fn new(deployment: &Deployment, files: &[TrustFile]) -> Self {
        let mut names: Vec<_> = files.iter().map(|file| file.name).collect();
        names.push("root.json");
        Self {
            endpoints: Endpoints::of(deployment),
            fingerprints: fingerprints(deployment),
            files: names,
        }
    }

    /// The document; `root_json` is the TUF root that clients are given.
    pub(crate) fn render(&self, root_json: &[u8]) -> String {
        let root = hex::encode(crypto::sha256(root_json));
        let clients = commands::clients(&self.endpoints, &root);
        let operator = escape(&self.endpoints.operator);
        [
            head(&operator),
            intro(&operator, &root),
            navigation(&clients),
            "</header>\n<main id=\"main\">\n".to_owned(),
            self.services(),
            clients.iter().map(section).collect(),
            self.fingerprints(),
            self.files(),
            TAIL.to_owned(),
            format!("<script>{SCRIPT}</script>\n</body>\n</html>\n"),
        ]
        .concat()
    }

    fn services(&self) -> String {
        let services = self.endpoints.named().into_iter();
        let rows = services
            .map(|Named { id, name, url }| row("service", id, name, &format!("url-{id}"), url));
        format!(
            "<section id=\"services\" aria-labelledby=\"services-title\">\n\
             <h2 id=\"services-title\">Services</h2>\n\
             <p class=\"soft\">Clients find these addresses in the signing configuration; \
             older ones are told.</p>\n<dl class=\"rows\">\n{}</dl>\n</section>\n",
            rows.collect::<String>()
        )
    }

    fn fingerprints(&self) -> String {
        let rows = self.fingerprints.iter().map(|Fingerprint { id, name, sha256 }| {
            row("fingerprint", id, name, &format!("fingerprint-{id}"), sha256)
        });
        format!(
            "<section id=\"fingerprints\" aria-labelledby=\"fingerprints-title\">\n\
             <h2 id=\"fingerprints-title\">Fingerprints</h2>\n\
             <p class=\"soft\">SHA-256 of each certificate, and of each public key as \
             <code>SubjectPublicKeyInfo</code>, both DER.</p>\n\
             <dl class=\"rows\">\n{}</dl>\n</section>\n",
            rows.collect::<String>()
        )
    }

    fn files(&self) -> String {
        let link = |name: &&str| {
            format!(
                "<li><a data-file=\"{0}\" href=\"{0}\"><code>{0}</code></a></li>\n",
                escape(name)
            )
        };
        format!(
            "<section id=\"files\" aria-labelledby=\"files-title\">\n\
             <h2 id=\"files-title\">Files</h2>\n<ul class=\"files\">\n{}</ul>\n</section>\n",
            self.files.iter().map(link).collect::<String>()
        )
    }
}

fn head(operator: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Trust of {operator}</title>\n<link rel=\"icon\" href=\"{ICON}\">\n\
         <style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the services</a>\n<header>\n"
    )
}

fn intro(operator: &str, root: &str) -> String {
    format!(
        "<p class=\"brand\">{SEAL}Countersign</p>\n<h1>Trust of {operator}</h1>\n\
         <p class=\"lead\">Everything a Sigstore client needs to sign with this deployment, \
         and to verify what it signed.</p>\n\
         <div class=\"root\">\n<h2 id=\"root-title\">Fingerprint of root.json</h2>\n\
         <p class=\"soft\">All trust follows from this one file. Compare its SHA-256 with the one \
         that its operator gave you by another way, once; clients follow its changes by themselves.</p>\n\
         <div class=\"value\"><code id=\"fingerprint-root.json\" data-fingerprint=\"root.json\">{root}</code>{}</div>\n\
         </div>\n",
        copy_button("fingerprint-root.json", "the fingerprint of root.json")
    )
}

fn navigation(clients: &[Client]) -> String {
    let link =
        |client: &Client| format!("<li><a href=\"#{}\">{}</a></li>\n", client.id, client.name);
    format!(
        "<nav aria-label=\"Clients\">\n<ul>\n{}</ul>\n</nav>\n",
        clients.iter().map(link).collect::<String>()
    )
}

fn section(client: &Client) -> String {
    let command = |command: &commands::Command| {
        let id = format!("{}-{}", client.id, command.id);
        let label = format!("{}: {}", client.name, command.label);
        format!(
            "<div class=\"command\">\n<div><h3>{}</h3>{}</div>\n\
             <pre tabindex=\"0\" aria-label=\"{label}\"><code id=\"{id}\" data-command=\"{id}\">{}</code></pre>\n</div>\n",
            command.label,
            copy_button(&id, &label),
            escape(&command.text)
        )
    };
    format!(
        "<section id=\"{id}\" data-client=\"{id}\" aria-labelledby=\"{id}-title\">\n\
         <h2 id=\"{id}-title\">{}</h2>\n<p class=\"soft\">{}</p>\n{}</section>\n",
        client.name,
        client.note,
        client.commands.iter().map(command).collect::<String>(),
        id = client.id,
    )
}

/// A name and a value that can be copied.
fn row(kind: &str, id: &str, name: &str, element: &str, value: &str) -> String {
    format!(
        "<div class=\"row\"><dt>{}</dt><dd><code id=\"{element}\" data-{kind}=\"{id}\">{}</code></dd>{}</div>\n",
        escape(name),
        escape(value),
        copy_button(element, name)
    )
}

fn copy_button(element: &str, what: &str) -> String {
    format!(
        "<button type=\"button\" data-copy=\"{}\" aria-label=\"Copy {}\">Copy</button>",
        escape(element),
        escape(what)
    )
}

fn fingerprints(deployment: &Deployment) -> Vec<Fingerprint> {
    let mut all = Vec::new();
    let authorities = |id: &str, name: &str, authorities: &[Authority]| -> Vec<Fingerprint> {
        let named = |authority: &Authority| {
            let name = told_apart(name, authority, authorities.len());
            let numbered = authority.chain_der.clone().into_iter().zip(1_u32..);
            numbered.map(move |(der, number)| (format!("{name}, certificate {number}"), der))
        };
        let chains = authorities.iter().flat_map(named);
        let fingerprint = |(index, (name, der)): (usize, (String, Vec<u8>))| Fingerprint {
            id: format!("{id}-{index}"),
            name,
            sha256: hex::encode(crypto::sha256(&der)),
        };
        chains.enumerate().map(fingerprint).collect()
    };
    let logs = |id: &str, name: &str, logs: &[LogKey]| -> Vec<Fingerprint> {
        let fingerprint = |(index, log): (usize, &LogKey)| Fingerprint {
            id: format!("{id}-{index}"),
            name: format!("{}, key", told_apart(name, log, logs.len())),
            sha256: hex::encode(log.public_key.spki_sha256()),
        };
        logs.iter().enumerate().map(fingerprint).collect()
    };
    all.extend(authorities("ca", "CA", &deployment.certificate_authorities));
    all.extend(authorities("tsa", "TSA", &deployment.timestamp_authorities));
    all.extend(logs("rekor1", "Rekor v1", &deployment.rekor1_logs));
    all.extend(logs("rekor2", "Rekor v2", &deployment.rekor2_logs));
    all.extend(logs("ct", "CT log", &deployment.ct_logs));
    all
}

/// The name of a service; one of several, or one that signs no more, is told with URL and state.
fn told_apart(name: &str, service: &impl Published, count: usize) -> String {
    let (url, state) = (service.url(), service.state());
    match state {
        State::Active if count == 1 => name.to_owned(),
        State::Active => format!("{name} {url}"),
        _ => format!("{name} {url}, {state}"),
    }
}

/// Safe as text and in a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const TAIL: &str = "</main>\n<footer>\n\
    <p>These files hold nothing secret. They are as trustworthy as the way they reached you.</p>\n\
    </footer>\n<div id=\"said\" class=\"live\" role=\"status\"></div>\n";

/// A seal with a tick: signed, and signed again.
const SEAL: &str = "<svg viewBox=\"0 0 32 32\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.4\" \
    stroke-linecap=\"round\" stroke-linejoin=\"round\" aria-hidden=\"true\">\
    <circle cx=\"16\" cy=\"16\" r=\"13\"/><path d=\"M9 16.5l4.2 4.2L20 13\"/>\
    <path d=\"M17 20l1 .8L24.5 13\"/></svg>";

/// The seal as an icon, so that no browser asks for one.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' \
    fill='none' stroke='%230b6b5d' stroke-width='3' stroke-linecap='round'%3E%3Ccircle cx='16' cy='16' \
    r='13'/%3E%3Cpath d='M10 16.5l4.2 4.2L22 12'/%3E%3C/svg%3E";
