//! Requests that are small and were dear: what they cost, and what an honest client notices beside them.

use std::sync::Arc;

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer};
use hyper::StatusCode;
use serde_json::json;

use crate::{
    Stack,
    drive::{self, Measurement, Phase},
    jobs::Job,
};

/// Connections that send nothing else.
const CONNECTIONS: usize = 100;

/// Keys and signatures of one envelope: as many as a log takes.
const SIGNERS: usize = 10;

/// Six kilobytes to Rekor v1: an envelope with ten keys and ten signatures, of which none fits another.
///
/// Verifying each pair by two hashes and in two forms took 72 ms.
pub(crate) fn envelope(stack: &Stack) -> Result<Job> {
    let (keys, signers) = (signers()?, signers()?);
    let signatures = signers.iter().map(|signer| {
        // Of something else: the length is what counts.
        Ok(json!({"sig": STANDARD.encode(signer.sign_now(b"something else")?), "keyid": ""}))
    });
    let envelope = json!({
        "payload": STANDARD.encode(b"{}"),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": signatures.collect::<Result<Vec<_>>>()?,
    });
    let verifiers = keys.iter().map(|key| STANDARD.encode(key.public_key().to_pem()));
    let content = json!({
        "envelope": envelope.to_string(),
        "verifiers": verifiers.collect::<Vec<_>>(),
    });
    let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}});
    let body = body.to_string().into_bytes();
    let body = Arc::new(move |_| Ok(body.clone()));
    Job::new(stack.url("rekor1")?, "/api/v1/log/entries", StatusCode::BAD_REQUEST, body)
}

/// One honest client of each service beside a hundred connections that send dear envelopes.
pub(crate) async fn beside(
    stack: &Stack,
    phase: impl Fn(&'static str, usize) -> Phase,
) -> Result<Vec<Measurement>> {
    let dear = envelope(stack)?;
    let honest = [
        ("certificate, beside", Job::ca(stack)?),
        ("timestamp, beside", Job::tsa(stack)?),
        ("log entry, beside", Job::log(stack).await?),
        ("log entry v1, beside", Job::log_v1(stack).await?),
    ];
    let mut measurements = Vec::new();
    for (name, job) in &honest {
        let (one, many) = (phase(name, 1), phase("dear envelopes", CONNECTIONS));
        let both = tokio::try_join!(drive::run(&one, job), drive::run(&many, &dear))?;
        measurements.extend(<[Measurement; 2]>::from(both));
    }
    Ok(measurements)
}

fn signers() -> Result<Vec<LocalSigner>> {
    let signer = |_| Ok(LocalSigner::generate(KeyType::EcdsaP521, "load")?);
    (0..SIGNERS).map(signer).collect()
}
