//! What was published is never made anew: a lost volume must not become another authority, and files that
//! have another name now must not become somebody else's.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use crypto::PublicKey;
use wire::trust::TrustedRoot;

use crate::{
    certificates::{ChainPlace, load_chain},
    data_dir::read_if_present,
    deployment::{self, Authority, Deployment, Key, Repository, Service, TimestampAuthority},
    keys,
};

/// Refuses a deployment that lacks what clients trust.
pub(super) fn refuse_lost(deployment: &Deployment) -> anyhow::Result<()> {
    let lost = Lost::new(deployment)?;
    deployment.authorities.iter().try_for_each(|one| lost.authority(one))?;
    deployment.timestamp_authorities.iter().try_for_each(|one| lost.timestamp_authority(one))?;
    deployment.running_logs().try_for_each(|log| lost.log(log))?;
    deployment.repositories.iter().try_for_each(|one| lost.repository(one))
}

/// Whether something of a deployment is lost, service by service.
pub(super) struct Lost<'a> {
    deployment: &'a Deployment,
    published: Vec<Published>,
}

/// What the repository in a directory lists.
struct Published {
    directory: PathBuf,
    chains: Vec<PublishedChain>,
    logs: Vec<PublishedLog>,
}

struct PublishedLog {
    url: String,
    spki_der: Vec<u8>,
    /// Says so.
    file: PathBuf,
}

struct PublishedChain {
    url: String,
    chain: Vec<Vec<u8>>,
    /// Says so.
    file: PathBuf,
}

impl<'a> Lost<'a> {
    /// What was published is read when something is missing only: at every other start its repository
    /// does, and checks it.
    pub(super) fn new(deployment: &'a Deployment) -> anyhow::Result<Self> {
        let mut lost = Self::unread(deployment);
        let running = deployment.repositories.iter().filter(|one| one.service.state.runs());
        let no_chain = lost.chains().iter().any(|(_, place, _)| is_missing(&place.file));
        let no_key = deployment.running_logs().any(|log| is_missing(&log.key.file));
        if no_chain || no_key || running.clone().any(|one| is_missing(&one.root_file())) {
            lost.published = Published::read(deployment)?;
        }
        Ok(lost)
    }

    /// Where what was published cannot be read: only what is seen without it.
    pub(super) const fn unread(deployment: &'a Deployment) -> Self {
        Self { deployment, published: Vec::new() }
    }

    pub(super) fn authority(&self, one: &Authority) -> anyhow::Result<()> {
        key_of_chain(&one.service, &one.key, &one.chain)?;
        self.chain(&one.service, &one.chain, &one.service.url.to_string())
    }

    pub(super) fn timestamp_authority(&self, one: &TimestampAuthority) -> anyhow::Result<()> {
        key_of_chain(&one.service, &one.key, &one.chain)?;
        self.chain(&one.service, &one.chain, &one.stamps_at())
    }

    /// Its keys; and no log begins at the URL of another that clients know, whose key no table has any more.
    pub(super) fn log(&self, one: &deployment::Log) -> anyhow::Result<()> {
        log_keys(one)?;
        if !is_missing(&one.key.file) {
            return Ok(());
        }
        let mut known = Vec::new();
        for log in &self.deployment.logs {
            let tiles = log.rekor1.as_ref().map(|places| &places.tiles_key);
            for key in [&log.key].into_iter().chain(tiles) {
                known.extend(key.known()?);
            }
        }
        let is_known = |log: &PublishedLog| known.iter().any(|key| key.spki_der() == log.spki_der);
        let url = one.service.url.to_string();
        let published = self.published.iter().flat_map(|one| &one.logs);
        match published.filter(|log| log.url == url).find(|log| !is_known(log)) {
            None => Ok(()),
            Some(other) => bail!(
                "{} would begin at {url} with a key of its own, and {} names a log there by another key, which no \
                 table has: give the table its old name, or this one a `url` with another host",
                one.service,
                other.file.display()
            ),
        }
    }

    /// Its keys and its root, by which clients began.
    pub(super) fn repository(&self, of: &Repository) -> anyhow::Result<()> {
        if !of.service.state.runs() {
            return Ok(());
        }
        let evidence = of.evidence();
        if let Some(root) = read_if_present(&evidence)? {
            let has = |key: &PublicKey| names(&root, key);
            for (name, key) in [("root", &of.root_key), ("online", &of.online_key)] {
                key_lost(&format!("the {name} key of {}", of.service), key, &evidence, has)?;
            }
        }
        let root = of.root_file();
        if !is_missing(&root) {
            return Ok(());
        }
        let what = of.service.to_string();
        if let Some(first) = of.first_root_file.as_deref().filter(|first| first.exists()) {
            let is_first = |directory: &&Published| {
                let began = fs::read(directory.directory.join("1.root.json"));
                began.ok().is_some_and(|began| fs::read(first).is_ok_and(|first| first == began))
            };
            let there = self.published.iter().find(is_first).map(|one| one.directory.as_path());
            bail!(lost(&what, &root, first, there));
        }
        match self.repository_by_another_name(of) {
            None => Ok(()),
            Some(other) => bail!(
                "{what} is lost: {} is missing, and {} is the repository of the same CAs, whose root clients \
                 were given: give the table its old name, or {RENAME}; {KEEP}",
                root.display(),
                other.display()
            ),
        }
    }

    /// One that lists a CA of the same tenant, and is no other table's of this tenant.
    fn repository_by_another_name(&self, of: &Repository) -> Option<&Path> {
        let tenant = |service: &Service| service.tenant == of.service.tenant;
        let all = self.deployment.authorities.iter();
        let urls: Vec<String> =
            all.filter(|one| tenant(&one.service)).map(|one| one.service.url.to_string()).collect();
        let is_another = |directory: &Path| {
            let mut own = self.deployment.repositories.iter().filter(|one| tenant(&one.service));
            !own.any(|one| one.tuf_dir == directory)
        };
        let mut others = self.published.iter().filter(|one| is_another(&one.directory));
        let found = others.find(|one| one.chains.iter().any(|chain| urls.contains(&chain.url)));
        found.map(|one| one.directory.as_path())
    }

    /// A chain that clients trust at `url` is there, in the place of a service of this very URL: another
    /// generation may have it, and nobody else.
    fn chain(&self, service: &Service, place: &ChainPlace, url: &str) -> anyhow::Result<()> {
        if !is_missing(&place.file) {
            return Ok(());
        }
        let all = self.chains();
        let published = self.published.iter().flat_map(|one| &one.chains);
        for PublishedChain { chain, file, .. } in published.filter(|one| one.url == url) {
            let has =
                |path: &Path| load_chain(path).ok().flatten().is_some_and(|one| one == *chain);
            if all.iter().any(|(_, place, at)| at == url && has(&place.file)) {
                continue;
            }
            let what = format!("the certificate chain of {service}");
            let there = found(place.file.parent(), has);
            let taken = all.iter().find(|(_, place, _)| Some(&place.file) == there.as_ref());
            let said = lost(&what, &place.file, file, there.as_deref());
            match taken {
                Some((other, ..)) => bail!("{said}; {} would have it else", other.table()),
                None => bail!(said),
            }
        }
        Ok(())
    }

    /// Every chain's service, place, and URL in trusted roots.
    fn chains(&self) -> Vec<(&'a Service, &'a ChainPlace, String)> {
        let authorities = self.deployment.authorities.iter();
        let authorities =
            authorities.map(|one| (&one.service, &one.chain, one.service.url.to_string()));
        let stamping = self.deployment.timestamp_authorities.iter();
        let stamping = stamping.map(|one| (&one.service, &one.chain, one.stamps_at()));
        authorities.chain(stamping).collect()
    }
}

/// Refuses a log whose public keys are there, and a private one is not.
pub(super) fn log_keys(log: &deployment::Log) -> anyhow::Result<()> {
    let tiles = log.rekor1.as_ref().map(|places| ("the tiles' key", &places.tiles_key));
    for (what, key) in [("the key", &log.key)].into_iter().chain(tiles) {
        let Some(published) = key.public_file.as_deref().filter(|path| path.exists()) else {
            continue;
        };
        let public = key.public_key()?;
        key_lost(&format!("{what} of {}", log.service), key, published, |one| *one == public)?;
    }
    Ok(())
}

fn key_of_chain(service: &Service, key: &Key, chain: &ChainPlace) -> anyhow::Result<()> {
    if !service.state.runs() || !is_missing(&key.file) || is_missing(&chain.file) {
        return Ok(());
    }
    let lowest = chain.load()?.into_iter().next().unwrap_or_default();
    let is = |key: &PublicKey| contains(&lowest, key.spki_der());
    key_lost(&format!("the key of {service}"), key, &chain.file, is)
}

/// What to do about files of before.
const RENAME: &str =
    "rename its files as docs/deployment.md has it (\"Files\" and \"Files of before\")";

const KEEP: &str = "one that nobody needs any more has to go elsewhere first";

fn lost(what: &str, path: &Path, published: &Path, there: Option<&Path>) -> String {
    missing(what, &path.display().to_string(), published, there, "")
}

/// `or` is what else may be done where the file is nowhere.
fn missing(what: &str, path: &str, published: &Path, there: Option<&Path>, or: &str) -> String {
    let remedy = match there {
        None => format!("restore it from a backup{or}"),
        Some(there) => {
            format!("{} is the one, under another name: {RENAME}{or}", there.display())
        }
    };
    let published = published.display();
    format!("{what} is lost: {path} is missing, and {published} was made with it; {remedy}")
}

/// Refuses a key that is missing and was `published` with.
fn key_lost(
    what: &str,
    key: &Key,
    published: &Path,
    is: impl Fn(&PublicKey) -> bool,
) -> anyhow::Result<()> {
    if !is_missing(&key.file) {
        return Ok(());
    }
    let there =
        found(key.file.parent(), |path| keys::public_half(path).is_some_and(|key| is(&key)));
    let path = format!("{} (`{}`)", key.file.display(), key.name);
    let or = format!(", or name the file by {}", key.setting);
    bail!(missing(what, &path, published, there.as_deref(), &or))
}

/// The first PEM file of a directory that is the one.
fn found(directory: Option<&Path>, is: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(directory?).ok()?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.into_iter().find(|path| path.extension().is_some_and(|is| is == "pem") && is(path))
}

/// Whether it is known not to be there. Of what may not be looked at, whoever reads it says so.
fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

/// A certificate has the whole `SubjectPublicKeyInfo` in it.
fn contains(certificate: &[u8], spki: &[u8]) -> bool {
    certificate.windows(spki.len().max(1)).any(|part| part == spki)
}

/// Whether TUF metadata names the key.
pub(super) fn names(metadata: &str, key: &PublicKey) -> bool {
    let pem = serde_json::to_string(key.to_pem().trim_end()).unwrap_or_default();
    metadata.contains(pem.trim_matches('"'))
}

impl Published {
    /// Of every repository beside each other, whatever table is theirs today. What may not be read and is no
    /// table's, as the `lost+found` of a volume, is none.
    fn read(deployment: &Deployment) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for directory in entries(&deployment.places.trust)? {
            let (mut chains, mut logs) = (Vec::new(), Vec::new());
            let is_own = deployment.repositories.iter().any(|one| one.tuf_dir == directory);
            let targets = match entries(&directory.join("targets")) {
                Err(_) if !is_own => continue,
                targets => targets?,
            };
            for file in targets {
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.ends_with(".trusted_root.json") {
                    let root = trusted_root(&file)?;
                    logs.extend(PublishedLog::of(&root, &file));
                    chains.extend(PublishedChain::of(root, &file));
                }
            }
            all.push(Self { directory, chains, logs });
        }
        Ok(all)
    }
}

fn trusted_root(file: &Path) -> anyhow::Result<TrustedRoot> {
    let text = read_if_present(file)?.unwrap_or_default();
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what countersignd wrote", file.display()))
}

impl PublishedLog {
    fn of(root: &TrustedRoot, file: &Path) -> Vec<Self> {
        let logs = root.tlogs.iter().chain(&root.ctlogs).map(|log| Self {
            url: log.base_url.clone(),
            spki_der: log.public_key.raw_bytes.0.clone(),
            file: file.to_owned(),
        });
        logs.collect()
    }
}

impl PublishedChain {
    fn of(root: TrustedRoot, file: &Path) -> Vec<Self> {
        let all = root.certificate_authorities.into_iter().chain(root.timestamp_authorities);
        let chains = all.map(|authority| {
            let certificates = authority.cert_chain.certificates.into_iter();
            let chain = certificates.map(|one| one.raw_bytes.0).collect();
            Self { url: authority.uri, chain, file: file.to_owned() }
        });
        chains.collect()
    }
}

/// What is in a directory, if it is one.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = match fs::read_dir(directory) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        read => read.with_context(|| format!("cannot read {}", directory.display()))?,
    };
    Ok(read.filter_map(|entry| Some(entry.ok()?.path())).collect())
}
