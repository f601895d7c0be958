//! The outer shape of a proposed entry, and how its strings are read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use wire::Base64;

use crate::EntryError;

/// `{apiVersion, kind, spec}`. Unknown members are ignored here and below, as upstream does; one
/// that is given twice is refused, where upstream takes the last.
pub(super) struct Proposed<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    /// JSON, only scanned so far: which shape it has depends on kind and version.
    pub(super) spec: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

/// A string that stays in the request when it has no escapes.
///
/// `Cow` itself borrows only outside an `Option`, which `null` needs.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A digest by the name of its algorithm, in hexadecimal.
#[derive(Deserialize)]
pub(super) struct Hash<'a> {
    #[serde(borrow)]
    pub(super) algorithm: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) value: Option<Text<'a>>,
}

impl<'a> Proposed<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, EntryError> {
        let raw: Raw<'_> = parse(json)?;
        Ok(Self {
            kind: required(raw.kind, "kind")?,
            version: required(raw.api_version, "apiVersion")?,
            spec: raw.spec.ok_or(EntryError::Missing("spec"))?,
        })
    }
}

/// Reads JSON as exactly `T`; a member given twice is refused at any depth, unknown ones included.
pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, EntryError> {
    wire::json::from_slice(json).map_err(|error| EntryError::malformed(&error))
}

/// Reads a part of what [`parse`] has looked through.
pub(super) fn parse_part<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, EntryError> {
    serde_json::from_str(json.get()).map_err(|error| EntryError::malformed(&error))
}

/// A string that must be there.
pub(super) fn required<'a>(
    text: Option<Text<'a>>,
    what: &'static str,
) -> Result<Cow<'a, str>, EntryError> {
    text.map(|text| text.0).filter(|text| !text.is_empty()).ok_or(EntryError::Missing(what))
}

/// Bytes that must be there, in either base64 alphabet, padded or not, on one line or many.
pub(super) fn required_bytes(
    text: Option<Text<'_>>,
    what: &'static str,
) -> Result<Vec<u8>, EntryError> {
    let text = required(text, what)?;
    let bytes = Base64::decode(&text).map_err(|_| EntryError::NotBase64(what))?.0;
    if bytes.is_empty() { Err(EntryError::Missing(what)) } else { Ok(bytes) }
}

/// A JSON string with its quotes, as RFC 8785 §3.2.2.2 writes it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
