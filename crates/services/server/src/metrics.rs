use std::{sync::OnceLock, time::Duration};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{Method, StatusCode, header};
use metrics::Label;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Renders what this process has measured, in the Prometheus text format.
#[derive(Clone)]
pub struct MetricsHandle {
    recorder: PrometheusHandle,
}

impl MetricsHandle {
    /// How often samples are folded into their histograms. Between two foldings
    /// each request costs 8 bytes: 20,000/s make less than 1 MiB.
    const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

    /// The exposition text.
    #[must_use]
    pub fn render(&self) -> String {
        self.recorder.render()
    }

    /// Folds samples until `shutdown`; without it memory grows while nobody scrapes.
    pub async fn upkeep(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            self.recorder.run_upkeep();
            let pause = tokio::time::sleep(Self::UPKEEP_INTERVAL);
            shutdown.run_until_cancelled(pause).await;
        }
    }
}

/// The recorder could not be installed.
#[derive(Debug, Error)]
#[error("metrics recorder: {0}")]
pub struct MetricsError(#[from] BuildError);

/// Installs the process's one metrics recorder; later calls give the same one.
///
/// # Errors
/// [`MetricsError`] when another library has installed its own.
pub fn install_metrics() -> Result<MetricsHandle, MetricsError> {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(recorder) = INSTALLED.get() {
        return Ok(MetricsHandle { recorder: recorder.clone() });
    }
    let entries = Matcher::Full("countersign_log_batch_entries".to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets(&LATENCY_BUCKETS_S)?
        .set_buckets_for_metric(entries, &BATCH_BUCKETS)?
        .install_recorder()?;
    metrics::describe_counter!(REQUESTS, "Requests answered, by route and status");
    metrics::describe_histogram!(LATENCY, metrics::Unit::Seconds, "From request head to answer");
    metrics::describe_gauge!(READY, "Whether a condition of /readyz holds");
    metrics::describe_gauge!(RELOADED, "Whether the configuration was good at the last look");
    metrics::describe_gauge!(RELOADED_AT, "When it was last taken up");
    metrics::describe_gauge!(CHAIN_END, "End of the certificates of a CA or TSA");
    Ok(MetricsHandle { recorder: INSTALLED.get_or_init(|| recorder).clone() })
}

/// `GET /metrics`.
pub fn metrics_routes(handle: MetricsHandle) -> Router {
    Router::new().route("/metrics", get(exposition)).with_state(handle)
}

async fn exposition(State(handle): State<MetricsHandle>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
}

/// Shows until when the certificates of an authority are valid, in Unix seconds; `authority` is its table, `ca.NAME`.
pub fn show_chain_end(authority: String, unix_seconds: u64) {
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats; seconds fit")]
    metrics::gauge!(CHAIN_END, "authority" => authority).set(unix_seconds as f64);
}

/// Shows whether a condition of `/readyz` holds; `check` is its name there.
pub fn show_ready(check: String, is_ready: bool) {
    metrics::gauge!(READY, "check" => check).set(u32::from(is_ready));
}

/// Shows whether the newest configuration is the one in use, and since when, in Unix seconds, one is.
pub fn show_reload(is_good: bool, taken_up_at: u64) {
    metrics::gauge!(RELOADED).set(u32::from(is_good));
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats; seconds fit")]
    metrics::gauge!(RELOADED_AT).set(taken_up_at as f64);
}

/// How a request ended.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    /// Of a gRPC call, whose HTTP status is 200 whatever happened.
    pub(crate) grpc_status: Option<String>,
    pub(crate) elapsed: Duration,
}

/// Counts one answered request. `route` must be a route's template, never a path.
pub(crate) fn record_request(
    service: &'static str,
    method: &'static str,
    route: &str,
    answered: Answered,
) {
    let route = route.to_owned();
    let mut labels = vec![
        Label::from_static_parts("service", service),
        Label::from_static_parts("method", method),
        Label::new("route", route.clone()),
        Label::new("status", answered.status.as_str().to_owned()),
    ];
    labels.extend(answered.grpc_status.map(|status| Label::new("grpc_status", status)));
    metrics::counter!(REQUESTS, labels).increment(1);
    let elapsed = answered.elapsed;
    metrics::histogram!(LATENCY, "service" => service, "route" => route).record(elapsed);
}

/// The method as one of a fixed set: a caller may send any word.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

const REQUESTS: &str = "countersign_http_requests_total";
const CHAIN_END: &str = "countersign_chain_expiry_timestamp_seconds";
const READY: &str = "countersign_ready";
const RELOADED: &str = "countersign_config_reload_success";
const RELOADED_AT: &str = "countersign_config_reload_success_timestamp_seconds";
const LATENCY: &str = "countersign_http_request_seconds";

/// From a health check to a signing that waits for a slow disk.
const LATENCY_BUCKETS_S: [f64; 13] =
    [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 5.0];

/// Entries of one transaction, from one alone to the most that a store takes.
const BATCH_BUCKETS: [f64; 14] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];
