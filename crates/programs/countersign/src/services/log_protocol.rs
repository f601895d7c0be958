use wire::rekor1::LogInfo;

use super::{HttpClient, LogProtocol, Service, ServiceError, ServiceKind, ServiceUrl};

/// Asks the log at `url` which protocol it speaks: a Rekor v1 describes its tree, a v2 has nothing
/// at that place.
///
/// # Errors
/// [`ServiceError`].
pub async fn ask_protocol(
    http: &HttpClient,
    url: &ServiceUrl,
) -> Result<LogProtocol, ServiceError> {
    let service = Service { kind: ServiceKind::TransparencyLog, url: url.clone() };
    let Some(answer) = http.get(&service, url.join("/api/v1/log")).await? else {
        return Ok(LogProtocol::RekorV2);
    };
    wire::json::from_slice::<LogInfo>(&answer)
        .map(|_| LogProtocol::RekorV1)
        .map_err(|error| service.malformed(format!("not a description of a log: {error}")))
}
