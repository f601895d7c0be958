//! What is tried: each file one story that a user of the clients would tell.

use std::{
    num::NonZero,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Result;

use super::{
    clients::{ExpectedSigner, SigningMethod, cosign3},
    scene::{IDENTITY, STRANGER, Scene},
};

pub(super) mod chains;
pub(super) mod clock;
pub(super) mod commits;
pub(super) mod images;
pub(super) mod login;
pub(super) mod matrix;
pub(super) mod old_forms;
pub(super) mod page;
pub(super) mod tenants;
pub(super) mod timestamps;
pub(super) mod trust;

/// Whom a verifier must accept, and whom it must refuse.
enum Signers {
    Identities,
    Keys { right: PathBuf, wrong: PathBuf },
}

impl Signers {
    /// By `key`, where that is the method, or else by identity.
    fn new(
        scene: &Scene<'_>,
        method: SigningMethod,
        key: impl FnOnce(&Scene<'_>) -> Result<PathBuf>,
    ) -> Result<Self> {
        match method {
            SigningMethod::Keyless => Ok(Self::Identities),
            SigningMethod::Key => {
                let wrong = cosign3::other_public_key(scene)?;
                Ok(Self::Keys { right: key(scene)?.with_extension("pub"), wrong })
            }
        }
    }

    fn right(&self) -> ExpectedSigner<'_> {
        match self {
            Self::Identities => ExpectedSigner::Identity(IDENTITY),
            Self::Keys { right, .. } => ExpectedSigner::Key(right),
        }
    }

    fn wrong(&self) -> ExpectedSigner<'_> {
        match self {
            Self::Identities => ExpectedSigner::Identity(STRANGER),
            Self::Keys { wrong, .. } => ExpectedSigner::Key(wrong),
        }
    }
}

/// Does one job for each item, one at a time on each processor, and gives the answers in order.
/// Clients spend their time starting, each on one processor.
fn side_by_side<T: Sync, R: Send>(items: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let answer = job(item);
                    // A poisoned lock means a job panicked, which the scope reports.
                    if let Ok(mut answers) = answers.lock() {
                        answers.push((index, answer));
                    }
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
