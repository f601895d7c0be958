//! The protobuf JSON rules that serde does not know.

mod base64;
mod enums;
mod int64;
mod timestamp;

use serde::{Deserialize, Deserializer, Serialize, de};

pub use self::{
    base64::{Base64, NotBase64},
    enums::{HashAlgorithm, PublicKeyDetails},
    int64::{Int64, OutOfRange},
    timestamp::Timestamp,
};
pub(crate) use enums::proto_enum;

use crate::name::{NameError, check_text, check_uri};

/// Reads a member whose `null` means "not set", which protobuf makes the default value.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a text that is shown; see [`crate::name`].
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, check_text)
}

/// Reads a URI that is shown, compared or asked; see [`crate::name`].
pub(crate) fn uri<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, check_uri)
}

fn checked<'de, D: Deserializer<'de>>(
    deserializer: D,
    check: fn(&str) -> Result<(), NameError>,
) -> Result<String, D::Error> {
    let text: String = or_default(deserializer)?;
    check(&text).map_err(de::Error::custom)?;
    Ok(text)
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
