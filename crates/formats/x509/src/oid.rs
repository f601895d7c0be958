//! Object identifiers of the profile.

use der::asn1::ObjectIdentifier;

/// Issuer of the token, raw UTF-8 (superseded by [`ISSUER_V2`], still emitted).
pub const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// Event that triggered a GitHub workflow, raw UTF-8.
pub const GITHUB_WORKFLOW_TRIGGER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.2");
/// Commit of a GitHub workflow run, raw UTF-8.
pub const GITHUB_WORKFLOW_SHA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.3");
/// Name of a GitHub workflow, raw UTF-8.
pub const GITHUB_WORKFLOW_NAME: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.4");
/// Repository of a GitHub workflow, raw UTF-8.
pub const GITHUB_WORKFLOW_REPOSITORY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.5");
/// Git reference of a GitHub workflow run, raw UTF-8.
pub const GITHUB_WORKFLOW_REF: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.6");
/// Type of the `otherName` in the subject alternative name; not an extension.
pub const OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
/// Issuer of the token, DER `UTF8String`.
pub const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
/// URI of the build instructions that signed.
pub const BUILD_SIGNER_URI: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.9");
/// Digest of the build instructions that signed.
pub const BUILD_SIGNER_DIGEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.10");
/// Where the build ran: hosted by the platform or self-hosted.
pub const RUNNER_ENVIRONMENT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.11");
/// URI of the source repository.
pub const SOURCE_REPOSITORY_URI: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.12");
/// Digest (commit) of the source.
pub const SOURCE_REPOSITORY_DIGEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.13");
/// Reference (branch or tag) of the source.
pub const SOURCE_REPOSITORY_REF: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.14");
/// Immutable identifier of the source repository.
pub const SOURCE_REPOSITORY_IDENTIFIER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.15");
/// URI of the owner of the source repository.
pub const SOURCE_REPOSITORY_OWNER_URI: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.16");
/// Immutable identifier of the owner of the source repository.
pub const SOURCE_REPOSITORY_OWNER_IDENTIFIER: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.17");
/// URI of the top-level build configuration.
pub const BUILD_CONFIG_URI: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.18");
/// Digest of the top-level build configuration.
pub const BUILD_CONFIG_DIGEST: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.19");
/// Event that triggered the build.
pub const BUILD_TRIGGER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.20");
/// URI of this run of the build.
pub const RUN_INVOCATION_URI: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.21");
/// Visibility of the source repository when the certificate was issued.
pub const SOURCE_REPOSITORY_VISIBILITY_AT_SIGNING: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.22");
/// Deployment target of the build.
pub const DEPLOYMENT_ENVIRONMENT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.23");
/// The token's `sub` claim.
pub const TOKEN_SUBJECT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.24");

/// The GUID that [`ARC`] was derived from, made for this project and for nothing else.
pub const ARC_GUID: &str = "f0c0cbf3-7af2-41d5-9a92-1f671f3be7d5";
/// The arc of our own, below which no other organisation gives names: Microsoft's arc for whoever has
/// a GUID, and the GUID in seven numbers. `docs/extensions.md` has the method. Not 2.25, where UUIDs
/// have an arc too: Go reads no number beyond 2^31, and would refuse the whole certificate.
pub const ARC: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.61632.52211.31474.16853.39570.2058015.3925973",
);
/// Whether the forge protects the Git reference.
pub const REF_PROTECTED: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.61632.52211.31474.16853.39570.2058015.3925973.1.1",
);
/// Whether the forge protects the deployment environment.
pub const ENVIRONMENT_PROTECTED: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.61632.52211.31474.16853.39570.2058015.3925973.1.2",
);
/// What the job does with the deployment environment.
pub const ENVIRONMENT_ACTION: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.61632.52211.31474.16853.39570.2058015.3925973.1.3",
);
/// Tier of the deployment environment.
pub const DEPLOYMENT_TIER: ObjectIdentifier = ObjectIdentifier::new_unwrap(
    "1.2.840.113556.1.8000.2554.61632.52211.31474.16853.39570.2058015.3925973.1.4",
);

/// Embedded SCT list (RFC 6962 §3.3).
pub const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// Critical poison of a precertificate (RFC 6962 §3.1).
pub const CT_POISON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.3");
/// Extended key usage of a precertificate signing certificate (RFC 6962 §3.1); never accepted here.
pub const PRECERTIFICATE_SIGNING: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.4");
/// Extended key usage code signing (RFC 5280 §4.2.1.12).
pub const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");

/// Attribute type organizationName, the `O` of a distinguished name.
pub const ORGANIZATION_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
