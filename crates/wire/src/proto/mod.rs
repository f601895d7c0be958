//! The protobuf JSON rules that serde does not know.

mod base64;
mod enums;
mod int64;
mod timestamp;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::{
    base64::{Base64, NotBase64},
    enums::{HashAlgorithm, PublicKeyDetails},
    int64::{Int64, OutOfRange},
    timestamp::Timestamp,
};
pub(crate) use enums::proto_enum;

/// Reads a member whose `null` means "not set", which protobuf makes the default value.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads an enum of a file that may be newer than this program: an unknown name is the default value.
pub(crate) fn or_unspecified<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Whether a member has the value that protobuf does not write.
pub(crate) fn is_default<T: Default + PartialEq + Serialize>(value: &T) -> bool {
    *value == T::default()
}
