//! What one caller can do to the others: loads that hold or waste something, each beside an honest client.
//!
//! A lever is a value of [`LEVERS`]: a name and what pulls it. To add one, write the function and its line.

mod hold;
mod honest;
mod log;
mod peers;

use std::{future::Future, pin::Pin, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::{task::JoinSet, time::Instant};

use self::{honest::Honest, log::Filled};
use crate::{
    Stack, dear,
    jobs::Job,
    process_time::{anonymous_kib, resident_kib},
};

/// Something that one caller does, over and over or for as long as it is let.
struct Lever {
    name: &'static str,
    pull: fn(Target) -> Pulling,
}

type Pulling = Pin<Box<dyn Future<Output = Result<Held>> + Send>>;

/// Ports to pull at, and what was put there beforehand.
#[derive(Clone)]
struct Target {
    ca: String,
    rekor1: String,
    rekor2: String,
    ct: String,
    /// Small, and dear to verify.
    dear: Job,
}

/// What goes on until it is dropped.
type Held = JoinSet<()>;

/// Every lever. The first pulls nothing: what all others are compared with.
const LEVERS: &[Lever] = &[
    Lever { name: "nothing", pull: |_| Box::pin(async { Ok(Held::new()) }) },
    Lever { name: "60 unread bundles", pull: |at| Box::pin(hold::unread_bundles(at, 60)) },
    Lever { name: "600 unread bundles", pull: |at| Box::pin(hold::unread_bundles(at, 600)) },
    Lever {
        name: "1000 streams, window 0",
        pull: |at| Box::pin(hold::closed_windows(at, 10, 100)),
    },
    Lever { name: "200 unread get-entries", pull: |at| Box::pin(hold::unread_entries(at, 200)) },
    Lever { name: "65 bodies of 4 MiB", pull: |at| Box::pin(hold::unfinished(at, 65, 4 << 20)) },
    Lever { name: "500 bodies of 4 MiB", pull: |at| Box::pin(hold::unfinished(at, 500, 4 << 20)) },
    Lever {
        name: "1000 bodies of 60 KiB",
        pull: |at| Box::pin(hold::unfinished(at, 1000, 60 << 10)),
    },
    Lever { name: "4100 silent connections", pull: |at| Box::pin(peers::silent(at, 4100)) },
    Lever { name: "4100 bodies, a peer each", pull: |at| Box::pin(peers::peers_of_one(at, 4100)) },
    Lever { name: "1000 halves of a head", pull: |at| Box::pin(peers::half_heads(at, 1000)) },
    Lever { name: "16 x a common word", pull: |at| Box::pin(peers::common_word(at, 16)) },
    Lever { name: "100 x dear envelopes", pull: |at| Box::pin(peers::dear(at, 100)) },
];

/// Most memory of the process, whatever is pulled, beside the pages of its executable: those of a debug build are many.
const MOST_ANONYMOUS_KIB: u64 = 200 * 1024;

/// Between the pull and the first honest request: what is to be held is held then.
const SETTLE: Duration = Duration::from_secs(1);

/// What is measured beside one lever.
struct Measured {
    /// Latency that 99 of a hundred do not exceed; certificate, timestamp, v1, v2.
    p99: [Duration; honest::KINDS],
    unanswered: usize,
    answered: usize,
    memory: Memory,
}

/// In KiB.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: u64,
    /// Not backed by a file.
    anonymous: u64,
}

/// Pulls each lever whose name has one of the words for `seconds`, or all where no word is given, and prints a line for it.
///
/// # Errors
/// With `check`, when an honest request is not answered or the process holds too much; how fast it is, is not judged.
pub(crate) async fn run(
    stack: &Stack,
    named: &[String],
    (seconds, check): (u64, bool),
) -> Result<()> {
    raise_descriptor_limit()?;
    let honest = Honest::of(stack).await?;
    let target = Target {
        ca: authority(stack, "ca")?,
        rekor1: authority(stack, "rekor1")?,
        rekor2: authority(stack, "rekor2")?,
        ct: authority(stack, "ct")?,
        dear: dear::envelope(stack)?,
    };
    Filled::fill(stack, &honest).await?;
    println!(
        "{:<26}{:>12}{:>12}{:>10}{:>10}{:>10}{:>12}{:>10}",
        "p99 in ms beside", "certificate", "timestamp", "v1", "v2", "answered", "unanswered", "MiB"
    );
    let mut failures = Vec::new();
    let is_named = |lever: &&Lever| named.iter().any(|word| lever.name.contains(word.as_str()));
    for lever in LEVERS.iter().filter(|lever| named.is_empty() || is_named(lever)) {
        let measured = measure(lever, &target, &honest, (stack.pid, seconds)).await;
        let measured = measured.with_context(|| format!("at the lever `{}`", lever.name))?;
        print(lever.name, &measured);
        if measured.unanswered > 0 || measured.answered == 0 {
            failures.push(format!("{}: {} unanswered", lever.name, measured.unanswered));
        }
        if measured.memory.anonymous > MOST_ANONYMOUS_KIB {
            failures.push(format!("{}: {} MiB", lever.name, measured.memory.anonymous / 1024));
        }
    }
    ensure!(!check || failures.is_empty(), "levers that move something: {}", failures.join("; "));
    Ok(())
}

async fn measure(
    lever: &Lever,
    target: &Target,
    honest: &Honest,
    (pid, seconds): (u32, u64),
) -> Result<Measured> {
    let held = (lever.pull)(target.clone()).await?;
    tokio::time::sleep(SETTLE).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (asked, memory) = tokio::join!(honest.ask_until(end), most_memory(pid, end));
    drop(held);
    let asked = asked?;
    Ok(Measured { p99: asked.p99, unanswered: asked.unanswered, answered: asked.answered, memory })
}

/// The most that the process had in memory at any look.
async fn most_memory(pid: u32, end: Instant) -> Memory {
    let mut most = Memory::default();
    while Instant::now() < end {
        most.resident = most.resident.max(resident_kib(pid).map_or(0, |(_, now)| now));
        most.anonymous = most.anonymous.max(anonymous_kib(pid).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most
}

fn print(name: &str, measured: &Measured) {
    let ms = |kind: usize| measured.p99.get(kind).copied().unwrap_or_default().as_secs_f64() * 1e3;
    println!(
        "{name:<26}{:>12.1}{:>12.1}{:>10.1}{:>10.1}{:>10}{:>12}{:>10}",
        ms(0),
        ms(1),
        ms(2),
        ms(3),
        measured.answered,
        measured.unanswered,
        measured.memory.resident / 1024
    );
}

fn authority(stack: &Stack, name: &str) -> Result<String> {
    let url = stack.url(name)?.strip_prefix("http://").context("not an http URL")?;
    Ok(url.split('/').next().unwrap_or_default().to_owned())
}

/// Levers open thousands of sockets.
fn raise_descriptor_limit() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("limit of open files")
}
