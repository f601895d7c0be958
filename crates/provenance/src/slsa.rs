use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{ResourceDescriptor, Statement};

/// Predicate type of SLSA build provenance 1.0, 1.1 and 1.2.
pub const PREDICATE_TYPE_SLSA_V1: &str = "https://slsa.dev/provenance/v1";

/// Predicate type that one producer writes for the same predicate; read, never written.
const PREDICATE_TYPE_SLSA_V1_ALIAS: &str = "https://slsa.dev/provenance/v1.0";

/// Build type of GitHub Actions workflows, defined by GitHub.
pub const GITHUB_WORKFLOW_BUILD_TYPE: &str = "https://actions.github.io/buildtypes/workflow/v1";

/// Build type of jobs of every other CI system, `docs/buildtypes/ci-v1.md`.
pub const CI_BUILD_TYPE: &str = "https://countersign.dev/buildtypes/ci/v1";

/// Build type of a build that nobody but its own machine saw.
pub const LOCAL_BUILD_TYPE: &str = "https://countersign.dev/buildtypes/local/v1";

/// Builder of [`LOCAL_BUILD_TYPE`]: the signer's word alone, so never above L1.
pub const LOCAL_BUILDER_ID: &str = "https://countersign.dev/builders/local/v1";

/// SLSA build provenance v1.
///
/// Unknown fields are ignored on reading and null is absence, as SLSA's parsing rules say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for.
    pub build_definition: BuildDefinition,
    /// Who did it, and which run.
    pub run_details: RunDetails,
}

impl Provenance {
    /// Reads the predicate of `statement`.
    ///
    /// # Errors
    /// [`ProvenanceError::PredicateType`] for a statement about something else,
    /// [`ProvenanceError::Json`], [`ProvenanceError::NoBuilder`].
    pub fn of(statement: &Statement) -> Result<Self, ProvenanceError> {
        let found = statement.predicate_type();
        if ![PREDICATE_TYPE_SLSA_V1, PREDICATE_TYPE_SLSA_V1_ALIAS].contains(&found) {
            return Err(ProvenanceError::PredicateType(found.to_owned()));
        }
        let provenance = Self::deserialize(statement.predicate())?;
        if provenance.run_details.builder.id.is_empty() {
            return Err(ProvenanceError::NoBuilder);
        }
        Ok(provenance)
    }

    /// The statement that says this about `subjects`.
    ///
    /// # Errors
    /// [`ProvenanceError::Json`], [`ProvenanceError::Statement`].
    pub fn statement(
        &self,
        subjects: Vec<ResourceDescriptor>,
    ) -> Result<Statement, ProvenanceError> {
        let predicate = serde_json::to_value(self)?;
        Ok(Statement::new(subjects, PREDICATE_TYPE_SLSA_V1, predicate)?)
    }

    /// The repository that the workflow parameters name, as a URL.
    pub(crate) fn workflow_repository(&self) -> Option<&str> {
        self.workflow_parameter("repository")
    }

    /// The ref at which the workflow's own file was read.
    pub(crate) fn workflow_ref(&self) -> Option<&str> {
        self.workflow_parameter("ref")
    }

    fn workflow_parameter(&self, name: &str) -> Option<&str> {
        self.build_definition.external_parameters.get("workflow")?.get(name)?.as_str()
    }
}

/// What was built and from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// URI that gives the parameters their meaning.
    pub build_type: String,
    /// What the builder was given from outside; untrusted until verified.
    pub external_parameters: Value,
    /// What the platform itself set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_parameters: Option<Value>,
    /// What the build fetched, the source first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// Which builder ran it, in which run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who vouches for the rest.
    pub builder: Builder,
    /// About this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BuildMetadata>,
}

/// The build platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// URI of the platform, and the part of it that was trusted.
    pub id: String,
}

/// About one run. Start and end are left out: a client inside the run sees neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildMetadata {
    /// Globally unique name of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
}

/// Why a statement holds no build provenance.
#[derive(Debug, Error)]
pub enum ProvenanceError {
    /// The statement is about something else.
    #[error("predicate type `{0}` is not SLSA provenance v1")]
    PredicateType(String),
    /// The predicate has another shape.
    #[error("the predicate is not SLSA provenance v1")]
    Json(#[from] serde_json::Error),
    /// `builder.id` is empty, so nobody vouches.
    #[error("the provenance names no builder")]
    NoBuilder,
    /// The subjects make no statement.
    #[error(transparent)]
    Statement(#[from] crate::StatementError),
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ResourceDescriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement(predicate_type: &str, predicate: Value) -> Statement {
        let subject = ResourceDescriptor::with_sha256("a", &[1; 32]);
        Statement::new(vec![subject], predicate_type, predicate).unwrap()
    }

    fn predicate() -> Value {
        json!({
            "buildDefinition": {"buildType": "t", "externalParameters": {}, "resolvedDependencies": null, "x": 1},
            "runDetails": {"builder": {"id": "b", "version": {}}, "metadata": {"startedOn": "2026-01-01T00:00:00Z"}}
        })
    }

    #[test]
    fn ignores_unknown_fields_and_reads_null_as_absence() {
        let provenance = Provenance::of(&statement(PREDICATE_TYPE_SLSA_V1, predicate())).unwrap();
        assert!(provenance.build_definition.resolved_dependencies.is_empty());
        assert_eq!(provenance.run_details.builder.id, "b");
    }

    #[test]
    fn reads_the_alias_of_the_predicate_type() {
        Provenance::of(&statement("https://slsa.dev/provenance/v1.0", predicate())).unwrap();
    }

    #[test]
    fn rejects_another_predicate_type() {
        assert!(matches!(
            Provenance::of(&statement("https://slsa.dev/provenance/v0.2", predicate())),
            Err(ProvenanceError::PredicateType(_))
        ));
    }

    #[test]
    fn rejects_provenance_without_a_builder() {
        let mut bare = predicate();
        bare["runDetails"]["builder"]["id"] = json!("");
        assert!(matches!(
            Provenance::of(&statement(PREDICATE_TYPE_SLSA_V1, bare)),
            Err(ProvenanceError::NoBuilder)
        ));
    }

    #[test]
    fn rejects_a_predicate_of_another_shape() {
        assert!(matches!(
            Provenance::of(&statement(PREDICATE_TYPE_SLSA_V1, json!({"runDetails": 1}))),
            Err(ProvenanceError::Json(_))
        ));
    }
}
