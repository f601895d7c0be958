use std::time::Duration;

use moment::UnixSeconds;
use serde_json::{Map, Value, json};

use super::{
    Ci, TokenRequest,
    ci::{
        AZURE_ORGANIZATION, BITBUCKET_WORKSPACE, CIRCLECI_ORGANIZATION, JENKINS_URL, ORGANIZATION,
    },
};

/// API servers ask for renewal this long after issuing.
const WARN_AFTER: Duration = Duration::from_secs(3607);

/// Azure DevOps' `nbf` lies this long before `iat`.
const AZURE_BACKDATE: Duration = Duration::from_mins(10);

/// The commit that every job builds.
const COMMIT: &str = "3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40";

/// The claims of one job as its CI writes them: names, order of nesting, and which numbers are
/// texts. Claims that others are made of can be overridden, and those others follow.
///
/// Not among them are `iss`, `iat`, `exp` and `jti`, and `nbf` where it is the same as `iat`.
pub(super) fn claims(ci: Ci, request: &TokenRequest, now: UnixSeconds) -> Value {
    let job = Job { request, now };
    match ci {
        Ci::Github => job.github(),
        Ci::Gitlab => job.gitlab(),
        Ci::Azure => job.azure(),
        Ci::Jenkins => job.jenkins(),
        Ci::Buildkite => job.buildkite(),
        Ci::Circleci => job.circleci(),
        Ci::Bitbucket => job.bitbucket(),
        Ci::Kubernetes => job.kubernetes(),
    }
}

/// Drops what `ci` does not put into its tokens.
pub(super) fn drop_foreign(ci: Ci, claims: &mut Map<String, Value>) {
    let foreign: &[&str] = match ci {
        // The plugin writes neither.
        Ci::Jenkins => &["nbf", "jti"],
        Ci::Circleci | Ci::Bitbucket => &["nbf"],
        _ => &[],
    };
    for name in foreign {
        claims.remove(*name);
    }
}

struct Job<'a> {
    request: &'a TokenRequest,
    now: UnixSeconds,
}

impl Job<'_> {
    fn github(&self) -> Value {
        let repository = self.told("repository", "acme/widgets");
        let owner = repository.split('/').next().unwrap_or_default();
        let git_ref = self.told("ref", "refs/heads/main");
        let ref_type = if git_ref.starts_with("refs/tags/") { "tag" } else { "branch" };
        let sha = self.told("sha", COMMIT);
        let environment = self.told("environment", "production");
        let workflow_ref = format!("{repository}/.github/workflows/release.yml@{git_ref}");
        json!({
            "sub": format!("repo:{repository}:environment:{environment}"),
            "aud": self.request.audience,
            "actor": "octocat",
            "actor_id": "583231",
            "base_ref": "",
            "enterprise": "acme",
            "enterprise_id": "9919",
            "environment": environment,
            "event_name": "push",
            "head_ref": "",
            "job_workflow_ref": workflow_ref,
            "job_workflow_sha": sha,
            "ref": git_ref,
            "ref_protected": "true",
            "ref_type": ref_type,
            "repository": repository,
            "repository_id": "1296269",
            "repository_owner": owner,
            "repository_owner_id": "4747",
            "repository_visibility": "private",
            "run_attempt": "1",
            "run_id": "11223344556",
            "run_number": "42",
            "runner_environment": "github-hosted",
            "sha": sha,
            "workflow": "Release",
            "workflow_ref": workflow_ref,
            "workflow_sha": sha,
        })
    }

    /// Ids are texts, `runner_id` is a number, two claims are lists. `ref` has no `refs/`.
    fn gitlab(&self) -> Value {
        let project = self.told("project_path", "acme/platform/widgets");
        let namespace = project.rsplit_once('/').map_or(project, |(namespace, _)| namespace);
        let name = self.told("ref", "main");
        let ref_type = self.told("ref_type", "branch");
        let kind = if ref_type == "tag" { "tags" } else { "heads" };
        let ref_path = format!("refs/{kind}/{name}");
        let sha = self.told("sha", COMMIT);
        json!({
            "sub": format!("project_path:{project}:ref_type:{ref_type}:ref:{name}"),
            "aud": self.request.audience,
            "namespace_id": "72",
            "namespace_path": namespace,
            "project_id": "20",
            "project_path": project,
            "user_id": "1",
            "user_login": "jdoe",
            "user_email": "jdoe@acme.example",
            "user_access_level": "maintainer",
            "user_identities": [{"provider": "saml", "extern_uid": "2435223452345"}],
            "pipeline_id": "574",
            "pipeline_source": "push",
            "job_id": "302",
            "ref": name,
            "ref_type": ref_type,
            "ref_path": ref_path,
            "ref_protected": "true",
            "groups_direct": [namespace],
            "environment": "production",
            "environment_protected": "true",
            "deployment_tier": "production",
            "environment_action": "start",
            "runner_id": 12_270_807,
            "runner_environment": "gitlab-hosted",
            "sha": sha,
            "project_visibility": "private",
            "ci_config_ref_uri": format!("gitlab.com/{project}//.gitlab-ci.yml@{ref_path}"),
            "ci_config_sha": sha,
        })
    }

    /// All texts. Names are in the subject only, from which the repository follows.
    fn azure(&self) -> Value {
        let asked = self.request.subject.as_deref();
        let subject = asked.unwrap_or(self.told("sub", "p://acme/Widgets/release"));
        let names = subject.split_once("://").map_or(subject, |(_, names)| names);
        let mut names = names.split('/');
        let (organization, project) =
            (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let project = project.replace(' ', "%20");
        json!({
            "sub": subject,
            "aud": self.request.audience,
            "nbf": self.now.saturating_sub(AZURE_BACKDATE).0,
            "org_id": AZURE_ORGANIZATION,
            "prj_id": "271ef6f7-5998-4b0f-86fb-4b54d9129990",
            "def_id": "12",
            "rpo_id": "4d1e0f6a-7b8c-4d9e-8f0a-1b2c3d4e5f60",
            "rpo_uri": format!("https://dev.azure.com/{organization}/{project}/_git/widgets"),
            "rpo_ver": COMMIT,
            "rpo_ref": "refs/heads/main",
            "run_id": "345",
        })
    }

    /// `build_number` is a number. The last three are an administrator's.
    fn jenkins(&self) -> Value {
        json!({
            "sub": format!("{JENKINS_URL}/job/platform/job/widgets/job/main/"),
            "aud": self.request.audience,
            "build_number": 42,
            "git_url": "https://git.acme.example/platform/widgets.git",
            "git_commit": COMMIT,
            "git_ref": "refs/heads/main",
        })
    }

    /// `build_number` is a number; a tag is there for builds of tags only.
    fn buildkite(&self) -> Value {
        let organization = self.told("organization_slug", ORGANIZATION);
        let pipeline = self.told("pipeline_slug", "widgets");
        let branch = self.told("build_branch", "main");
        let commit = self.told("build_commit", COMMIT);
        let step = self.told("step_key", "release");
        json!({
            "sub": format!(
                "organization:{organization}:pipeline:{pipeline}:ref:refs/heads/{branch}:commit:{commit}:step:{step}"
            ),
            "aud": self.request.audience,
            "organization_slug": organization,
            "pipeline_slug": pipeline,
            "build_number": 42,
            "build_branch": branch,
            "build_commit": commit,
            "build_source": "webhook",
            "step_key": step,
            "job_id": "0184990a-477b-4fa8-9968-496074483cee",
            "agent_id": "0184990a-4782-42b5-afc1-16715b10b8ff",
            "runner_environment": "buildkite-hosted",
        })
    }

    /// Names with a slash and dots; one truth value, one list.
    fn circleci(&self) -> Value {
        let organization = self.told("oidc.circleci.com/org-id", CIRCLECI_ORGANIZATION);
        let project =
            self.told("oidc.circleci.com/project-id", "5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22");
        let origin = self.told("oidc.circleci.com/vcs-origin", "github.com/acme/widgets");
        let git_ref = self.told("oidc.circleci.com/vcs-ref", "refs/heads/main");
        json!({
            "sub": format!(
                "org/{organization}/project/{project}/user/9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e5f/vcs-origin/{origin}/vcs-ref/{git_ref}"
            ),
            "aud": self.request.audience,
            "oidc.circleci.com/context-ids": ["0b8a2a3e-5d5e-4f86-9c5e-3f1f8f0f7a11"],
            "oidc.circleci.com/job-id": "0b1c2d3e-4f50-4617-8829-3a4b5c6d7e8f",
            "oidc.circleci.com/org-id": organization,
            "oidc.circleci.com/pipeline-definition-id": "1c2d3e4f-5061-4728-893a-4b5c6d7e8f90",
            "oidc.circleci.com/pipeline-id": "2d3e4f50-6172-4839-8a4b-5c6d7e8f90a1",
            "oidc.circleci.com/project-id": project,
            "oidc.circleci.com/ssh-rerun": false,
            "oidc.circleci.com/vcs-origin": origin,
            "oidc.circleci.com/vcs-ref": git_ref,
            "oidc.circleci.com/workflow-id": "3e4f5061-7283-494a-8b5c-6d7e8f90a1b2",
        })
    }

    /// UUIDs in braces; the step's is in the subject, which so differs in every run.
    fn bitbucket(&self) -> Value {
        let repository = self.told("repositoryUuid", "{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}");
        let environment =
            self.told("deploymentEnvironmentUuid", "{50617283-94a5-4b6c-8d7e-8f90a1b2c3d4}");
        let step = self.told("stepUuid", "{61728394-a5b6-4c7d-8e8f-90a1b2c3d4e5}");
        json!({
            "sub": format!("{repository}:{environment}:{step}"),
            "aud": self.request.audience,
            "accountUuid": "{72839405-b6c7-4d8e-8f90-a1b2c3d4e5f6}",
            "branchName": "main",
            "deploymentEnvironmentUuid": environment,
            "pipelineUuid": "{83940516-c7d8-4e9f-90a1-b2c3d4e5f607}",
            "repositoryUuid": repository,
            "stepUuid": step,
            "workspaceUuid": format!("{{{BITBUCKET_WORKSPACE}}}"),
        })
    }

    /// `aud` is a list, as API servers write it.
    fn kubernetes(&self) -> Value {
        let namespace = self.told("kubernetes.io.namespace", "ci");
        let account = self.told("kubernetes.io.serviceaccount.name", "builder");
        json!({
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "aud": [self.request.audience],
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": "0b8a2a3e-5d5e-4f86-9c5e-3f1f8f0f7a11"},
                "pod": {"name": "build-7d9f", "uid": "5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22"},
                "serviceaccount": {
                    "name": account,
                    "uid": "d3f0c9d4-6f0e-4c3a-9b51-7e1f2a3b4c33",
                },
                "warnafter": self.now.saturating_add(WARN_AFTER).0,
            },
        })
    }

    /// The last override of a claim, which others are made of; else `usual`.
    fn told<'a>(&'a self, claim: &str, usual: &'a str) -> &'a str {
        self.request.overridden(claim).unwrap_or(usual)
    }
}
