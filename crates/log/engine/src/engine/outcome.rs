//! What the failures of store and key mean to those who wait for an entry.

use std::sync::Arc;

use signing::{ClockFault, SignError};
use store::StoreError;
use tlog::NoteError;

use crate::{StopReason, SubmitError};

/// What a failed append means to those who wait for it.
pub(super) fn refused(error: StoreError) -> SubmitError {
    match error {
        StoreError::Frozen => SubmitError::Frozen,
        StoreError::ClockBehind { by } => SubmitError::Clock(ClockFault::Behind { by }),
        StoreError::Rollback { expected, stored } => {
            stopped(StopReason::Rollback { expected, found: stored })
        }
        StoreError::Corrupt { .. } => stopped(StopReason::Store(Arc::new(error))),
        // Visible here, and yet it may vanish: not to be signed before a later append covers it.
        StoreError::Unreplicated => SubmitError::OutcomeUnknown,
        StoreError::EntryRefused { source, .. } => SubmitError::Refused(source),
        other => unavailable(other),
    }
}

pub(super) fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { .. })
}

pub(super) fn unavailable(error: StoreError) -> SubmitError {
    SubmitError::Unavailable(Arc::new(error))
}

pub(super) fn unsigned(error: SignError<NoteError>) -> SubmitError {
    SubmitError::Signing(Arc::new(error))
}

pub(super) fn stopped(reason: StopReason) -> SubmitError {
    SubmitError::Stopped(Arc::new(reason))
}
