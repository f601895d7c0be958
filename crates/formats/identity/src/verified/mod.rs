use moment::UnixSeconds;
use thiserror::Error;

use crate::{ClaimError, Claims, IssuerConfig, JwsAlgorithm, UnverifiedClaims};

/// The claims of a token that its issuer signed, for us, and that are in force.
#[derive(Clone, Debug)]
pub struct VerifiedClaims {
    issuer: String,
    claims: Claims,
    expires_at: UnixSeconds,
    token_type: Option<String>,
}

impl UnverifiedClaims {
    /// Checks everything about the token that does not depend on the kind of its issuer.
    ///
    /// `signature_is_valid` gets the signing input and the
    /// signature, and says whether a key of the issuer that fits [`UnverifiedClaims::algorithm`]
    /// verifies them; it is called last.
    ///
    /// # Errors
    /// [`VerificationError`], each variant.
    pub fn verify(
        &self,
        issuer: &IssuerConfig,
        now: UnixSeconds,
        signature_is_valid: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<VerifiedClaims, VerificationError> {
        if !issuer.is_of(&self.issuer) {
            return Err(VerificationError::Issuer);
        }
        if !issuer.algorithms().contains(&self.algorithm) {
            return Err(VerificationError::Algorithm(self.algorithm));
        }
        let audiences = self.claims.strings("aud")?;
        if !audiences.iter().any(|audience| issuer.audiences().contains(audience)) {
            return Err(VerificationError::Audience);
        }
        let expires_at = check_times(&self.claims, issuer, now)?;
        if !signature_is_valid(self.compact.signing_input(), &self.compact.signature) {
            return Err(VerificationError::Signature);
        }
        // Copied for who is granted only: a token may be compared with hundreds of entries.
        Ok(VerifiedClaims { expires_at, ..self.supposed() })
    }
}

impl UnverifiedClaims {
    /// All that [`UnverifiedClaims::verify`] would refuse about the token, but for its signature.
    pub(crate) fn faults(&self, issuer: &IssuerConfig, now: UnixSeconds) -> Vec<VerificationError> {
        let audience = || {
            let audiences = self.claims.strings("aud")?;
            let known = audiences.iter().any(|audience| issuer.audiences().contains(audience));
            if known { Ok(()) } else { Err(VerificationError::Audience) }
        };
        let algorithm = if issuer.algorithms().contains(&self.algorithm) {
            Ok(())
        } else {
            Err(VerificationError::Algorithm(self.algorithm))
        };
        let times = check_times(&self.claims, issuer, now).map(drop);
        [algorithm, audience(), times].into_iter().filter_map(Result::err).collect()
    }

    /// The claims for whoever has the token in hand: [`Verdict`](crate::Verdict)s alone quote them.
    pub(crate) fn claims_for_people(&self) -> &Claims {
        &self.claims
    }

    /// The claims as if they were verified. Stays in this crate: only verdicts come of it.
    pub(crate) fn supposed(&self) -> VerifiedClaims {
        VerifiedClaims {
            issuer: self.issuer.clone(),
            claims: self.claims.clone(),
            token_type: self.token_type.clone(),
            expires_at: UnixSeconds(0),
        }
    }
}

impl VerifiedClaims {
    /// The `iss` claim.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claim set.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The header's `typ`.
    pub(crate) fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// The claim that `issuer`'s dry run would refuse the token for, if any; its value is not told.
    #[must_use]
    pub fn dry_run(&self, issuer: &IssuerConfig) -> Option<String> {
        issuer.dry_run_claims().broken_by(&self.claims)
    }

    /// The `exp` claim.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        self.expires_at
    }
}

/// Why a well-formed token does not count.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum VerificationError {
    /// The `iss` claim is not the issuer's URL.
    #[error("the token is of another issuer")]
    Issuer,
    /// An algorithm that the issuer is not configured for.
    #[error("tokens of this issuer may not be signed with {0}")]
    Algorithm(JwsAlgorithm),
    /// No `aud` that we answer to.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has come. No leeway: an expired credential is no credential.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` is further ahead than a clock may differ.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Issued longer ago than the issuer's `max_age_s`, or without `iat` to tell.
    #[error("the token is older than its issuer's tokens may be")]
    TooOld,
    /// By `max_lifetime_s`: a stolen token is good for as long.
    #[error("the token is valid for longer than its issuer's tokens may be")]
    LivesTooLong,
    /// A registered claim is missing or of the wrong type.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Altered, or of another issuer that uses the same key id.
    #[error("the token's signature does not verify with the issuer's keys")]
    Signature,
}

/// Checks `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6), and returns `exp`.
fn check_times(
    claims: &Claims,
    issuer: &IssuerConfig,
    now: UnixSeconds,
) -> Result<UnixSeconds, VerificationError> {
    let expires_at = claims.time("exp")?.ok_or(ClaimError::Missing("exp"))?;
    if expires_at <= now {
        return Err(VerificationError::Expired);
    }
    let issued_at = claims.time("iat")?;
    let latest_start = now.saturating_add(issuer.clock_skew());
    let starts = [claims.time("nbf")?, issued_at];
    if starts.into_iter().flatten().any(|start| start > latest_start) {
        return Err(VerificationError::NotYetValid);
    }
    if expires_at.saturating_since(issued_at.unwrap_or(now)) > issuer.max_lifetime() {
        return Err(VerificationError::LivesTooLong);
    }
    match (issuer.max_age(), issued_at) {
        (Some(max_age), Some(issued_at)) if now.saturating_since(issued_at) <= max_age => {}
        (None, _) => {}
        _ => return Err(VerificationError::TooOld),
    }
    Ok(expires_at)
}

#[cfg(test)]
mod tests;
