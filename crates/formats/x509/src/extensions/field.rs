//! The table of extensions: where each lives, how it is written and what may be in it.

use der::{
    Decode, Encode,
    asn1::{ObjectIdentifier, Utf8StringRef},
};
use wire::name::{NameError, check_path, check_text, check_uri};

use super::{ExtensionsError, FulcioExtensions, MAX_VALUE_LEN};
use crate::oid;

/// One extension: where it lives in [`FulcioExtensions`] and how it is written.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) oid: ObjectIdentifier,
    pub(super) encoding: Encoding,
    /// What its value is, and so what may be in it.
    check: fn(&str) -> Result<(), NameError>,
    pub(super) get: fn(&FulcioExtensions) -> Option<&str>,
    pub(super) get_mut: fn(&mut FulcioExtensions) -> &mut Option<String>,
}

impl Field {
    pub(super) fn check(&self, value: &str) -> Result<(), ExtensionsError> {
        if value.len() > MAX_VALUE_LEN {
            return Err(ExtensionsError::TooLong(self.oid));
        }
        if matches!(self.encoding, Encoding::Flag) && !matches!(value, "" | "true" | "false") {
            return Err(ExtensionsError::Malformed(self.oid));
        }
        (self.check)(value).map_err(|error| ExtensionsError::Deceptive(self.oid, error))
    }
}

#[derive(Clone, Copy)]
pub(super) enum Encoding {
    /// The UTF-8 bytes themselves, without a DER header.
    Raw,
    /// DER `UTF8String`.
    Der,
    /// DER `UTF8String` of `true` or `false`, as the forges' tokens have it. Not `BOOLEAN`: verifiers
    /// compare texts, and those of all other extensions.
    Flag,
}

impl Encoding {
    pub(super) fn encode(self, value: &str) -> Option<Vec<u8>> {
        match self {
            Self::Raw => Some(value.as_bytes().to_vec()),
            Self::Der | Self::Flag => Utf8StringRef::new(value).and_then(|text| text.to_der()).ok(),
        }
    }

    pub(super) fn decode(self, content: &[u8]) -> Option<String> {
        match self {
            Self::Raw => std::str::from_utf8(content).ok().map(str::to_owned),
            Self::Der | Self::Flag => {
                Utf8StringRef::from_der(content).ok().map(|text| text.to_string())
            }
        }
    }
}

macro_rules! field {
    ($oid:ident, $encoding:ident, $name:ident, $check:ident) => {
        Field {
            name: stringify!($name),
            oid: oid::$oid,
            encoding: Encoding::$encoding,
            check: $check,
            get: |extensions| extensions.$name.as_deref(),
            get_mut: |extensions| &mut extensions.$name,
        }
    };
}

/// In the order in which Fulcio writes them, then ours, which are in `docs/extensions.md`. Names of workflows, events and environments are free text,
/// digests and identifiers are compared as they are: in these only what is not seen is refused.
pub(super) const FIELDS: &[Field] = &[
    field!(ISSUER, Raw, issuer, check_uri),
    field!(GITHUB_WORKFLOW_TRIGGER, Raw, github_workflow_trigger, check_text),
    field!(GITHUB_WORKFLOW_SHA, Raw, github_workflow_sha, check_text),
    field!(GITHUB_WORKFLOW_NAME, Raw, github_workflow_name, check_text),
    field!(GITHUB_WORKFLOW_REPOSITORY, Raw, github_workflow_repository, check_path),
    field!(GITHUB_WORKFLOW_REF, Raw, github_workflow_ref, check_path),
    field!(ISSUER_V2, Der, issuer, check_uri),
    field!(BUILD_SIGNER_URI, Der, build_signer_uri, check_uri),
    field!(BUILD_SIGNER_DIGEST, Der, build_signer_digest, check_text),
    field!(RUNNER_ENVIRONMENT, Der, runner_environment, check_text),
    field!(SOURCE_REPOSITORY_URI, Der, source_repository_uri, check_uri),
    field!(SOURCE_REPOSITORY_DIGEST, Der, source_repository_digest, check_text),
    field!(SOURCE_REPOSITORY_REF, Der, source_repository_ref, check_path),
    field!(SOURCE_REPOSITORY_IDENTIFIER, Der, source_repository_identifier, check_text),
    field!(SOURCE_REPOSITORY_OWNER_URI, Der, source_repository_owner_uri, check_uri),
    field!(SOURCE_REPOSITORY_OWNER_IDENTIFIER, Der, source_repository_owner_identifier, check_text),
    field!(BUILD_CONFIG_URI, Der, build_config_uri, check_uri),
    field!(BUILD_CONFIG_DIGEST, Der, build_config_digest, check_text),
    field!(BUILD_TRIGGER, Der, build_trigger, check_text),
    field!(RUN_INVOCATION_URI, Der, run_invocation_uri, check_uri),
    field!(
        SOURCE_REPOSITORY_VISIBILITY_AT_SIGNING,
        Der,
        source_repository_visibility_at_signing,
        check_text
    ),
    field!(DEPLOYMENT_ENVIRONMENT, Der, deployment_environment, check_text),
    field!(TOKEN_SUBJECT, Der, token_subject, check_text),
    field!(REF_PROTECTED, Flag, ref_protected, check_text),
    field!(ENVIRONMENT_PROTECTED, Flag, environment_protected, check_text),
    field!(ENVIRONMENT_ACTION, Der, environment_action, check_text),
    field!(DEPLOYMENT_TIER, Der, deployment_tier, check_text),
];
