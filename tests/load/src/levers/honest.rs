//! Somebody who wants a certificate, a timestamp and two entries, again and again, each by a new connection.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

use crate::{Stack, drive::percentile, jobs::Job};

/// Certificate, timestamp, v1, v2.
pub(super) const KINDS: usize = 4;

/// Longest wait for an answer. A client of anybody's gives up before.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two requests of one kind.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Honest {
    jobs: [Job; KINDS],
}

/// What became of its requests.
pub(super) struct Asked {
    pub(super) p99: [Duration; KINDS],
    pub(super) answered: usize,
    pub(super) unanswered: usize,
}

impl Honest {
    pub(super) async fn of(stack: &Stack) -> Result<Self> {
        let jobs =
            [Job::ca(stack)?, Job::tsa(stack)?, Job::log_v1(stack).await?, Job::log(stack).await?];
        Ok(Self { jobs })
    }

    /// Jobs in the order of the kinds.
    pub(super) fn jobs(&self) -> &[Job; KINDS] {
        &self.jobs
    }

    /// Asks for all kinds at once until `end`.
    pub(super) async fn ask_until(&self, end: Instant) -> Result<Asked> {
        let mut kinds = JoinSet::new();
        for (kind, job) in self.jobs.iter().enumerate() {
            let job = job.clone();
            kinds.spawn(async move { (kind, ask_for(&job, end).await) });
        }
        let mut asked = Asked { p99: [Duration::ZERO; KINDS], answered: 0, unanswered: 0 };
        while let Some(outcome) = kinds.join_next().await {
            let (kind, (mut latencies, failures)) = outcome?;
            for failure in &failures {
                eprintln!("unanswered: {failure}");
            }
            latencies.sort_unstable();
            asked.answered += latencies.len();
            asked.unanswered += failures.len();
            if let Some(p99) = asked.p99.get_mut(kind) {
                *p99 = percentile(&latencies, 99);
            }
        }
        Ok(asked)
    }
}

async fn ask_for(job: &Job, end: Instant) -> (Vec<Duration>, Vec<String>) {
    let (mut latencies, mut failures) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let begin = Instant::now();
        match tokio::time::timeout(PATIENCE, ask(job, number)).await {
            Ok(Ok(())) => latencies.push(begin.elapsed()),
            Ok(Err(error)) => failures.push(format!("{} {}: {error:#}", job.authority, job.path)),
            Err(_) => failures.push(format!("{} {}: no answer", job.authority, job.path)),
        }
        tokio::time::sleep(PAUSE).await;
    }
    (latencies, failures)
}

/// Numbers that no other request of this run has, so that no entry is a repetition; those below fill the logs.
static NEXT: AtomicU64 = AtomicU64::new(1 << 32);

/// One request by a connection of its own.
pub(super) async fn ask(job: &Job, number: u64) -> Result<()> {
    let body = (job.body)(number)?;
    let stream = TcpStream::connect(&job.authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post(&job.path)
        .header("host", &job.authority)
        .header("content-type", job.content_type)
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    if status != job.status || answer.is_empty() {
        bail!("{status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}
