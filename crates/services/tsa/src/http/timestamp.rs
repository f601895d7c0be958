use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use server::{read_body, within_limits};
use tsp::TimestampResponse;

use super::{reply, request::RequestForm};
use crate::{Tsa, refusal::Refusal};

/// `POST /api/v1/timestamp`.
pub(crate) async fn create(State(tsa): State<Arc<Tsa>>, request: Request) -> Response {
    let Some(form) = RequestForm::of(request.headers()) else {
        return reply::unsupported_media_type();
    };
    let request = match within_limits(request).await {
        Ok(request) => request,
        Err(limited) => return reply::limited(form, &limited),
    };
    match issue(&tsa, form, request).await {
        Ok(response) => reply::granted(form, response),
        Err(refusal) => reply::refused(form, &refusal),
    }
}

async fn issue(
    tsa: &Arc<Tsa>,
    form: RequestForm,
    request: Request,
) -> Result<TimestampResponse, Refusal> {
    let body = read_body(request, form.body_limit()).await.map_err(Refusal::Body)?;
    tsa.answer(form, body).await
}
