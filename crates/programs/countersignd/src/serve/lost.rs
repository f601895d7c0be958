//! What was published is never made anew: a lost volume must not become another authority.

use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, bail};
use wire::trust::TrustedRoot;

use super::make::lost;
use crate::{
    certificates::{ChainPlace, load_chain},
    data_dir::read_if_present,
    deployment::{Deployment, Service},
};

/// Refuses a deployment that lacks a chain which clients trust.
///
/// What was published is read when a chain is missing only: at every other start its repository does,
/// and checks it.
pub(super) fn refuse_lost(deployment: &Deployment) -> anyhow::Result<()> {
    let authorities = deployment.authorities.iter();
    let authorities =
        authorities.map(|one| (&one.service, &one.chain, one.service.url.to_string()));
    let stamping = deployment.timestamp_authorities.iter();
    let stamping = stamping.map(|one| (&one.service, &one.chain, one.stamps_at()));
    let all: Vec<(&Service, &ChainPlace, String)> = authorities.chain(stamping).collect();
    let missing: Vec<_> = all.iter().filter(|(_, place, _)| !place.file.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let Published { chains } = Published::read(deployment)?;
    for (service, place, url) in missing {
        for (_, chain, evidence) in chains.iter().filter(|(of, ..)| of == url) {
            // Another generation at the same URL may have it.
            let mut present =
                all.iter().filter_map(|(_, place, _)| load_chain(&place.file).ok()?);
            if !present.any(|known| known == *chain) {
                let what = format!("the certificate chain of {service}");
                bail!(lost(&what, &place.file, evidence));
            }
        }
    }
    Ok(())
}

/// The chains that the repositories of a deployment have ever vouched for and still keep.
struct Published {
    /// URL, chain, and the file that has it.
    chains: Vec<(String, Vec<Vec<u8>>, PathBuf)>,
}

impl Published {
    fn read(deployment: &Deployment) -> anyhow::Result<Self> {
        let mut chains = Vec::new();
        for repository in &deployment.repositories {
            let directory = repository.tuf_dir.join("targets");
            let targets = match fs::read_dir(&directory) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                read => read.with_context(|| format!("cannot read {}", directory.display()))?,
            };
            for path in targets.filter_map(Result::ok).map(|entry| entry.path()) {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !name.ends_with(".trusted_root.json") {
                    continue;
                }
                let text = read_if_present(&path)?.unwrap_or_default();
                let root: TrustedRoot = serde_json::from_str(&text).with_context(|| {
                    format!("{} is not what countersignd wrote", path.display())
                })?;
                let all =
                    root.certificate_authorities.into_iter().chain(root.timestamp_authorities);
                chains.extend(all.map(|authority| {
                    let certificates = authority.cert_chain.certificates.into_iter();
                    let chain = certificates.map(|one| one.raw_bytes.0).collect();
                    (authority.uri, chain, path.clone())
                }));
            }
        }
        Ok(Self { chains })
    }
}
