//! Runs a job on many connections for a while and measures it.

use std::{
    fmt, fs,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    jobs::Job,
    process_time::{cpu_time, resident_kib},
};

/// One measurement to be made.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) server: u32,
    pub(crate) database: Option<u32>,
}

/// What came out.
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    pub(crate) per_second: f64,
    pub(crate) errors: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    /// CPU microseconds an operation.
    pub(crate) server_us: f64,
    pub(crate) database_us: Option<f64>,
    pub(crate) resident_kib: u64,
}

/// Runs `job` and measures.
pub(crate) async fn run(phase: &Phase, job: &Job) -> Result<Measurement> {
    let next = Arc::new(AtomicU64::new(0));
    let cpu = || (cpu_time(phase.server), phase.database.map(cpu_time));
    let before = cpu();
    let begin = Instant::now();
    let end = begin + Duration::from_secs(phase.seconds);
    let mut connections = JoinSet::new();
    for _ in 0..phase.connections {
        connections.spawn(drive(job.clone(), Arc::clone(&next), end));
    }
    let (mut latencies, mut errors) = (Vec::new(), 0);
    while let Some(outcome) = connections.join_next().await {
        let (times, failed) = outcome??;
        latencies.extend(times);
        errors += failed;
    }
    let elapsed = begin.elapsed();
    let after = cpu();
    latencies.sort_unstable();
    let done = u32::try_from(latencies.len()).context("too many operations to count")?;
    let per_operation = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(done.max(1));
    Ok(Measurement {
        name: phase.name,
        per_second: f64::from(done) / elapsed.as_secs_f64(),
        errors,
        p50: percentile(&latencies, 50),
        p99: percentile(&latencies, 99),
        max: percentile(&latencies, 100),
        server_us: per_operation(after.0.saturating_sub(before.0)),
        database_us: before.1.zip(after.1).map(|(b, a)| per_operation(a.saturating_sub(b))),
        resident_kib: resident_kib(phase.server).map_or(0, |(_, now)| now),
    })
}

/// One connection, one request at a time; latencies of the good answers and the number of bad ones.
async fn drive(job: Job, next: Arc<AtomicU64>, end: Instant) -> Result<(Vec<Duration>, u64)> {
    let stream = TcpStream::connect(&job.authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut latencies, mut errors) = (Vec::new(), 0);
    while Instant::now() < end {
        let body = (job.body)(next.fetch_add(1, Ordering::Relaxed))?;
        let request = Request::post(&job.path)
            .header("host", &job.authority)
            .header("content-type", job.content_type)
            .body(Full::new(Bytes::from(body)))?;
        let begin = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status == job.status && !answer.is_empty() {
            latencies.push(begin.elapsed());
        } else {
            errors += 1;
        }
    }
    Ok((latencies, errors))
}

/// The latency that `percent` of a hundred do not exceed; zero for none.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let position = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(position).copied().unwrap_or_default()
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "{:<24}{:>9.0}{:>9}{:>9.2}{:>9.2}{:>9.2}{:>12.1}{:>12}",
            self.name,
            self.per_second,
            self.errors,
            ms(self.p50),
            ms(self.p99),
            ms(self.max),
            self.server_us,
            self.database_us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1}")),
        )
    }
}

impl Measurement {
    /// Appends the figures as one line of JSON.
    pub(crate) fn append_json(&self, file: &Path, database: &str) -> Result<()> {
        let line = json!({
            "database": database,
            "name": self.name,
            "per_second": self.per_second,
            "errors": self.errors,
            "p50_ms": self.p50.as_secs_f64() * 1e3,
            "p99_ms": self.p99.as_secs_f64() * 1e3,
            "max_ms": self.max.as_secs_f64() * 1e3,
            "server_cpu_us": self.server_us,
            "database_cpu_us": self.database_us,
            "server_resident_kib": self.resident_kib,
        });
        let mut out = fs::OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(out, "{line}").with_context(|| format!("cannot write {}", file.display()))
    }
}
