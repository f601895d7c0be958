//! The last signed checkpoint of each log, kept for the logs: where a restore of theirs does not reach it.
//!
//! A log reads its own by `GET`, and replaces what it read by a conditional `PUT` (RFC 9110 §13.1). Anybody may do
//! the same, so nothing is believed but the log's signature, and nothing goes back: not to a smaller tree, not to
//! another one of its size, and not from the checkpoint that says that the log is over.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::PathBuf,
    sync::Arc,
};

use axum::{
    Router,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use crypto::PublicKey;
use http::{HeaderMap, StatusCode, header};
use server::{Failure, read_body};
use thiserror::Error;
use tlog::{Checkpoint, NoteError, SignedNote, TreeSize};
use tokio::sync::Mutex;

use crate::{
    disk,
    http::{Answer, answer, protocol},
};

/// A log whose checkpoints are kept.
#[derive(Clone, Debug)]
pub struct AnchoredLog {
    /// Its table's name: of the file, and in the path.
    pub name: String,
    /// First line of its checkpoints.
    pub origin: String,
    /// Signs them.
    pub public_key: PublicKey,
    /// Name on their signature line.
    pub key_name: String,
    /// [`tlog::log_key_id`] of its key.
    pub key_id: [u8; 32],
}

/// Keeps one checkpoint for each of some logs.
pub struct Anchors {
    directory: PathBuf,
    logs: BTreeMap<String, Anchored>,
}

struct Anchored {
    log: AnchoredLog,
    /// Held by whoever is at the file.
    turn: Mutex<()>,
}

/// What is kept of a log.
struct Held {
    text: Bytes,
    checkpoint: Checkpoint,
    etag: String,
}

/// On which condition something is kept.
enum Condition {
    /// Nothing is there.
    Nothing,
    /// What has this tag is there.
    Tag(String),
}

/// Why a checkpoint is not kept.
#[derive(Debug, Error)]
enum Refused {
    #[error(
        "say by `If-Match` what is to be replaced, or by `If-None-Match: *` that nothing is there"
    )]
    Unconditional,
    #[error("something else is kept by now")]
    Precondition,
    #[error("this is no checkpoint that the log's key signed: {0}")]
    NotSigned(#[source] NoteError),
    #[error("this is no checkpoint of the log")]
    AnotherLog,
    #[error("a checkpoint has one signature here, and is text")]
    Form,
    #[error("a tree of {kept} entries is kept, and this one has {found}")]
    Smaller { kept: TreeSize, found: TreeSize },
    #[error("another tree of {0} entries is kept: the log signed both")]
    Forked(TreeSize),
    #[error("the log is over")]
    Over,
    #[error("what is kept cannot be read or written")]
    Disk(#[source] io::Error),
}

impl Anchors {
    /// Keeps them in files of the logs' names in `directory`, which is made with the first.
    #[must_use]
    pub fn new(directory: PathBuf, logs: Vec<AnchoredLog>) -> Self {
        let anchored =
            |log: AnchoredLog| (log.name.clone(), Anchored { log, turn: Mutex::default() });
        Self { directory, logs: logs.into_iter().map(anchored).collect() }
    }

    /// `GET` and `PUT /anchors/{log}`; every other log has 404.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/anchors/{log}", get(read).put(write)).with_state(self)
    }

    async fn held(&self, of: &Anchored) -> Result<Option<Held>, Refused> {
        let _turn = of.turn.lock().await;
        self.read(of).await
    }

    /// What is there must be the log's: nobody else writes here.
    async fn read(&self, of: &Anchored) -> Result<Option<Held>, Refused> {
        let file = self.directory.join(&of.log.name);
        let text = on_disk(move || {
            let file = match File::open(&file) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let mut text = Vec::new();
            file.take(MAX_LEN as u64).read_to_end(&mut text)?;
            Ok(Some(text))
        });
        let Some(text) = text.await? else { return Ok(None) };
        let text = Bytes::from(text);
        let checkpoint =
            of.log.verified(&text).map_err(|why| Refused::Disk(io::Error::other(why)))?;
        let etag = format!("\"{}\"", hex::encode(crypto::sha256(&text)));
        Ok(Some(Held { text, checkpoint, etag }))
    }

    async fn replace(
        &self,
        of: &Anchored,
        condition: Condition,
        text: Bytes,
    ) -> Result<(), Refused> {
        // Before its turn: whoever sends what nobody signed keeps nobody waiting.
        let new = of.log.verified(&text)?;
        let _turn = of.turn.lock().await;
        let held = self.read(of).await?;
        let is_met = match (&condition, &held) {
            (Condition::Nothing, None) => true,
            (Condition::Tag(tag), Some(held)) => *tag == held.etag,
            _ => false,
        };
        if !is_met {
            return Err(Refused::Precondition);
        }
        if let Some(held) = held
            && !follows(&new, &held.checkpoint)?
        {
            return Ok(());
        }
        let (directory, file) = (self.directory.clone(), self.directory.join(&of.log.name));
        on_disk(move || {
            if !directory.exists() {
                fs::create_dir_all(&directory)?;
                directory.parent().map_or(Ok(()), disk::sync)?;
            }
            disk::replace(&file, &text)?;
            disk::sync(&directory)
        })
        .await
    }
}

impl AnchoredLog {
    /// A checkpoint of this log. Signatures are counted before one is verified.
    fn verified(&self, text: &[u8]) -> Result<Checkpoint, Refused> {
        let text = str::from_utf8(text).map_err(|_| Refused::Form)?;
        let note: SignedNote = text.parse().map_err(Refused::NotSigned)?;
        if note.signatures.len() != 1 {
            return Err(Refused::Form);
        }
        let verified = note.verified_checkpoint(&self.public_key, &self.key_name, &self.key_id);
        let checkpoint = verified.map_err(Refused::NotSigned)?;
        if checkpoint.origin == self.origin { Ok(checkpoint) } else { Err(Refused::AnotherLog) }
    }
}

/// Whether `new` replaces `kept`, or says the same: then nothing is written, however often it is said.
fn follows(new: &Checkpoint, kept: &Checkpoint) -> Result<bool, Refused> {
    if kept.is_over() {
        return if new == kept { Ok(false) } else { Err(Refused::Over) };
    }
    let (new_head, kept) = (new.head, kept.head);
    if new_head.size < kept.size {
        return Err(Refused::Smaller { kept: kept.size, found: new_head.size });
    }
    if new_head.size > kept.size {
        return Ok(true);
    }
    if new_head.root != kept.root {
        return Err(Refused::Forked(kept.size));
    }
    Ok(new.is_over())
}

impl Condition {
    /// One of the two. A tag that nobody gave is one of nothing.
    fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let text = |name| {
            headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or_default())
        };
        match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
            (Some(tag), None) => Ok(Self::Tag(tag.to_owned())),
            (None, Some("*")) => Ok(Self::Nothing),
            _ => Err(Refused::Unconditional),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unconditional => StatusCode::PRECONDITION_REQUIRED,
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::NotSigned(_)
            | Self::AnotherLog
            | Self::Form
            | Self::Smaller { .. }
            | Self::Forked(_)
            | Self::Over => StatusCode::FORBIDDEN,
            Self::Disk(error) => {
                tracing::error!(error = %error, "a log's checkpoint cannot be kept");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// A name that is not UTF-8 is that of no log.
type Name = Result<Path<String>, PathRejection>;

async fn read(State(anchors): State<Arc<Anchors>>, name: Name, headers: HeaderMap) -> Response {
    let Some(of) = named(&anchors, &name) else { return failed(&Failure::NotFound) };
    match anchors.held(of).await {
        Ok(Some(Held { text, etag, .. })) => answer(Answer::of_checkpoint(&text, &etag), &headers),
        Ok(None) => failed(&Failure::NotFound),
        Err(refused) => refused.into_response(),
    }
}

async fn write(State(anchors): State<Arc<Anchors>>, name: Name, request: Request) -> Response {
    let Some(of) = named(&anchors, &name) else { return failed(&Failure::NotFound) };
    let condition = match Condition::of(request.headers()) {
        Ok(condition) => condition,
        Err(refused) => return refused.into_response(),
    };
    let text = match read_body(request, MAX_LEN).await {
        Ok(text) => text,
        Err(failure) => return failed(&failure),
    };
    match anchors.replace(of, condition, text).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => refused.into_response(),
    }
}

fn named<'a>(anchors: &'a Anchors, name: &Name) -> Option<&'a Anchored> {
    anchors.logs.get(&name.as_ref().ok()?.0)
}

fn failed(failure: &Failure) -> Response {
    (protocol().render)(failure)
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten().map_err(Refused::Disk)
}

/// Longest checkpoint: origin and name of a key are hosts, of 253 bytes, and of signatures there is one.
pub(crate) const MAX_LEN: usize = 2048;
