//! One signature of the CA's key: recorded before, made, recorded after, verified.

use crypto::{PublicKey, Signer};
use x509::{
    IssuanceError, IssuedCertificate, Precertificate, UnsignedCertificate, UnsignedPrecertificate,
};

use crate::{
    IssueError,
    audit::{Stage, Trail},
};

/// What waits for the CA's signature.
pub(crate) trait Unsigned: Sized + Send + 'static {
    /// What it becomes.
    type Signed: Send + 'static;

    const STAGE: Stage;

    fn bytes_to_sign(&self) -> &[u8];

    /// Takes the signature after verifying it.
    fn with_signature(
        self,
        signature: &[u8],
        issuer_key: &PublicKey,
    ) -> Result<Self::Signed, IssuanceError>;
}

impl Unsigned for UnsignedPrecertificate {
    type Signed = Precertificate;

    const STAGE: Stage = Stage::Precertificate;

    fn bytes_to_sign(&self) -> &[u8] {
        self.bytes_to_sign()
    }

    fn with_signature(
        self,
        signature: &[u8],
        issuer_key: &PublicKey,
    ) -> Result<Precertificate, IssuanceError> {
        self.with_signature(signature, issuer_key)
    }
}

impl Unsigned for UnsignedCertificate {
    type Signed = IssuedCertificate;

    const STAGE: Stage = Stage::Certificate;

    fn bytes_to_sign(&self) -> &[u8] {
        self.bytes_to_sign()
    }

    fn with_signature(
        self,
        signature: &[u8],
        issuer_key: &PublicKey,
    ) -> Result<IssuedCertificate, IssuanceError> {
        self.with_signature(signature, issuer_key)
    }
}

/// How far a signature came on the thread that prepared it.
pub(crate) enum Step<U: Unsigned> {
    /// The key is in memory: all is done, without a switch of threads.
    Signed(U::Signed),
    /// The key is elsewhere and has to be waited for.
    ToSign(U),
}

impl<U: Unsigned> Step<U> {
    /// Signs `unsigned` at once if that is possible.
    pub(crate) fn of(
        unsigned: U,
        signer: &dyn Signer,
        issuer_key: &PublicKey,
        trail: &Trail,
    ) -> Result<Self, IssueError> {
        let Some(key) = signer.in_memory() else { return Ok(Self::ToSign(unsigned)) };
        trail.signing(U::STAGE);
        let signature = key.sign_now(unsigned.bytes_to_sign())?;
        trail.signed(U::STAGE);
        Ok(Self::Signed(unsigned.with_signature(&signature, issuer_key)?))
    }
}
