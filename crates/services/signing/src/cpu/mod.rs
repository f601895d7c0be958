//! Threads for signing and verifying, and whose work they do next.

mod queues;

use std::{
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use thiserror::Error;
use tokio::sync::oneshot;
use tracing::{Dispatch, Span, dispatcher};

use self::queues::{Done, Job, QueueId, Queues, Turn};

/// Operating-system threads of their own for signing and verifying.
///
/// A signature takes 15 to 200 µs (RSA 1 ms): on a runtime thread it would hold
/// up every socket of that thread, and tokio's blocking pool has no bounded
/// queue. Clones share the threads and the queues, which end with the last one. Log lines of a
/// job are in the span of its caller.
///
/// New work waits by service: each has a queue of its own ([`CpuPool::for_service`]) with its own bound, and
/// the threads take from the queues in fair turns, by the time that the jobs of each took and by its
/// weight. So the one that has more to do waits for itself.
#[derive(Clone)]
pub struct CpuPool {
    handle: Arc<Handle>,
    cheap: QueueId,
    dear: QueueId,
}

impl CpuPool {
    /// Jobs of one service that may wait for each thread. At 50 µs a job the last one waits
    /// 50 ms; beyond that an honest "try again" serves the caller better.
    const WAITING_PER_THREAD: usize = 1024;

    /// Dear jobs of one service that may wait for each thread: they take milliseconds.
    const DEAR_WAITING_PER_THREAD: usize = 256;

    /// By how much the dear work of a service weighs less than its other work.
    const DEAR_SHARE: u32 = 4;

    /// Starts `threads` threads (at least one), and a queue of weight 1.
    ///
    /// # Panics
    /// When the operating system refuses a thread: at start, where nothing else can follow.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let shared = Arc::new(Shared::new(threads));
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            #[expect(clippy::expect_used, reason = "a process without threads cannot start")]
            // Invariant: called at start; a refused thread ends the start.
            std::thread::Builder::new()
                .name(format!("cpu-{number}"))
                .spawn(move || shared.work())
                .expect("the system must give a thread");
        }
        Self::with_queues(Arc::new(Handle { shared }), NonZeroU32::MIN)
    }

    /// The same threads with queues of their own, for the new work of one service.
    ///
    /// While several have work waiting, the threads' time is divided among them by `weight`; what one does
    /// not use is there for the others. Queues stay as long as the threads.
    #[must_use]
    pub fn for_service(&self, weight: NonZeroU32) -> Self {
        Self::with_queues(Arc::clone(&self.handle), weight)
    }

    fn with_queues(handle: Arc<Handle>, weight: NonZeroU32) -> Self {
        let threads = handle.shared.threads;
        let mut queues = handle.shared.lock();
        let cheap = queues.add(threads * Self::WAITING_PER_THREAD, weight, false);
        let of_dear = NonZeroU32::new(weight.get() / Self::DEAR_SHARE).unwrap_or(NonZeroU32::MIN);
        let dear = queues.add(threads * Self::DEAR_WAITING_PER_THREAD, of_dear, true);
        drop(queues);
        Self { handle, cheap, dear }
    }

    /// Runs `job` on one of the threads. It is skipped when the caller has gone before its turn.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue is full.
    ///
    /// # Panics
    /// With the panic of `job`, so that the layer around the handler answers it.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let (job, result) = answered(job);
        self.handle.shared.push_new(self.cheap, job)?;
        Ok(result.await)
    }

    /// Like [`CpuPool::run`] for a job that takes much longer than a signature.
    ///
    /// It waits behind other dear ones only, and of two threads or more half are never busy with
    /// such: what is cheap does not wait for what is dear.
    ///
    /// # Errors
    /// [`Overloaded`] when the queue of dear work is full.
    ///
    /// # Panics
    /// With the panic of `job`, so that the layer around the handler answers it.
    pub async fn run_dear<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let (job, result) = answered(job);
        self.handle.shared.push_new(self.dear, job)?;
        Ok(result.await)
    }

    /// Like [`CpuPool::run`] for a step of work that was already let in, and for what the process does
    /// by itself: it goes before all new work, and no queue refuses it. It must be cheap.
    ///
    /// The steps that wait need no bound of their own. Nothing new is begun while one of them waits, a
    /// request has one at a time, and whatever was let in and waits elsewhere in between is bounded
    /// there: by the queue of its log, the requests under way at a CA, the connections of a listener. So
    /// the first job of a request is for [`CpuPool::run`], also that of a question. Their time counts as
    /// their service's all the same, whose new work waits the longer for it.
    ///
    /// # Panics
    /// With the panic of `job`, so that the layer around the handler answers it.
    pub async fn run_next<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (job, result) = answered(job);
        self.handle.shared.push_next(self.cheap, job);
        result.await
    }

    /// Runs a job of a request in the lane that is its turn.
    ///
    /// # Errors
    /// [`Overloaded`] when it is the request's first job and the queue is full.
    ///
    /// # Panics
    /// With the panic of `job`, so that the layer around the handler answers it.
    pub async fn run_in<T: Send + 'static>(
        &self,
        lane: &mut Lane,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        match std::mem::replace(lane, Lane::Next) {
            Lane::New => self.run(job).await,
            Lane::Next => Ok(self.run_next(job).await),
        }
    }
}

/// A job that sends its result to its caller, and the receiving end.
fn answered<T: Send + 'static>(
    job: impl FnOnce() -> T + Send + 'static,
) -> (Job, impl Future<Output = T>) {
    let (sender, receiver) = oneshot::channel();
    // What a job logs belongs to its request.
    let (span, subscriber) = (Span::current(), dispatcher::get_default(Dispatch::clone));
    let job = move || dispatcher::with_default(&subscriber, || span.in_scope(job));
    let job = Box::new(move || {
        if !sender.is_closed() {
            // A caller that leaves now loses nothing but the result.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(job)));
        }
    });
    let result = async {
        match receiver.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            // Never: the threads end with the last handle, and the caller holds one.
            Err(_) => std::future::pending().await,
        }
    };
    (job, result)
}

/// The queue of a [`CpuPool`] is full: a sign to try again later, not an error of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too much work is waiting, try again")]
pub struct Overloaded;

/// Ends the threads when the last clone of the pool is gone.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().close();
        self.shared.changed.notify_all();
    }
}

/// Where the next job of a request waits: its first one with new work, those after it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// [`CpuPool::run`].
    New,
    /// [`CpuPool::run_next`].
    Next,
}

/// What the threads share.
struct Shared {
    queues: Mutex<Queues>,
    changed: Condvar,
    threads: usize,
}

impl Shared {
    fn new(threads: usize) -> Self {
        // Of one thread dear work may have all: there is no other.
        let queues = Queues::new((threads / 2).max(1));
        Self { queues: Mutex::new(queues), changed: Condvar::new(), threads }
    }

    fn push_new(&self, queue: QueueId, job: Job) -> Result<(), Overloaded> {
        let pushed = self.lock().push_new(queue, job);
        if pushed.is_ok() {
            self.changed.notify_one();
        }
        pushed
    }

    fn push_next(&self, queue: QueueId, job: Job) {
        self.lock().push_next(queue, job);
        self.changed.notify_one();
    }

    fn work(&self) {
        let mut done = None;
        while let Some((turn, job)) = self.next(done.take()) {
            let begun = Instant::now();
            job();
            done = Some(Done { turn, took: begun.elapsed() });
        }
    }

    /// Settles what the thread has done, under the lock that it takes for its next job in any case.
    fn next(&self, done: Option<Done>) -> Option<(Turn, Job)> {
        let mut queues = self.lock();
        let frees_a_place = done.as_ref().is_some_and(|done| done.turn.is_dear);
        if let Some(done) = done {
            queues.settle(&done);
        }
        loop {
            if let Some(taken) = queues.take() {
                if frees_a_place {
                    // Another thread may have found nothing but dear work, and no place for it.
                    self.changed.notify_one();
                }
                return Some(taken);
            }
            if queues.is_closed() {
                return None;
            }
            queues = self.changed.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Jobs run without the lock, so a poisoned one still guards whole queues.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
