//! What is known of a key from its last uses, and how an idle one is tried.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crypto::{PublicKey, SignatureError, Unsigned};

use crate::{KeyUse, Record, SigningKey};

/// What is wrong with a key, as of its last uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTrouble {
    /// Name of the key for people.
    pub key_id: String,
    /// The word of `countersign_signature_seconds` for the last use.
    pub outcome: &'static str,
    /// Uses in a row that gave no signature.
    pub failures: u32,
}

/// The last uses of a key. Every one is noted, so a key that is in use needs no trial.
pub(crate) struct Uses(Mutex<LastUse>);

struct LastUse {
    /// `None` before the first.
    at: Option<Instant>,
    failures: u32,
    outcome: &'static str,
    may_pass: bool,
}

impl Uses {
    /// How old the last use may be before a key is tried: a minute's silence would be too long not to know, and
    /// each trial of a key in a cloud costs money.
    const IDLE: Duration = Duration::from_secs(30);

    /// Failures in a row of a key that may come back. One is any network's.
    const THRESHOLD: u32 = 2;

    pub(crate) fn none() -> Self {
        Self(Mutex::new(LastUse { at: None, failures: 0, outcome: "made", may_pass: true }))
    }

    pub(crate) fn note(&self, failure: Option<(&'static str, bool)>) {
        let mut last = self.lock();
        last.at = Some(Instant::now());
        match failure {
            None => last.failures = 0,
            Some((outcome, may_pass)) => {
                last.failures = last.failures.saturating_add(1);
                (last.outcome, last.may_pass) = (outcome, may_pass);
            }
        }
    }

    fn trouble(&self) -> Option<(&'static str, u32)> {
        let last = self.lock();
        let threshold = if last.may_pass { Self::THRESHOLD } else { 1 };
        (last.failures >= threshold).then_some((last.outcome, last.failures))
    }

    fn is_due(&self) -> bool {
        let last = self.lock();
        last.failures > 0 || last.at.is_none_or(|at| at.elapsed() >= Self::IDLE)
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, LastUse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SigningKey {
    /// What is wrong with the key, as of its last uses; `None` when nothing is known to be.
    #[must_use]
    pub fn trouble(&self) -> Option<KeyTrouble> {
        let (outcome, failures) = self.uses().trouble()?;
        Some(KeyTrouble { key_id: self.key_id().to_owned(), outcome, failures })
    }

    /// Tries the key, if it was not used for a while or gave no signature the last time; to be called every few
    /// seconds. What comes of it is in [`SigningKey::trouble`], and takes no longer than any other signature.
    pub async fn try_if_idle(&self) {
        if self.uses().is_due() {
            // Its end is noted, as that of every use.
            let _ = self.sign(Trial, OfTrial).await;
        }
    }
}

/// Something to sign that says nothing, so that nobody can use the signature.
///
/// Its first byte begins none of what the keys of services sign: neither DER (a SEQUENCE or SET), nor JSON, nor a
/// checkpoint's origin (it is no UTF-8), nor an SCT or tree head (version 0), nor a DSSE envelope's `DSSEv1`.
struct Trial;

const TRIAL: &[u8] = b"\xffcountersign: a trial of this key, which says nothing";

impl Unsigned for Trial {
    type Signed = ();
    type Error = SignatureError;

    const KIND: &'static str = "trial";

    fn bytes_to_sign(&self) -> &[u8] {
        TRIAL
    }

    fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<(), SignatureError> {
        key.verify(TRIAL, signature)
    }
}

struct OfTrial;

impl Record for OfTrial {
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        tracing::debug!(target: "audit", { key.id = key_id }, "{phase} a trial of the key");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use async_trait::async_trait;
    use crypto::{KeyType, LocalSigner, SignatureAlgorithm, Signer, SignerError};

    use super::*;
    use crate::CpuPool;

    /// A key elsewhere that fails as long as it is told to.
    struct Moody {
        key: LocalSigner,
        /// 0: signs. 1: away. 2: refuses. 3: never answers. 4: the answer of another key.
        mood: AtomicU32,
        asked: AtomicU32,
    }

    #[async_trait]
    impl Signer for Moody {
        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let (key_id, reason) = ("key".to_owned(), "told to".to_owned());
            match self.mood.load(Ordering::SeqCst) {
                0 => self.key.sign(message).await,
                1 => Err(SignerError::Unavailable { key_id, reason }),
                2 => Err(SignerError::Refused { key_id, reason }),
                3 => std::future::pending().await,
                _ => self.key.sign(b"something else").await,
            }
        }

        fn time_limit(&self) -> Duration {
            // A machine under load must not make another mood late.
            let is_silent = self.mood.load(Ordering::SeqCst) == 3;
            if is_silent { Duration::from_millis(20) } else { Duration::from_mins(1) }
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

    fn moody() -> (Arc<Moody>, SigningKey) {
        let key = LocalSigner::generate(KeyType::EcdsaP256, "key").unwrap();
        let (mood, asked) = (AtomicU32::new(0), AtomicU32::new(0));
        let moody = Arc::new(Moody { key, mood, asked });
        let key = SigningKey::of(Arc::clone(&moody) as Arc<dyn Signer>, CpuPool::new(1));
        (moody, key)
    }

    #[tokio::test]
    async fn an_idle_key_is_tried_once_and_one_in_use_not_at_all() {
        let (moody, key) = moody();
        assert_eq!(key.trouble(), None);
        key.try_if_idle().await;
        key.try_if_idle().await;
        assert_eq!((moody.asked.load(Ordering::SeqCst), key.trouble()), (1, None));
    }

    #[tokio::test]
    async fn a_key_that_fails_is_tried_until_it_signs_again() {
        for (mood, outcome, threshold) in
            [(1, "unavailable", 2), (2, "refused", 1), (3, "late", 2), (4, "wrong", 1)]
        {
            let (moody, key) = moody();
            moody.mood.store(mood, Ordering::SeqCst);
            for failures in 1..=3 {
                key.try_if_idle().await;
                let told = key.trouble().map(|trouble| (trouble.outcome, trouble.failures));
                let expected = (failures >= threshold).then_some((outcome, failures));
                assert_eq!(told, expected);
            }
            moody.mood.store(0, Ordering::SeqCst);
            key.try_if_idle().await;
            assert_eq!(key.trouble(), None, "well again by itself after {outcome}");
        }
    }

    /// Whatever parses what a service signs must refuse what a trial signs.
    #[test]
    fn a_trial_is_nothing_that_anybody_reads() {
        assert!(String::from_utf8(TRIAL.to_vec()).is_err(), "neither JSON nor a note");
        // DER of a SEQUENCE or SET, version 0 of CT's structures, `DSSEv1`.
        assert!(![0x30, 0x31, 0x00, b'D', b'{'].contains(&TRIAL[0]));
    }
}
