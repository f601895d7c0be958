use crypto::{PublicKey, SignatureError, Unsigned};
use moment::UnixSeconds;
use tlog::LeafIndex;

use super::set_payload;

/// A signed entry timestamp (SET) that its log has not signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedSet {
    payload: Vec<u8>,
}

impl UnsignedSet {
    /// Prepares the SET of the entry of `body`; units as for [`set_payload`].
    #[must_use]
    pub fn new(
        body: &[u8],
        integrated_time: UnixSeconds,
        log_id: &[u8; 32],
        log_index: LeafIndex,
    ) -> Self {
        Self { payload: set_payload(body, integrated_time, log_id, log_index) }
    }
}

impl Unsigned for UnsignedSet {
    /// The signature: all else is beside it in an answer.
    type Signed = Vec<u8>;
    type Error = SignatureError;

    const KIND: &'static str = "set";

    fn bytes_to_sign(&self) -> &[u8] {
        &self.payload
    }

    /// # Errors
    /// [`SignatureError`].
    fn with_signature(
        self,
        signature: &[u8],
        log_key: &PublicKey,
    ) -> Result<Vec<u8>, SignatureError> {
        log_key.verify(&self.payload, signature)?;
        Ok(signature.to_vec())
    }
}
