mod field;

use der::asn1::ObjectIdentifier;
use thiserror::Error;
use wire::name::NameError;

use crate::oid;
use field::FIELDS;

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

    /// Ours, .1.1: whether the forge protects the reference, `true` or `false`.
    pub ref_protected: Option<String>,
    /// Ours, .1.2: whether the forge protects the deployment environment, `true` or `false`.
    pub environment_protected: Option<String>,
    /// Ours, .1.3: what the job does with the deployment environment.
    pub environment_action: Option<String>,
    /// Ours, .1.4: tier of the deployment environment.
    pub deployment_tier: Option<String>,
}

impl FulcioExtensions {
    /// Encodes the present fields as (type, content of `extnValue`), in Fulcio's order, ours last.
    ///
    /// .1 to .6 are raw UTF-8, .8 to .24 and ours DER `UTF8String`.
    ///
    /// # Errors
    /// [`ExtensionsError::TooLong`], [`ExtensionsError::Deceptive`], [`ExtensionsError::Malformed`].
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
    /// [`ExtensionsError::TooLong`], [`ExtensionsError::Deceptive`], [`ExtensionsError::Malformed`].
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

    /// The present extensions as (field name, type, value), in the order in which they are written: for
    /// whoever shows all of them. The issuer has two.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, ObjectIdentifier, &str)> {
        FIELDS.iter().filter_map(|field| Some((field.name, field.oid, (field.get)(self)?)))
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
    /// Not the UTF-8, DER or word that the type demands, or bytes after it.
    #[error("extension {0} is malformed")]
    Malformed(ObjectIdentifier),
    /// It may pass for another value.
    #[error("extension {0} is not one that may be shown: {1}")]
    Deceptive(ObjectIdentifier, #[source] NameError),
    /// The same field with two values.
    #[error("extension {0} contradicts an earlier extension")]
    Contradiction(ObjectIdentifier),
}

#[cfg(test)]
mod tests;
