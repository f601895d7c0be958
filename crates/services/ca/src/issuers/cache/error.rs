use std::sync::Arc;

use thiserror::Error;

use crate::issuers::SourceError;

/// Why there is no key to verify a token with.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The issuer's keys are known, and none fits.
    #[error("the issuer publishes no key of this id and algorithm")]
    UnknownKey,
    /// The source tells which step failed, and whether it will pass.
    #[error("the issuer's keys could not be fetched")]
    Unavailable {
        /// What went wrong the last time.
        #[source]
        source: Arc<SourceError>,
        /// When they may be asked for again.
        retry_after_s: u64,
    },
    /// The issuer was asked so short a while ago that it is not asked again, and the token's key
    /// may be newer than its answer.
    #[error("the issuer's keys were asked for a moment ago, and the token's was not among them")]
    NotYetAgain {
        /// When they may be asked for again.
        retry_after_s: u64,
    },
    /// One slow issuer may not take the places of all others' callers.
    #[error("too many requests wait for the issuer's keys")]
    TooManyWaiting,
    /// Many issuers of one pattern were named that nobody has heard of.
    #[error("too many new issuers of one pattern were asked for a moment ago")]
    TooManyNew,
}

impl KeysError {
    /// Whether it lasts until somebody changes a setting.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Unavailable { source, .. } if source.is_permanent())
    }

    /// Seconds after which trying again makes sense.
    #[must_use]
    pub const fn retry_after_s(&self) -> u64 {
        match self {
            Self::Unavailable { retry_after_s, .. } | Self::NotYetAgain { retry_after_s } => {
                *retry_after_s
            }
            Self::UnknownKey | Self::TooManyWaiting | Self::TooManyNew => 1,
        }
    }
}
