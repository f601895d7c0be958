use wire::rekor1::{PublicKeyFormat, SearchIndex, SearchOperator, SearchPublicKey};

use super::verifier::Verifier;
use crate::{EntryError, IndexKeyKind};

/// What a search asks the index for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// One to four keys, each under one kind.
    pub keys: Vec<(IndexKeyKind, String)>,
    /// Whether an entry must have all of them; else one of them.
    pub match_all: bool,
}

/// The keys that `POST /api/v1/index/retrieve` asks for, in the form in which entries have them.
///
/// # Errors
/// [`EntryError::Missing`] when nothing is asked for, [`EntryError::HashValue`],
/// [`EntryError::TooLong`], [`EntryError::Unexpected`] for a key's URL (it is never fetched),
/// [`EntryError::KeyFormat`], and those of reading a key or certificate.
pub fn search_keys(query: &SearchIndex) -> Result<Search, EntryError> {
    let mut keys = Vec::new();
    if let Some(hash) = some(query.hash.as_deref()) {
        keys.push((IndexKeyKind::Hash, digest_of(hash)?));
    }
    if let Some(key) = &query.public_key {
        keys.push((IndexKeyKind::Key, key_hash(key)?));
    }
    if let Some(email) = some(query.email.as_deref()) {
        keys.push((IndexKeyKind::Email, name(email)?));
    }
    if let Some(subject) = some(query.subject.as_deref()) {
        keys.push((IndexKeyKind::Subject, name(subject)?));
    }
    if keys.is_empty() {
        return Err(EntryError::Missing("a key to search by"));
    }
    Ok(Search { keys, match_all: query.operator.unwrap_or_default() == SearchOperator::And })
}

fn some(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn name(text: &str) -> Result<String, EntryError> {
    if text.chars().count() > MAX_NAME_CHARS {
        return Err(EntryError::TooLong { what: "name", limit: MAX_NAME_CHARS });
    }
    Ok(text.to_lowercase())
}

/// The digits of a hash, whose algorithm may stand before it.
fn digest_of(hash: &str) -> Result<String, EntryError> {
    let (digits, lengths) = match hash.split_once(':') {
        None => (hash, &[40, 64, 96, 128][..]),
        Some(("sha1", digits)) => (digits, &[40][..]),
        Some(("sha256", digits)) => (digits, &[64][..]),
        Some(("sha384", digits)) => (digits, &[96][..]),
        Some(("sha512", digits)) => (digits, &[128][..]),
        Some((other, _)) => return Err(EntryError::unsupported_hash(other)),
    };
    if lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits.to_ascii_lowercase())
    } else {
        Err(EntryError::HashValue { digits: lengths.first().copied().unwrap_or_default() })
    }
}

/// SHA-256 of the canonical PEM, which every entry of that very key or certificate has.
fn key_hash(key: &SearchPublicKey) -> Result<String, EntryError> {
    if key.url.is_some() {
        return Err(EntryError::Unexpected("publicKey.url"));
    }
    if key.format != PublicKeyFormat::X509 {
        return Err(EntryError::KeyFormat);
    }
    let content = key.content.as_ref().filter(|content| !content.is_empty());
    let content = content.ok_or(EntryError::Missing("publicKey.content"))?;
    Verifier::sha256_of_pem(content.as_slice())
}

/// Longest name, as upstream's schema has it.
const MAX_NAME_CHARS: usize = 512;
