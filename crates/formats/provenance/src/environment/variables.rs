//! A job as its environment has it: what any step can change, so only where no token tells.

use std::collections::BTreeMap;

use super::{
    CiBuild, CiSystem, EnvironmentError,
    claims::{azure_repository, empty, service_account},
    job::{bitbucket_repository, escaped, jenkins_job, repository_url},
};

/// The job of the CI that shows itself; `None` when none does.
///
/// Kubernetes is asked last: runners of every CI run in pods.
pub(super) fn job(
    variables: &BTreeMap<String, String>,
) -> Result<Option<CiBuild>, EnvironmentError> {
    let job = Variables(variables);
    let has = |name: &str| job.optional(name).is_some();
    Ok(Some(if has("GITLAB_CI") {
        job.gitlab()?
    } else if has("TF_BUILD") {
        job.azure()?
    } else if has("BUILDKITE") {
        job.buildkite()?
    } else if has("CIRCLECI") {
        job.circleci()?
    } else if has("BITBUCKET_BUILD_NUMBER") {
        job.bitbucket()?
    } else if has("JENKINS_URL") && has("JOB_URL") {
        job.jenkins()?
    } else if has("KUBERNETES_SERVICE_HOST") {
        return Ok(job.kubernetes());
    } else {
        return Ok(None);
    }))
}

struct Variables<'a>(&'a BTreeMap<String, String>);

impl Variables<'_> {
    fn gitlab(&self) -> Result<CiBuild, EnvironmentError> {
        let project = self.required("CI_PROJECT_URL")?;
        let source_ref = match self.optional("CI_COMMIT_TAG") {
            Some(tag) => format!("refs/tags/{tag}"),
            None => format!("refs/heads/{}", self.required("CI_COMMIT_REF_NAME")?),
        };
        let file = self.optional("CI_CONFIG_PATH").unwrap_or_else(|| ".gitlab-ci.yml".to_owned());
        // `file@group/project` and URLs are definitions of others.
        let is_own = !file.contains('@') && !file.contains("://");
        let file = if is_own { format!("//{file}") } else { String::new() };
        Ok(CiBuild {
            pipeline: format!("{project}{file}@{source_ref}"),
            run: self.optional("CI_JOB_URL"),
            repository: Some(project),
            source_ref: Some(source_ref),
            source_sha: self.optional("CI_COMMIT_SHA"),
            ..self.build(
                CiSystem::Gitlab,
                &[("pipeline_source", "CI_PIPELINE_SOURCE"), ("project_id", "CI_PROJECT_ID")],
            )
        })
    }

    fn azure(&self) -> Result<CiBuild, EnvironmentError> {
        let organization = self.required("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")?;
        let project = escaped(&self.required("SYSTEM_TEAMPROJECT")?);
        let base = format!("{}/{project}", organization.trim_end_matches('/'));
        let run = self.optional("BUILD_BUILDID");
        Ok(CiBuild {
            pipeline: format!(
                "{base}/_build?definitionId={}",
                self.required("SYSTEM_DEFINITIONID")?
            ),
            run: run.map(|id| format!("{base}/_build/results?buildId={id}")),
            repository: self.optional("BUILD_REPOSITORY_URI").map(|uri| azure_repository(&uri)),
            source_ref: self.optional("BUILD_SOURCEBRANCH"),
            source_sha: self.optional("BUILD_SOURCEVERSION"),
            ..self.build(CiSystem::Azure, &[("reason", "BUILD_REASON")])
        })
    }

    fn jenkins(&self) -> Result<CiBuild, EnvironmentError> {
        let branch = self.optional("GIT_BRANCH");
        let branch = self
            .optional("BRANCH_NAME")
            .or_else(|| Some(branch?.trim_start_matches("origin/").to_owned()));
        Ok(CiBuild {
            pipeline: jenkins_job(&self.required("JOB_URL")?),
            run: self.optional("BUILD_URL"),
            repository: self.optional("GIT_URL").map(|url| repository_url(&url)),
            source_ref: git_ref(branch, self.optional("TAG_NAME")),
            source_sha: self.optional("GIT_COMMIT"),
            ..self.build(CiSystem::Jenkins, &[])
        })
    }

    fn buildkite(&self) -> Result<CiBuild, EnvironmentError> {
        let pipeline = format!(
            "https://buildkite.com/{}/{}",
            self.required("BUILDKITE_ORGANIZATION_SLUG")?,
            self.required("BUILDKITE_PIPELINE_SLUG")?
        );
        let run = self.optional("BUILDKITE_BUILD_NUMBER").zip(self.optional("BUILDKITE_JOB_ID"));
        Ok(CiBuild {
            run: run.map(|(number, job)| format!("{pipeline}/builds/{number}#{job}")),
            pipeline,
            repository: self.optional("BUILDKITE_REPO").map(|url| repository_url(&url)),
            source_ref: git_ref(self.optional("BUILDKITE_BRANCH"), self.optional("BUILDKITE_TAG")),
            source_sha: self.optional("BUILDKITE_COMMIT").filter(|commit| commit != "HEAD"),
            ..self.build(CiSystem::Buildkite, &[("build_source", "BUILDKITE_SOURCE")])
        })
    }

    fn circleci(&self) -> Result<CiBuild, EnvironmentError> {
        let project = self.required("CIRCLE_PROJECT_ID")?;
        Ok(CiBuild {
            // The definition within the project is in the token only.
            pipeline: format!("https://circleci.com/api/v2/projects/{project}"),
            run: self.optional("CIRCLE_BUILD_URL"),
            repository: self.optional("CIRCLE_REPOSITORY_URL").map(|url| repository_url(&url)),
            source_ref: git_ref(self.optional("CIRCLE_BRANCH"), self.optional("CIRCLE_TAG")),
            source_sha: self.optional("CIRCLE_SHA1"),
            ..self.build(CiSystem::Circleci, &[("workflow_id", "CIRCLE_WORKFLOW_ID")])
        })
    }

    fn bitbucket(&self) -> Result<CiBuild, EnvironmentError> {
        let workspace = self.required("BITBUCKET_WORKSPACE")?;
        let repository = bitbucket_repository(&workspace, &self.required("BITBUCKET_REPO_UUID")?);
        let number = self.required("BITBUCKET_BUILD_NUMBER")?;
        Ok(CiBuild {
            pipeline: repository.clone(),
            run: Some(format!("{repository}/pipelines/results/{number}")),
            repository: Some(repository),
            source_ref: git_ref(self.optional("BITBUCKET_BRANCH"), self.optional("BITBUCKET_TAG")),
            source_sha: self.optional("BITBUCKET_COMMIT"),
            ..self.build(CiSystem::Bitbucket, &[])
        })
    }

    /// Only the names that the pod's author passes on; a pod that says nothing is any machine.
    fn kubernetes(&self) -> Option<CiBuild> {
        let namespace = self.optional("POD_NAMESPACE")?;
        let account = self.optional("POD_SERVICE_ACCOUNT")?;
        Some(CiBuild {
            pipeline: service_account(&namespace, &account),
            ..self.build(CiSystem::Kubernetes, &[])
        })
    }

    fn build(&self, system: CiSystem, platform: &[(&'static str, &str)]) -> CiBuild {
        let told =
            platform.iter().filter_map(|(name, variable)| Some((*name, self.optional(variable)?)));
        empty(system, told.collect())
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn required(&self, name: &'static str) -> Result<String, EnvironmentError> {
        self.optional(name).ok_or(EnvironmentError::MissingVariable(name))
    }
}

/// A build of a tag may name a branch beside it, or in its place.
fn git_ref(branch: Option<String>, tag: Option<String>) -> Option<String> {
    match (tag, branch) {
        (Some(tag), _) => Some(format!("refs/tags/{tag}")),
        (None, Some(branch)) if branch.starts_with("refs/") => Some(branch),
        (None, Some(branch)) => Some(format!("refs/heads/{branch}")),
        (None, None) => None,
    }
}
