use std::{fs, io, path::Path};

use bytes::Bytes;
use moment::UnixSeconds;
use serde::Serialize;
use thiserror::Error;
use tlog::KeyIdKind;
use wire::Base64;

use crate::{
    Authority, Deployment, TilesKey, cosign2,
    deployment::{current, current_first, current_or_last},
    disk,
    documents::{Rekor, client_trust_config, instance, signing_config, trusted_root},
    lint::{self, Finding},
    page::Page,
    targets::{self, Target},
};

/// The published files of one deployment, checked.
#[derive(Debug, Clone)]
pub struct TrustFiles {
    files: Vec<TrustFile>,
    targets: Vec<Target>,
    page: Page,
}

/// One published file.
#[derive(Debug, Clone)]
pub struct TrustFile {
    /// Name in the trust directory and path below the base URL.
    pub name: &'static str,
    /// Media type.
    pub content_type: &'static str,
    /// Content.
    pub content: Bytes,
    /// Strong entity tag, with its quotes: begin of the content's SHA-256.
    pub etag: String,
}

/// Why trust files were not made.
#[derive(Debug, Error)]
pub enum TrustError {
    /// Each names the client whose rule it is; nothing was written.
    #[error("the trust files would be refused by clients: {}", list(.0))]
    Findings(Vec<Finding>),
    /// A kind of service has no active instance.
    #[error("no {0} is in use")]
    NothingInUse(&'static str),
    /// A path in `cosign2.env` has to be text.
    #[error("the trust directory's path is not UTF-8")]
    Path,
    /// JSON could not be written.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

impl TrustFiles {
    /// Makes and checks all files. `now` is Unix seconds.
    ///
    /// # Errors
    /// [`TrustError::Findings`] with everything that [`lint`] found,
    /// [`TrustError::NothingInUse`], [`TrustError::Path`].
    pub fn build(deployment: &Deployment, now: UnixSeconds) -> Result<Self, TrustError> {
        let root = trusted_root(deployment);
        let config = signing_config(deployment, Rekor::All);
        let rekor1 = signing_config(deployment, Rekor::OnlyV1);
        let has_rekor1 = current(&deployment.rekor1_logs).is_some();
        let mut findings = lint::trusted_root(&root);
        findings.extend(lint::signing_config(&config, &root, now));
        if has_rekor1 {
            findings.extend(lint::signing_config(&rekor1, &root, now));
        }
        let tiles = deployment.rekor1_logs.iter().filter_map(|log| log.tiles.as_ref());
        findings.extend(tiles.filter_map(lint::tiles_key));
        findings.extend(deployment.forge.iter().filter_map(lint::forge));
        if let Some(audience) = &deployment.audience {
            let authorities = deployment.certificate_authorities.iter();
            let mut urls = authorities.map(|authority| authority.url.as_str());
            findings.extend(urls.find_map(|url| lint::audience(audience, url)));
        }
        if !findings.is_empty() {
            findings.dedup();
            return Err(TrustError::Findings(findings));
        }
        let mut files = vec![
            json("trusted_root.json", &root)?,
            json_line("trusted_root.jsonl", &root)?,
            json("signing_config.v0.2.json", &config)?,
            json("client_trust_config.json", &client_trust_config(deployment))?,
            json("countersign.json", &instance(deployment))?,
        ];
        files.extend(key_files(deployment)?);
        if has_rekor1 {
            files.push(json("signing_config.rekor1.v0.2.json", &rekor1)?);
        }
        files.extend(rekor1_files(deployment)?);
        let targets = targets::of(deployment, &files);
        let page = Page::new(deployment, &files);
        Ok(Self { files, targets, page })
    }

    /// The files, without the page.
    #[must_use]
    pub fn files(&self) -> &[TrustFile] {
        &self.files
    }

    /// The page at `/`, with the fingerprint of the TUF root that clients are given.
    #[must_use]
    pub fn page(&self, root_json: &[u8]) -> TrustFile {
        TrustFile::new("", "text/html; charset=utf-8", self.page.render(root_json))
    }

    /// The targets of the TUF repository.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Writes every file that differs from what `directory` has; makes the directory.
    ///
    /// Each file is replaced at once: a reader sees the old or the new one, whole,
    /// also after a crash. Blocks on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_to(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut changed = false;
        for file in &self.files {
            let path = directory.join(file.name);
            if fs::read(&path).is_ok_and(|present| present == file.content) {
                continue;
            }
            disk::replace(&path, &file.content)?;
            changed = true;
        }
        if changed {
            disk::sync(directory)?;
        }
        Ok(())
    }
}

impl TrustFile {
    pub(crate) fn new(
        name: &'static str,
        content_type: &'static str,
        content: impl Into<Bytes>,
    ) -> Self {
        let content = content.into();
        Self { name, content_type, etag: etag(&content), content }
    }
}

/// A strong entity tag: 128 bits of the content's SHA-256.
pub(crate) fn etag(content: &[u8]) -> String {
    let digest = crypto::sha256(content);
    format!("\"{}\"", hex::encode(&digest[..16]))
}

fn json(name: &'static str, document: &impl Serialize) -> Result<TrustFile, TrustError> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    Ok(TrustFile::new(name, "application/json", text))
}

/// One document on one line. gh skips a last line that has no newline.
fn json_line(name: &'static str, document: &impl Serialize) -> Result<TrustFile, TrustError> {
    let mut text = serde_json::to_vec(document)?;
    text.push(b'\n');
    Ok(TrustFile::new(name, "application/jsonl", text))
}

fn key_files(deployment: &Deployment) -> Result<Vec<TrustFile>, TrustError> {
    let in_use = |name| TrustError::NothingInUse(name);
    current(&deployment.certificate_authorities).ok_or(in_use("CA"))?;
    let rekor2 = current(&deployment.rekor2_logs);
    let ct = current(&deployment.ct_logs).ok_or(in_use("CT log"))?;
    let tsa = current(&deployment.timestamp_authorities).ok_or(in_use("TSA"))?;
    if rekor2.is_none() && current(&deployment.rekor1_logs).is_none() {
        return Err(in_use("Rekor log"));
    }
    let chains = all_certificates(&deployment.certificate_authorities);
    let mut files = vec![pem_file("fulcio_chain.pem", chain_pem(&chains))];
    files.extend(rekor2.map(|log| pem_file("rekor2.pub", log.public_key.to_pem())));
    files.push(pem_file("ctlog.pub", ct.public_key.to_pem()));
    files.push(pem_file("tsa_chain.pem", chain_pem(&tsa.chain_der)));
    Ok(files)
}

/// Of all generations, each once: cosign 2 and gitsign read any number of roots and intermediates from one
/// file. Of keys they read the first of a file, and of a TSA's chain exactly one: those have the current one.
fn all_certificates(authorities: &[Authority]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for certificate in current_first(authorities).flat_map(|one| &one.chain_der) {
        if !all.contains(certificate) {
            all.push(certificate.clone());
        }
    }
    all
}

/// What cosign 2 and auditors of v1 logs need, also when the last log has ended.
fn rekor1_files(deployment: &Deployment) -> Result<Vec<TrustFile>, TrustError> {
    let Some(log) = current_or_last(&deployment.rekor1_logs) else { return Ok(Vec::new()) };
    let mut files = vec![pem_file("rekor1.pub", log.public_key.to_pem())];
    let tiles = current_first(&deployment.rekor1_logs).filter_map(|log| log.tiles.as_ref());
    let lines: String = tiles.map(verifier_key).collect();
    if !lines.is_empty() {
        files.push(TrustFile::new("rekor1_tiles.vkey", PLAIN_TEXT, lines));
    }
    let environment = cosign2::environment(deployment)?;
    files.push(TrustFile::new("cosign2.env", PLAIN_TEXT, environment));
    Ok(files)
}

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// C2SP `signed-note`: name, key hash and key of a note's verifier, on one line.
fn verifier_key(tiles: &TilesKey) -> String {
    let id = tlog::log_key_id(&tiles.public_key, &tiles.origin, KeyIdKind::Named);
    let key = [&[TYPE_ED25519], tiles.public_key.raw()].concat();
    format!("{}+{}+{}\n", tiles.origin, hex::encode(&id[..4]), Base64(key).encode())
}

/// The signature type byte of Ed25519 (C2SP `signed-note`).
const TYPE_ED25519: u8 = 1;

fn pem_file(name: &'static str, text: String) -> TrustFile {
    TrustFile::new(name, "application/x-pem-file", text)
}

/// Certificates in PEM, one after the other.
pub(crate) fn chain_pem(chain_der: &[Vec<u8>]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let blocks: Vec<_> =
        chain_der.iter().map(|der| pem::Pem::new("CERTIFICATE", der.clone())).collect();
    pem::encode_many_config(&blocks, config)
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
