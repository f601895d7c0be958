use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;

mod claims;
mod github;
mod job;
mod variables;

pub use github::GithubBuild;
pub use job::{CiBuild, CiSystem};

use crate::{
    BuildDefinition, BuildMetadata, Builder, LOCAL_BUILD_TYPE, LOCAL_BUILDER_ID, Provenance,
    RunDetails,
};

/// Where a build runs, as far as it can be told from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildEnvironment {
    /// A machine of which no platform says anything.
    Local(LocalBuild),
    /// A job of GitHub Actions.
    Github(Box<GithubBuild>),
    /// A job of another CI system.
    Ci(Box<CiBuild>),
}

impl BuildEnvironment {
    /// Tells the environment from its variables; `invocation` makes a local run's name unique.
    ///
    /// # Errors
    /// [`EnvironmentError::MissingVariable`] when the CI shows itself but not the whole.
    pub fn from_variables(
        variables: &BTreeMap<String, String>,
        invocation: [u8; 16],
    ) -> Result<Self, EnvironmentError> {
        if variables.get("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
            let build = GithubBuild::from_variables(variables)?;
            return Ok(Self::Github(Box::new(build)));
        }
        Ok(match variables::job(variables)? {
            Some(build) => Self::Ci(Box::new(build)),
            None => Self::Local(LocalBuild { invocation }),
        })
    }

    /// Tells the environment from the claims of an identity token; `None` when it is no CI's.
    ///
    /// Better evidence than variables: the CA puts the same claims into the certificate, so
    /// what a step of the job sets in its environment cannot get into the provenance.
    /// `server_url` is GitHub's, which the token does not name; others are told from the issuer.
    ///
    /// # Errors
    /// [`EnvironmentError::MissingClaim`] when the token is a CI's, but not whole.
    pub fn from_token_claims(
        claims: &Map<String, Value>,
        server_url: &str,
    ) -> Result<Option<Self>, EnvironmentError> {
        if !["job_workflow_ref", "repository"].iter().all(|name| claims.contains_key(*name)) {
            let build = claims::job(claims)?;
            return Ok(build.map(|build| Self::Ci(Box::new(build))));
        }
        let build = GithubBuild::from_claims(claims, server_url)?;
        Ok(Some(Self::Github(Box::new(build))))
    }

    /// The provenance of a build in this environment.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match self {
            Self::Local(build) => build.provenance(),
            Self::Github(build) => build.provenance(),
            Self::Ci(build) => build.provenance(),
        }
    }
}

/// A build on a machine that says nothing checkable about itself.
///
/// Its provenance records no host name, user or directory: they cannot be verified, and leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalBuild {
    /// Random name of the run.
    pub invocation: [u8; 16],
}

impl LocalBuild {
    fn provenance(&self) -> Provenance {
        let id = format!("urn:countersign:invocation:{}", hex::encode(self.invocation));
        Provenance {
            build_definition: BuildDefinition {
                build_type: LOCAL_BUILD_TYPE.to_owned(),
                external_parameters: json!({}),
                internal_parameters: None,
                resolved_dependencies: Vec::new(),
            },
            run_details: RunDetails {
                builder: Builder { id: LOCAL_BUILDER_ID.to_owned() },
                metadata: Some(BuildMetadata { invocation_id: Some(id) }),
            },
        }
    }
}

/// Why the environment cannot be described.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EnvironmentError {
    /// The variable that shows the CI is set, this one is not.
    #[error("the environment is a CI job's, but {0} is not set")]
    MissingVariable(&'static str),
    /// Without it the statement would say less than the certificate, or something else.
    #[error("the identity token is a CI job's, but has no claim `{0}`")]
    MissingClaim(&'static str),
}

#[cfg(test)]
mod tests;
