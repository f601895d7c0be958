//! Who may write to a log.

use std::{fmt, sync::Arc};

use entry::{Signer, VerifiedEntry};
use futures::future::BoxFuture;
use http::{HeaderMap, header};
use thiserror::Error;

/// Who may write to a log.
#[derive(Clone, Default)]
pub enum Writers {
    /// Whoever reaches it.
    #[default]
    Anybody,
    /// Whom its operator names.
    Listed(Arc<dyn Doorkeeper>),
}

/// Knows those whom an operator names. Tokens and certificates are no business of a log: who has issuers and CAs
/// brings this.
pub trait Doorkeeper: Send + Sync {
    /// Whether anybody may write by a token.
    fn takes_tokens(&self) -> bool;

    /// Whether anybody may write by a signature alone.
    fn takes_signers(&self) -> bool;

    /// Whether the bearer of `token` may write, and as much as `length` bytes; asked before a body is read.
    fn bearer<'a>(
        &'a self,
        token: &'a str,
        length: u64,
    ) -> BoxFuture<'a, Result<(), WriterRefusal>>;

    /// Whether who made a signature, which verified, may write, and as much as `length` bytes. Costs a verification
    /// at most, on a thread for it.
    ///
    /// # Errors
    /// [`WriterRefusal::Signer`], [`WriterRefusal::Limited`].
    fn admits(&self, signer: &Signer, length: u64) -> Result<(), WriterRefusal>;
}

/// Why somebody may not write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriterRefusal {
    /// There is none, and the log demands one.
    #[error(
        "this log takes entries of callers with an identity token: send it as `Authorization: Bearer`"
    )]
    NoToken,
    /// It is nobody's, or not for this log.
    #[error("the identity token does not count here: {0}")]
    Token(String),
    /// It may be good: its issuer cannot be asked.
    #[error("the identity token cannot be verified now: {why}")]
    Unverified {
        /// What the issuer did not do.
        why: String,
        /// Seconds after which trying again makes sense.
        retry_after_s: u64,
    },
    /// The signature is good, and of somebody who may not write.
    #[error(
        "this log takes no entries of this signer: its key or the CA of its certificate is not among those that may write"
    )]
    Signer,
    /// It may write, and has written as much as it may for now.
    #[error("more was written than one issuer or subject may: try again in {retry_after_s} s")]
    Limited {
        /// Whole seconds until the next one may be.
        retry_after_s: u64,
    },
}

/// How the sender of a request was let in, before anything of it was read.
pub(crate) enum Pass {
    /// By a token, or since anybody is.
    Given,
    /// Not yet: every signer of the entry has to be known.
    BySigners(Arc<dyn Doorkeeper>),
}

impl Writers {
    /// Looks at the head of a request.
    pub(crate) async fn pass(
        &self,
        headers: &HeaderMap,
        length: u64,
    ) -> Result<Pass, WriterRefusal> {
        let Self::Listed(doorkeeper) = self else { return Ok(Pass::Given) };
        if doorkeeper.takes_tokens()
            && let Some(token) = bearer_token(headers)
        {
            doorkeeper.bearer(token, length).await?;
            return Ok(Pass::Given);
        }
        if doorkeeper.takes_signers() {
            Ok(Pass::BySigners(Arc::clone(doorkeeper)))
        } else {
            Err(WriterRefusal::NoToken)
        }
    }
}

impl Pass {
    /// Whether an entry may be written by it.
    ///
    /// All its signers must be known: anybody can put a signature of their own beside that of another.
    pub(crate) fn admits(&self, entry: &VerifiedEntry) -> Result<(), WriterRefusal> {
        match self {
            Self::Given => Ok(()),
            Self::BySigners(doorkeeper) => {
                // There is one; without any, nobody would have signed.
                entry.signers().first().ok_or(WriterRefusal::Signer)?;
                let length = u64::try_from(entry.body().len()).unwrap_or(u64::MAX);
                entry.signers().iter().try_for_each(|signer| doorkeeper.admits(signer, length))
            }
        }
    }
}

/// The token of the one `Authorization: Bearer`; other schemes are for whoever is in between. RFC 6750 §2.1.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    const SCHEME: &str = "Bearer ";
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_at_checked(SCHEME.len())?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anybody => "Anybody",
            Self::Listed(_) => "Listed",
        })
    }
}
