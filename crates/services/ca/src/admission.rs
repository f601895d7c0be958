//! From a request to what will be certified: an identity, a key, and the proof that they belong
//! together. Everything here costs CPU time and nothing waits, so it runs as one job.

use std::{collections::HashMap, sync::Arc};

use crypto::PublicKey;
use futures::future::join_all;
use identity::{Principal, UnverifiedClaims, VerificationError};
use moment::UnixSeconds;
use x509::{lint, proof};

use crate::{
    ClaimedKey, EncodedKey, IssueError, KeysError, audit,
    issuers::{Doubt, Issuer, Issuers, VerifyingKey},
};

/// An identity that showed a valid token and holds the key.
pub(crate) struct Admitted {
    /// `iss` of the token.
    pub(crate) issuer: String,
    pub(crate) principal: Principal,
    pub(crate) public_key: PublicKey,
}

/// A request: whose its token is, and the key that it brings.
pub(crate) struct Inquiry {
    bearer: Bearer,
    key: ClaimedKey,
}

/// A token, and every entry of the configuration that it may be of.
pub(crate) struct Bearer {
    token: UnverifiedClaims,
    entries: Vec<Entry>,
}

/// An entry with those of its keys that the token may be signed with.
struct Entry {
    issuer: Arc<Issuer>,
    keys: Vec<VerifyingKey>,
    /// All but the signature was found to be in order.
    only_key_missing: bool,
    unavailable: Option<KeysError>,
}

/// What became of an inquiry.
pub(crate) enum Decision {
    Admitted(Box<Admitted>),
    /// No key verifies the signature of a token that is in order otherwise.
    NoKey(Box<Inquiry>),
}

impl Inquiry {
    /// Takes the keys that are known, and waits for nobody.
    pub(crate) fn new(
        token: UnverifiedClaims,
        key: ClaimedKey,
        issuers: &Issuers,
    ) -> Result<Self, IssueError> {
        Ok(Self { bearer: Bearer::new(token, issuers)?, key })
    }

    /// Verifies the token, then that the key is sound and held by whoever holds the token.
    pub(crate) fn decide(mut self, now: UnixSeconds) -> Result<Decision, IssueError> {
        let Some(principal) = self.bearer.principal(now)? else {
            return Ok(Decision::NoKey(Box::new(self)));
        };
        let public_key = match &self.key {
            ClaimedKey::Proven { public_key, proof_of_possession } => {
                proven_key(public_key, proof_of_possession, &principal)?
            }
            ClaimedKey::CertificateSigningRequest(pem) => {
                let key = proof::parse_csr(pem)?;
                lint::client_key(&key)?;
                key
            }
        };
        let issuer = self.bearer.token.issuer().to_owned();
        Ok(Decision::Admitted(Box::new(Admitted { issuer, principal, public_key })))
    }

    /// [`Bearer::renew`].
    pub(crate) async fn renew(mut self) -> Result<Self, IssueError> {
        self.bearer = self.bearer.renew().await?;
        Ok(self)
    }

    /// [`Bearer::no_key`].
    pub(crate) fn no_key(self) -> IssueError {
        self.bearer.no_key()
    }
}

impl Bearer {
    /// Takes the keys that are known, and waits for nobody.
    pub(crate) fn new(token: UnverifiedClaims, issuers: &Issuers) -> Result<Self, IssueError> {
        let with_keys = |issuer: Arc<Issuer>| {
            let keys = issuer.keys_at_hand(token.issuer(), token.key_id(), token.algorithm());
            Entry { issuer, keys, only_key_missing: false, unavailable: None }
        };
        let entries: Vec<Entry> =
            issuers.candidates(token.issuer()).into_iter().map(with_keys).collect();
        if entries.is_empty() {
            return Err(IssueError::UnknownIssuer);
        }
        Ok(Self { token, entries })
    }

    /// Whose the token is: exactly one entry must grant it, or nothing would tell which of two
    /// identities was meant. `None` when a key is all that is missing.
    pub(crate) fn principal(&mut self, now: UnixSeconds) -> Result<Option<Principal>, IssueError> {
        let mut granted: Option<(Principal, Arc<Issuer>)> = None;
        let mut refusal: Option<IssueError> = None;
        // Entries of one source have the same keys, each of which is tried once.
        let mut tried = HashMap::new();
        for entry in &mut self.entries {
            match entry.ask(&self.token, now, &mut tried) {
                Ok(_) if granted.is_some() => return Err(IssueError::Ambiguous),
                Ok(principal) => granted = Some((principal, Arc::clone(&entry.issuer))),
                Err(error) => {
                    let telling = |known: &IssueError| progress(known) >= progress(&error);
                    if !refusal.as_ref().is_some_and(telling) {
                        refusal = Some(error);
                    }
                }
            }
        }
        match (granted, refusal) {
            (Some((principal, issuer)), _) => {
                issuer.note_granted(self.token.issuer());
                Ok(Some(principal))
            }
            (None, None | Some(IssueError::Verification(VerificationError::Signature))) => Ok(None),
            (None, Some(error)) => Err(error),
        }
    }

    /// Asks the issuers whose keys do not verify the signature, if they may be asked.
    ///
    /// # Errors
    /// When no key came of it that could.
    pub(crate) async fn renew(mut self) -> Result<Self, IssueError> {
        let token = &self.token;
        let renewed = self.entries.iter_mut().filter(|entry| entry.only_key_missing).map(
            async |entry: &mut Entry| {
                let doubt = Doubt { issued_at: token.issued_at(), has_key: !entry.keys.is_empty() };
                let keys = entry.issuer.renewed_keys(
                    token.issuer(),
                    token.key_id(),
                    token.algorithm(),
                    doubt,
                );
                match keys.await {
                    Ok(keys) => entry.keys = keys,
                    Err(error) => {
                        entry.keys.clear();
                        entry.unavailable = Some(error);
                    }
                }
            },
        );
        join_all(renewed).await;
        if self.entries.iter().all(|entry| entry.keys.is_empty()) {
            return Err(self.no_key());
        }
        Ok(self)
    }

    /// Why the token is refused when renewed keys do not verify it either.
    pub(crate) fn no_key(self) -> IssueError {
        let has_key = self.entries.iter().any(|entry| !entry.keys.is_empty());
        let mut errors = self.entries.into_iter().filter_map(|entry| entry.unavailable);
        // Who cannot be asked may have the key.
        match errors.find(|error| !matches!(error, KeysError::UnknownKey)) {
            Some(error) => error.into(),
            None if has_key => VerificationError::Signature.into(),
            None => IssueError::UnknownTokenKey,
        }
    }
}

impl Entry {
    /// `tried` has by digest which keys were found to verify the token, and which not.
    fn ask(
        &mut self,
        token: &UnverifiedClaims,
        now: UnixSeconds,
        tried: &mut HashMap<[u8; 32], bool>,
    ) -> Result<Principal, IssueError> {
        let algorithm = token.algorithm();
        let keys = &self.keys;
        let verified = token.verify(&self.issuer.config, now, |message, signature| {
            keys.iter().any(|key| {
                let verifies = || key.verifies(algorithm, message, signature);
                *tried.entry(key.sha256()).or_insert_with(verifies)
            })
        });
        self.only_key_missing = matches!(verified, Err(VerificationError::Signature));
        let verified = verified?;
        let principal = verified.principal(&self.issuer.config)?;
        audit::dry_run(&verified, &self.issuer.config, &principal);
        Ok(principal)
    }
}

/// How far a token came with an entry: the further, the more the reason tells.
const fn progress(refusal: &IssueError) -> u8 {
    match refusal {
        IssueError::Verification(error) => match error {
            VerificationError::Issuer => 0,
            VerificationError::Algorithm(_) => 1,
            VerificationError::Audience | VerificationError::Claim(_) => 2,
            VerificationError::Expired
            | VerificationError::NotYetValid
            | VerificationError::TooOld
            | VerificationError::LivesTooLong => 3,
            VerificationError::Signature => 4,
        },
        // Its key has signed the token.
        _ => 5,
    }
}

/// Reads the key and verifies its signature over one of the token's texts. The cheap checks of
/// the key come first: a weak key's signature proves nothing.
fn proven_key(
    key: &EncodedKey,
    signature: &[u8],
    principal: &Principal,
) -> Result<PublicKey, IssueError> {
    let key = match key {
        EncodedKey::Pem(text) => PublicKey::from_pem(text)?,
        EncodedKey::Der(der) => PublicKey::from_spki_der(der)?,
    };
    lint::client_key(&key)?;
    let proven = principal
        .challenges
        .iter()
        .any(|challenge| proof::verify_challenge(&key, challenge, signature).is_ok());
    if proven { Ok(key) } else { Err(IssueError::Proof) }
}
