//! A key that is slow, late, wrong, refusing or flaky, behind every kind of signature.
//!
//! One table: a row is a kind, as the service that makes it is asked for it; a column is what the key
//! does. Nothing is given out that is not signed, the error says what the key did, the audit trail has
//! a "signing" without its "signed", and the service recovers with the key.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

mod audit;
mod issuing;
mod logging;
mod moody;
mod stamping;
mod trusting;

use crypto::SignerError;

use crate::{
    audit::Lines,
    moody::{Mood, Moody},
};

/// 2026-09-21T14:13:20Z.
const NOW: u64 = 1_790_000_000;

/// A service that is asked for one kind of signature.
trait Service {
    /// What is signed, as the audit trail calls it.
    fn kind(&self) -> String;

    /// How often the key is asked before it is given up.
    fn attempts(&self) -> usize {
        1
    }

    /// Asks for one more, and verifies it; `lines` are those of this question.
    async fn ask(&self, lines: &Lines) -> Outcome;

    /// What others can get, if it would show.
    async fn given_out(&self) -> String {
        String::new()
    }
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Signed,
    Late,
    Unavailable,
    Refused,
    /// Not the key's.
    Wrong,
}

impl From<&SignerError> for Outcome {
    fn from(error: &SignerError) -> Self {
        match error {
            SignerError::Late { .. } => Self::Late,
            SignerError::Unavailable { .. } => Self::Unavailable,
            SignerError::Refused { .. } => Self::Refused,
        }
    }
}

/// Goes through the columns, with the key elsewhere and then in memory, where it cannot be waited for.
async fn row(service: &impl Service, key: &Moody) {
    let flaky = Mood::Flaky(service.attempts());
    for (elsewhere, mood, expected) in [
        (true, Mood::Slow, Outcome::Signed),
        (true, Mood::Late, Outcome::Late),
        (true, Mood::Wrong, Outcome::Wrong),
        (true, Mood::Refusing, Outcome::Refused),
        (true, flaky, Outcome::Unavailable),
        (false, Mood::Well, Outcome::Signed),
        (false, Mood::Wrong, Outcome::Wrong),
        (false, Mood::Refusing, Outcome::Refused),
        (false, flaky, Outcome::Unavailable),
    ] {
        key.is(elsewhere, mood);
        cell(service, mood, expected).await;
        if mood != flaky {
            key.is(elsewhere, Mood::Well);
        }
        assert_eq!(service.ask(&Lines::default()).await, Outcome::Signed, "after {mood:?}");
    }
}

async fn cell(service: &impl Service, mood: Mood, expected: Outcome) {
    let before = service.given_out().await;
    let lines = Lines::default();
    let listening = lines.listen();
    let outcome = service.ask(&lines).await;
    drop(listening);
    let kind = service.kind();
    let told = format!("{kind}, {mood:?}: {lines}");
    assert_eq!(outcome, expected, "{told}");
    let steps = lines.steps(&kind);
    if expected == Outcome::Signed {
        assert_eq!(steps, ["signing", "signed"], "{told}");
        return;
    }
    // What is wrong is not tried again.
    let attempts = if expected == Outcome::Wrong { 1 } else { service.attempts() };
    assert_eq!(steps, vec!["signing"; attempts], "{told}");
    assert_eq!(service.given_out().await, before, "{told}");
}
