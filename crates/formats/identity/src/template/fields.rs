//! The extensions that a template may fill, and what each must look like.

use x509::FulcioExtensions;

/// What every result of one extension must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An absolute URI on a host that the issuer may speak for.
    Uri,
    /// A full Git ref.
    Ref,
    /// A commit in hexadecimal.
    Digest,
    /// Not a platform's word for its own machines.
    Runner,
    /// Text that shows as what it is.
    Text,
}

/// One extension.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) slot: fn(&mut FulcioExtensions) -> &mut Option<String>,
}

impl Field {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.name == name)
    }
}

macro_rules! field {
    ($name:ident, $shape:ident) => {
        Field {
            name: stringify!($name),
            shape: Shape::$shape,
            slot: |extensions| &mut extensions.$name,
        }
    };
}

/// All but the issuer and the subject, which are the token's.
const FIELDS: [Field; 20] = [
    field!(github_workflow_trigger, Text),
    field!(github_workflow_sha, Digest),
    field!(github_workflow_name, Text),
    field!(github_workflow_repository, Text),
    field!(github_workflow_ref, Ref),
    field!(build_signer_uri, Uri),
    field!(build_signer_digest, Digest),
    field!(runner_environment, Runner),
    field!(source_repository_uri, Uri),
    field!(source_repository_digest, Digest),
    field!(source_repository_ref, Ref),
    field!(source_repository_identifier, Text),
    field!(source_repository_owner_uri, Uri),
    field!(source_repository_owner_identifier, Text),
    field!(build_config_uri, Uri),
    field!(build_config_digest, Digest),
    field!(build_trigger, Text),
    field!(run_invocation_uri, Uri),
    field!(source_repository_visibility_at_signing, Text),
    field!(deployment_environment, Text),
];
