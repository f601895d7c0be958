//! In-toto statements, DSSE envelopes, SLSA provenance and the policy over them.
//!
//! What a signature on an artifact says, and when what it says is believed.
//! Specifications: in-toto Attestation Framework v1 (Statement v0.1 is read
//! too), DSSE v1, SLSA 1.2 build provenance (`https://slsa.dev/provenance/v1`).
//!
//! It refuses to: report a build level above what the signer proves (nothing
//! signed inside a job is L3), let a predicate overrule a certificate, take a
//! shortened repository or ref for the whole.
//!
//! - [`Statement`], [`ResourceDescriptor`]: what is said about which artifacts.
//! - [`UnsignedEnvelope`]: how it is signed; [`GivenStatement`]: as it is.
//! - [`Provenance`]: how an artifact was built; [`BuildEnvironment`] makes one.
//! - [`SourceWords`], [`SourceDemand`], [`SourcePolicy`], [`CertificateClaims`]: from which repository, at which ref.
//! - [`Forge`], [`BareNames`]: on which forge, where a name does not say so.
//! - [`BuildLevel`]: the SLSA level that the evidence carries.

mod envelope;
mod environment;
mod issuer;
mod level;
mod policy;
mod slsa;
mod statement;

pub use envelope::{EnvelopeError, GivenStatement, UnsignedEnvelope};
pub use environment::{
    BuildEnvironment, CiBuild, CiSystem, EnvironmentError, GithubBuild, LocalBuild,
};
pub use level::BuildLevel;
pub use policy::{
    BareNames, CertificateClaims, Forge, ForgeError, ForgeKind, PolicyError, SourceDemand,
    SourcePolicy, SourceViolation, SourceWords,
};
pub use slsa::{
    BuildDefinition, BuildMetadata, Builder, CI_BUILD_TYPE, GITHUB_WORKFLOW_BUILD_TYPE,
    LOCAL_BUILD_TYPE, LOCAL_BUILDER_ID, PREDICATE_TYPE_SLSA_V1, Provenance, ProvenanceError,
    RunDetails,
};
pub use statement::{
    MAX_STATEMENT_LEN, MAX_SUBJECTS, ResourceDescriptor, STATEMENT_V01, STATEMENT_V1, Statement,
    StatementError,
};
