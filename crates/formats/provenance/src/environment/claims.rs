//! A job as its identity token has it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    CiBuild, CiSystem, EnvironmentError,
    job::{bitbucket_repository, escaped, jenkins_job, repository_url},
};
use crate::issuer::{forge_of_gitlab, workspace_of_bitbucket};

/// The job of the CI whose claims these are; `None` when they are nobody's that is known.
pub(super) fn job(claims: &Map<String, Value>) -> Result<Option<CiBuild>, EnvironmentError> {
    let has = |names: &[&str]| names.iter().all(|name| claims.contains_key(*name));
    let job = Claims(claims);
    let is_jenkins = || text(claims, "sub").is_some_and(|subject| subject.contains("/job/"));
    Ok(Some(if has(&["project_path", "namespace_path"]) {
        job.gitlab()?
    } else if has(&["org_id", "def_id", "rpo_uri"]) {
        job.azure()?
    } else if has(&["organization_slug", "pipeline_slug"]) {
        job.buildkite()?
    } else if has(&["oidc.circleci.com/project-id"]) {
        job.circleci()?
    } else if has(&["workspaceUuid", "repositoryUuid"]) {
        job.bitbucket()?
    } else if has(&["kubernetes.io"]) {
        job.kubernetes()?
    } else if has(&["build_number"]) && is_jenkins() {
        job.jenkins()?
    } else {
        return Ok(None);
    }))
}

/// A text or the digits of a number; `None` when absent, `null` or empty.
pub(super) fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    match claims.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

struct Claims<'a>(&'a Map<String, Value>);

impl Claims<'_> {
    fn gitlab(&self) -> Result<CiBuild, EnvironmentError> {
        let base_url =
            forge_of_gitlab(&self.required("iss")?).ok_or(EnvironmentError::MissingClaim("iss"))?;
        let project = format!("{base_url}/{}", self.required("project_path")?);
        let kind = if self.required("ref_type")? == "tag" { "tags" } else { "heads" };
        let source_ref = format!("refs/{kind}/{}", self.required("ref")?);
        let definition = self.optional("ci_config_ref_uri");
        let scheme = base_url.split_once("://").map_or("https", |(scheme, _)| scheme);
        Ok(CiBuild {
            pipeline: definition.map_or_else(
                || format!("{project}@{source_ref}"),
                |definition| format!("{scheme}://{definition}"),
            ),
            run: Some(format!("{project}/-/jobs/{}", self.required("job_id")?)),
            repository: Some(project),
            source_ref: Some(source_ref),
            source_sha: self.optional("sha"),
            ..self.build(
                CiSystem::Gitlab,
                &["pipeline_source", "project_id", "namespace_id", "runner_environment"],
            )
        })
    }

    fn azure(&self) -> Result<CiBuild, EnvironmentError> {
        let missing = || EnvironmentError::MissingClaim("sub");
        let subject = self.required("sub")?;
        let names = subject.split_once("://").ok_or_else(missing)?.1;
        let (organization, rest) = names.split_once('/').ok_or_else(missing)?;
        let (project, _) = rest.split_once('/').ok_or_else(missing)?;
        let base = format!("https://dev.azure.com/{organization}/{}", escaped(project));
        Ok(CiBuild {
            pipeline: format!("{base}/_build?definitionId={}", self.required("def_id")?),
            run: Some(format!("{base}/_build/results?buildId={}", self.required("run_id")?)),
            repository: Some(azure_repository(&self.required("rpo_uri")?)),
            source_ref: self.optional("rpo_ref"),
            source_sha: self.optional("rpo_ver"),
            ..self.build(CiSystem::Azure, &["org_id", "prj_id", "def_id", "rpo_id"])
        })
    }

    fn buildkite(&self) -> Result<CiBuild, EnvironmentError> {
        let pipeline = format!(
            "https://buildkite.com/{}/{}",
            self.required("organization_slug")?,
            self.required("pipeline_slug")?
        );
        let (number, job) = (self.required("build_number")?, self.required("job_id")?);
        Ok(CiBuild {
            run: Some(format!("{pipeline}/builds/{number}#{job}")),
            pipeline,
            source_sha: self.optional("build_commit").filter(|commit| commit != "HEAD"),
            ..self.build(
                CiSystem::Buildkite,
                &["build_source", "build_branch", "step_key", "runner_environment"],
            )
        })
    }

    fn circleci(&self) -> Result<CiBuild, EnvironmentError> {
        let pipeline = format!(
            "https://circleci.com/api/v2/projects/{}/pipeline-definitions/{}",
            self.required("oidc.circleci.com/project-id")?,
            self.required("oidc.circleci.com/pipeline-definition-id")?
        );
        let run = format!(
            "https://app.circleci.com/workflow/{}/job/{}",
            self.required("oidc.circleci.com/workflow-id")?,
            self.required("oidc.circleci.com/job-id")?
        );
        let origin = self.optional("oidc.circleci.com/vcs-origin");
        Ok(CiBuild {
            pipeline,
            run: Some(run),
            repository: origin.map(|origin| repository_url(&origin)),
            source_ref: self.optional("oidc.circleci.com/vcs-ref"),
            ..self.build(CiSystem::Circleci, &["oidc.circleci.com/pipeline-id"])
        })
    }

    fn bitbucket(&self) -> Result<CiBuild, EnvironmentError> {
        let workspace = workspace_of_bitbucket(&self.required("iss")?)
            .ok_or(EnvironmentError::MissingClaim("iss"))?;
        let repository = bitbucket_repository(&workspace, &self.required("repositoryUuid")?);
        let step = |uuid: &str| escaped(&uuid.to_ascii_lowercase());
        let pipeline = step(&self.required("pipelineUuid")?);
        let step = step(&self.required("stepUuid")?);
        Ok(CiBuild {
            pipeline: repository.clone(),
            run: Some(format!("{repository}/pipelines/results/{pipeline}/steps/{step}")),
            repository: Some(repository),
            source_ref: self.optional("branchName").map(|branch| format!("refs/heads/{branch}")),
            ..self.build(CiSystem::Bitbucket, &["workspaceUuid", "deploymentEnvironmentUuid"])
        })
    }

    fn jenkins(&self) -> Result<CiBuild, EnvironmentError> {
        let job = jenkins_job(&self.required("sub")?);
        Ok(CiBuild {
            run: Some(format!("{job}/{}/", self.required("build_number")?)),
            pipeline: job,
            // The names that docs/ci-issuers.md proposes to administrators.
            repository: self.optional("git_url").map(|url| repository_url(&url)),
            source_ref: self.optional("git_ref"),
            source_sha: self.optional("git_commit"),
            ..self.build(CiSystem::Jenkins, &[])
        })
    }

    fn kubernetes(&self) -> Result<CiBuild, EnvironmentError> {
        let missing = || EnvironmentError::MissingClaim("kubernetes.io");
        let workload =
            self.0.get("kubernetes.io").and_then(Value::as_object).ok_or_else(missing)?;
        let account = workload.get("serviceaccount").and_then(Value::as_object);
        let account = account.and_then(|account| text(account, "name")).ok_or_else(missing)?;
        let namespace = text(workload, "namespace").ok_or_else(missing)?;
        Ok(CiBuild {
            pipeline: service_account(&namespace, &account),
            ..self.build(CiSystem::Kubernetes, &[])
        })
    }

    fn build(&self, system: CiSystem, platform: &[&'static str]) -> CiBuild {
        let told = platform.iter().filter_map(|name| Some((*name, self.optional(name)?)));
        empty(system, told.collect())
    }

    fn optional(&self, name: &str) -> Option<String> {
        text(self.0, name)
    }

    fn required(&self, name: &'static str) -> Result<String, EnvironmentError> {
        self.optional(name).ok_or(EnvironmentError::MissingClaim(name))
    }
}

/// A build of which only the platform's own words are known.
pub(super) fn empty(system: CiSystem, platform: BTreeMap<&'static str, String>) -> CiBuild {
    CiBuild {
        system,
        pipeline: String::new(),
        repository: None,
        source_ref: None,
        source_sha: None,
        run: None,
        platform,
    }
}

/// The service account's URI, as certificates have it.
pub(super) fn service_account(namespace: &str, account: &str) -> String {
    format!("https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}")
}

/// The one form of a repository of Azure Repos; any other host's as [`repository_url`] has it.
pub(super) fn azure_repository(uri: &str) -> String {
    let url = escaped(&repository_url(uri));
    let old = url.strip_prefix("https://").and_then(|rest| rest.split_once(".visualstudio.com/"));
    match old {
        Some((organization, path)) if !organization.contains('/') => {
            let path = path.strip_prefix("DefaultCollection/").unwrap_or(path);
            format!("https://dev.azure.com/{organization}/{path}")
        }
        _ => url,
    }
}
