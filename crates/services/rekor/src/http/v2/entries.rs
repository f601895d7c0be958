//! `POST /api/v2/log/entries`.

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use engine::Integrated;
use entry::rekor2;
use http::{StatusCode, header};
use service::read_body;
use store::NewEntry;
use wire::{
    Base64, Int64, OutOfRange,
    bundle::{CheckpointEnvelope, InclusionProof, KindVersion, LogId, TransparencyLogEntry},
    rekor2::EntryResponse,
};

use super::{BODY_LIMIT, Face, error::ApiError};
use crate::{http::OnDuplicate, new_entry::new_entry};

/// Verifies a request, sequences it, and answers with the entry and its proof.
pub(super) async fn create(
    State(face): State<Face>,
    request: Request,
) -> Result<Response, ApiError> {
    let json = read_body(request, BODY_LIMIT).await?;
    let options = rekor2::Options { legacy_dsse: face.options.legacy_dsse };
    // Signatures are verified off the runtime's threads.
    let verified = face.cpu.run(move || verify(&json, options)).await??;

    let Verified { kind, version, entry } = verified;
    let body = entry.body.clone();
    let integrated = face.log.submit(entry).await?;
    if !integrated.fresh && face.options.on_duplicate == OnDuplicate::Conflict {
        return Err(ApiError::Duplicate { index: integrated.index });
    }
    let kind_version = KindVersion { kind: kind.to_owned(), version: version.to_owned() };
    let answer = log_entry(&integrated, kind_version, &body, face.log.key_id())?;
    let json = serde_json::to_vec(&EntryResponse(&answer)).map_err(ApiError::Json)?;
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], json).into_response())
}

struct Verified {
    kind: &'static str,
    version: &'static str,
    entry: NewEntry,
}

fn verify(json: &[u8], options: rekor2::Options) -> Result<Verified, ApiError> {
    let verified = rekor2::verify_request(json, &options)?;
    let length = verified.body().len();
    if length > tlog::MAX_ENTRY_LEN {
        return Err(ApiError::EntryTooLong { length });
    }
    let (kind, version) = (verified.kind(), verified.version());
    Ok(Verified { kind, version, entry: new_entry(verified) })
}

/// The answer: index, proof and checkpoint of one and the same tree.
fn log_entry(
    integrated: &Integrated,
    kind_version: KindVersion,
    body: &[u8],
    key_id: &[u8],
) -> Result<TransparencyLogEntry, OutOfRange> {
    let checkpoint = &integrated.checkpoint;
    let log_index = Int64::try_from(integrated.index)?;
    Ok(TransparencyLogEntry {
        log_index,
        log_id: LogId { key_id: Base64(key_id.to_vec()) },
        kind_version,
        // Rekor v2 promises no time: a timestamp authority does.
        integrated_time: Int64(0),
        inclusion_promise: None,
        inclusion_proof: Some(InclusionProof {
            log_index,
            root_hash: Base64(checkpoint.head.root.0.to_vec()),
            tree_size: Int64::try_from(checkpoint.head.size)?,
            hashes: integrated.path.iter().map(|hash| Base64(hash.0.to_vec())).collect(),
            checkpoint: Some(CheckpointEnvelope { envelope: checkpoint.note.clone() }),
        }),
        canonicalized_body: Base64(body.to_vec()),
    })
}
