//! How large the tree is by now, for any number of readers at once.
//!
//! Another process may have published a larger tree a moment ago, and said so to somebody who asks here next. Only the
//! store knows. Readers are answered in turns, one question for all of a turn: who comes while a question is under way
//! waits for the next one, for that may have been answered before. So a flood of readers is one question at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{LogId, LogStore};
use tlog::TreeSize;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{durable::in_time, health::Health, outcome::refused};
use crate::SubmitError;

type Answer = Result<TreeSize, SubmitError>;

/// Readers who wait for the next question.
#[derive(Default)]
pub(super) struct Turns {
    next: Mutex<Turn>,
    came: Notify,
}

#[derive(Default)]
struct Turn {
    readers: Vec<oneshot::Sender<Answer>>,
    is_over: bool,
}

impl Turns {
    /// What the store answers to a question that begins after this call.
    pub(super) async fn ask(&self) -> Answer {
        let (reader, answer) = oneshot::channel();
        {
            let mut next = self.lock();
            if next.is_over {
                return Err(SubmitError::ShuttingDown);
            }
            next.readers.push(reader);
        }
        self.came.notify_one();
        answer.await.unwrap_or(Err(SubmitError::ShuttingDown))
    }

    /// Nothing panics while it is held, so a poisoned lock guards sound data.
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for them, in a task of its own: whose reader goes away is answered with the others all the same.
pub(super) struct Asker {
    pub(super) store: Arc<dyn LogStore>,
    pub(super) log: LogId,
    pub(super) health: Arc<Health>,
    pub(super) turns: Arc<Turns>,
}

impl Asker {
    /// Works until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.turns.came.notified()).await.is_some() {
            let readers = std::mem::take(&mut self.turns.lock().readers);
            if readers.iter().all(oneshot::Sender::is_closed) {
                continue;
            }
            let answer = self.ask().await;
            for reader in readers {
                // An error means that the reader went away.
                let _ = reader.send(answer.clone());
            }
        }
    }

    async fn ask(&self) -> Answer {
        let state = in_time(self.store.state(self.log)).await;
        let state = self.health.note_read(state).map_err(refused)?;
        self.health.note_latest(state.last_time);
        Ok(state.edge.size())
    }
}

impl Drop for Asker {
    /// However the task ends, nobody is left waiting.
    fn drop(&mut self) {
        let mut next = self.turns.lock();
        next.is_over = true;
        next.readers.clear();
    }
}
