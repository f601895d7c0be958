//! `google.rpc.Status`, the error body of Fulcio and Rekor v2.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::inert;

/// An error body: `{"code":3,"message":"...","details":[]}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What kind of error.
    pub code: Code,
    /// What is wrong, for the caller's eyes.
    #[serde(default)]
    pub message: String,
    /// Always empty here; always written.
    #[serde(default)]
    pub details: Vec<serde_json::Value>,
}

impl Status {
    /// An error of that kind with that text, which may quote the caller and is made inert.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = inert::escape(&message.into()).into_owned();
        Self { code, message, details: Vec::new() }
    }
}

/// `google.rpc.Code`, in JSON its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 0: no error.
    Ok,
    /// 1: the caller went away.
    Canceled,
    /// 2: unknown.
    Unknown,
    /// 3: the request is wrong whatever the state of the system.
    InvalidArgument,
    /// 4: too late.
    DeadlineExceeded,
    /// 5: there is no such thing.
    NotFound,
    /// 6: it is already there.
    AlreadyExists,
    /// 7: the caller may not.
    PermissionDenied,
    /// 8: a quota or a queue is full.
    ResourceExhausted,
    /// 9: the system is not in the state for it.
    FailedPrecondition,
    /// 10: a conflict with another request.
    Aborted,
    /// 11: past the end.
    OutOfRange,
    /// 12: no such operation.
    Unimplemented,
    /// 13: our fault.
    Internal,
    /// 14: try again later.
    Unavailable,
    /// 15: data are lost or corrupt.
    DataLoss,
    /// 16: no valid credentials.
    Unauthenticated,
}

impl Code {
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Canceled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The number of `google.rpc.Code`.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code of that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The HTTP status by which upstream's gateway answers it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => 400,
            Self::Unauthenticated => 401,
            Self::PermissionDenied => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Aborted => 409,
            Self::ResourceExhausted => 429,
            Self::Canceled => 499,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::DeadlineExceeded => 504,
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Code {
    /// A number that is no code is [`Code::Unknown`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        Ok(u8::try_from(number).ok().and_then(Self::from_number).unwrap_or(Self::Unknown))
    }
}
