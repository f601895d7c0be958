//! What is verified by sampling.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crypto::{PublicKey, Unsigned, Unverified};

/// Which signatures are verified: the first, then one in so many, and after a wrong one each until one is right.
/// [`crate::SigningKey::sampling`] makes it.
#[derive(Debug)]
pub struct Sampling {
    every: u64,
    /// Signatures that left since one was verified, and that one.
    left: AtomicU64,
}

impl Sampling {
    /// 0 counts as 1: each.
    pub(crate) fn new(every: u32) -> Self {
        let every = u64::from(every.max(1));
        Self { every, left: AtomicU64::new(every) }
    }

    fn is_due(&self) -> bool {
        self.left.load(Ordering::Relaxed) >= self.every
    }

    fn verified(&self) {
        self.left.store(1, Ordering::Relaxed);
    }

    fn passed(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}

/// A value to be signed, whose signature is verified when its turn has come.
#[derive(Debug)]
pub struct Sampled<U> {
    unsigned: U,
    sampling: Arc<Sampling>,
}

impl<U: Unverified> Sampled<U> {
    /// One of those that `sampling` is about.
    #[must_use]
    pub fn new(unsigned: U, sampling: &Arc<Sampling>) -> Self {
        Self { unsigned, sampling: Arc::clone(sampling) }
    }
}

impl<U: Unverified> Unsigned for Sampled<U> {
    type Signed = U::Signed;
    type Error = U::Error;

    const KIND: &'static str = U::KIND;

    fn bytes_to_sign(&self) -> &[u8] {
        self.unsigned.bytes_to_sign()
    }

    fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<U::Signed, U::Error> {
        let Self { unsigned, sampling } = self;
        if sampling.is_due() {
            let signed = unsigned.with_signature(signature, key)?;
            sampling.verified();
            return Ok(signed);
        }
        let signed = unsigned.unverified().with_signature(signature, key)?;
        sampling.passed();
        Ok(signed)
    }
}

#[cfg(test)]
mod tests {
    use crypto::{SignatureError, Signer};

    use super::*;
    use crate::{
        CpuPool, SigningKey,
        sign::tests::{Elsewhere, key},
    };

    struct Text {
        verified: bool,
    }

    impl Unsigned for Text {
        type Signed = ();
        type Error = SignatureError;

        const KIND: &'static str = "text";

        fn bytes_to_sign(&self) -> &[u8] {
            b"text"
        }

        fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<(), SignatureError> {
            if self.verified { key.verify(b"text", signature) } else { Ok(()) }
        }
    }

    impl Unverified for Text {
        fn unverified(self) -> Self {
            Self { verified: false }
        }
    }

    /// Whether signatures, good ones and others, are given out one after the other.
    fn given_out(signer: Arc<dyn Signer>, good: &[bool]) -> Vec<bool> {
        let public_key = signer.public_key().clone();
        let signature = signer.in_memory().map(|signer| signer.sign_now(b"text").unwrap());
        let sampling = SigningKey::of(signer, CpuPool::new(1)).sampling(3);
        let signature = signature.unwrap_or_default();
        let give = |good: &bool| {
            let text = Sampled::new(Text { verified: true }, &sampling);
            text.with_signature(if *good { &signature } else { b"bad" }, &public_key).is_ok()
        };
        good.iter().map(give).collect()
    }

    #[test]
    fn the_first_is_verified_then_one_in_so_many_and_each_after_a_wrong_one() {
        let (good, bad) = (true, false);
        let asked = [bad, good, bad, bad, bad, bad, good, bad];
        let given = [false, true, true, true, false, false, true, true];
        assert_eq!(given_out(Arc::new(key()), &asked), given);
    }

    #[test]
    fn each_of_a_key_elsewhere_is_verified() {
        assert_eq!(given_out(Elsewhere::new(), &[false; 4]), [false; 4]);
    }
}
