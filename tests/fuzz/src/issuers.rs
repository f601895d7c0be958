//! Every kind of issuer: its settings, and the claims of one of its tokens.

use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "sigstore";

const SHA: &str = "3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40";

/// Settings and claims, without those that all have in common.
pub(crate) fn kinds() -> Vec<(Value, Value)> {
    vec![
        (
            json!({"type": "email", "domains": ["acme.example"]}),
            json!({"email": "alice@acme.example", "email_verified": true}),
        ),
        (json!({"type": "uri", "subject_domain": ISSUER}), json!({})),
        (json!({"type": "github-workflow", "base_url": "https://github.com"}), github()),
        (
            json!({"type": "kubernetes", "cluster": "prod-1"}),
            json!({
                "sub": "system:serviceaccount:default:builder",
                "kubernetes.io": {
                    "namespace": "default",
                    "serviceaccount": {"name": "builder", "uid": "u"},
                    "pod": {"name": "p", "uid": "v"},
                },
            }),
        ),
        (json!({"type": "gitlab-pipeline"}), gitlab()),
        (
            json!({
                "type": "azure-pipeline", "organization_id": "6a8f1c1e-3b0d-4d5a-9a7e-2f0c4b8d9e10",
                "source_hosts": ["github.com"], "allow_service_connections": true,
            }),
            json!({
                "sub": "p://acme/Widgets/release", "def_id": "12", "run_id": "345",
                "org_id": "6a8f1c1e-3b0d-4d5a-9a7e-2f0c4b8d9e10",
                "prj_id": "271ef6f7-5998-4b0f-86fb-4b54d9129990",
                "rpo_id": "4d1e0f6a-7b8c-4d9e-8f0a-1b2c3d4e5f60", "rpo_ref": "refs/heads/main",
                "rpo_uri": "https://dev.azure.com/acme/Widgets/_git/widgets", "rpo_ver": SHA,
            }),
        ),
        (
            json!({
                "type": "jenkins-job", "base_url": "https://jenkins.acme.example",
                "source_hosts": ["git.acme.example"],
                "claims": {
                    "source_repository_uri": "git_url", "source_repository_digest": "git_commit",
                    "source_repository_ref": "git_ref",
                },
            }),
            json!({
                "sub": "https://jenkins.acme.example/job/platform/job/widgets/job/main/",
                "build_number": 42, "git_commit": SHA, "git_ref": "refs/heads/main",
                "git_url": "https://git.acme.example/platform/widgets.git",
            }),
        ),
        (json!({"type": "buildkite-job", "organizations": ["acme"]}), buildkite()),
        (
            json!({
                "type": "circleci-job",
                "organization_ids": ["c1ec1111-2b3c-4d5e-8f60-718293a4b5c6"],
            }),
            circleci(),
        ),
        (
            json!({
                "type": "bitbucket-pipeline", "workspace": "acme",
                "workspace_id": "{b17b0c4e-5d6f-4a7b-8c9d-0e1f2a3b4c5d}",
            }),
            bitbucket(),
        ),
    ]
}

fn github() -> Value {
    json!({
        "sub": "repo:o/r:ref:refs/heads/main", "event_name": "push", "sha": SHA,
        "workflow": "build", "repository": "o/r", "ref": "refs/heads/main",
        "job_workflow_ref": "o/r/.github/workflows/b.yml@refs/heads/main",
        "job_workflow_sha": SHA, "runner_environment": "github-hosted",
        "repository_id": "1", "repository_owner": "o", "repository_owner_id": "2",
        "repository_visibility": "public", "run_id": "3", "run_attempt": "1",
        "workflow_ref": "o/r/.github/workflows/b.yml@refs/heads/main", "workflow_sha": SHA
    })
}

fn gitlab() -> Value {
    json!({
        "sub": "project_path:acme/platform/widgets:ref_type:branch:ref:main",
        "ci_config_ref_uri":
            "issuer.example/acme/platform/widgets//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": SHA, "environment": "production", "job_id": "302",
        "namespace_id": "72", "namespace_path": "acme/platform", "pipeline_id": "574",
        "pipeline_source": "push", "project_id": "20",
        "project_path": "acme/platform/widgets", "project_visibility": "private",
        "ref": "main", "ref_path": "refs/heads/main", "ref_protected": "true",
        "ref_type": "branch", "runner_environment": "gitlab-hosted", "runner_id": 12_270_807,
        "sha": SHA,
    })
}

fn buildkite() -> Value {
    json!({
        "sub": format!(
            "organization:acme:pipeline:widgets:ref:refs/heads/main:commit:{SHA}:step:release"
        ),
        "agent_id": "0184990a-4782-42b5-afc1-16715b10b8ff", "build_branch": "main",
        "build_commit": SHA, "build_number": 42, "build_source": "webhook",
        "job_id": "0184990a-477b-4fa8-9968-496074483cee", "organization_slug": "acme",
        "pipeline_slug": "widgets", "runner_environment": "buildkite-hosted",
        "step_key": "release",
    })
}

fn circleci() -> Value {
    let (organization, project) =
        ("c1ec1111-2b3c-4d5e-8f60-718293a4b5c6", "5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22");
    let user = "9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e5f";
    json!({
        "sub": format!(
            "org/{organization}/project/{project}/user/{user}/vcs-origin/github.com/acme/widgets/vcs-ref/refs/heads/main"
        ),
        "oidc.circleci.com/job-id": "0b1c2d3e-4f50-4617-8829-3a4b5c6d7e8f",
        "oidc.circleci.com/org-id": organization,
        "oidc.circleci.com/pipeline-definition-id": "1c2d3e4f-5061-4728-893a-4b5c6d7e8f90",
        "oidc.circleci.com/pipeline-id": "2d3e4f50-6172-4839-8a4b-5c6d7e8f90a1",
        "oidc.circleci.com/project-id": project,
        "oidc.circleci.com/ssh-rerun": false,
        "oidc.circleci.com/vcs-origin": "github.com/acme/widgets",
        "oidc.circleci.com/vcs-ref": "refs/heads/main",
        "oidc.circleci.com/workflow-id": "3e4f5061-7283-494a-8b5c-6d7e8f90a1b2",
    })
}

fn bitbucket() -> Value {
    let (repository, environment, step) = (
        "{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}",
        "{50617283-94a5-4b6c-8d7e-8f90a1b2c3d4}",
        "{61728394-a5b6-4c7d-8e8f-90a1b2c3d4e5}",
    );
    json!({
        "sub": format!("{repository}:{environment}:{step}"), "branchName": "main",
        "deploymentEnvironmentUuid": environment,
        "pipelineUuid": "{83940516-c7d8-4e9f-90a1-b2c3d4e5f607}",
        "repositoryUuid": repository, "stepUuid": step,
        "workspaceUuid": "{b17b0c4e-5d6f-4a7b-8c9d-0e1f2a3b4c5d}",
    })
}
