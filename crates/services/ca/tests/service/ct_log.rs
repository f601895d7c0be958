//! A CT log that checks chains and signs SCTs as RFC 6962 says, without keeping a tree; and that
//! can be told to fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use crypto::{KeyType, LocalSigner, PublicKey, Signer, Unsigned};
use ct::Sct;
use http::StatusCode;
use moment::UnixMillis;
use signing::{Clock, FixedClock};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, SemaphorePermit},
    task::JoinSet,
};
use wire::{
    Base64,
    ct::{AddChainRequest, AddChainResponse},
};

/// How a submission is answered.
#[derive(Clone, Debug)]
pub(crate) enum LogAnswer {
    Sct,
    Status(u16),
    Text(&'static str),
    /// An SCT over other bytes.
    WrongSignature,
    /// A sound SCT of a log with another key.
    OtherLog,
    /// The other log's signature under this log's id.
    OtherLogInDisguise,
    /// A sound SCT made this many milliseconds from now, with these extension bytes.
    Ahead(u64, &'static [u8]),
    /// Nothing, ever.
    Silence,
}

/// A running log.
pub(crate) struct TestLog {
    pub(crate) url: String,
    state: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    key: LocalSigner,
    other_key: LocalSigner,
    accepted: x509::AcceptedChains,
    answer: Mutex<LogAnswer>,
    submissions: AtomicUsize,
    /// Answers wait for it.
    turn: Semaphore,
    clock: Arc<FixedClock>,
}

impl Shared {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms().0 + 7
    }
}

impl TestLog {
    pub(crate) async fn start(chain: &[Vec<u8>], clock: Arc<FixedClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = |name| LocalSigner::generate(KeyType::EcdsaP256, name).unwrap();
        let state = Arc::new(Shared {
            key: key("log"),
            other_key: key("other log"),
            accepted: x509::AcceptedChains::from_der([chain]).unwrap(),
            answer: Mutex::new(LogAnswer::Sct),
            submissions: AtomicUsize::new(0),
            turn: Semaphore::new(1),
            clock,
        });
        let router = Router::new()
            .route("/ct/v1/add-pre-chain", post(add_pre_chain))
            .with_state(Arc::clone(&state));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, _server: server }
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        self.state.key.public_key()
    }

    pub(crate) fn answer(&self, answer: LogAnswer) {
        *self.state.answer.lock().unwrap() = answer;
    }

    /// Holds back every answer until the guard is dropped.
    pub(crate) fn hold(&self) -> SemaphorePermit<'_> {
        self.state.turn.try_acquire().unwrap()
    }

    pub(crate) fn submissions(&self) -> usize {
        self.state.submissions.load(Ordering::SeqCst)
    }
}

async fn add_pre_chain(
    State(log): State<Arc<Shared>>,
    Json(request): Json<AddChainRequest>,
) -> Response {
    log.submissions.fetch_add(1, Ordering::SeqCst);
    let chain: Vec<Vec<u8>> = request.chain.into_iter().map(|der| der.0).collect();
    let submission = x509::validate_chain(&chain, &log.accepted).unwrap();
    assert!(submission.is_precertificate());
    let sct = |key: &LocalSigner, now_ms| {
        let unsigned =
            ct::UnsignedSct::new(submission.entry().clone(), UnixMillis(now_ms)).unwrap();
        let signature = key.sign_now(unsigned.bytes_to_sign()).unwrap();
        unsigned.with_signature(&signature, key.public_key()).unwrap()
    };
    let _turn = log.turn.acquire().await.unwrap();
    let answer = log.answer.lock().unwrap().clone();
    match answer {
        LogAnswer::Sct => give(sct(&log.key, log.now_ms())),
        LogAnswer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        LogAnswer::Text(text) => text.into_response(),
        LogAnswer::WrongSignature => {
            let signature = sct(&log.key, log.now_ms() + 1).signature;
            give(Sct { signature, ..sct(&log.key, log.now_ms()) })
        }
        LogAnswer::OtherLog => give(sct(&log.other_key, log.now_ms())),
        LogAnswer::OtherLogInDisguise => {
            let log_id = log.key.public_key().spki_sha256();
            give(Sct { log_id, ..sct(&log.other_key, log.now_ms()) })
        }
        LogAnswer::Ahead(milliseconds, extensions) => {
            give(sct_with(&log, &submission, milliseconds, extensions))
        }
        LogAnswer::Silence => std::future::pending().await,
    }
}

/// What logs with extensions do; [`ct::UnsignedSct`] has none.
fn sct_with(
    log: &Shared,
    submission: &x509::Submission,
    milliseconds: u64,
    extensions: &[u8],
) -> Sct {
    let timestamp = UnixMillis(log.now_ms().wrapping_add(milliseconds));
    let message = ct::signed_data(submission.entry(), timestamp, extensions).unwrap();
    Sct {
        log_id: log.key.public_key().spki_sha256(),
        timestamp,
        extensions: extensions.to_vec(),
        algorithm: ct::SHA256_WITH_ECDSA,
        signature: log.key.sign_now(&message).unwrap(),
    }
}

fn give(sct: Sct) -> Response {
    Json(AddChainResponse {
        sct_version: 0,
        id: Base64(sct.log_id.to_vec()),
        timestamp: sct.timestamp.0,
        signature: Base64(sct.digitally_signed().unwrap()),
        extensions: Base64(sct.extensions),
    })
    .into_response()
}
