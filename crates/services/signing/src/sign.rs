//! The one path to a signature.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use crypto::{PublicKey, SignNow, Signer, SignerError, Unsigned};
use thiserror::Error;

use crate::{CpuPool, Lane, Overloaded, key_health::Uses, sampled::Sampling};

/// A key of a service, and the only way to use it.
///
/// Whatever is signed is prepared, signed and verified on the pool's threads, as one job while the
/// key is in memory: a way to another thread and back takes as long as a signature. A key elsewhere
/// is awaited between two jobs, for [`Signer::time_limit`]. Only the first job of a request can meet
/// a full queue of new work; the second belongs to work that was let in.
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<Pinned>,
    cpu: CpuPool,
}

impl SigningKey {
    /// Signs by `signer`, and gives out what verifies with `public_key`, whatever the signer says of
    /// itself.
    #[must_use]
    pub fn new(signer: Arc<dyn Signer>, public_key: PublicKey, cpu: CpuPool) -> Self {
        Self { key: Arc::new(Pinned { signer, public_key, uses: Uses::none() }), cpu }
    }

    /// Signs by `signer`, and gives out what verifies with the public key that it has now.
    #[must_use]
    pub fn of(signer: Arc<dyn Signer>, cpu: CpuPool) -> Self {
        let public_key = signer.public_key().clone();
        Self::new(signer, public_key, cpu)
    }

    /// The key that all its signatures verify with.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key.public_key
    }

    /// Name of the key for people.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.key.signer.key_id()
    }

    /// That one signature in `every` is verified, of a key in memory: what comes from elsewhere takes longer than its
    /// verification, and may be of another key slot.
    #[must_use]
    pub fn sampling(&self, every: u32) -> Arc<Sampling> {
        Arc::new(Sampling::new(self.key.signer.in_memory().map_or(1, |_| every)))
    }

    pub(crate) fn uses(&self) -> &Uses {
        &self.key.uses
    }

    /// Signs what is prepared, as a step of accepted work.
    ///
    /// # Errors
    /// [`SignError`]; nothing is given out then.
    pub async fn sign<U: Unsigned, R: Record>(
        &self,
        unsigned: U,
        record: R,
    ) -> Result<U::Signed, SignError<U::Error>> {
        let signed = if self.key.signer.in_memory().is_some() {
            self.sign_next(move || Ok((unsigned, record))).await
        } else {
            Box::pin(self.wait(unsigned, record)).await
        };
        signed.map(|(signed, _)| signed)
    }

    /// Prepares on the pool what a new request asks for, and signs it.
    ///
    /// # Errors
    /// That of `prepare`, or of [`SigningKey::sign`]; [`SignError::Overloaded`] also when the queue is
    /// full of new work.
    pub async fn sign_new<U: Unsigned, R: Record, E: From<SignError<U::Error>> + Send + 'static>(
        &self,
        prepare: impl FnOnce() -> Result<(U, R), E> + Send + 'static,
    ) -> Result<(U::Signed, R), E> {
        self.sign_in(&mut Lane::New, prepare).await
    }

    /// Like [`SigningKey::sign_new`] for a further step of work that was let in.
    ///
    /// # Errors
    /// That of `prepare`, or of [`SigningKey::sign`].
    pub async fn sign_next<
        U: Unsigned,
        R: Record,
        E: From<SignError<U::Error>> + Send + 'static,
    >(
        &self,
        prepare: impl FnOnce() -> Result<(U, R), E> + Send + 'static,
    ) -> Result<(U::Signed, R), E> {
        self.sign_in(&mut Lane::Next, prepare).await
    }

    /// Prepares on the pool, and signs, as the job of a request whose turn it is.
    ///
    /// # Errors
    /// That of `prepare`, or of [`SigningKey::sign`]; [`SignError::Overloaded`] when it is the request's
    /// first job and the queue is full.
    pub async fn sign_in<U: Unsigned, R: Record, E: From<SignError<U::Error>> + Send + 'static>(
        &self,
        lane: &mut Lane,
        prepare: impl FnOnce() -> Result<(U, R), E> + Send + 'static,
    ) -> Result<(U::Signed, R), E> {
        let key = Arc::clone(&self.key);
        let job = move || {
            let (unsigned, record) = prepare()?;
            Ok::<_, E>(match key.signer.in_memory() {
                Some(signer) => Reached::Signed(key.sign_here(signer, unsigned, record)?),
                None => Reached::Prepared(unsigned, record),
            })
        };
        match self.cpu.run_in(lane, job).await.map_err(SignError::from)?? {
            Reached::Signed(signed) => Ok(signed),
            // Boxed: who never waits should not carry the room for it through every future above.
            Reached::Prepared(unsigned, record) => Ok(Box::pin(self.wait(unsigned, record)).await?),
        }
    }

    /// Asks a key elsewhere, and verifies its answer on the pool.
    async fn wait<U: Unsigned, R: Record>(
        &self,
        unsigned: U,
        record: R,
    ) -> Result<(U::Signed, R), SignError<U::Error>> {
        let key = &self.key;
        record.write(key.used_for::<U>(Phase::Signing));
        let (begun, limit) = (Instant::now(), key.signer.time_limit());
        let signed = tokio::time::timeout(limit, key.signer.sign(unsigned.bytes_to_sign())).await;
        let late = |_| Err(SignerError::Late { key_id: self.key_id().to_owned(), limit });
        let answer = Answer { signature: signed.unwrap_or_else(late), took: begun.elapsed() };
        if answer.signature.is_err() {
            return key.verified(unsigned, answer, record);
        }
        let key = Arc::clone(key);
        self.cpu.run_next(move || key.verified(unsigned, answer, record)).await
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

struct Pinned {
    signer: Arc<dyn Signer>,
    public_key: PublicKey,
    uses: Uses,
}

impl Pinned {
    fn sign_here<U: Unsigned, R: Record>(
        &self,
        signer: &dyn SignNow,
        unsigned: U,
        record: R,
    ) -> Result<(U::Signed, R), SignError<U::Error>> {
        record.write(self.used_for::<U>(Phase::Signing));
        let begun = Instant::now();
        let signature = signer.sign_now(unsigned.bytes_to_sign());
        let answer = Answer { signature, took: begun.elapsed() };
        self.verified(unsigned, answer, record)
    }

    fn verified<U: Unsigned, R: Record>(
        &self,
        unsigned: U,
        Answer { signature, took }: Answer,
        record: R,
    ) -> Result<(U::Signed, R), SignError<U::Error>> {
        let signed = signature.map_err(SignError::Signer).and_then(|signature| {
            unsigned.with_signature(&signature, &self.public_key).map_err(SignError::Signature)
        });
        let outcome = signed.as_ref().map_or_else(SignError::outcome, |_| "made");
        metrics::histogram!("countersign_signature_seconds", "signs" => U::KIND, "outcome" => outcome)
            .record(took);
        let failure = signed.as_ref().err();
        self.uses.note(failure.map(|error| (error.outcome(), error.is_passing())));
        let signed = signed?;
        record.write(self.used_for::<U>(Phase::Signed));
        Ok((signed, record))
    }

    fn used_for<U: Unsigned>(&self, phase: Phase) -> KeyUse<'_> {
        KeyUse { phase, signs: U::KIND, key_id: self.signer.key_id() }
    }
}

/// What a signer answered, and after how long.
struct Answer {
    signature: Result<Vec<u8>, SignerError>,
    took: Duration,
}

/// How far the first job came.
enum Reached<S, U, R> {
    Signed((S, R)),
    Prepared(U, R),
}

/// What the audit trail says of one use of a key.
pub trait Record: Send + 'static {
    /// Writes a line of target `audit`: before the key is used, and once its signature is verified,
    /// as far as [`Unsigned::with_signature`] does.
    ///
    /// "Signing" without its "signed" tells of a crash, or of a signer that failed. The fields name
    /// what is signed; tokens, keys and what nobody has verified never appear.
    fn write(&self, key_use: KeyUse<'_>);
}

impl<R: Record + Sync> Record for Arc<R> {
    fn write(&self, key_use: KeyUse<'_>) {
        (**self).write(key_use);
    }
}

/// A key in use.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// Before or after.
    pub phase: Phase,
    /// [`Unsigned::KIND`].
    pub signs: &'static str,
    /// [`Signer::key_id`].
    pub key_id: &'a str,
}

/// Before or after a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The key is about to be used.
    Signing,
    /// The signature is made and verified.
    Signed,
}

impl Phase {
    /// `signing` or `signed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Signed => "signed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why nothing was signed; `E` is [`Unsigned::Error`].
#[derive(Debug, Error)]
pub enum SignError<E> {
    /// The signer gave no signature.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The signer's answer is no signature of the key over what was prepared.
    #[error("the signature does not verify with the key that it must be of")]
    Signature(#[source] E),
    /// Too much waits for the pool.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

impl<E> SignError<E> {
    /// Whether trying again may help: a key that refuses, or is another one, stays so until its operator acts.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Signer(error) => error.is_passing(),
            Self::Signature(_) => false,
            Self::Overloaded(_) => true,
        }
    }

    /// The word for it in metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Signer(SignerError::Late { .. }) => "late",
            Self::Signer(SignerError::Unavailable { .. }) => "unavailable",
            Self::Signer(SignerError::Refused { .. }) => "refused",
            Self::Signature(_) => "wrong",
            Self::Overloaded(_) => "overloaded",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        sync::{Mutex, mpsc},
        thread::ThreadId,
    };

    use async_trait::async_trait;
    use crypto::{KeyType, LocalSigner, SignatureAlgorithm, SignatureError};
    use tokio::{sync::Notify, task::JoinHandle};

    use super::*;

    /// Notes on which threads it is prepared, signed and verified.
    type Threads = Arc<Mutex<Vec<ThreadId>>>;

    struct Text(Threads);

    impl Unsigned for Text {
        type Signed = ();
        type Error = SignatureError;

        const KIND: &'static str = "text";

        fn bytes_to_sign(&self) -> &[u8] {
            self.0.lock().unwrap().push(std::thread::current().id());
            b"text"
        }

        fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<(), SignatureError> {
            self.0.lock().unwrap().push(std::thread::current().id());
            key.verify(b"text", signature)
        }
    }

    /// Keeps what the audit trail would say.
    #[derive(Clone, Default)]
    struct Steps(Arc<Mutex<Vec<Phase>>>);

    impl Record for Steps {
        fn write(&self, key_use: KeyUse<'_>) {
            assert_eq!((key_use.signs, key_use.key_id), ("text", "key"));
            self.0.lock().unwrap().push(key_use.phase);
        }
    }

    impl Steps {
        fn written(&self) -> Vec<Phase> {
            self.0.lock().unwrap().clone()
        }
    }

    /// A key elsewhere, which answers when it is told.
    pub(crate) struct Elsewhere {
        key: LocalSigner,
        asked: Notify,
        answer: Notify,
    }

    impl Elsewhere {
        pub(crate) fn new() -> Arc<Self> {
            Arc::new(Self { key: key(), asked: Notify::new(), answer: Notify::new() })
        }
    }

    #[async_trait]
    impl Signer for Elsewhere {
        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
            self.asked.notify_one();
            self.answer.notified().await;
            self.key.sign(message).await
        }

        fn time_limit(&self) -> Duration {
            Duration::from_secs(1)
        }

        fn public_key(&self) -> &PublicKey {
            self.key.public_key()
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            self.key.algorithm()
        }

        fn key_id(&self) -> &str {
            self.key.key_id()
        }
    }

    pub(crate) fn key() -> LocalSigner {
        LocalSigner::generate(KeyType::EcdsaP256, "key").unwrap()
    }

    /// Signs as what a new request asks for.
    async fn sign(key: &SigningKey, steps: &Steps) -> (Vec<ThreadId>, Result<(), Failure>) {
        let (threads, steps) = (Threads::default(), steps.clone());
        let text = Text(Arc::clone(&threads));
        let prepare = move || {
            text.0.lock().unwrap().push(std::thread::current().id());
            Ok::<_, Failure>((text, steps))
        };
        let signed = key.sign_new(prepare).await.map(|((), _)| ());
        let threads = threads.lock().unwrap().clone();
        (threads, signed)
    }

    type Failure = SignError<SignatureError>;

    #[tokio::test]
    async fn a_key_in_memory_signs_and_verifies_where_it_was_prepared() {
        let (key, steps) = (SigningKey::of(Arc::new(key()), CpuPool::new(4)), Steps::default());
        let (threads, signed) = sign(&key, &steps).await;
        signed.unwrap();
        assert_eq!(threads.len(), 3);
        assert!(threads.iter().all(|thread| *thread == threads[0]), "{threads:?}");
        assert_ne!(threads[0], std::thread::current().id());
        assert_eq!(steps.written(), [Phase::Signing, Phase::Signed]);

        let threads = Threads::default();
        key.sign(Text(Arc::clone(&threads)), steps).await.unwrap();
        assert!(!threads.lock().unwrap().contains(&std::thread::current().id()));
    }

    #[tokio::test]
    async fn a_key_elsewhere_is_awaited_and_its_answer_verified_on_the_pool() {
        let signer = Elsewhere::new();
        signer.answer.notify_one();
        let (key, steps) = (SigningKey::of(signer, CpuPool::new(1)), Steps::default());
        let (threads, signed) = sign(&key, &steps).await;
        signed.unwrap();
        let here = std::thread::current().id();
        assert_eq!([threads[1] == here, threads[2] == here], [true, false]);
        assert_eq!(steps.written(), [Phase::Signing, Phase::Signed]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_does_not_answer_in_time_is_late() {
        let (key, steps) = (SigningKey::of(Elsewhere::new(), CpuPool::new(1)), Steps::default());
        let signed = key.sign(Text(Threads::default()), steps.clone()).await;
        let Err(SignError::Signer(error @ SignerError::Late { .. })) = signed else {
            panic!("{signed:?}")
        };
        assert_eq!(error.to_string(), "signing key key gave no answer in 1s");
        assert_eq!(steps.written(), [Phase::Signing]);
    }

    #[tokio::test]
    async fn a_signature_of_another_key_than_the_pinned_one_is_not_given_out() {
        let elsewhere = Elsewhere::new();
        elsewhere.answer.notify_one();
        for signer in [Arc::new(key()) as Arc<dyn Signer>, elsewhere] {
            let (pinned, steps) = (key().public_key().clone(), Steps::default());
            let signing = SigningKey::new(signer, pinned, CpuPool::new(1));
            let (_, signed) = sign(&signing, &steps).await;
            let Err(error @ SignError::Signature(_)) = signed else { panic!("{signed:?}") };
            assert_eq!((error.outcome(), error.is_passing()), ("wrong", false));
            assert_eq!(steps.written(), [Phase::Signing]);
        }
    }

    /// Occupies the pool's thread, and fills the queue of new work behind it.
    async fn flood(pool: &CpuPool) -> (mpsc::Sender<()>, Vec<JoinHandle<()>>) {
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let occupy = {
            let pool = pool.clone();
            async move {
                let job = move || {
                    started.send(()).unwrap();
                    held.recv().unwrap_err();
                };
                pool.run(job).await.unwrap();
            }
        };
        let mut callers = vec![tokio::spawn(occupy)];
        running.await.unwrap();
        loop {
            let pool = pool.clone();
            let (done, ended) = tokio::sync::oneshot::channel();
            let caller = tokio::spawn(async move {
                if pool.run(|| ()).await.is_err() {
                    done.send(()).unwrap();
                }
            });
            tokio::task::yield_now().await;
            if caller.is_finished() {
                ended.await.unwrap();
                return (release, callers);
            }
            callers.push(caller);
        }
    }

    #[tokio::test]
    async fn a_queue_full_of_new_work_refuses_only_what_was_not_let_in() {
        let (pool, signer, steps) = (CpuPool::new(1), Elsewhere::new(), Steps::default());
        let key = SigningKey::of(Arc::clone(&signer) as Arc<dyn Signer>, pool.clone());
        let accepted = {
            let (key, steps) = (key.clone(), steps.clone());
            tokio::spawn(async move { sign(&key, &steps).await.1 })
        };
        signer.asked.notified().await;
        let (release, callers) = flood(&pool).await;
        let refused = sign(&key, &steps).await.1;
        assert!(matches!(refused, Err(SignError::Overloaded(_))), "{refused:?}");
        signer.answer.notify_one();
        tokio::task::yield_now().await;
        drop(release);
        accepted.await.unwrap().unwrap();
        assert_eq!(steps.written(), [Phase::Signing, Phase::Signed]);
        for caller in callers {
            caller.await.unwrap();
        }
    }
}
