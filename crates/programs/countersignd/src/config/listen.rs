//! `[listen]` and `[telemetry]`: where a process listens, and what it says of itself.

use std::net::IpAddr;

use server::TrustedProxies;

use super::section::Section;
use crate::{
    cli::Part,
    deployment::{Listen, METRICS_PORT, Telemetry},
};

pub(super) fn listen(mut section: Section<'_>) -> Listen {
    let address: Option<IpAddr> = section.parsed("address");
    let metrics_port = section.integer("metrics_port").unwrap_or(METRICS_PORT);
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

pub(super) fn telemetry(mut section: Section<'_>) -> Telemetry {
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
    let audit_dir = section.path("audit_dir");
    section.end();
    Telemetry { log, json, audit_dir }
}
