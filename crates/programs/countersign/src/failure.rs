use std::{borrow::Cow, fmt};

use serde::Serialize;
use verify::{Cause, Check, OtherFormat, VerifyError};
use wire::inert;

use crate::{
    output,
    services::{HttpClientError, IdentityTokenError},
    signing::SigningError,
    trust::TrustFileError,
};

/// Longest message shown, in characters: a path and a sentence or two. Parsers quote what they do not
/// understand, and servers may send a mebibyte of it.
const MAX_MESSAGE_LEN: usize = 4000;

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
            advice: Some(advice_for(error).to_owned()),
        }
    }

    /// Neither signature nor attestation of `subject` was found.
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
            message: &self.shown_message(),
            advice: self.advice.as_deref(),
        };
        output::json(&shape)
    }
}

impl Failure {
    fn shown_message(&self) -> Cow<'_, str> {
        match self.message.char_indices().nth(MAX_MESSAGE_LEN) {
            None => Cow::Borrowed(&self.message),
            Some((end, _)) => {
                let begin = self.message.get(..end).unwrap_or_default();
                Cow::Owned(format!("{begin} ..."))
            }
        }
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
    /// One line, whatever the message quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&inert::escape(&self.shown_message()))?;
        match &self.advice {
            Some(advice) => write!(f, ": {}", inert::escape(advice)),
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

/// What to do, by what explains the failure: only where nothing else does was something changed.
fn advice_for(error: &VerifyError) -> &'static str {
    match error.cause {
        Cause::Altered => "it was changed after it was made, or was never good: do not use it",
        Cause::OtherArtifact => "the file changed since it was signed, or the bundle is of another",
        Cause::OtherSigner if error.check == Check::PublicKey => {
            "give the key that signed, or, if you know it by that name, --key-hint"
        }
        Cause::OtherSigner => "do not use it unless you expected this signer",
        Cause::OtherSigningMethod if error.check == Check::PublicKey => {
            "demand an identity: --certificate-identity with --certificate-oidc-issuer"
        }
        Cause::OtherSigningMethod => "demand the key that signed: --key",
        Cause::OtherKind => "demand what it is by --type, or give another bundle",
        Cause::OtherFormat(format) => advice_for_format(format),
        Cause::Pinned => {
            "--cert must be for signing code (key usage digital signature, extended usage code \
             signing), and --cert-chain its intermediates and last its root"
        }
        Cause::OtherInstance => {
            "is the trusted root of the instance that signed? give --trust-config or \
             --trusted-root of that instance, or run `countersign trust update`"
        }
        Cause::NoUsableTrust => {
            "correct the trusted root, or give that of the instance that signed by --trust-config \
             or --trusted-root"
        }
        Cause::OutsideValidity => {
            "the trusted root says until when each authority counts: `countersign trust update` \
             brings it up to date; what was made after an end is not to be trusted"
        }
        Cause::Clocks => "set this machine's clock, and try again",
        Cause::NoTrust => {
            "run `countersign trust init`, or give --trust-config or --trusted-root of the \
             instance that signed"
        }
        Cause::Incomplete => {
            "sign it again with a log and a timestamp authority; a certificate's signature needs \
             one log and one proved time at least"
        }
        Cause::Unsupported => "a newer countersign may know it: see `countersign --version`",
        Cause::NeedsArtifact => "give the artifact itself in place of its digest",
    }
}

fn advice_for_format(format: OtherFormat) -> &'static str {
    match format {
        OtherFormat::NoJson => "give the bundle itself: were the file and the bundle swapped?",
        OtherFormat::OtherJson => "give the file that the signer wrote: was the download refused?",
        OtherFormat::Empty => "give the file that the signer wrote: was the download cut off?",
        OtherFormat::ByteOrderMark => "save it as UTF-8 without a byte order mark",
        OtherFormat::Cosign2Bundle => {
            "sign with `cosign sign-blob --new-bundle-format`, or verify it with cosign"
        }
        OtherFormat::JsonLines => "give one line of it: each is a bundle of its own",
        OtherFormat::BundleList => "give one bundle of the list",
        OtherFormat::Envelope => {
            "give the bundle that was written beside it: an envelope has no certificate, log entry \
             or timestamp"
        }
        OtherFormat::Statement => "nobody signed it: `countersign attest verify --provenance FILE`",
        OtherFormat::TrustFile => {
            "give it as --trust-config or --trusted-root, and a bundle as --bundle"
        }
        OtherFormat::UnknownVersion => {
            "a newer countersign may know it: see `countersign --version`"
        }
        OtherFormat::Truncated => "fetch or sign it again: was the download cut off?",
        OtherFormat::Pem => "give it as --key or --cert, and a bundle as --bundle",
        OtherFormat::Signature => {
            "ask the signer for a Sigstore bundle: a bare signature names no signer and no log"
        }
    }
}
