//! Logs with something in them to be read.

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::LocalSigner;
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::task::JoinSet;

use super::honest::{Honest, ask};
use crate::{Stack, jobs::Job};

/// Entries of one bundle: 256, and those that were there before.
const LONG: u64 = 520;

/// Certificates in the CT log, and entries of v1 under one word.
const SHORT: u64 = 1200;

/// Requests at once while filling.
const AT_ONCE: usize = 16;

/// Bytes of an extension that make a certificate as long as one may be.
const BULK: usize = 15_500;

pub(super) struct Filled;

impl Filled {
    /// Long entries into the log of Rekor v2, short ones into that of v1 and the CT log.
    pub(super) async fn fill(stack: &Stack, honest: &Honest) -> Result<Self> {
        let [certificate, _, v1, _] = honest.jobs();
        repeat(&long_entries(stack)?, LONG).await?;
        repeat(certificate, SHORT).await?;
        repeat(v1, SHORT).await?;
        Ok(Self)
    }
}

async fn repeat(job: &Job, count: u64) -> Result<()> {
    let mut asking = JoinSet::new();
    for number in 0..count {
        while asking.len() >= AT_ONCE
            && let Some(asked) = asking.join_next().await
        {
            let asked: Result<()> = asked?;
            asked?;
        }
        let job = job.clone();
        asking.spawn(async move { ask(&job, number).await });
    }
    while let Some(asked) = asking.join_next().await {
        asked??;
    }
    Ok(())
}

/// Entries of 21 KiB: a certificate may have any extensions, and anybody may make one.
fn long_entries(stack: &Stack) -> Result<Job> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.custom_extensions =
        vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![b'x'; BULK])];
    let certificate = STANDARD.encode(params.self_signed(&key)?.der());
    let signer = LocalSigner::from_pkcs8_pem(&key.serialize_pem(), "load")?;
    Job::rekor2(stack, signer, &certificate)
}
