//! Numbers and hashes as both databases keep them: 64-bit signed integers and 32-byte blobs.

use crate::StoreError;

/// A count, index or time as a column.
///
/// # Errors
/// [`StoreError::TooMuch`] above 2^63 - 1, which no log reaches.
pub fn from_u64(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooMuch {
        what,
        asked: value,
        limit: i64::MAX.unsigned_abs(),
    })
}

/// A bound of a range as a column; above 2^63 - 1 there is nothing, so the bound may be lowered to it.
#[must_use]
pub fn bound(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A column that is a count, index or time.
///
/// # Errors
/// [`StoreError::Corrupt`] below zero, which the schema's checks refuse.
pub fn to_u64(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt { what: format!("{what} is {value}") })
}

/// A column that is a hash.
///
/// # Errors
/// [`StoreError::Corrupt`] unless it is 32 bytes long.
pub fn to_hash<H: From<[u8; 32]>>(what: &'static str, value: &[u8]) -> Result<H, StoreError> {
    <[u8; 32]>::try_from(value)
        .map(H::from)
        .map_err(|_| StoreError::Corrupt { what: format!("{what} is {} bytes long", value.len()) })
}
