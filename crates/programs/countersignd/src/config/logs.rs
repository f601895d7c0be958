//! `[log.<name>]`: one log of each kind.

use std::path::PathBuf;

use store::LogKind;

use super::{
    KeyFile, Log,
    read::{common, default_tenant, key},
    section::Section,
};
use crate::{cli::Part, deployment_dirs::DeploymentDirs, endpoints::Face};

/// One log of each kind.
pub(super) struct LogSections {
    pub(super) ct: Log,
    pub(super) further_ca_chains: Vec<PathBuf>,
    pub(super) rekor1: Log,
    pub(super) tiles_key: KeyFile,
    pub(super) rekor2: Log,
}

pub(super) fn read(file: &mut Section<'_>, dirs: &DeploymentDirs) -> Option<LogSections> {
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
