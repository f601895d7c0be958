//! Questions in a body or a URL, with the answers that generated servers give to wrong ones.

use axum::extract::Query as Pairs;
use http::Uri;
use serde::Deserialize;

use super::error::{ApiError, code};
use crate::Rekor1;

/// Reads a question in JSON.
pub(super) fn question<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, ApiError> {
    // A struct could also be read from an array of its members, which is nobody's form of it.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::Request("the request is not a JSON object".to_owned()));
    }
    Ok(wire::json::from_slice(json)?)
}

/// The parameters behind `?`. Of a repeated one the last counts.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let pairs = Pairs::try_from_uri(uri)
            .map_err(|_| ApiError::Request("the query cannot be read".to_owned()))?;
        Ok(Self(pairs.0))
    }

    /// A whole number of at least `minimum`.
    pub(super) fn number(&self, name: &str, minimum: i64) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| ApiError::Schema {
            code: code::TYPE,
            message: format!("{name} in query must be of type int64"),
        })?;
        let at_least = |number: i64| u64::try_from(number).ok().filter(|_| number >= minimum);
        at_least(number).map(Some).ok_or_else(|| ApiError::Schema {
            code: code::MINIMUM,
            message: format!("{name} in query should be greater than or equal to {minimum}"),
        })
    }

    /// A whole number that must be there.
    pub(super) fn required(&self, name: &str, minimum: i64) -> Result<u64, ApiError> {
        self.number(name, minimum)?.ok_or_else(|| ApiError::Schema {
            code: code::REQUIRED,
            message: format!("{name} in query is required"),
        })
    }

    /// Checks that `treeID`, if it is given, is the one tree that is here.
    pub(super) fn own_tree(&self, rekor1: &Rekor1) -> Result<(), ApiError> {
        let Some(tree_id) = self.text("treeID") else { return Ok(()) };
        if !tree_id.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = "treeID in query should match '^[0-9]+$'".to_owned();
            return Err(ApiError::Schema { code: code::PATTERN, message });
        }
        if tree_id.parse() == Ok(rekor1.tree_id()) {
            return Ok(());
        }
        Err(ApiError::Request("this log has no tree of that treeID".to_owned()))
    }

    /// An empty parameter counts as absent, as in generated servers.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rfind(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}
