//! What happens when clock, key or threads do not do what they should.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use crypto::{LocalSigner, PublicKey, SignNow, SignatureAlgorithm, Signer, SignerError};
use futures::FutureExt;
use http::{StatusCode, header};
use tsa::{NotReady, TsaConfig};
use tsp::FailInfo;

use crate::support::{Answer, Authority, JSON, NOT_AFTER, NOW, Server, request};

#[track_caller]
fn unavailable(answer: &Answer, fail_info: FailInfo) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
    assert_eq!(answer.fail_info(), fail_info);
}

const JSON_BODY: &str =
    r#"{"artifactHash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","hashAlgorithm":"sha256"}"#;

#[tokio::test]
async fn stamps_nothing_while_the_clock_is_behind_what_was_stamped() {
    let server = Server::new();
    server.query(&request()).await.verified(&server.chain);
    server.clock.set(NOW - 2);
    unavailable(&server.query(&request()).await, FailInfo::TimeNotAvailable);
    assert_eq!(
        server.tsa.readiness(),
        Err(NotReady::ClockWentBack { behind: Duration::from_secs(2) })
    );
    let answer = server.post(JSON, JSON_BODY).await;
    let message = answer.problem(StatusCode::SERVICE_UNAVAILABLE);
    assert!(message.starts_with("the clock is 2 s behind the latest time stamped: set it right"));
    assert_eq!(answer.header(header::RETRY_AFTER), "1");

    server.clock.set(NOW - 1);
    assert_eq!(server.query(&request()).await.verified(&server.chain).gen_time.0, NOW - 1);
    assert_eq!(server.tsa.readiness(), Ok(()));
}

/// With the clock of 40 days ahead comes no token, and afterwards none is refused for it.
#[tokio::test]
async fn stamps_nothing_while_the_clock_is_where_it_jumped() {
    const FORTY_DAYS_S: i64 = 40 * 86_400;
    let server = Server::new();
    for jump in [FORTY_DAYS_S, -FORTY_DAYS_S] {
        server.clock.jump(jump);
        unavailable(&server.query(&request()).await, FailInfo::TimeNotAvailable);
        let why = server.tsa.readiness().unwrap_err().to_string();
        assert!(
            why.contains("jumped 3456000 s") && why.contains("start the service anew"),
            "{why}"
        );
        server.clock.jump(-jump);
        assert_eq!(server.query(&request()).await.verified(&server.chain).gen_time.0, NOW);
    }
}

#[tokio::test]
async fn a_frozen_authority_tells_its_chain_and_stamps_nothing() {
    let config = TsaConfig { frozen: true, ..Authority::new().config() };
    let server = Server::of(config);
    server.clock.set(NOT_AFTER + 1);
    let answer = server.query(&request()).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.fail_info(), FailInfo::BadRequest);
    let message = server.post(JSON, JSON_BODY).await;
    assert!(message.problem(StatusCode::METHOD_NOT_ALLOWED).contains("is frozen"));
    assert_eq!(server.tsa.readiness(), Ok(()), "it is as it should be");
}

#[tokio::test]
async fn stamps_until_the_last_second_of_its_certificate() {
    let server = Server::new();
    server.clock.set(NOT_AFTER);
    server.query(&request()).await.verified(&server.chain);
    server.clock.set(NOT_AFTER + 1);
    unavailable(&server.query(&request()).await, FailInfo::SystemFailure);
    assert_eq!(server.tsa.readiness(), Err(NotReady::OutsideValidity));
    server.post(JSON, JSON_BODY).await.problem(StatusCode::SERVICE_UNAVAILABLE);
}

/// A signer that does something else than signing first, or instead.
struct Odd<F> {
    inner: LocalSigner,
    sign: F,
}

#[async_trait::async_trait]
impl<F> Signer for Odd<F>
where
    F: AsyncFnSigner,
{
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.sign.sign(&self.inner, message).await
    }
    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }
    fn key_id(&self) -> &str {
        self.inner.key_id()
    }
}

#[async_trait::async_trait]
trait AsyncFnSigner: Send + Sync + 'static {
    async fn sign(&self, key: &LocalSigner, message: &[u8]) -> Result<Vec<u8>, SignerError>;
}

/// Is away.
struct Away;

#[async_trait::async_trait]
impl AsyncFnSigner for Away {
    async fn sign(&self, key: &LocalSigner, _: &[u8]) -> Result<Vec<u8>, SignerError> {
        let reason = "the token was removed".to_owned();
        Err(SignerError::Unavailable { key_id: key.key_id().to_owned(), reason })
    }
}

/// Answers later, from the runtime's timers, as a KMS client would.
struct Remote;

#[async_trait::async_trait]
impl AsyncFnSigner for Remote {
    async fn sign(&self, key: &LocalSigner, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let answer = async {
            tokio::task::yield_now().await;
            key.sign_now(message)
        };
        tokio::time::timeout(Duration::from_mins(1), answer).await.unwrap()
    }
}

/// Signs something else from the second time on, as from a wrong HSM slot.
#[derive(Default)]
struct WrongLater(AtomicU32);

#[async_trait::async_trait]
impl AsyncFnSigner for WrongLater {
    async fn sign(&self, key: &LocalSigner, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        key.sign_now(if first { message } else { b"something else" })
    }
}

#[tokio::test]
async fn answers_503_when_the_key_is_away() {
    let server = Server::signing_with(|inner| Odd { inner, sign: Away });
    let answer = server.query(&request()).await;
    unavailable(&answer, FailInfo::SystemFailure);
    assert!(!answer.body.windows(5).any(|window| window == b"token"));
    let message = server.post(JSON, JSON_BODY).await.problem(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(message, "no signature could be made");
}

#[tokio::test]
async fn waits_for_a_remote_key() {
    let server = Server::signing_with(|inner| Odd { inner, sign: Remote });
    server.query(&request()).await.verified(&server.chain);
}

#[tokio::test]
async fn releases_no_token_that_was_verified_and_is_wrong() {
    let Authority { chain, signer: inner } = Authority::new();
    let mut config = TsaConfig::new(Arc::new(Odd { inner, sign: WrongLater::default() }), chain);
    config.verify_every = 1;
    let server = Server::of(config);
    server.query(&request()).await.verified(&server.chain);
    unavailable(&server.query(&request()).await, FailInfo::SystemFailure);
}

/// Is in memory, and signs something else from the second time on.
struct Broken {
    inner: LocalSigner,
    signatures: AtomicU32,
}

impl SignNow for Broken {
    fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let first = self.signatures.fetch_add(1, Ordering::Relaxed) == 0;
        self.inner.sign_now(if first { message } else { b"something else" })
    }
}

#[async_trait::async_trait]
impl Signer for Broken {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.sign_now(message)
    }
    fn in_memory(&self) -> Option<&dyn SignNow> {
        Some(self)
    }
    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }
    fn key_id(&self) -> &str {
        self.inner.key_id()
    }
}

/// What an authority with this key and `verify_every = 3` answers, one request after the other.
async fn statuses(signer: Arc<dyn Signer>, chain: Vec<Vec<u8>>) -> [u16; 6] {
    let mut config = TsaConfig::new(signer, chain);
    config.verify_every = 3;
    let server = Server::of(config);
    let mut statuses = [0; 6];
    for status in &mut statuses {
        *status = server.query(&request()).await.status.as_u16();
    }
    statuses
}

#[tokio::test]
async fn verifies_the_first_token_and_then_one_in_so_many() {
    let Authority { chain, signer: inner } = Authority::new();
    let broken = Broken { inner, signatures: AtomicU32::default() };
    let statuses = statuses(Arc::new(broken), chain).await;
    assert_eq!(statuses, [200, 200, 200, 503, 503, 503], "and each after one that was wrong");
}

#[tokio::test]
async fn verifies_each_token_of_a_key_that_is_elsewhere() {
    let Authority { chain, signer: inner } = Authority::new();
    let odd = Odd { inner, sign: WrongLater::default() };
    assert_eq!(statuses(Arc::new(odd), chain).await, [200, 503, 503, 503, 503, 503]);
}

#[tokio::test]
async fn answers_503_when_too_much_is_waiting() {
    let server = Server::new();
    let (open, gate) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel::<()>();
    let mut blocked = Box::pin(server.cpu.run(move || {
        begin.send(()).unwrap();
        gate.recv()
    }));
    assert!((&mut blocked).now_or_never().is_none());
    // Taken later, it would leave a place after the queue was found full.
    begun.recv().unwrap();
    let mut waiting = Vec::new();
    loop {
        let mut job = Box::pin(server.cpu.run(|| ()));
        if (&mut job).now_or_never().is_some() {
            break;
        }
        waiting.push(job);
    }
    unavailable(&server.query(&request()).await, FailInfo::SystemFailure);
    open.send(()).unwrap();
    blocked.await.unwrap().unwrap();
    futures::future::join_all(waiting).await;
    server.query(&request()).await.verified(&server.chain);
}
