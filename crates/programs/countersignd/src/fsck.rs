//! `countersignd fsck`: verification of what is stored, part by part.

use std::{fs, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use crypto::{KeyType, LocalSigner, PublicKey, Signer};
use service::{Clock, SystemClock};
use store::{LogRecord, LogStore, StoreError};
use tlog::{SignedNote, TreeSize};
use tsp::{IntermediateUsage, TsaChain};

use crate::{
    cli::{FsckArguments, FsckTarget},
    config::Config,
    data_dir::{DataDir, read_if_present, read_json},
    endpoints::BaseUrls,
    keys,
    logs::{LogIdentities, entry_rules, key_id, key_name, open_store},
    output, serve,
    services::{Material, Publisher, deployment},
    token::LastStart,
};

/// Something that is needed is in use or cannot be reached; trying again may help.
const EXIT_UNAVAILABLE: u8 = 3;

/// `countersignd fsck`: prints what was found; exit code 1 when something is wrong.
///
/// With `config` the data is that of `serve`, else that of `dev`.
pub(crate) async fn run(
    arguments: FsckArguments,
    config: Option<Config>,
) -> anyhow::Result<ExitCode> {
    let wanted = |target| arguments.target == FsckTarget::All || arguments.target == target;
    let checked = match &config {
        Some(config) => serve::fsck(config, wanted).await?,
        None => dev(&arguments, wanted).await?,
    };
    Ok(match checked {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => ExitCode::from(EXIT_UNAVAILABLE),
    })
}

/// Whether all that is `wanted` of a data directory is sound; `None` when it is in use.
async fn dev(
    arguments: &FsckArguments,
    wanted: impl Fn(FsckTarget) -> bool,
) -> anyhow::Result<Option<bool>> {
    let data_dir = DataDir::open(&arguments.data_dir)?;
    let mut sound = true;
    if wanted(FsckTarget::Log) {
        let (file, url) = (data_dir.log_database(), arguments.database_url.as_deref());
        if url.is_none() && !file.exists() {
            bail!("no log in {}; give --database-url when it is on PostgreSQL", file.display());
        }
        match logs(&data_dir, open_store(&file, url).await).await? {
            Some(logs_sound) => sound &= logs_sound,
            None => return Ok(None),
        }
    }
    for (target, name, check) in [
        (FsckTarget::Ca, "ca", ca as fn(&DataDir) -> anyhow::Result<String>),
        (FsckTarget::Tsa, "tsa", tsa),
        (FsckTarget::Trust, "trust", trust),
    ] {
        if wanted(target) {
            sound &= report(name, &check(&data_dir));
        }
    }
    Ok(Some(sound))
}

/// Whether all logs are sound whose checkpoints are in `data_dir`; `None` when another process
/// has the database.
pub(crate) async fn logs(
    data_dir: &DataDir,
    opened: Result<Arc<dyn LogStore>, StoreError>,
) -> anyhow::Result<Option<bool>> {
    let store = match opened {
        Ok(store) => store,
        Err(error @ StoreError::AlreadyOpen { .. }) => {
            output::say(&format!(
                "the database is in use by a running countersignd; stop it, then run fsck again \
                 ({error})"
            ));
            return Ok(None);
        }
        Err(error) => return Err(error).context("cannot open the log's database"),
    };
    let mut sound = true;
    for record in store.logs().await? {
        let name = format!("log {}", record.spec.name);
        sound &= report(&name, &log(data_dir, store.as_ref(), &record).await);
    }
    store.close().await;
    Ok(Some(sound))
}

/// Recomputes one log, and checks the checkpoint that is kept beside the database.
async fn log(
    data_dir: &DataDir,
    store: &dyn LogStore,
    record: &LogRecord,
) -> anyhow::Result<String> {
    let found = engine::fsck(store, record, entry_rules(record.spec.kind)).await?;
    if !found.is_clean() {
        let all: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
        bail!("{} findings: {}", found.finding_count, all.join("; "));
    }
    let signed = match read_if_present(&data_dir.checkpoint_file(&record.spec.name))? {
        Some(note) => signed_size(store, record, &note).await?.to_string(),
        None => "none".to_owned(),
    };
    Ok(format!(
        "{} entries reproduce root {} ({} full tiles, {} tree heads, signed checkpoint of size {signed})",
        found.computed.size, found.computed.root, found.tiles, found.tree_heads
    ))
}

/// Verifies a signed checkpoint and that the database still holds its tree.
async fn signed_size(
    store: &dyn LogStore,
    record: &LogRecord,
    note: &str,
) -> anyhow::Result<TreeSize> {
    let spec = &record.spec;
    let key = PublicKey::from_spki_der(&spec.public_key_der)?;
    let note: SignedNote = note.parse().context("the checkpoint file is damaged")?;
    let signed = note
        .verified_checkpoint(&key, key_name(spec), &key_id(spec, &key))
        .context("the checkpoint file does not verify")?
        .head;
    let size = signed.size;
    if size > TreeSize(0) && store.tree_head(record.id, size).await? != Some(signed) {
        bail!("the database has no tree of size {size} with the root that was signed");
    }
    Ok(size)
}

fn ca(data_dir: &DataDir) -> anyhow::Result<String> {
    let chain = x509::from_pem(&chain_text(data_dir, "ca")?)?;
    let key = key(data_dir, "ca", KeyType::EcdsaP256)?;
    ca_sound(chain, &key)
}

/// Whether a CA with this chain (DER, lowest first) and key can issue now.
pub(crate) fn ca_sound(chain: Vec<Vec<u8>>, key: &LocalSigner) -> anyhow::Result<String> {
    let chain = x509::CertificateChain::from_der(chain)?;
    chain.check_key(key.public_key())?;
    let now = SystemClock.now().0;
    if !(chain.not_before()..=chain.not_after()).contains(&now) {
        bail!("the chain is not valid now");
    }
    Ok(format!("{} certificates and their key", chain.certificates().len()))
}

fn tsa(data_dir: &DataDir) -> anyhow::Result<String> {
    let chain = x509::from_pem(&chain_text(data_dir, "tsa")?)?;
    let key = key(data_dir, "tsa", KeyType::EcdsaP256)?;
    tsa_sound(&chain, &key, IntermediateUsage::Required)
}

/// Whether a TSA with this chain (DER, lowest first) and key can stamp now.
pub(crate) fn tsa_sound(
    chain: &[Vec<u8>],
    key: &LocalSigner,
    intermediates: IntermediateUsage,
) -> anyhow::Result<String> {
    let checked = TsaChain::from_ders(chain)?;
    checked.require_issuable(key.public_key(), intermediates)?;
    if !checked.validity().contains(SystemClock.now().0) {
        bail!("the chain is not valid now");
    }
    Ok(format!("{} certificates and their key", chain.len()))
}

/// Makes the trust files again and compares them byte by byte.
fn trust(data_dir: &DataDir) -> anyhow::Result<String> {
    let last: LastStart = read_json(&data_dir.last_start_file())?
        .context("`countersignd dev` has not been started on this data directory")?;
    let tree_id = read_json(&data_dir.tree_id_file())?
        .with_context(|| format!("{} is missing", data_dir.tree_id_file().display()))?;
    let public = |name, key_type| -> anyhow::Result<PublicKey> {
        Ok(key(data_dir, name, key_type)?.public_key().clone())
    };
    let material = Material {
        ca_chain: x509::from_pem(&chain_text(data_dir, "ca")?)?,
        tsa_chain: x509::from_pem(&chain_text(data_dir, "tsa")?)?,
        ct: public("ct", KeyType::EcdsaP256)?,
        rekor1: public("rekor1", KeyType::EcdsaP256)?,
        rekor1_tiles: public("rekor1-tiles", KeyType::Ed25519)?,
        rekor2: public("rekor2", KeyType::Ed25519)?,
    };
    let publisher = Publisher::of_dev(data_dir);
    let (urls, logs) = (BaseUrls::from(&last.ports), LogIdentities::of_dev(tree_id));
    let deployment = deployment(publisher, &urls, &logs, &material)?;
    let files = trust::TrustFiles::build(&deployment, SystemClock.now().0)?;
    for file in files.files() {
        let path = data_dir.trust_dir().join(file.name);
        let found = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if found != file.content {
            bail!("{} is not what the keys and certificates make", path.display());
        }
    }
    Ok(format!("{} files, accepted by all lints", files.files().len()))
}

fn chain_text(data_dir: &DataDir, name: &str) -> anyhow::Result<String> {
    let file = data_dir.chain_file(name);
    let missing = || format!("the certificates of `{name}`, {}, are missing", file.display());
    read_if_present(&file)?.with_context(missing)
}

fn key(data_dir: &DataDir, name: &str, key_type: KeyType) -> anyhow::Result<LocalSigner> {
    let missing =
        || format!("the key of `{name}`, {}, is missing", data_dir.key_file(name).display());
    keys::load(data_dir, name, key_type)?.with_context(missing)
}

/// Prints one line; false when it is bad news.
pub(crate) fn report(name: &str, outcome: &anyhow::Result<String>) -> bool {
    match outcome {
        Ok(summary) => output::print(&format!("{name}: ok, {summary}")),
        Err(error) => output::print(&format!("{name}: BAD, {error:#}")),
    }
    outcome.is_ok()
}
