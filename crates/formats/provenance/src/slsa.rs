use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use wire::name::{NameError, check_path, check_uri};

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
    /// [`ProvenanceError::Json`], [`ProvenanceError::NoBuilder`], [`ProvenanceError::Deceptive`].
    pub fn of(statement: &Statement) -> Result<Self, ProvenanceError> {
        let found = statement.predicate_type();
        if ![PREDICATE_TYPE_SLSA_V1, PREDICATE_TYPE_SLSA_V1_ALIAS].contains(&found) {
            return Err(ProvenanceError::PredicateType(found.to_owned()));
        }
        let provenance = Self::deserialize(statement.predicate())?;
        if provenance.run_details.builder.id.is_empty() {
            return Err(ProvenanceError::NoBuilder);
        }
        provenance.check()?;
        Ok(provenance)
    }

    /// Checks every name and URI that is compared or shown.
    fn check(&self) -> Result<(), ProvenanceError> {
        let definition = &self.build_definition;
        let run = self.run_details.metadata.as_ref();
        let invocation = run.and_then(|metadata| metadata.invocation_id.as_deref());
        for (what, uri) in [
            ("build type", definition.build_type.as_str()),
            ("builder", self.run_details.builder.id.as_str()),
            ("invocation", invocation.unwrap_or_default()),
            ("workflow's repository", self.workflow_repository().unwrap_or_default()),
        ] {
            check_uri(uri).map_err(|error| ProvenanceError::Deceptive(what, error))?;
        }
        for (what, path) in [
            ("workflow's ref", self.workflow_ref()),
            ("workflow's path", self.workflow_parameter("path")),
        ] {
            check_path(path.unwrap_or_default())
                .map_err(|error| ProvenanceError::Deceptive(what, error))?;
        }
        for dependency in &definition.resolved_dependencies {
            dependency.check().map_err(|error| ProvenanceError::Deceptive("dependency", error))?;
        }
        Ok(())
    }

    /// The statement that says this about `subjects`.
    ///
    /// # Errors
    /// [`ProvenanceError::Json`], [`ProvenanceError::Statement`], [`ProvenanceError::Deceptive`].
    pub fn statement(
        &self,
        subjects: Vec<ResourceDescriptor>,
    ) -> Result<Statement, ProvenanceError> {
        self.check()?;
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
    /// Who is trusted for the rest.
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
    /// `builder.id` is empty, so nobody is trusted for it.
    #[error("the provenance names no builder")]
    NoBuilder,
    /// A name or URI that may pass for another.
    #[error("the provenance's {0} is not one that may be shown: {1}")]
    Deceptive(&'static str, #[source] NameError),
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
    fn rejects_names_that_pass_for_others() {
        const WORKFLOW: &str = "/buildDefinition/externalParameters/workflow";
        const DEPENDENCY: &str = "/buildDefinition/resolvedDependencies/0";
        let spoilt = |pointer: &str, value: &str| {
            let mut predicate = predicate();
            predicate["buildDefinition"]["externalParameters"] = json!({"workflow": {
                "ref": "refs/heads/main", "path": ".github/workflows/w.yml",
                "repository": "https://github.com/acme/widgets"}});
            predicate["buildDefinition"]["resolvedDependencies"] = json!([{
                "name": "n", "uri": "git+https://github.com/acme/widgets@refs/heads/main",
                "digest": {"gitCommit": "00"}}]);
            predicate["runDetails"]["metadata"] = json!({"invocationId": "https://ci.example/1"});
            *predicate.pointer_mut(pointer).unwrap() = json!(value);
            Provenance::of(&statement(PREDICATE_TYPE_SLSA_V1, predicate))
        };
        spoilt("/runDetails/builder/id", "https://builder.example").unwrap();
        for pointer in [
            "/buildDefinition/buildType".to_owned(),
            "/runDetails/builder/id".to_owned(),
            "/runDetails/metadata/invocationId".to_owned(),
            format!("{WORKFLOW}/ref"),
            format!("{WORKFLOW}/path"),
            format!("{WORKFLOW}/repository"),
            format!("{DEPENDENCY}/uri"),
        ] {
            for value in [
                "https://github.com/acme/../evil",
                "https://github.com/acme/%2e%2e/evil",
                "https://github.com\\evil",
                "a\nb",
                "a\u{1b}[2Jb",
                "a\u{202e}b",
                "a\u{2066}b",
                "a\u{200b}b",
                "a\u{2028}b",
            ] {
                let error = spoilt(&pointer, value).unwrap_err();
                assert!(matches!(error, ProvenanceError::Deceptive(..)), "{pointer}: {error}");
            }
        }
        spoilt("/runDetails/builder/id", "https://github.com@evil.example/").unwrap_err();
        spoilt(&format!("{DEPENDENCY}/name"), "a\u{202e}b").unwrap_err();
        let cloned = "git+https://acme@dev.azure.com/acme/widgets/_git/widgets@refs/heads/main";
        spoilt(&format!("{DEPENDENCY}/uri"), cloned).unwrap();
        let mut written = Provenance::of(&statement(PREDICATE_TYPE_SLSA_V1, predicate())).unwrap();
        written.run_details.builder.id = "https://b.example/../x".to_owned();
        let subject = ResourceDescriptor::with_sha256("a", &[1; 32]);
        let refused = written.statement(vec![subject]).unwrap_err();
        assert!(matches!(refused, ProvenanceError::Deceptive(..)), "writers are as strict");
    }

    #[test]
    fn rejects_a_predicate_of_another_shape() {
        assert!(matches!(
            Provenance::of(&statement(PREDICATE_TYPE_SLSA_V1, json!({"runDetails": 1}))),
            Err(ProvenanceError::Json(_))
        ));
    }
}
