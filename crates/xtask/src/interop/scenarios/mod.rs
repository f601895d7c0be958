//! What is tried: each file one story that a user of the clients would tell.

use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

pub(super) mod clock;
pub(super) mod commits;
pub(super) mod images;
pub(super) mod matrix;
pub(super) mod old_forms;
pub(super) mod page;
pub(super) mod timestamps;
pub(super) mod trust;

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
