use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::get};
use futures::future::join_all;
use http::StatusCode;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// What a readiness check gives: `Err` holds the reason, in words, without secrets.
pub type CheckFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

type Notes = Arc<dyn Fn() -> BTreeMap<String, String> + Send + Sync>;

type Check = Arc<dyn Fn() -> CheckFuture + Send + Sync>;

/// The named checks behind `/readyz`. Clones share them.
#[derive(Clone)]
pub struct Readiness {
    checks: Arc<Mutex<Vec<(String, Check)>>>,
    notes: Arc<Mutex<Vec<Notes>>>,
    shutdown: CancellationToken,
}

impl Readiness {
    /// Longest time a check may take before it counts as failed.
    const CHECK_TIME: Duration = Duration::from_secs(2);

    /// No checks: ready until `shutdown` is cancelled.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { checks: Arc::default(), notes: Arc::default(), shutdown }
    }

    /// Adds a check. It is run at each question, so it should be cheap.
    pub fn add<F>(&self, name: impl Into<String>, check: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), check));
    }

    /// Adds what is told beside the checks: what is degraded, by name, and no reason not to be
    /// ready. It is asked at each question.
    pub fn add_notes(&self, notes: impl Fn() -> BTreeMap<String, String> + Send + Sync + 'static) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(notes));
    }

    /// Runs every check. Ready means that all passed and no shutdown has begun.
    pub async fn report(&self) -> ReadinessReport {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let results = join_all(checks.iter().map(|(name, check)| async {
            let result = tokio::time::timeout(Self::CHECK_TIME, check()).await;
            (name.clone(), result.unwrap_or_else(|_| Err("no answer in time".to_owned())))
        }))
        .await;
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let degraded = notes.iter().flat_map(|notes| notes()).collect();
        let mut report = ReadinessReport { ready: true, checks: BTreeMap::new(), degraded };
        for (name, result) in results {
            report.note(name, result);
        }
        if self.shutdown.is_cancelled() {
            report.note("process".to_owned(), Err("shutting down".to_owned()));
        }
        report
    }
}

/// The body of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Whether every check passed.
    pub ready: bool,
    /// `ok`, or the reason, by the check's name.
    pub checks: BTreeMap<String, String>,
    /// What is not as it should be and does not keep the service from working, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub degraded: BTreeMap<String, String>,
}

impl ReadinessReport {
    fn note(&mut self, name: String, result: Result<(), String>) {
        self.ready &= result.is_ok();
        self.checks.insert(name, result.err().unwrap_or_else(|| "ok".to_owned()));
    }
}

/// `GET /healthz` (200 while the process lives) and `GET /readyz` (200, or 503 with the reasons).
pub fn health_routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(serde_json::json!({"status": "alive"})) }))
        .route("/readyz", get(readyz))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<ReadinessReport>) {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_degraded_is_told_and_no_reason_not_to_be_ready() {
        let readiness = Readiness::new(CancellationToken::new());
        let body = |report: &ReadinessReport| serde_json::to_value(report).unwrap();
        assert_eq!(body(&readiness.report().await).get("degraded"), None);
        readiness.add_notes(|| BTreeMap::from([("issuer x".to_owned(), "away".to_owned())]));
        let report = readiness.report().await;
        assert!(report.ready);
        assert_eq!(body(&report)["degraded"]["issuer x"], "away");
    }
}
