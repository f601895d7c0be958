use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use bytes::Bytes;
use serde::Serialize;
use tempfile::NamedTempFile;
use thiserror::Error;

use crate::{
    Deployment,
    deployment::current,
    documents::{client_trust_config, signing_config, trusted_root},
    lint::{self, Finding},
    page,
};

/// The published files of one deployment, checked.
#[derive(Debug, Clone)]
pub struct TrustFiles {
    files: Vec<TrustFile>,
    page: TrustFile,
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
    /// Some client would refuse them.
    #[error("the trust files would be refused by clients: {}", list(.0))]
    Findings(Vec<Finding>),
    /// A kind of service has no instance without an end.
    #[error("no {0} is in use")]
    NothingInUse(&'static str),
    /// JSON could not be written.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

impl TrustFiles {
    /// Makes and checks all files. `now` is Unix seconds.
    ///
    /// # Errors
    /// [`TrustError::Findings`] with everything that [`lint`] found,
    /// [`TrustError::NothingInUse`].
    pub fn build(deployment: &Deployment, now: u64) -> Result<Self, TrustError> {
        let root = trusted_root(deployment);
        let config = signing_config(deployment);
        let mut findings = lint::trusted_root(&root);
        findings.extend(lint::signing_config(&config, &root, now));
        if !findings.is_empty() {
            return Err(TrustError::Findings(findings));
        }
        let mut files = vec![
            json("trusted_root.json", &root)?,
            json_line("trusted_root.jsonl", &root)?,
            json("signing_config.v0.2.json", &config)?,
            json("client_trust_config.json", &client_trust_config(deployment))?,
        ];
        files.extend(key_files(deployment)?);
        let page = TrustFile::new("", "text/html; charset=utf-8", page::render(deployment, &files));
        Ok(Self { files, page })
    }

    /// The files, without the page.
    #[must_use]
    pub fn files(&self) -> &[TrustFile] {
        &self.files
    }

    /// The page at `/`.
    #[must_use]
    pub fn page(&self) -> &TrustFile {
        &self.page
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
            let mut temporary = NamedTempFile::new_in(directory)?;
            temporary.write_all(&file.content)?;
            make_readable(temporary.as_file())?;
            temporary.as_file().sync_all()?;
            temporary.persist(&path).map_err(|error| error.error)?;
            changed = true;
        }
        if changed {
            // Durable from here: the names are on the disk too.
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

impl TrustFile {
    fn new(name: &'static str, content_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let digest = crypto::sha256(&content);
        let etag = format!("\"{}\"", hex::encode(&digest[..16]));
        Self { name, content_type, content, etag }
    }
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

fn key_files(deployment: &Deployment) -> Result<[TrustFile; 4], TrustError> {
    let ca = current(&deployment.certificate_authorities, |ca| ca.valid_for);
    let rekor2 = current(&deployment.rekor2_logs, |log| log.valid_for);
    let ct = current(&deployment.ct_logs, |log| log.valid_for);
    let tsa = current(&deployment.timestamp_authorities, |tsa| tsa.valid_for);
    let in_use = |name| TrustError::NothingInUse(name);
    let pem_file = |name, text: String| TrustFile::new(name, "application/x-pem-file", text);
    Ok([
        pem_file("fulcio_chain.pem", chain_pem(&ca.ok_or(in_use("CA"))?.chain_der)),
        pem_file("rekor2.pub", rekor2.ok_or(in_use("Rekor v2 log"))?.public_key.to_pem()),
        pem_file("ctlog.pub", ct.ok_or(in_use("CT log"))?.public_key.to_pem()),
        pem_file("tsa_chain.pem", chain_pem(&tsa.ok_or(in_use("TSA"))?.chain_der)),
    ])
}

fn chain_pem(chain_der: &[Vec<u8>]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let blocks: Vec<_> =
        chain_der.iter().map(|der| pem::Pem::new("CERTIFICATE", der.clone())).collect();
    pem::encode_many_config(&blocks, config)
}

/// Temporary files are private; these are public, and read by clients under other users.
fn make_readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
