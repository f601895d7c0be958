use der::{
    Decode, Encode,
    asn1::{ObjectIdentifier, Utf8StringRef},
};
use thiserror::Error;
use wire::name::{NameError, check_path, check_text, check_uri};

use crate::oid;

/// Longest value of one extension, in bytes; nearly all are URIs or digests.
const MAX_VALUE_LEN: usize = 4096;

/// Longest DER header of such a value: tag, length of length, two bytes of length.
const MAX_HEADER_LEN: usize = 4;

/// What a certificate says about the identity and the build, besides its name.
///
/// An absent field is an absent extension; an empty text is written as absent, as Fulcio does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FulcioExtensions {
    /// .1 and .8: issuer of the token.
    pub issuer: Option<String>,
    /// .2: event that triggered the GitHub workflow.
    pub github_workflow_trigger: Option<String>,
    /// .3: commit of the GitHub workflow run.
    pub github_workflow_sha: Option<String>,
    /// .4: name of the GitHub workflow.
    pub github_workflow_name: Option<String>,
    /// .5: repository of the GitHub workflow.
    pub github_workflow_repository: Option<String>,
    /// .6: Git reference of the GitHub workflow run.
    pub github_workflow_ref: Option<String>,
    /// .9: URI of the build instructions that signed.
    pub build_signer_uri: Option<String>,
    /// .10: digest of the build instructions that signed.
    pub build_signer_digest: Option<String>,
    /// .11: hosted by the platform or self-hosted.
    pub runner_environment: Option<String>,
    /// .12: URI of the source repository.
    pub source_repository_uri: Option<String>,
    /// .13: digest (commit) of the source.
    pub source_repository_digest: Option<String>,
    /// .14: branch or tag of the source.
    pub source_repository_ref: Option<String>,
    /// .15: immutable identifier of the source repository.
    pub source_repository_identifier: Option<String>,
    /// .16: URI of the owner of the source repository.
    pub source_repository_owner_uri: Option<String>,
    /// .17: immutable identifier of that owner.
    pub source_repository_owner_identifier: Option<String>,
    /// .18: URI of the top-level build configuration.
    pub build_config_uri: Option<String>,
    /// .19: digest of the top-level build configuration.
    pub build_config_digest: Option<String>,
    /// .20: event that triggered the build.
    pub build_trigger: Option<String>,
    /// .21: URI of this run of the build.
    pub run_invocation_uri: Option<String>,
    /// .22: visibility of the source repository when the certificate was issued.
    pub source_repository_visibility_at_signing: Option<String>,
    /// .23: deployment target of the build.
    pub deployment_environment: Option<String>,
    /// .24: the token's `sub` claim.
    pub token_subject: Option<String>,
}

impl FulcioExtensions {
    /// Encodes the present fields as (type, content of `extnValue`), in Fulcio's order.
    ///
    /// .1 to .6 are raw UTF-8, .8 to .24 DER `UTF8String`.
    ///
    /// # Errors
    /// [`ExtensionsError::TooLong`], [`ExtensionsError::Deceptive`].
    pub fn encode(&self) -> Result<Vec<(ObjectIdentifier, Vec<u8>)>, ExtensionsError> {
        self.check()?;
        let mut encoded = Vec::new();
        for field in FIELDS {
            let Some(value) = (field.get)(self).filter(|value| !value.is_empty()) else {
                continue;
            };
            let content =
                field.encoding.encode(value).ok_or(ExtensionsError::TooLong(field.oid))?;
            encoded.push((field.oid, content));
        }
        Ok(encoded)
    }

    /// Checks that the values may stand in a certificate: a name, URI or ref that passes for another
    /// would be compared and shown as that.
    ///
    /// # Errors
    /// [`ExtensionsError::TooLong`], [`ExtensionsError::Deceptive`].
    pub fn check(&self) -> Result<(), ExtensionsError> {
        FIELDS.iter().try_for_each(|field| field.check((field.get)(self).unwrap_or_default()))
    }

    /// Reads the fields from pairs of type and content of `extnValue`; foreign types are ignored.
    ///
    /// # Errors
    /// [`ExtensionsError::Malformed`] when a value is not UTF-8, not DER or has bytes after it,
    /// [`ExtensionsError::TooLong`], [`ExtensionsError::Contradiction`] when one field is given two
    /// values (as .1 and .8 of different text would), and what [`Self::check`] refuses.
    pub fn parse<'a>(
        extensions: impl IntoIterator<Item = (ObjectIdentifier, &'a [u8])>,
    ) -> Result<Self, ExtensionsError> {
        let mut parsed = Self::default();
        for (oid, content) in extensions {
            let Some(field) = FIELDS.iter().find(|field| field.oid == oid) else {
                continue;
            };
            if content.len() > MAX_VALUE_LEN + MAX_HEADER_LEN {
                return Err(ExtensionsError::TooLong(oid));
            }
            let value = field.encoding.decode(content).ok_or(ExtensionsError::Malformed(oid))?;
            field.check(&value)?;
            let slot = (field.get_mut)(&mut parsed);
            match slot {
                Some(earlier) if *earlier != value => {
                    return Err(ExtensionsError::Contradiction(oid));
                }
                _ => *slot = Some(value),
            }
        }
        Ok(parsed)
    }

    /// The present fields as (type, field name, value), in the order in which they are written.
    pub fn named_with_oids(&self) -> impl Iterator<Item = (ObjectIdentifier, &'static str, &str)> {
        let present = |field: &'static Field| (field.get)(self).filter(|value| !value.is_empty());
        FIELDS.iter().filter_map(move |field| Some((field.oid, field.name, present(field)?)))
    }

    /// The present fields as (field name, value), for display; the issuer appears once.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        FIELDS
            .iter()
            .filter(|field| field.oid != oid::ISSUER_V2)
            .filter_map(|field| Some((field.name, (field.get)(self)?)))
    }
}

/// Why extensions could not be written or read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ExtensionsError {
    /// A value is longer than any real one.
    #[error("extension {0} is longer than {MAX_VALUE_LEN} bytes")]
    TooLong(ObjectIdentifier),
    /// Not the UTF-8 or DER that the type demands, or bytes after it.
    #[error("extension {0} is malformed")]
    Malformed(ObjectIdentifier),
    /// It may pass for another value.
    #[error("extension {0} is not one that may be shown: {1}")]
    Deceptive(ObjectIdentifier, #[source] NameError),
    /// The same field with two values.
    #[error("extension {0} contradicts an earlier extension")]
    Contradiction(ObjectIdentifier),
}

/// One extension: where it lives in [`FulcioExtensions`] and how it is written.
struct Field {
    name: &'static str,
    oid: ObjectIdentifier,
    encoding: Encoding,
    /// What its value is, and so what may be in it.
    check: fn(&str) -> Result<(), NameError>,
    get: fn(&FulcioExtensions) -> Option<&str>,
    get_mut: fn(&mut FulcioExtensions) -> &mut Option<String>,
}

impl Field {
    fn check(&self, value: &str) -> Result<(), ExtensionsError> {
        if value.len() > MAX_VALUE_LEN {
            return Err(ExtensionsError::TooLong(self.oid));
        }
        (self.check)(value).map_err(|error| ExtensionsError::Deceptive(self.oid, error))
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    /// The UTF-8 bytes themselves, without a DER header.
    Raw,
    /// DER `UTF8String`.
    Der,
}

impl Encoding {
    fn encode(self, value: &str) -> Option<Vec<u8>> {
        match self {
            Self::Raw => Some(value.as_bytes().to_vec()),
            Self::Der => Utf8StringRef::new(value).and_then(|text| text.to_der()).ok(),
        }
    }

    fn decode(self, content: &[u8]) -> Option<String> {
        match self {
            Self::Raw => std::str::from_utf8(content).ok().map(str::to_owned),
            Self::Der => Utf8StringRef::from_der(content).ok().map(|text| text.to_string()),
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

/// In the order in which Fulcio writes them. Names of workflows, events and environments are free text,
/// digests and identifiers are compared as they are: in these only what is not seen is refused.
const FIELDS: &[Field] = &[
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
];

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> FulcioExtensions {
        let mut extensions = FulcioExtensions::default();
        for (number, field) in FIELDS.iter().enumerate() {
            let value = if field.name == "issuer" { 0 } else { number };
            *(field.get_mut)(&mut extensions) = Some(format!("value {value} \u{e4}&<>'\"+"));
        }
        extensions
    }

    fn parse(encoded: &[(ObjectIdentifier, Vec<u8>)]) -> Result<FulcioExtensions, ExtensionsError> {
        FulcioExtensions::parse(encoded.iter().map(|(oid, content)| (*oid, content.as_slice())))
    }

    #[test]
    fn every_field_survives_encoding() {
        let extensions = filled();
        assert_eq!(parse(&extensions.encode().unwrap()), Ok(extensions));
    }

    #[test]
    fn writes_one_to_six_raw_and_the_rest_as_utf8_string() {
        let encoded = filled().encode().unwrap();
        let (raw, der) = encoded.split_at(6);
        assert!(raw.iter().all(|(_, content)| content.starts_with(b"value")));
        assert!(der.iter().all(|(_, content)| content.starts_with(&[0x0c])));
        assert_eq!(encoded.len(), 23);
    }

    #[test]
    fn leaves_out_absent_and_empty_fields() {
        let extensions = FulcioExtensions {
            issuer: Some("https://issuer.example".to_owned()),
            build_trigger: Some(String::new()),
            ..FulcioExtensions::default()
        };
        let oids: Vec<_> = extensions.encode().unwrap().iter().map(|(oid, _)| *oid).collect();
        assert_eq!(oids, [oid::ISSUER, oid::ISSUER_V2]);
        let named: Vec<_> = extensions.named().map(|(name, _)| name).collect();
        assert_eq!(named, ["issuer", "build_trigger"]);
    }

    #[test]
    fn refuses_bytes_after_the_der_string() {
        let content = vec![0x0c, 0x01, b'a', 0x00];
        let refused = Err(ExtensionsError::Malformed(oid::BUILD_TRIGGER));
        assert_eq!(parse(&[(oid::BUILD_TRIGGER, content)]), refused);
    }

    #[test]
    fn refuses_other_string_types_and_broken_utf8() {
        for (oid, content) in [
            (oid::ISSUER_V2, vec![0x13, 0x01, b'a']),
            (oid::ISSUER_V2, vec![0x0c, 0x01, 0xff]),
            (oid::ISSUER_V2, b"https://issuer.example".to_vec()),
            (oid::ISSUER, vec![0xff]),
        ] {
            assert_eq!(parse(&[(oid, content)]), Err(ExtensionsError::Malformed(oid)));
        }
    }

    #[test]
    fn refuses_two_different_issuers() {
        let old = (oid::ISSUER, b"a".to_vec());
        let new = (oid::ISSUER_V2, vec![0x0c, 0x01, b'b']);
        assert_eq!(parse(&[old, new]), Err(ExtensionsError::Contradiction(oid::ISSUER_V2)));
    }

    /// As a CA that checks nothing would write it.
    fn unchecked(field: &Field, value: &str) -> [(ObjectIdentifier, Vec<u8>); 1] {
        [(field.oid, field.encoding.encode(value).unwrap())]
    }

    #[test]
    fn no_field_holds_what_is_not_seen_as_what_it_is() {
        for field in FIELDS {
            for c in [
                '\0',
                '\n',
                '\r',
                '\t',
                '\u{1b}',
                '\u{7f}',
                '\u{85}',
                '\u{9b}',
                '\u{ad}',
                '\u{61c}',
                '\u{200b}',
                '\u{200e}',
                '\u{200f}',
                '\u{2028}',
                '\u{2029}',
                '\u{202a}',
                '\u{202e}',
                '\u{2060}',
                '\u{2066}',
                '\u{2069}',
                '\u{feff}',
                '\u{e0041}',
            ] {
                let value = format!("https://forge.example/a{c}b");
                let refused = ExtensionsError::Deceptive(field.oid, NameError::Character(c.into()));
                assert_eq!(parse(&unchecked(field, &value)).as_ref(), Err(&refused), "{c:?}");
                let mut extensions = FulcioExtensions::default();
                *(field.get_mut)(&mut extensions) = Some(value);
                let written = extensions.encode().unwrap_err();
                assert!(matches!(written, ExtensionsError::Deceptive(..)), "{c:?}");
            }
        }
    }

    #[test]
    fn no_uri_or_ref_passes_for_another() {
        let of = |names: &[&str]| -> Vec<&Field> {
            FIELDS
                .iter()
                .filter(|field| names.iter().any(|end| field.name.ends_with(end)))
                .collect()
        };
        let (uris, paths) = (of(&["issuer", "_uri"]), of(&["_ref", "_repository"]));
        assert_eq!((uris.len(), paths.len()), (7, 3));
        for (value, error) in [
            ("https://github.com/acme/../evil", NameError::DotSegment),
            ("https://github.com/acme/./evil", NameError::DotSegment),
            ("https://github.com/acme/%2e%2E/evil", NameError::DotSegment),
            ("refs/heads/../../evil", NameError::DotSegment),
            ("https://github.com\\evil", NameError::Backslash),
        ] {
            for field in uris.iter().chain(&paths) {
                let refused = Err(ExtensionsError::Deceptive(field.oid, error));
                assert_eq!(parse(&unchecked(field, value)), refused, "{value}");
            }
        }
        for field in uris {
            let refused = Err(ExtensionsError::Deceptive(field.oid, NameError::UserInfo));
            assert_eq!(parse(&unchecked(field, "https://github.com@evil.example/a")), refused);
        }
    }

    #[test]
    fn reads_certificates_that_have_the_old_issuer_only() {
        let parsed = parse(&[(oid::ISSUER, b"a".to_vec())]).unwrap();
        assert_eq!(parsed.issuer.as_deref(), Some("a"));
    }

    #[test]
    fn takes_values_up_to_the_limit() {
        let of_len = |len| FulcioExtensions {
            token_subject: Some("s".repeat(len)),
            ..FulcioExtensions::default()
        };
        let longest = of_len(MAX_VALUE_LEN);
        assert_eq!(parse(&longest.encode().unwrap()), Ok(longest));
        let refused = Err(ExtensionsError::TooLong(oid::TOKEN_SUBJECT));
        assert_eq!(of_len(MAX_VALUE_LEN + 1).encode(), refused);
        let content = vec![b'a'; MAX_VALUE_LEN + MAX_HEADER_LEN + 1];
        assert_eq!(parse(&[(oid::ISSUER, content)]), Err(ExtensionsError::TooLong(oid::ISSUER)));
    }
}
