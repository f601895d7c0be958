//! Four replicas of all logs over one PostgreSQL, behind a plain round-robin proxy: what was written is there for whoever
//! asks next, and no tree is ever smaller than one that somebody was told of; also while replicas stand still, die, and
//! lose their database.
//!
//! `COUNTERSIGN_WRITES` says how many (`cargo xtask test replicas --writes N`).

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

#[path = "behind/callers.rs"]
mod callers;
#[path = "behind/processes.rs"]
mod processes;
#[path = "behind/proxy.rs"]
mod proxy;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use e2e::Database;
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};

use self::{
    callers::{Authority, Load},
    processes::{REPLICAS, Replicas},
    proxy::Proxy,
};

#[expect(clippy::disallowed_methods, reason = "how `cargo xtask test` hands over --writes")]
fn writes() -> u64 {
    std::env::var("COUNTERSIGN_WRITES").map_or(60, |writes| writes.parse().unwrap())
}

/// How long a replica stands still, or is without its database.
const FAULT: Duration = Duration::from_secs(3);

/// One stands still, one loses its database, both at once, all connections of the server end, and one dies.
async fn faults(replicas: &mut Replicas, url: &str) {
    replicas.signal(1, "STOP");
    sleep(FAULT).await;
    replicas.signal(1, "CONT");
    replicas.cut(true);
    sleep(FAULT).await;
    replicas.signal(1, "STOP");
    sleep(FAULT).await;
    replicas.cut(false);
    replicas.signal(1, "CONT");
    let mut connection = PgConnection::connect(url).await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND application_name = 'engine'";
    let ended: i64 = sqlx::query_scalar(end).fetch_one(&mut connection).await.unwrap();
    println!("{ended} connections to the database were ended");
    connection.close().await.unwrap();
    sleep(FAULT).await;
    replicas.kill(2);
    sleep(FAULT).await;
}

/// So many writes, each read back at once; prints how many there were in a second.
async fn calm(load: &Arc<Load>, proxies: &[Arc<Proxy>], (known, writes): (usize, u64)) {
    for proxy in proxies {
        proxy.know(known);
    }
    let (begin, before) = (Instant::now(), load.written.load(Ordering::SeqCst));
    load.run(move |written| written >= writes).await;
    let seconds = begin.elapsed().as_secs_f64();
    let written = load.written.load(Ordering::SeqCst) - before;
    println!("{known} replicas: {written} writes read back in {seconds:.1} s");
}

async fn tell_one_story(database: &Database) {
    let Database::Postgres { url } = database else { panic!("{database:?} is no server") };
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
    }
    let ports = [0, 1, 2].map(|log: usize| listeners[log].local_addr().unwrap().port());
    let authority = Authority::new();
    let mut replicas = Replicas::start(database, ports, &authority.pem).await;
    let mut proxies = Vec::new();
    for (log, listener) in listeners.into_iter().enumerate() {
        proxies.push(Proxy::start(listener, replicas.ports(log)));
    }
    let (load, writes) = (Load::new(ports, authority), writes());
    calm(&load, &proxies, (1, writes.div_ceil(5))).await;
    calm(&load, &proxies, (REPLICAS, writes)).await;
    let refused = load.refused.load(Ordering::SeqCst);

    let is_over = Arc::new(AtomicBool::new(false));
    let before = load.written.load(Ordering::SeqCst);
    let (over, faulty) = (Arc::clone(&is_over), Arc::clone(&load));
    let enough = move |written| over.load(Ordering::SeqCst) && written >= writes / 5;
    let calls = tokio::spawn(async move { faulty.run(enough).await });
    faults(&mut replicas, url).await;
    is_over.store(true, Ordering::SeqCst);
    calls.await.unwrap();

    let written = load.written.load(Ordering::SeqCst) - before;
    let later = load.refused.load(Ordering::SeqCst) - refused;
    let passed_on: u64 = proxies.iter().map(|one| one.passed_on.load(Ordering::SeqCst)).sum();
    println!("503 or no answer while all was well: {refused}");
    println!(
        "with faults: {written} writes read back, 503 or no answer: {later}, passed on: {passed_on}"
    );
    let (absent, smaller) =
        (load.absent.lock().unwrap().clone(), load.smaller.lock().unwrap().clone());
    println!("absent: {}, a smaller tree: {}", absent.len(), smaller.len());
    assert!(absent.is_empty(), "{:?}", absent.first());
    assert!(smaller.is_empty(), "{:?}", smaller.first());
    assert!(passed_on > 0, "no fault hit a reader: nothing was tried");
    replicas.end();
}

#[test]
fn four_replicas_behind_a_proxy_tell_one_story_on_postgres() {
    let database = Database::postgres("countersign_e2e_behind").unwrap();
    Runtime::new().unwrap().block_on(tell_one_story(&database));
}
