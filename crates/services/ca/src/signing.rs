//! One signature of the CA's key: recorded before, made, recorded after, verified.

use crypto::{PublicKey, Signer, Unsigned};
use x509::IssuanceError;

use crate::{IssueError, audit::Trail};

/// How far a signature came on the thread that prepared it.
pub(crate) enum Step<U: Unsigned<Error = IssuanceError>> {
    /// The key is in memory: all is done, without a switch of threads.
    Signed(U::Signed),
    /// The key is elsewhere and has to be waited for.
    ToSign(U),
}

impl<U: Unsigned<Error = IssuanceError>> Step<U> {
    /// Signs `unsigned` at once if that is possible.
    pub(crate) fn of(
        unsigned: U,
        signer: &dyn Signer,
        issuer_key: &PublicKey,
        trail: &Trail,
    ) -> Result<Self, IssueError> {
        let Some(key) = signer.in_memory() else { return Ok(Self::ToSign(unsigned)) };
        trail.signing(U::KIND);
        let signature = key.sign_now(unsigned.bytes_to_sign())?;
        trail.signed(U::KIND);
        Ok(Self::Signed(unsigned.with_signature(&signature, issuer_key)?))
    }
}
