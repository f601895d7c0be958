//! `POST /api/v2/log/entries`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use engine::Integrated;
use entry::rekor2::VERSION;
use http::{StatusCode, header};
use server::{read_body, within_limits};
use wire::{
    Base64, Int64, OutOfRange,
    bundle::{CheckpointEnvelope, InclusionProof, KindVersion, LogId, TransparencyLogEntry},
    rekor2::EntryResponse,
};

use super::{BODY_LIMIT, error::ApiError};
use crate::{Rekor2, Rekor2Error, http::submit};

/// Takes an entry, and answers with it and its proof.
pub(super) async fn create(
    State(rekor2): State<Arc<Rekor2>>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = within_limits(request).await?;
    let (pass, request) =
        submit::pass(rekor2.writers(), request).await.map_err(Rekor2Error::from)?;
    let json = read_body(request, BODY_LIMIT).await?;
    let answer = log_entry(&rekor2.create(pass, json).await?, rekor2.log().key_id())?;
    let json = serde_json::to_vec(&EntryResponse(&answer)).map_err(ApiError::Json)?;
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The answer: index, proof and checkpoint of one and the same tree.
fn log_entry(integrated: &Integrated, key_id: &[u8]) -> Result<TransparencyLogEntry, OutOfRange> {
    let checkpoint = &integrated.checkpoint;
    let log_index = Int64::try_from(integrated.index.0)?;
    Ok(TransparencyLogEntry {
        log_index,
        log_id: LogId { key_id: Base64(key_id.to_vec()) },
        kind_version: KindVersion { kind: integrated.kind.to_owned(), version: VERSION.to_owned() },
        // Rekor v2 signs no time: a timestamp authority does.
        integrated_time: Int64(0),
        inclusion_promise: None,
        inclusion_proof: Some(InclusionProof {
            log_index,
            root_hash: Base64(checkpoint.head.root.0.to_vec()),
            tree_size: Int64::try_from(checkpoint.head.size.0)?,
            hashes: integrated.path.iter().map(|hash| Base64(hash.0.to_vec())).collect(),
            checkpoint: Some(CheckpointEnvelope { envelope: checkpoint.note.clone() }),
        }),
        canonicalized_body: Base64(integrated.body.to_vec()),
    })
}
