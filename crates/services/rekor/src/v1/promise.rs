//! Signed entry timestamps: made once, verified, kept.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use crypto::{PublicKey, SignatureError, Signer, SignerError};
use entry::rekor1::set_payload;
use service::CpuPool;

use super::{Rekor1Error, keeper::Keeper};

/// Makes SETs and hands them to their keeper.
pub(super) struct Promises {
    pub(super) signer: Arc<dyn Signer>,
    /// The log's, whatever the signer says of itself.
    pub(super) public_key: PublicKey,
    pub(super) cpu: CpuPool,
    pub(super) keeper: Arc<Keeper>,
    pub(super) log_id: [u8; 32],
}

/// What a SET is about.
pub(super) struct Promised<'a> {
    pub(super) index: u64,
    pub(super) integrated_at: u64,
    pub(super) body: &'a [u8],
}

impl Promises {
    /// The entry's SET: the stored one, the one that is about to be stored, or a new one.
    ///
    /// Each is verified before it leaves; a stored one that does not verify is replaced in the
    /// answer, and left for fsck to find, for nothing that is stored is ever changed.
    pub(super) async fn promise(
        &self,
        promised: &Promised<'_>,
        stored: Bytes,
    ) -> Result<Bytes, Rekor1Error> {
        let index = promised.index;
        let payload: Arc<[u8]> =
            set_payload(promised.body, promised.integrated_at, &self.log_id, index).into();
        let made = if stored.is_empty() { self.keeper.fresh(index) } else { Some(stored) };
        if let Some(set) = made {
            match self.verify(&payload, &set).await? {
                Ok(()) => return Ok(set),
                Err(error) => tracing::error!(log.leaf_index = index, error = %error,
                    "the stored timestamp of an entry is not this log's; run fsck"),
            }
        }
        let set = self.sign(payload).await?;
        // Of two that were signed at once, both callers get the one that will be stored.
        Ok(self.keeper.keep(index, set))
    }

    /// A new SET, verified.
    async fn sign(&self, payload: Arc<[u8]>) -> Result<Bytes, Rekor1Error> {
        if self.signer.in_memory().is_some() {
            let (signer, key) = (Arc::clone(&self.signer), self.public_key.clone());
            return self
                .cpu
                .run_next(move || sign_in_memory(signer.as_ref(), &key, &payload))
                .await?;
        }
        let signed = tokio::time::timeout(SIGNING_TIME, self.signer.sign(&payload)).await;
        let set = signed.unwrap_or_else(|_| Err(late(self.signer.as_ref())));
        let set = Bytes::from(set.map_err(Rekor1Error::Signing)?);
        self.verify(&payload, &set).await?.map_err(Rekor1Error::Signature)?;
        Ok(set)
    }

    async fn verify(
        &self,
        payload: &Arc<[u8]>,
        set: &Bytes,
    ) -> Result<Result<(), SignatureError>, Rekor1Error> {
        let key = self.public_key.clone();
        let (payload, set) = (Arc::clone(payload), set.clone());
        Ok(self.cpu.run_next(move || key.verify(&payload, &set)).await?)
    }
}

/// Both in one step on a thread for computing: a way to it and back takes as long as the signature.
fn sign_in_memory(
    signer: &dyn Signer,
    public_key: &PublicKey,
    payload: &[u8],
) -> Result<Bytes, Rekor1Error> {
    let key = signer.in_memory().ok_or_else(|| Rekor1Error::Signing(late(signer)))?;
    let set = key.sign_now(payload).map_err(Rekor1Error::Signing)?;
    public_key.verify(payload, &set).map_err(Rekor1Error::Signature)?;
    Ok(set.into())
}

fn late(signer: &dyn Signer) -> SignerError {
    let (key_id, reason) = (signer.key_id().to_owned(), "no answer in time".to_owned());
    SignerError::Unavailable { key_id, reason }
}

/// A remote key answers in tens of milliseconds.
const SIGNING_TIME: Duration = Duration::from_secs(5);
