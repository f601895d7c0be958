//! What an issuer's entry names on this machine: files of keys, roots and tokens.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::IssuerConfig;
use moment::UnixSeconds;

use super::{KeyName, SourceError, jwks::KeySet};
use crate::fetch;

/// Longest file: a bundle of the system's roots has 220 KiB.
const MAX_FILE_LEN: usize = 1024 * 1024;

/// The token that `content` of `file` is, as it can stand in a header.
pub(super) fn bearer_token(content: &[u8], file: &Path) -> Result<String, SourceError> {
    let token = std::str::from_utf8(content).unwrap_or_default().trim();
    let sound = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if sound { Ok(token.to_owned()) } else { Err(SourceError::BearerTokenFile(file.to_owned())) }
}

pub(super) async fn read_in_background(path: &Path) -> Result<Vec<u8>, SourceError> {
    let unreadable =
        SourceError::Unreadable { path: path.to_owned(), reason: std::io::ErrorKind::Other };
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read_file(&path)).await.unwrap_or(Err(unreadable))
}

/// Reads a file of at most [`MAX_FILE_LEN`] bytes.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, SourceError> {
    server::bounded::read_regular(path, MAX_FILE_LEN)
        .map_err(|error| SourceError::Unreadable { path: path.to_owned(), reason: error.kind() })
}

/// Checks what an issuer's entry names on this machine, all of it, as a fetch would; asks nobody.
/// Each is a file that cannot be read, or that is not what it is named for.
#[must_use]
pub fn check_files(issuer: &IssuerConfig) -> Vec<SourceError> {
    let keys = issuer.keys();
    let checked = [
        keys.keys_file().map(|file| {
            match KeySet::parse_file(&read_file(file)?) {
                // Its owner has withdrawn them all; nobody starts with that.
                Some(set) if set.is_empty() => Err(SourceError::Withdrawn),
                Some(_) => Ok(()),
                None => Err(SourceError::KeysFile(file.to_owned())),
            }
        }),
        keys.tls_roots_file().map(|file| {
            fetch::roots(&read_file(file)?)
                .map(drop)
                .map_err(|_| SourceError::TlsRootsFile(file.to_owned()))
        }),
        keys.bearer_token_file().map(|file| bearer_token(&read_file(file)?, file).map(drop)),
    ];
    checked.into_iter().flatten().filter_map(Result::err).collect()
}

/// Files of bearer tokens that say of themselves that they have expired at `now`: most
/// are renewed by others, so that may pass, and nobody renews them where `check` is run elsewhere.
#[must_use]
pub fn expired_tokens(issuers: &[IssuerConfig], now: UnixSeconds) -> Vec<PathBuf> {
    let mut expired: Vec<PathBuf> = Vec::new();
    for file in issuers.iter().filter_map(|issuer| issuer.keys().bearer_token_file()) {
        let token = read_file(file).and_then(|content| bearer_token(&content, file));
        let expires_at = token.ok().and_then(|token| expires_at(&token));
        if expires_at.is_some_and(|at| at <= now) && !expired.iter().any(|known| known == file) {
            expired.push(file.to_owned());
        }
    }
    expired
}

/// The claim `exp` of a JWT (RFC 7519 §4.1.4), down to the second; nothing of it is verified.
fn expires_at(token: &str) -> Option<UnixSeconds> {
    let payload = token.split('.').nth(1)?;
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("exp")?.as_u64().map(UnixSeconds)
}

/// The keys of `issuer`'s file, by name; empty when it has none.
pub(super) fn keys_of_file(issuer: &IssuerConfig) -> Vec<KeyName> {
    let content = issuer.keys().keys_file().and_then(|file| read_file(file).ok());
    content
        .and_then(|content| KeySet::parse_file(&content))
        .map(|set| set.names())
        .unwrap_or_default()
}
