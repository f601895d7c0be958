use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use tokio::sync::oneshot;
use tracing::{Dispatch, Span, dispatcher};

/// Operating-system threads of their own for signing and verifying.
///
/// A signature takes 15 to 200 µs (RSA 1 ms): on a runtime thread it would hold
/// up every socket of that thread, and tokio's blocking pool has no bounded
/// queue. Clones share the threads, which end with the last clone. Log lines of a
/// job are in the span of its caller.
#[derive(Clone)]
pub struct CpuPool {
    handle: Arc<Handle>,
}

impl CpuPool {
    /// Jobs that may wait for each thread. At 50 µs a job the last one waits
    /// 50 ms; beyond that an honest "try again" serves the caller better.
    const WAITING_PER_THREAD: usize = 1024;

    /// Starts `threads` threads (at least one).
    ///
    /// # Panics
    /// When the operating system refuses a thread: at start, where nothing else can follow.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let queue = Arc::new(Queue::new(threads * Self::WAITING_PER_THREAD));
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            #[expect(clippy::expect_used, reason = "a process without threads cannot start")]
            // Invariant: called at start; a refused thread ends the start.
            std::thread::Builder::new()
                .name(format!("cpu-{number}"))
                .spawn(move || queue.work())
                .expect("the system must give a thread");
        }
        Self { handle: Arc::new(Handle { queue }) }
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
        self.handle.queue.push_new(job)?;
        Ok(result.await)
    }

    /// Like [`CpuPool::run`] for a step of work that was already let in, and for what the process does
    /// by itself: it goes before all new work, and no queue refuses it.
    ///
    /// The steps that wait need no bound of their own. Nothing new is begun while one of them waits, a
    /// request has one at a time, and whatever was let in and waits elsewhere in between is bounded
    /// there: by the queue of its log, the requests under way at a CA, the connections of a listener. So
    /// the first job of a request is for [`CpuPool::run`], also that of a question.
    ///
    /// # Panics
    /// With the panic of `job`, so that the layer around the handler answers it.
    pub async fn run_next<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (job, result) = answered(job);
        self.handle.queue.push_next(job);
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
    queue: Arc<Queue>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Where the next job of a request waits: its first one with new work, those after it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// [`CpuPool::run`].
    New,
    /// [`CpuPool::run_next`].
    Next,
}

struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Of new work.
    capacity: usize,
}

#[derive(Default)]
struct Waiting {
    new: VecDeque<Job>,
    next: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), capacity }
    }

    fn push_new(&self, job: Job) -> Result<(), Overloaded> {
        let mut waiting = self.lock();
        if waiting.new.len() >= self.capacity {
            return Err(Overloaded);
        }
        waiting.new.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    fn push_next(&self, job: Job) {
        self.lock().next.push_back(job);
        self.changed.notify_one();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            let next = waiting.next.pop_front();
            if let Some(job) = next.or_else(|| waiting.new.pop_front()) {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Jobs run without the lock, so a poisoned one still guards a whole queue.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tracing::Instrument;

    use super::*;

    /// Occupies the pool's one thread until the returned sender is dropped.
    async fn occupy(pool: &CpuPool) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = oneshot::channel();
        let pool = pool.clone();
        tokio::spawn(async move {
            let job = move || {
                started.send(()).unwrap();
                let _ = held.recv();
            };
            pool.run(job).await.unwrap();
        });
        running.await.unwrap();
        release
    }

    /// Fills the queue behind an occupied thread; the callers stay, polled once.
    async fn fill(pool: &CpuPool, jobs: usize) -> Vec<tokio::task::JoinHandle<()>> {
        let callers: Vec<_> = (0..jobs)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.run(|| ()).await.unwrap() })
            })
            .collect();
        while pool.handle.queue.lock().new.len() < jobs {
            tokio::task::yield_now().await;
        }
        callers
    }

    #[tokio::test]
    async fn runs_jobs_off_the_callers_thread() {
        let pool = CpuPool::new(2);
        let here = std::thread::current().id();
        let there = pool.run(|| std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn refuses_new_work_when_the_queue_is_full_and_no_step_of_accepted_work() {
        let pool = CpuPool::new(1);
        let release = occupy(&pool).await;
        let mut callers = fill(&pool, CpuPool::WAITING_PER_THREAD).await;
        assert_eq!(pool.run(|| ()).await, Err(Overloaded));
        // More of them than new work may wait.
        for _ in 0..=CpuPool::WAITING_PER_THREAD {
            let pool = pool.clone();
            callers.push(tokio::spawn(async move { pool.run_next(|| ()).await }));
        }
        while pool.handle.queue.lock().next.len() <= CpuPool::WAITING_PER_THREAD {
            tokio::task::yield_now().await;
        }
        drop(release);
        for caller in callers {
            caller.await.unwrap();
        }
    }

    #[tokio::test]
    async fn only_the_first_job_of_a_request_waits_with_new_work() {
        let pool = CpuPool::new(1);
        let release = occupy(&pool).await;
        let callers = fill(&pool, CpuPool::WAITING_PER_THREAD).await;
        let (mut first, mut further) = (Lane::New, Lane::Next);
        assert_eq!(pool.run_in(&mut first, || ()).await, Err(Overloaded));
        drop(release);
        pool.run_in(&mut further, || ()).await.unwrap();
        assert_eq!((first, further), (Lane::Next, Lane::Next));
        for caller in callers {
            caller.await.unwrap();
        }
    }

    #[tokio::test]
    async fn steps_of_accepted_work_go_first_and_in_their_order() {
        let pool = CpuPool::new(1);
        let release = occupy(&pool).await;
        let (done, order) = mpsc::channel();
        let mut callers = Vec::new();
        for (name, mut lane) in [("new", Lane::New), ("first", Lane::Next), ("second", Lane::Next)]
        {
            let (caller, done) = (pool.clone(), done.clone());
            let job = move || done.send(name).unwrap();
            callers.push(tokio::spawn(async move { caller.run_in(&mut lane, job).await }));
            let waiting = || {
                let waiting = pool.handle.queue.lock();
                waiting.new.len() + waiting.next.len()
            };
            while waiting() < callers.len() {
                tokio::task::yield_now().await;
            }
        }
        drop((release, done));
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        assert_eq!(order.iter().collect::<Vec<_>>(), ["first", "second", "new"]);
    }

    #[tokio::test]
    async fn skips_the_job_of_a_caller_that_has_left() {
        let pool = CpuPool::new(1);
        let release = occupy(&pool).await;
        let (ran, skipped) = oneshot::channel();
        let caller = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || ran.send(())).await }
        });
        while pool.handle.queue.lock().new.is_empty() {
            tokio::task::yield_now().await;
        }
        caller.abort();
        caller.await.unwrap_err();
        drop(release);
        assert!(skipped.await.is_err(), "the job was dropped unrun");
    }

    #[tokio::test]
    async fn carries_a_panic_to_the_caller_and_keeps_its_threads() {
        let pool = CpuPool::new(1);
        let panicking = pool.clone();
        let caller = tokio::spawn(async move { panicking.run(|| panic!("broken job")).await });
        assert!(caller.await.unwrap_err().is_panic());
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_is_in_the_span_and_subscriber_of_its_caller() {
        let subscriber = tracing_subscriber::registry();
        let _listening = tracing::subscriber::set_default(subscriber);
        let span = tracing::info_span!("request");
        let there = CpuPool::new(1).run(|| Span::current().id()).instrument(span.clone()).await;
        assert!(span.id().is_some());
        assert_eq!(there, Ok(span.id()));
    }
}
