//! Threads for computing, and too much work for them.

use std::{pin::pin, sync::mpsc, time::Duration};

use signing::{CpuPool, Lane, Overloaded};
use tokio::{sync::oneshot, task::JoinSet};

/// One thread for computing.
pub fn cpu() -> CpuPool {
    CpuPool::new(1)
}

/// A pool whose thread is busy, whose queue of new work is full, and for which more steps of accepted work wait
/// than that queue has room for.
pub struct Flood {
    release: mpsc::Sender<()>,
    jobs: JoinSet<Result<(), Overloaded>>,
}

impl Flood {
    /// Keeps the one thread of `pool` busy, and fills the queue behind it.
    pub async fn of(pool: &CpuPool) -> Self {
        let (release, busy) = mpsc::channel::<()>();
        let (started, occupied) = oneshot::channel();
        let occupy = move || {
            started.send(()).unwrap();
            busy.recv().unwrap_err();
        };
        let mut jobs = JoinSet::new();
        let of_jobs = pool.clone();
        jobs.spawn(async move { of_jobs.run(occupy).await });
        occupied.await.unwrap();
        // One is refused at once when the others have filled the queue.
        while jobs.try_join_next().is_none() {
            let of_jobs = pool.clone();
            jobs.spawn(async move { of_jobs.run(|| ()).await });
            tokio::task::yield_now().await;
        }
        for _ in 0..jobs.len() {
            let of_jobs = pool.clone();
            jobs.spawn(async move { of_jobs.run_in(&mut Lane::Next, || ()).await });
            tokio::task::yield_now().await;
        }
        Self { release, jobs }
    }

    /// What `accepted` gives, which without a thread to run on can only wait, or be refused; then all is let go on.
    pub async fn outlast<T>(self, accepted: impl Future<Output = T>) -> T {
        let mut accepted = pin!(accepted);
        let moment = Duration::from_millis(200);
        assert!(tokio::time::timeout(moment, &mut accepted).await.is_err());
        self.end().await;
        accepted.await
    }

    /// Lets the thread go on, and waits for all that was queued.
    pub async fn end(self) {
        let Self { release, jobs } = self;
        drop(release);
        jobs.join_all().await;
    }
}
