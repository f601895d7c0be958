use std::fmt;

use serde::Serialize;
use verify::{Check, VerifyError};

use crate::{
    services::{HttpClientError, IdentityTokenError},
    signing::SigningError,
    trust::TrustFileError,
};

/// What kind of failure it was; the process's exit code, which scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1: a signature, a proof or a policy does not hold.
    Verification,
    /// 2: the command cannot be carried out as it was given.
    Usage,
    /// 3: a service was unreachable or refused for now; trying again may help.
    Unavailable,
    /// 4: a service refused for good.
    Refused,
}

impl Exit {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Verification => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Refused => 4,
        }
    }
}

/// Why a command failed, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    check: Option<Check>,
    message: String,
    advice: Option<String>,
}

impl Failure {
    /// The command cannot be carried out as given.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, check: None, message: message.into(), advice: None }
    }

    /// A service did not answer, or not now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unavailable, check: None, message: message.into(), advice: None }
    }

    /// A service said no, and will say so again.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, check: None, message: message.into(), advice: None }
    }

    /// A check did not pass for `subject`.
    pub(crate) fn check(subject: &str, error: &VerifyError) -> Self {
        Self {
            exit: Exit::Verification,
            check: Some(error.check),
            message: format!("{subject}: {}", in_one_line(error)),
            advice: advice_for(error.check).map(str::to_owned),
        }
    }

    /// There is nothing that vouches for `subject`.
    pub(crate) fn unsigned(subject: &str, expected: &std::path::Path) -> Self {
        Self {
            exit: Exit::Verification,
            check: None,
            message: format!(
                "{subject} has no attestation or signature: there is no {}",
                expected.display()
            ),
            advice: Some("give --bundle if it is elsewhere".to_owned()),
        }
    }

    /// What an error with an exit code of its own says.
    pub(crate) fn of_exit_code(code: u8, error: &dyn std::error::Error) -> Self {
        let exit = match code {
            1 => Exit::Verification,
            3 => Exit::Unavailable,
            4 => Exit::Refused,
            _ => Exit::Usage,
        };
        Self { exit, check: None, message: in_one_line(error), advice: None }
    }

    /// Says what stood in the way of what was wanted.
    pub(crate) fn because_of(mut self, obstacle: &str) -> Self {
        self.message = format!("{obstacle}: {}", self.message);
        self
    }

    /// Says what to do.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What kind of failure.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// The check that failed, when it was one.
    #[must_use]
    pub const fn failed_check(&self) -> Option<Check> {
        self.check
    }

    /// The failure as one JSON object with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shape<'a> {
            ok: bool,
            exit_code: u8,
            #[serde(skip_serializing_if = "Option::is_none")]
            check: Option<&'static str>,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            advice: Option<&'a str>,
        }
        let shape = Shape {
            ok: false,
            exit_code: self.exit.code(),
            check: self.check.map(Check::name),
            message: &self.message,
            advice: self.advice.as_deref(),
        };
        // Invariant: texts and numbers only, which always have a JSON form.
        serde_json::to_string(&shape).unwrap_or_default() + "\n"
    }
}

impl From<SigningError> for Failure {
    fn from(error: SigningError) -> Self {
        let check = match &error {
            SigningError::SelfCheck(failed) => Some(failed.check),
            _ => None,
        };
        let advice = match &error {
            SigningError::Ed25519Logged => Some("--tlog-upload=false signs without the log"),
            SigningError::AttestationAsFile => Some(
                "sign an archive that holds the file, or attest it by `countersign attest sign`",
            ),
            _ => None,
        };
        let advice = advice.map(str::to_owned);
        Self { check, advice, ..Self::of_exit_code(error.exit_code(), &error) }
    }
}

impl From<TrustFileError> for Failure {
    fn from(error: TrustFileError) -> Self {
        Self::usage(in_one_line(&error))
    }
}

impl From<IdentityTokenError> for Failure {
    fn from(error: IdentityTokenError) -> Self {
        Self::usage(in_one_line(&error))
    }
}

impl From<HttpClientError> for Failure {
    fn from(error: HttpClientError) -> Self {
        Self::usage(in_one_line(&error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.advice {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

/// An error and its causes, without those that an outer one already repeats.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

fn advice_for(check: Check) -> Option<&'static str> {
    match check {
        Check::Digest => Some("the file changed since it was signed, or the bundle is of another"),
        Check::Identity | Check::Source => Some("do not use it unless you expected this signer"),
        Check::PublicKey => Some("give the key that signed"),
        Check::Statement => None,
        Check::Certificate | Check::Sct | Check::Timestamp | Check::LogEntry => {
            Some("the trusted root may be of another instance, or the bundle was changed")
        }
        _ => Some("the bundle was changed after it was made"),
    }
}
