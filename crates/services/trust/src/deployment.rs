use std::{fmt, path::PathBuf, str::FromStr};

use crypto::PublicKey;
use thiserror::Error;
use wire::{countersign::Forge, trust::TimeRange};

/// What the trust files of one tenant are made from: all services that it ever used.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Who runs the services; clients take at most one service of an operator.
    pub operator: String,
    /// Base URL under which the files are served.
    pub trust_url: String,
    /// Base URL of the identity provider that clients log in to.
    pub oidc_url: String,
    /// The forge that names of repositories without a host mean, if any.
    pub forge: Option<Forge>,
    /// The audience that tokens for this deployment have, if it has one of its own.
    pub audience: Option<String>,
    /// Certificate authorities; `url` is a base URL.
    pub certificate_authorities: Vec<Authority>,
    /// CT logs; their `origin` is not used.
    pub ct_logs: Vec<LogKey>,
    /// Rekor v2 logs; may be empty where there is one of v1.
    pub rekor2_logs: Vec<LogKey>,
    /// Rekor v1 logs; may be empty, then no file speaks of v1.
    pub rekor1_logs: Vec<LogKey>,
    /// Timestamp authorities; `url` is the complete URL that takes requests.
    pub timestamp_authorities: Vec<Authority>,
    /// Where clients of this machine find the files, absolute: the paths in `cosign2.env`.
    /// Without it they are below the directory in which a shell reads that file.
    pub trust_dir: Option<PathBuf>,
    /// The development identity provider, where there is one.
    pub development: Option<Development>,
}

/// A provider whose tokens say what they are told to.
#[derive(Debug, Clone)]
pub struct Development {
    /// Its base URL.
    pub url: String,
    /// What a shell runs beside it for a token, up to the options; where nobody said that, the page shows no command.
    pub token_command: Option<String>,
}

/// A log, as one key.
#[derive(Debug, Clone)]
pub struct LogKey {
    /// Complete base URL.
    pub base_url: String,
    /// The checkpoints' origin: for Rekor v2 the bare host of `base_url`. Not used for v1.
    pub origin: String,
    /// The key that signs checkpoints, or SCTs.
    pub public_key: PublicKey,
    /// When it signs; `start` must be there.
    pub valid_for: TimeRange,
    /// Whether clients are sent to it.
    pub state: State,
    /// Of a Rekor v1 log: under which key its tree is published as tiles too.
    pub tiles: Option<TilesKey>,
}

/// The second API of a v1 log: C2SP tiles under an origin of their own.
#[derive(Debug, Clone)]
pub struct TilesKey {
    /// The checkpoints' origin.
    pub origin: String,
    /// The Ed25519 key that signs checkpoints.
    pub public_key: PublicKey,
}

/// A certificate authority or timestamp authority, as one chain.
#[derive(Debug, Clone)]
pub struct Authority {
    /// See the member of [`Deployment`].
    pub url: String,
    /// DER certificates: lowest CA, or the TSA's signing certificate, first; root last.
    pub chain_der: Vec<Vec<u8>>,
    /// When it issues; `start` must be there.
    pub valid_for: TimeRange,
    /// Whether clients are sent to it.
    pub state: State,
}

/// How far a service has come in its life. In every state it is in the trusted root, with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum State {
    /// It runs, and no client is sent to it yet: verifiers learn of it first.
    Staged,
    /// Clients are sent to it.
    #[default]
    Active,
    /// It answers readers and takes nothing new.
    Frozen,
    /// It does not run any more.
    Retired,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Staged, Self::Active, Self::Frozen, Self::Retired];

    /// The word in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Retired => "retired",
        }
    }

    /// Whether there is a process of it.
    #[must_use]
    pub fn runs(self) -> bool {
        self != Self::Retired
    }

    /// Whether it signs something new for whoever asks.
    #[must_use]
    pub const fn signs(self) -> bool {
        matches!(self, Self::Staged | Self::Active)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(UnknownState)
    }
}

/// A text is no [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is none of staged, active, frozen, retired")]
pub struct UnknownState;

/// What logs and authorities have in common.
pub(crate) trait Published {
    fn state(&self) -> State;
    fn valid_for(&self) -> TimeRange;
    fn url(&self) -> &str;
}

impl Published for LogKey {
    fn state(&self) -> State {
        self.state
    }

    fn valid_for(&self) -> TimeRange {
        self.valid_for
    }

    fn url(&self) -> &str {
        &self.base_url
    }
}

impl Published for Authority {
    fn state(&self) -> State {
        self.state
    }

    fn valid_for(&self) -> TimeRange {
        self.valid_for
    }

    fn url(&self) -> &str {
        &self.url
    }
}

/// The newest of those to which clients are sent, of several as new the last: the only one of its kind in a
/// signing config, and the one for files that have room for one.
pub(crate) fn current<T: Published>(all: &[T]) -> Option<&T> {
    newest(all, |state| state == State::Active)
}

/// The same; where clients are sent to none, the newest that has ended: old signatures are verified by it.
pub(crate) fn current_or_last<T: Published>(all: &[T]) -> Option<&T> {
    current(all).or_else(|| newest(all, |state| !state.signs()))
}

/// All of them, the current one first.
pub(crate) fn current_first<T: Published>(all: &[T]) -> impl Iterator<Item = &T> {
    let first = current_or_last(all);
    let is_first = move |item: &&T| first.is_some_and(|first| std::ptr::eq(first, *item));
    first.into_iter().chain(all.iter().filter(move |item| !is_first(item)))
}

fn newest<T: Published>(all: &[T], is_meant: impl Fn(State) -> bool) -> Option<&T> {
    let meant = all.iter().filter(|item| is_meant(item.state()));
    meant.max_by_key(|item| item.valid_for().start)
}
