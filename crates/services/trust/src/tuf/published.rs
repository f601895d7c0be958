use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use moment::UnixSeconds;

use super::{
    directory::TARGETS,
    role::Lifetime,
    state::{State, version_in},
};
use crate::files::etag;

/// One consistent set of files.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// By path below the base URL.
    pub(super) files: BTreeMap<String, PublishedFile>,
    pub(super) expiries: Vec<Expiry>,
    /// When nothing is due.
    pub(super) fresh: Range<UnixSeconds>,
}

impl Published {
    pub(super) fn of(state: &State) -> Self {
        let numbered = |name: &str| {
            ["root", "snapshot", "targets"].iter().any(|role| version_in(name, role).is_some())
        };
        let file = |(name, content): (String, Bytes)| {
            let immutable = name.starts_with(TARGETS) || numbered(&name);
            let file = PublishedFile { etag: etag(&content), content, immutable };
            (name, file)
        };
        let expiries = [
            state.roots.last().map(|root| ("root", root.expires())),
            state.targets.last().map(|targets| ("targets", targets.expires())),
            state.snapshots.last().map(|snapshot| ("snapshot", snapshot.expires())),
            state.timestamp.as_ref().map(|timestamp| ("timestamp", timestamp.expires())),
        ];
        let expiry = |(role, at)| Expiry { role, at };
        let fresh = [
            state.roots.last().map(|root| root.fresh(Lifetime::ROOT)),
            state.targets.last().map(|targets| targets.fresh(Lifetime::TARGETS)),
            state.snapshots.last().map(|snapshot| snapshot.fresh(Lifetime::SNAPSHOT)),
            state.timestamp.as_ref().map(|timestamp| timestamp.fresh(Lifetime::TIMESTAMP)),
        ];
        let fresh = fresh.into_iter().flatten();
        let all =
            |a: Range<UnixSeconds>, b: Range<UnixSeconds>| a.start.max(b.start)..a.end.min(b.end);
        Self {
            fresh: fresh.reduce(all).unwrap_or_default(),
            files: state.files().into_iter().map(file).collect(),
            expiries: expiries.into_iter().flatten().map(expiry).collect(),
        }
    }
}

/// One served file.
#[derive(Debug, Clone)]
pub(crate) struct PublishedFile {
    pub(crate) content: Bytes,
    pub(crate) etag: String,
    /// Its name will never stand for other content.
    pub(crate) immutable: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry {
    pub(super) role: &'static str,
    pub(super) at: UnixSeconds,
}
