use crate::PublicKey;

/// A value that is complete but for its signature.
///
/// It shows the exact bytes to sign. The signature consumes it, and is verified first, so that a wrong
/// key slot is found before a byte leaves. Few may be verified by sampling: [`Unverified`].
pub trait Unsigned: Sized + Send + 'static {
    /// What it becomes.
    type Signed: Send + 'static;
    /// Why it did not.
    type Error: Send + 'static;

    /// What it is, for the audit trail and for metrics: `checkpoint`.
    const KIND: &'static str;

    /// The exact bytes to sign, not their digest.
    fn bytes_to_sign(&self) -> &[u8];

    /// Takes the signature, after it was verified with `key`.
    ///
    /// # Errors
    /// One that says that the signature is not `key`'s, and what else the value has.
    fn with_signature(self, signature: &[u8], key: &PublicKey)
    -> Result<Self::Signed, Self::Error>;
}

/// An [`Unsigned`] of which most may be given out unverified, where the key is in memory and its other signatures
/// were good: somebody else verifies each before it counts, or the number of them is worth more than the check.
pub trait Unverified: Unsigned {
    /// Takes its signature as it comes.
    #[must_use]
    fn unverified(self) -> Self;
}
