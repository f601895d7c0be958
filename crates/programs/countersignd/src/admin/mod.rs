//! Orders to a running process over `admin.sock`: one JSON line in, one out.
//!
//! The socket is its owner's alone: the directory and the file are, and who connects is asked of
//! the kernel. A few orders at a time; whoever is slow or says much is hung up on.

mod socket;

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use ca::{Ca, IssuerRefresh, KeyName};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::socket::OrderSocket;
pub(crate) use self::socket::check_path;
use crate::{cli::RefreshArguments, deployment::Deployment, fsck, output};

/// Longest order: a URL, and what is around it.
const MAX_ORDER_LEN: u64 = 4096;

/// Longest answer: the keys of every source of a large configuration.
const MAX_ANSWER_LEN: u64 = 4 << 20;

/// For a peer to say its order: it is one line, which a program has at hand.
const ORDER_LINE_PATIENCE: Duration = Duration::from_secs(1);

/// For a peer to take the answer.
const PEER_PATIENCE: Duration = Duration::from_secs(5);

/// Peers that are listened to at once. Those that say nothing keep others waiting for a second each
/// time all places are theirs.
const MAX_PEERS: usize = 64;

/// For an order to be carried out: a fetch that is under way, and one more, of two documents each.
const ORDER_PATIENCE: Duration = Duration::from_mins(1);

/// Orders that are carried out at once: one to forget a key must not wait for one that asks a
/// thousand silent issuers.
const MAX_ORDERS: usize = 4;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
enum Order {
    IssuerRefresh { url: Option<String>, forget: bool },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Sources(Vec<Source>),
    Error(String),
}

/// What became of one source of keys.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    issuer: String,
    keys_from: String,
    came: Vec<String>,
    went: Vec<String>,
    changed: Vec<String>,
    stayed: Vec<String>,
    failure: Option<String>,
}

impl Source {
    fn of(refresh: IssuerRefresh) -> Self {
        let IssuerRefresh { issuer, source, before, after, failure } = refresh;
        let mut of = Self {
            issuer,
            keys_from: source,
            came: Vec::new(),
            went: Vec::new(),
            changed: Vec::new(),
            stayed: Vec::new(),
            failure,
        };
        let same_id = |keys: &[KeyName], key: &KeyName| {
            key.id.is_some() && keys.iter().any(|other| other.id == key.id)
        };
        for key in &after {
            let list = match before.contains(key) {
                true => &mut of.stayed,
                false if same_id(&before, key) => &mut of.changed,
                false => &mut of.came,
            };
            list.push(name(key));
        }
        let gone = before.iter().filter(|key| !after.contains(key) && !same_id(&after, key));
        of.went = gone.map(name).collect();
        of
    }

    fn record(&self, forget: bool) {
        info!(
            target: "audit",
            {
                ca.step = "issuer refresh",
                ca.issuer = self.issuer,
                ca.keys_source = self.keys_from,
                ca.forget = forget,
                ca.keys_came = self.came.join(" "),
                ca.keys_went = self.went.join(" "),
                ca.keys_changed = self.changed.join(" "),
                ca.failure = self.failure.as_deref().unwrap_or_default(),
            },
            "keys of an issuer were asked for by order"
        );
    }
}

/// Longest id of a key that is repeated, in characters.
const MAX_ID_LEN: usize = 200;

/// The id and the beginning of the digest.
fn name(key: &KeyName) -> String {
    let digest = hex::encode(key.sha256.get(..8).unwrap_or_default());
    match key.id.as_ref().map(|id| id.chars().take(MAX_ID_LEN).collect::<String>()) {
        Some(id) => format!("{id} ({digest})"),
        None => format!("without id ({digest})"),
    }
}

/// The socket below a directory of the CA's state.
pub(crate) fn socket_in(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}

/// Takes orders at `path` until `shutdown`; they can come from the moment that this returns. A place
/// where no socket can be is said, and no reason not to serve: it is tried again, since another
/// process may have to end first.
pub(crate) fn serve(
    path: PathBuf,
    ca: Arc<Ca>,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let first = OrderSocket::claim(&path);
    async move {
        let claimed = shutdown.run_until_cancelled(OrderSocket::wait_for(&path, first)).await;
        if let Some(socket) = claimed {
            take_orders(socket, ca, shutdown).await;
        }
    }
}

async fn take_orders(socket: OrderSocket, ca: Arc<Ca>, shutdown: CancellationToken) {
    let orders = Arc::new(Semaphore::new(MAX_ORDERS));
    let mut peers = JoinSet::new();
    loop {
        let peer = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(_) = peers.join_next() => continue,
            peer = socket.accept(), if peers.len() < MAX_PEERS => peer,
        };
        let Ok(peer) = peer else {
            // Out of descriptors: not a reason to spin.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let (ca, orders) = (Arc::clone(&ca), Arc::clone(&orders));
        peers.spawn(async move {
            if let Err(error) = answer(peer, &orders, &ca).await {
                let error = format!("{error:#}");
                warn!(error, "an order was not carried out");
            }
        });
    }
}

async fn answer(mut peer: UnixStream, orders: &Semaphore, ca: &Ca) -> anyhow::Result<()> {
    // Who runs this process, by what it owns.
    let own = std::fs::metadata("/proc/self")?.uid();
    if ![own, 0].contains(&peer.peer_cred()?.uid()) {
        bail!("an order of another user");
    }
    let (reading, mut writing) = peer.split();
    let mut line = String::new();
    let mut reading = BufReader::new(reading.take(MAX_ORDER_LEN));
    tokio::time::timeout(ORDER_LINE_PATIENCE, reading.read_line(&mut line))
        .await
        .context("no order in time")??;
    let place = orders.acquire().await?;
    let answer = match serde_json::from_str(&line) {
        Ok(Order::IssuerRefresh { url, forget }) => refresh(ca, url, forget).await,
        Err(_) => Answer::Error("not an order".to_owned()),
    };
    drop(place);
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    tokio::time::timeout(PEER_PATIENCE, writing.write_all(&text)).await.context("not taken")??;
    Ok(())
}

async fn refresh(ca: &Ca, url: Option<String>, forget: bool) -> Answer {
    let refreshed = ca.refresh_issuers(url.as_deref(), forget).await;
    if refreshed.is_empty() {
        return Answer::Error(match url {
            Some(url) => format!("no issuer with the url or url_pattern {url}"),
            None => "no issuer was asked: those of a pattern are known by their tokens".to_owned(),
        });
    }
    let sources: Vec<Source> = refreshed.into_iter().map(Source::of).collect();
    for source in &sources {
        source.record(forget);
    }
    Answer::Sources(sources)
}

/// `countersignd issuer refresh`: exit code 1 unless every source of every CA gave keys.
pub(crate) async fn issuer_refresh(
    arguments: RefreshArguments,
    configured: Option<Deployment>,
) -> anyhow::Result<ExitCode> {
    let RefreshArguments { data_dir, ca, url, forget, .. } = arguments;
    let sockets = match &configured {
        Some(deployment) => sockets(deployment, ca.as_deref())?,
        None => vec![socket_in(&data_dir)],
    };
    let (several, mut sound) = (sockets.len() > 1, true);
    for socket in sockets {
        let order = Order::IssuerRefresh { url: url.clone(), forget };
        match refreshed(&socket, &order).await {
            Ok(of_ca) => sound &= of_ca,
            // The others' keys are asked for all the same.
            Err(error) if several => {
                sound &= fsck::report(&socket.display().to_string(), &Err(error));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where each issuing CA takes orders, or the one of that name.
fn sockets(deployment: &Deployment, name: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    if name.is_some() {
        return Ok(vec![socket_in(&deployment.chosen_authority(name)?.state_dir)]);
    }
    let issuing = deployment.authorities.iter().filter(|one| one.service.state.signs());
    Ok(issuing.map(|one| socket_in(&one.state_dir)).collect())
}

async fn refreshed(socket: &Path, order: &Order) -> anyhow::Result<bool> {
    let answered = tokio::time::timeout(ORDER_PATIENCE, ask(socket, order)).await;
    let late =
        "the CA is still asking; what comes of it is in its log, and what was to be forgotten is";
    match answered.context(late)?? {
        Answer::Error(error) => bail!(error),
        Answer::Sources(sources) => {
            sources.iter().for_each(report);
            Ok(sources.iter().all(|source| source.failure.is_none()))
        }
    }
}

async fn ask(path: &Path, order: &Order) -> anyhow::Result<Answer> {
    socket::check_path(path)?;
    let stream = UnixStream::connect(path).await;
    let mut stream = stream.with_context(|| {
        format!("no CA takes orders at {}: does it run, as this user?", path.display())
    })?;
    let mut text = serde_json::to_vec(order)?;
    text.push(b'\n');
    let mut answer = Vec::new();
    let exchange = async {
        stream.write_all(&text).await?;
        stream.take(MAX_ANSWER_LEN).read_to_end(&mut answer).await
    };
    if exchange.await.is_err() || answer.is_empty() {
        bail!(
            "the CA was stopped, or hung up, before it answered: what was to be forgotten may still \
             be known; look at its log, and give the order again when it runs"
        );
    }
    serde_json::from_slice(&answer).context("the CA's answer is not one")
}

fn report(source: &Source) {
    let Source { issuer, keys_from: from, came, went, changed, stayed, failure } = source;
    output::print(&format!("{issuer}, from {from}:"));
    for (what, keys) in
        [("came", came), ("changed under its id", changed), ("went", went), ("stayed", stayed)]
    {
        for key in keys {
            output::print(&format!("  {what}: {key}"));
        }
    }
    match failure {
        Some(failure) => {
            output::print(&format!("  FAILED: {failure}"));
            if !stayed.is_empty() {
                output::print("  the keys that stayed are still believed; `--forget` drops them");
            }
        }
        None if came.len() + went.len() + changed.len() == 0 => output::print("  nothing changed"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, digest: u8) -> KeyName {
        KeyName { id: Some(id.to_owned()), sha256: [digest; 32] }
    }

    #[test]
    fn tells_keys_that_came_went_changed_and_stayed() {
        let source = Source::of(IssuerRefresh {
            issuer: "https://i.example".to_owned(),
            source: "s".to_owned(),
            before: vec![key("a", 1), key("b", 2), key("c", 3)],
            after: vec![key("a", 1), key("b", 9), key("d", 4)],
            failure: None,
        });
        assert_eq!(source.stayed, ["a (0101010101010101)"]);
        assert_eq!(source.changed, ["b (0909090909090909)"]);
        assert_eq!(source.went, ["c (0303030303030303)"]);
        assert_eq!(source.came, ["d (0404040404040404)"]);
    }

    #[tokio::test]
    async fn a_ca_that_is_stopped_during_an_order_is_told_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_in(directory.path());
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let order = Order::IssuerRefresh { url: None, forget: true };
        let stopped = async { drop(listener.accept().await.unwrap()) };
        let (answer, ()) = tokio::join!(ask(&path, &order), stopped);
        let said = answer.unwrap_err().to_string();
        assert!(said.contains("the CA was stopped") && said.contains("order again"), "{said}");
    }

    #[test]
    fn a_keys_id_is_repeated_in_part() {
        assert!(name(&key(&"x".repeat(100_000), 1)).len() < 300);
    }
}
