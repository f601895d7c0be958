//! `POST /ct/v1/add-chain` and `/ct/v1/add-pre-chain`. RFC 6962 §4.1, §4.2.

use axum::{
    Json,
    extract::{Request, State},
};
use server::{read_body, within_limits};
use wire::{
    Base64,
    ct::{AddChainRequest, AddChainResponse},
};

use super::{BODY_LIMIT, error::ApiError};
use crate::{CtError, CtLog, Submitted};

pub(super) async fn add_chain(
    State(ct): State<CtLog>,
    request: Request,
) -> Result<Json<AddChainResponse>, ApiError> {
    add(ct, request, Submitted::Certificate).await
}

pub(super) async fn add_pre_chain(
    State(ct): State<CtLog>,
    request: Request,
) -> Result<Json<AddChainResponse>, ApiError> {
    add(ct, request, Submitted::Precertificate).await
}

async fn add(
    ct: CtLog,
    request: Request,
    submitted: Submitted,
) -> Result<Json<AddChainResponse>, ApiError> {
    let request = within_limits(request).await?;
    let json = read_body(request, BODY_LIMIT).await?;
    let request: AddChainRequest = wire::json::from_slice(&json).map_err(ApiError::Json)?;
    let chain = request.chain.into_iter().map(|der| der.0).collect();
    let sct = ct.add_chain(chain, submitted).await?;
    Ok(Json(AddChainResponse {
        sct_version: 0,
        id: Base64(sct.log_id.to_vec()),
        timestamp: sct.timestamp.0,
        signature: Base64(sct.digitally_signed().map_err(CtError::Signature)?),
        extensions: Base64(sct.extensions),
    }))
}
