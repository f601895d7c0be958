use std::path::PathBuf;

use crypto::PublicKey;
use wire::{countersign::Forge, trust::TimeRange};

/// What a deployment's trust files are made from: its services, past ones with their end.
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
    /// Rekor v2 logs.
    pub rekor2_logs: Vec<LogKey>,
    /// Rekor v1 logs; may be empty, then no file speaks of v1.
    pub rekor1_logs: Vec<LogKey>,
    /// Under which key the Rekor v1 log's tree is published as tiles too.
    pub rekor1_tiles: Option<TilesKey>,
    /// Timestamp authorities; `url` is the complete URL that takes requests.
    pub timestamp_authorities: Vec<Authority>,
    /// Where clients of this machine find the files, absolute: the paths in `cosign2.env`.
    /// Without it they are below the directory in which a shell reads that file.
    pub trust_dir: Option<PathBuf>,
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
}

/// The newest of `all` that has no end.
pub(crate) fn current<T>(all: &[T], valid_for: impl Fn(&T) -> TimeRange) -> Option<&T> {
    all.iter().filter(|item| valid_for(item).end.is_none()).max_by_key(|item| valid_for(item).start)
}
