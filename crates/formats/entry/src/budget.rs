use crypto::{AuthorityKey, KeyFamily};

use crate::EntryError;

/// How many signatures may be verified for one request, counted before each is.
///
/// Whoever asks chooses how many keys, certificates and signatures there are, of which kind, and in which
/// order; a verification for each pair would turn a few kilobytes into a tenth of a second. Costs are in
/// verifications by P-256, of which one takes about 45 µs: by P-384 it takes three times as long, by
/// P-521 and RSA-8192 five times. No shape of a request costs more than its budget.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    spent: usize,
    verifications: usize,
}

impl Budget {
    /// What nearly every honest request needs: one signature, with a chain or in an envelope too.
    const FEW: usize = 16;

    /// Ten P-256 signers of an envelope in any order (at most 55), ten P-521 signers in the envelope's order,
    /// or the longest chain of the dearest kind (nine of 5) with its signature.
    const WHOLE: usize = 64;

    /// Ten entries proposed with a chain of three each, and somewhat more.
    const OF_QUESTION: usize = 128;

    /// For what is to be tried among cheap requests; what it does not suffice for is a dear one.
    #[must_use]
    pub const fn few() -> Self {
        Self::of(Self::FEW)
    }

    /// For one request.
    #[must_use]
    pub const fn whole() -> Self {
        Self::of(Self::WHOLE)
    }

    /// For a question that proposes several entries: one budget for all of them.
    #[must_use]
    pub const fn of_question() -> Self {
        Self::of(Self::OF_QUESTION)
    }

    const fn of(limit: usize) -> Self {
        Self { limit, spent: 0, verifications: 0 }
    }

    /// Verifications that were made so far, of any kind.
    #[must_use]
    pub const fn verifications(&self) -> usize {
        self.verifications
    }

    /// What they cost, in verifications by P-256.
    #[must_use]
    pub const fn spent(&self) -> usize {
        self.spent
    }

    /// Refuses what would need `verifications` more, before any of them is made.
    pub(crate) fn require(&self, verifications: usize) -> Result<(), EntryError> {
        if self.spent.saturating_add(verifications) > self.limit {
            return Err(EntryError::TooMuchWork { limit: self.limit });
        }
        Ok(())
    }

    /// Pays for one verification of a digest, or of a message that is short.
    pub(crate) fn spend(&mut self, key: &AuthorityKey) -> Result<(), EntryError> {
        self.spend_over(key, 0)
    }

    /// Pays for one verification that reads a message of `length` bytes itself, as pure Ed25519 does.
    pub(crate) fn spend_over(
        &mut self,
        key: &AuthorityKey,
        length: usize,
    ) -> Result<(), EntryError> {
        let cost = cost_of(key).saturating_add(length / BYTES_OF_ONE);
        self.require(cost)?;
        self.spent = self.spent.saturating_add(cost);
        self.verifications = self.verifications.saturating_add(1);
        Ok(())
    }
}

/// Bytes that are hashed in about the time of two verifications: the largest request has one signature by
/// pure Ed25519 over all of its payload, and not two.
const BYTES_OF_ONE: usize = 64 * 1024;

fn cost_of(key: &AuthorityKey) -> usize {
    match key.family() {
        KeyFamily::P256 | KeyFamily::Ed25519 => 1,
        KeyFamily::P384 => 3,
        KeyFamily::P521 => 5,
        // The DER is a little longer than the modulus: 2 for RSA-2048, 3 for 4096 bits, 5 for 8192.
        KeyFamily::Rsa => key.raw().len().div_ceil(256),
    }
}
