//! How values of options are read: none is empty, and none that may hold a secret is repeated.

use std::{ffi::OsStr, path::PathBuf};

use clap::{Arg, Command, Error, builder::TypedValueParser, error::ErrorKind};
use url::Url;

use super::TokenSource;
use crate::services::ServiceUrl;

/// A text that says something: an empty one comes from a variable that was not set, and would
/// demand nothing, or what nothing can meet.
pub(super) fn text(value: &str) -> Result<String, String> {
    if value.trim().is_empty() { Err("it is empty".to_owned()) } else { Ok(value.to_owned()) }
}

/// A token, or where it is. What it holds is in no error.
pub(super) fn token_source(value: &str) -> Result<TokenSource, String> {
    let Ok(source) = text(value)?.parse::<TokenSource>();
    match source {
        TokenSource::File(path) if path.as_os_str().is_empty() => {
            Err("it names no file".to_owned())
        }
        source => Ok(source),
    }
}

/// A path that may be empty, which clap's own parser refuses.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a clap value parser")]
pub(super) fn path_or_nothing(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(PathBuf::from(text))
}

pub(super) fn sha256(text: &str) -> Result<[u8; 32], String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|_| "must be 64 hex digits".to_owned())?;
    Ok(hash)
}

/// Reads the URL of a service. Unlike clap's own errors, its do not repeat the value, which may
/// hold credentials.
#[derive(Clone, Debug)]
pub(super) struct ServiceUrlParser;

impl TypedValueParser for ServiceUrlParser {
    type Value = Url;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Url, Error> {
        let parsed = value.to_str().ok_or("it is not text".to_owned());
        let parsed = parsed.and_then(|text| {
            ServiceUrl::parse(text).map_err(|error| error.to_string()).map(|url| url.verbatim())
        });
        parsed.map_err(|why| {
            let option = argument.map(ToString::to_string).unwrap_or_default();
            let message = format!("the URL of '{option}' cannot be used: {why}\n");
            Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}
