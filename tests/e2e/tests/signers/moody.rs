//! A key that does not always do what it should.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use crypto::{KeyType, LocalSigner, PublicKey, SignNow, SignatureAlgorithm, Signer, SignerError};
use tokio::sync::Notify;

/// What the key does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Signs after a while.
    Slow,
    /// Answers when it is told.
    Held,
    /// Never answers.
    Late,
    /// Signs with the key of another slot.
    Wrong,
    Refusing,
    /// Is away so many times, and well after.
    Flaky(usize),
}

/// A key that has moods about some of the messages that it signs.
pub(crate) struct Moody {
    key: LocalSigner,
    other: LocalSigner,
    minds: fn(&[u8]) -> bool,
    state: Mutex<(bool, Mood)>,
    /// Told by a key that is held, when it is asked.
    pub(crate) asked: Notify,
    /// Lets it answer.
    pub(crate) answer: Notify,
}

impl Moody {
    /// Makes a key that has moods about what it `minds`.
    pub(crate) fn new(key_type: KeyType, minds: fn(&[u8]) -> bool) -> Arc<Self> {
        Self::of(LocalSigner::generate(key_type, "moody").unwrap(), minds)
    }

    pub(crate) fn of(key: LocalSigner, minds: fn(&[u8]) -> bool) -> Arc<Self> {
        let other = LocalSigner::generate(key.public_key().key_type(), "other slot").unwrap();
        Arc::new(Self {
            key,
            other,
            minds,
            state: Mutex::new((true, Mood::Well)),
            asked: Notify::new(),
            answer: Notify::new(),
        })
    }

    pub(crate) fn is(&self, elsewhere: bool, mood: Mood) {
        *self.state.lock().unwrap() = (elsewhere, mood);
    }

    fn mood_about(&self, message: &[u8]) -> Mood {
        if (self.minds)(message) { self.state.lock().unwrap().1 } else { Mood::Well }
    }
}

#[async_trait]
impl Signer for Moody {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match self.mood_about(message) {
            Mood::Slow => tokio::time::sleep(Duration::from_millis(20)).await,
            Mood::Held => {
                self.asked.notify_one();
                self.answer.notified().await;
            }
            Mood::Late => std::future::pending().await,
            _ => {}
        }
        self.sign_now(message)
    }

    fn in_memory(&self) -> Option<&dyn SignNow> {
        let (elsewhere, _) = *self.state.lock().unwrap();
        if elsewhere { None } else { Some(self) }
    }

    fn time_limit(&self) -> Duration {
        let (_, mood) = *self.state.lock().unwrap();
        // A machine under load must not make another key late.
        if mood == Mood::Late { Duration::from_millis(20) } else { Duration::from_mins(1) }
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    fn key_id(&self) -> &'static str {
        "moody"
    }
}

impl SignNow for Moody {
    fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let (key_id, reason) = ("moody".to_owned(), "it is in a mood".to_owned());
        match self.mood_about(message) {
            Mood::Well | Mood::Slow | Mood::Held | Mood::Late | Mood::Flaky(0) => {
                self.key.sign_now(message)
            }
            Mood::Wrong => self.other.sign_now(message),
            Mood::Refusing => Err(SignerError::Refused { key_id, reason }),
            Mood::Flaky(times) => {
                self.state.lock().unwrap().1 = Mood::Flaky(times - 1);
                Err(SignerError::Unavailable { key_id, reason })
            }
        }
    }
}
