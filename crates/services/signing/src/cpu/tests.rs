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

fn waiting(pool: &CpuPool) -> usize {
    pool.handle.shared.lock().len()
}

/// Fills the queue behind an occupied thread; the callers stay, polled once.
async fn fill(pool: &CpuPool, jobs: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let callers: Vec<_> = (0..jobs)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(|| ()).await.unwrap() })
        })
        .collect();
    while waiting(pool) < jobs {
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
    while waiting(&pool) <= 2 * CpuPool::WAITING_PER_THREAD {
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
    for (name, mut lane) in [("new", Lane::New), ("first", Lane::Next), ("second", Lane::Next)] {
        let (caller, done) = (pool.clone(), done.clone());
        let job = move || done.send(name).unwrap();
        callers.push(tokio::spawn(async move { caller.run_in(&mut lane, job).await }));
        while waiting(&pool) < callers.len() {
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
    while waiting(&pool) == 0 {
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

const ONE: NonZeroU32 = NonZeroU32::MIN;

#[tokio::test]
async fn a_service_waits_for_its_turn_and_not_for_all_that_another_has_to_do() {
    let pool = CpuPool::new(1);
    let (busy, calm) = (pool.for_service(ONE), pool.for_service(ONE));
    let release = occupy(&pool).await;
    let (done, order) = mpsc::channel();
    let mut callers = Vec::new();
    for name in std::iter::repeat_n("busy", 100).chain(["calm"]) {
        let (service, done) = (if name == "busy" { &busy } else { &calm }.clone(), done.clone());
        callers.push(tokio::spawn(async move {
            let job = move || {
                std::thread::sleep(std::time::Duration::from_millis(1));
                done.send(name).unwrap();
            };
            service.run(job).await.unwrap();
        }));
        while waiting(&pool) < callers.len() {
            tokio::task::yield_now().await;
        }
    }
    drop((release, done));
    for caller in callers {
        caller.await.unwrap();
    }
    let order: Vec<_> = order.iter().collect();
    assert!(order.iter().position(|name| *name == "calm") <= Some(1), "{order:?}");
}

#[tokio::test]
async fn a_full_queue_of_one_service_refuses_nothing_of_another() {
    let pool = CpuPool::new(1);
    let (busy, calm) = (pool.for_service(ONE), pool.for_service(ONE));
    let release = occupy(&pool).await;
    let callers = fill(&busy, CpuPool::WAITING_PER_THREAD).await;
    assert_eq!(busy.run(|| ()).await, Err(Overloaded));
    let calm = tokio::spawn(async move { calm.run(|| 7).await });
    while waiting(&pool) <= CpuPool::WAITING_PER_THREAD {
        tokio::task::yield_now().await;
    }
    drop(release);
    assert_eq!(calm.await.unwrap(), Ok(7));
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn dear_work_leaves_threads_for_cheap_work_and_is_refused_by_its_own_bound() {
    let pool = CpuPool::new(2);
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let mut dear = Vec::new();
    for _ in 0..=2 * CpuPool::DEAR_WAITING_PER_THREAD {
        let (caller, held) = (pool.clone(), Arc::clone(&held));
        let job = move || held.lock().unwrap().recv().unwrap_err();
        dear.push(tokio::spawn(async move { caller.run_dear(job).await.map(drop) }));
        // The first is under way, and all others wait: no second thread takes one.
        while dear.len() != 1 + waiting(&pool) {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(pool.run_dear(|| ()).await, Err(Overloaded));
    assert_eq!(pool.run(|| 7).await, Ok(7), "while dear work holds all the threads that it may");
    drop(release);
    for caller in dear {
        caller.await.unwrap().unwrap();
    }
}
