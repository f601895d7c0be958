//! Which configuration is in use, for metrics and readiness.

use std::sync::{Arc, Mutex, PoisonError};

use moment::UnixSeconds;

use crate::services::Notes;

/// How the last reading of the configuration ended. Clones share it.
#[derive(Clone)]
pub(super) struct TakenUp(Arc<Mutex<State>>);

struct State {
    /// When that in use was read.
    at: UnixSeconds,
    /// Why a newer one is not in use.
    refused: Option<String>,
}

impl TakenUp {
    /// One is in use.
    pub(super) fn at(now: UnixSeconds) -> Self {
        let taken_up = Self(Arc::new(Mutex::new(State { at: now, refused: None })));
        taken_up.note(|_| ());
        taken_up
    }

    /// Another one is.
    pub(super) fn anew(&self, now: UnixSeconds) {
        self.note(|state| *state = State { at: now, refused: None });
    }

    /// The newest one is not, for this reason.
    pub(super) fn refused(&self, why: String) {
        self.note(|state| state.refused = Some(why));
    }

    /// What anybody is told, or with the reason.
    pub(super) fn notes(&self, in_detail: bool) -> Notes {
        let Self(state) = self.clone();
        Arc::new(move || {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let told = state.refused.as_ref().map(|why| {
                let public = "the newest one is refused, and the one before stays in use";
                let words = if in_detail { why.clone() } else { public.to_owned() };
                ("configuration".to_owned(), words)
            });
            told.into_iter().collect()
        })
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        // Nothing panics while it is held, so a poisoned lock guards sound data.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        server::show_reload(state.refused.is_none(), state.at.0);
    }
}
