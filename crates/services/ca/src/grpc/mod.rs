//! Fulcio v2 and the health protocol over gRPC, on the port of the HTTP APIs.
//!
//! Calls are unary. A message is read as a whole and within limits before tonic sees it, so that
//! nobody can make it wait or reserve memory.

mod health;
mod messages;

use std::sync::Arc;

use axum::{
    Router,
    extract::Request as HttpRequest,
    middleware::{Next, from_fn},
    response::Response as HttpResponse,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use prost::Message;
use server::{Failure, GrpcError, within_limits};
use tonic::{
    Code, Request, Response, Status,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{
    Ca,
    api::{Api, Caller, Refusal, bearer_token},
    http::{MAX_REQUEST_LEN, reply},
    record,
};
use health::HealthFace;
use proto::{
    dev::sigstore::fulcio::v2::{
        Configuration, CreateSigningCertificateRequest, GetConfigurationRequest,
        GetTrustBundleRequest, SigningCertificate, TrustBundle, ca_server,
    },
    google,
    grpc::health::v1::health_server::HealthServer,
};

/// What `build.rs` made of `crates/formats/wire/proto`.
mod proto {
    #![expect(clippy::pedantic, clippy::allow_attributes, unreachable_pub, reason = "generated")]

    include!(concat!(env!("OUT_DIR"), "/server/mod.rs"));
}

/// The calls that are answered.
pub(crate) fn routes(ca: Arc<Ca>) -> Router {
    Router::new()
        .route_service(
            "/dev.sigstore.fulcio.v2.CA/{*rpc}",
            ca_server::CaServer::new(CaFace(ca)).max_decoding_message_size(MAX_REQUEST_LEN),
        )
        .route_service("/grpc.health.v1.Health/{*rpc}", HealthServer::new(HealthFace))
        .layer(from_fn(whole_message))
}

/// Refuses what is no gRPC call, with grpc-go's statuses, and reads the call's one message.
async fn whole_message(request: HttpRequest, next: Next) -> HttpResponse {
    if request.method() != Method::POST {
        return reply::not_grpc(StatusCode::METHOD_NOT_ALLOWED, "gRPC calls are POST requests");
    }
    if !server::has_grpc_content_type(request.headers()) {
        let message = "gRPC calls have the content type application/grpc";
        return reply::not_grpc(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    if request.version() != Version::HTTP_2 {
        return reply::not_grpc(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2");
    }
    let request = match counted(request).await {
        Ok(request) => request,
        Err(limited) => return GrpcError::from(&limited).into_response(),
    };
    let caller = Caller::of(request.extensions());
    match server::read_unary(request, MAX_REQUEST_LEN).await {
        Ok(request) => next.run(request).await,
        Err(error) => {
            record::unread(Api::GrpcV2, &caller, error.message());
            GrpcError::into_response(error)
        }
    }
}

/// Counts the calls that issue on what their peer may have.
async fn counted(request: HttpRequest) -> Result<HttpRequest, Failure> {
    if request.uri().path().ends_with("/CreateSigningCertificate") {
        within_limits(request).await
    } else {
        Ok(request)
    }
}

/// The certificate authority as a gRPC service.
struct CaFace(Arc<Ca>);

#[tonic::async_trait]
impl ca_server::Ca for CaFace {
    async fn create_signing_certificate(
        &self,
        request: Request<CreateSigningCertificateRequest>,
    ) -> Result<Response<SigningCertificate>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let caller = Caller::of(&extensions);
        let request = messages::claim(request, metadata_token(&metadata));
        let issued = self.0.answer((Api::GrpcV2, caller), request).await;
        issued.map(|chain| Response::new(chain.into())).map_err(|refusal| status(&refusal))
    }

    async fn get_trust_bundle(
        &self,
        _: Request<GetTrustBundleRequest>,
    ) -> Result<Response<TrustBundle>, Status> {
        Ok(Response::new(self.0.trust_bundle().into()))
    }

    async fn get_configuration(
        &self,
        _: Request<GetConfigurationRequest>,
    ) -> Result<Response<Configuration>, Status> {
        Ok(Response::new(self.0.configuration().into()))
    }
}

/// The token of upstream's metadata key, given once, or else of `authorization`.
fn metadata_token(metadata: &MetadataMap) -> Option<String> {
    let headers: &HeaderMap = metadata.as_ref();
    let mut own = headers.get_all("oidcidentitytoken").iter();
    let own = match (own.next(), own.next()) {
        (Some(token), None) => token.to_str().ok().filter(|token| !token.is_empty()),
        _ => None,
    };
    let authorization = || headers.get(header::AUTHORIZATION)?.to_str().ok();
    own.or_else(|| bearer_token(authorization()?)).map(str::to_owned)
}

/// The status of HTTP's answer, its `Retry-After` as `google.rpc.RetryInfo`, and its word as metadata.
pub(crate) fn status(refusal: &Refusal) -> Status {
    // It may quote the caller.
    let message = wire::inert::escape(refusal.message()).into_owned();
    let code = refusal.code().number();
    let details = refusal.retry_after_s().map(|seconds| {
        let retry = google::rpc::RetryInfo {
            retry_delay: Some(google::protobuf::Duration {
                seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
                nanos: 0,
            }),
        };
        let retry = google::protobuf::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry.encode_to_vec(),
        };
        let (code, message) = (i32::from(code), message.clone());
        google::rpc::Status { code, message, details: vec![retry] }.encode_to_vec()
    });
    let details = Bytes::from(details.unwrap_or_default());
    let mut metadata = MetadataMap::new();
    let word = MetadataValue::from_static(refusal.reason().word());
    metadata.insert(wire::refusal::HEADER, word);
    let code = Code::from(i32::from(code));
    Status::with_details_and_metadata(code, message, details, metadata)
}
