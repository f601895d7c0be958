//! Metadata of a role: how it is signed, encoded, read back and when it is due.

use std::{
    collections::HashMap, num::NonZeroU64, ops::Range, str::FromStr, sync::Arc, time::Duration,
};

use bytes::Bytes;
use crypto::{KeyType, PublicKey, Signer, Unsigned};
use moment::UnixSeconds;
use serde::{Serialize, de::DeserializeOwned};
use signing::{CpuPool, KeyUse, Record, SigningKey};
use tough::schema::{
    Role, RoleType, Root, Signature, Signed,
    decoded::{Decoded, Hex},
    key::Key,
};
use tracing::info;

use super::TufError;

/// A key as roots name it, and the one that signs with it.
#[derive(Clone)]
pub(super) struct RoleKey {
    signing: SigningKey,
    pub(super) key: Key,
    pub(super) id: Decoded<Hex>,
}

impl RoleKey {
    pub(super) fn new(signer: Arc<dyn Signer>, cpu: CpuPool) -> Result<Self, TufError> {
        let name = || signer.key_id().to_owned();
        let public_key = signer.public_key().clone();
        if public_key.key_type() != KeyType::EcdsaP256 {
            return Err(TufError::KeyType(name()));
        }
        let key = Key::from_str(&public_key.to_pem());
        let key = key.map_err(|_| TufError::KeyType(name()))?;
        let id = key.key_id().map_err(TufError::Verify)?;
        Ok(Self { signing: SigningKey::new(signer, public_key, cpu), key, id })
    }

    pub(super) const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Name of the key for people.
    pub(super) fn name(&self) -> &str {
        self.signing.key_id()
    }

    /// Signs `role`, which must then count under each of `roots`.
    pub(super) async fn sign<T: Role + Clone + Send + 'static>(
        &self,
        role: T,
        roots: Vec<Root>,
    ) -> Result<Document<T>, TufError> {
        let (key_id, version) = (self.id.clone(), role.version().get());
        let prepare = move || {
            let message = role.canonical_form().map_err(TufError::Verify)?;
            let signed = Signed { signed: role, signatures: Vec::new() };
            let unsigned = UnsignedRole { signed, message, key_id, roots };
            Ok::<_, TufError>((unsigned, OfRole { role: T::TYPE, version }))
        };
        Ok(self.signing.sign_next(prepare).await?.0)
    }
}

/// Metadata that lacks a signature.
struct UnsignedRole<T> {
    signed: Signed<T>,
    message: Vec<u8>,
    key_id: Decoded<Hex>,
    roots: Vec<Root>,
}

impl<T: Role + Clone + Send + 'static> Unsigned for UnsignedRole<T> {
    type Signed = Document<T>;
    type Error = TufError;

    const KIND: &'static str = "tuf_metadata";

    fn bytes_to_sign(&self) -> &[u8] {
        &self.message
    }

    /// # Errors
    /// [`TufError::Signature`], [`TufError::Verify`], [`TufError::Encode`].
    fn with_signature(self, signature: &[u8], key: &PublicKey) -> Result<Document<T>, TufError> {
        let Self { mut signed, message, key_id: keyid, roots } = self;
        key.verify(&message, signature).map_err(TufError::Signature)?;
        signed.signatures.push(Signature { keyid, sig: Decoded::from(signature.to_vec()) });
        for root in &roots {
            root.verify_role(&signed).map_err(TufError::Verify)?;
        }
        // Through a value: its members are sorted, so the same metadata is the same text.
        let mut text = serde_json::to_vec_pretty(&serde_json::to_value(&signed)?)?;
        text.push(b'\n');
        Ok(Document { signed, bytes: text.into() })
    }
}

/// What the audit trail says of metadata.
struct OfRole {
    role: RoleType,
    version: u64,
}

impl Record for OfRole {
    fn write(&self, KeyUse { phase, key_id, .. }: KeyUse<'_>) {
        let Self { role, version } = self;
        info!(
            target: "audit",
            { tuf.role = %role, tuf.version = version, key.id = key_id },
            "{phase} TUF metadata"
        );
    }
}

/// Signed metadata and the very bytes that are served.
#[derive(Debug, Clone)]
pub(super) struct Document<T> {
    pub(super) signed: Signed<T>,
    pub(super) bytes: Bytes,
}

impl<T: Role + Clone> Document<T> {
    /// Reads metadata; its signatures are not looked at.
    pub(super) fn parse(bytes: Bytes) -> Option<Self>
    where
        T: DeserializeOwned,
    {
        let signed = wire::json::from_slice(&bytes).ok()?;
        Some(Self { signed, bytes })
    }

    pub(super) fn version(&self) -> u64 {
        self.signed.signed.version().get()
    }

    /// Whether `root` names enough of its signers.
    pub(super) fn is_signed_under(&self, root: &Document<Root>) -> bool
    where
        T: Serialize,
    {
        root.signed.signed.verify_role(&self.signed).is_ok()
    }

    /// When it was signed, as far as its expiry tells.
    pub(super) fn signed_at(&self, lifetime: Lifetime) -> UnixSeconds {
        self.expires().saturating_sub(lifetime.whole)
    }

    /// When it is not yet time for a new version.
    ///
    /// Nor is it before it was signed: a clock went back, and an old version would
    /// stay acceptable far longer than its life.
    pub(super) fn fresh(&self, lifetime: Lifetime) -> Range<UnixSeconds> {
        let signed_at = self.signed_at(lifetime);
        signed_at.saturating_sub(Lifetime::CLOCK_STEP)
            ..signed_at.saturating_add(lifetime.renewed_after)
    }

    pub(super) fn is_due(&self, lifetime: Lifetime, now: UnixSeconds) -> bool {
        !self.fresh(lifetime).contains(&now)
    }

    /// When clients begin to refuse it.
    pub(super) fn expires(&self) -> UnixSeconds {
        // Nothing of before 1970 counts today, whenever it ended.
        UnixSeconds(u64::try_from(self.signed.signed.expires().as_second()).unwrap_or(0))
    }
}

/// How long a role's metadata counts, and when it is signed anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    whole: Duration,
    renewed_after: Duration,
}

impl Lifetime {
    /// Clock corrections up to an hour are no reason to sign.
    const CLOCK_STEP: Duration = Duration::from_hours(1);

    /// Each version is one more step for all clients, so this one waits for two thirds.
    pub(super) const ROOT: Self = Self { whole: days(365), renewed_after: days(243) };

    /// As the root: the same key signs it.
    pub(super) const TARGETS: Self = Self { whole: days(365), renewed_after: days(121) };

    /// Its changes are bound by the timestamp's life, its own only bounds a forgotten mirror.
    pub(super) const SNAPSHOT: Self = Self { whole: days(90), renewed_after: days(30) };

    /// How long a mirror can withhold news. The public instance's value.
    pub(super) const TIMESTAMP: Self =
        Self { whole: days(7), renewed_after: Duration::from_hours(7 * 24 / 3) };

    /// How long a replaced snapshot or targets version stays: who holds the timestamp
    /// that led to it has the time of two of them.
    pub(super) const GRACE: Duration = Self::TIMESTAMP.whole.saturating_mul(2);

    /// The expiry of what is signed at `now`, in whole seconds: python-tuf refuses fractions.
    pub(super) fn expires(self, now: UnixSeconds) -> Result<jiff::Timestamp, TufError> {
        let second = i64::try_from(now.saturating_add(self.whole).0);
        let second = second.map_err(|_| TufError::OutOfRange)?;
        jiff::Timestamp::from_second(second).map_err(|_| TufError::OutOfRange)
    }
}

const fn days(days: u64) -> Duration {
    Duration::from_hours(24 * days)
}

/// The next version after all that were used.
pub(super) fn next_version(used: [u64; 2]) -> Result<NonZeroU64, TufError> {
    let highest = used.into_iter().max().unwrap_or(0);
    highest.checked_add(1).and_then(NonZeroU64::new).ok_or(TufError::OutOfRange)
}

/// For the members that tough keeps of metadata newer than itself.
pub(super) fn nothing_extra() -> HashMap<String, serde_json::Value> {
    HashMap::new()
}

/// The version of the TUF specification that all metadata names.
pub(super) const SPEC_VERSION: &str = "1.0.0";
