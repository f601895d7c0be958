//! The types that Fulcio has in code, beside `ci-provider`: fulcio eb10c98e, `pkg/identity/*/principal.go`.

use toml::Table;

use super::entry::Metadata;

/// The mapping of the type `kind`.
pub(super) fn template(kind: &str) -> Option<Metadata> {
    let (text, base_url, source_hosts): (&str, Option<&str>, &[&str]) = match kind {
        "github-workflow" => (GITHUB, Some("https://github.com"), &[]),
        "gitlab-pipeline" => (GITLAB, Some("https://gitlab.com"), &[]),
        "buildkite-job" => (BUILDKITE, Some("https://buildkite.com"), &[]),
        "codefresh-workflow" => (
            CODEFRESH,
            Some("https://g.codefresh.io"),
            &["github.com", "gitlab.com", "bitbucket.org"],
        ),
        "chainguard-identity" => (CHAINGUARD, None, &[]),
        _ => return None,
    };
    let template: Table = text.parse().ok()?;
    Some(Metadata {
        template,
        base_url: base_url.map(str::to_owned),
        source_hosts: source_hosts.iter().map(|host| (*host).to_owned()).collect(),
    })
}

const GITHUB: &str = r#"
subject_alternative_name = "{$url}/{job_workflow_ref | path}"
github_workflow_trigger = "{event_name}"
github_workflow_sha = "{sha}"
github_workflow_name = "{workflow}"
github_workflow_repository = "{repository}"
github_workflow_ref = "{ref}"
build_signer_uri = "{$url}/{job_workflow_ref | path}"
build_signer_digest = "{job_workflow_sha}"
runner_environment = "{runner_environment}"
source_repository_uri = "{$url}/{repository | path}"
source_repository_digest = "{sha}"
source_repository_ref = "{ref}"
source_repository_identifier = "{repository_id}"
source_repository_owner_uri = "{$url}/{repository_owner}"
source_repository_owner_identifier = "{repository_owner_id}"
build_config_uri = "{$url}/{workflow_ref | path}"
build_config_digest = "{workflow_sha}"
build_trigger = "{event_name}"
run_invocation_uri = "{$url}/{repository | path}/actions/runs/{run_id}/attempts/{run_attempt}"
source_repository_visibility_at_signing = "{repository_visibility}"
values.url = "https://github.com"
"#;

const GITLAB: &str = r#"
subject_alternative_name = "https://{ci_config_ref_uri | path}"
build_config_uri = "https://{ci_config_ref_uri | path}"
build_config_digest = "{ci_config_sha}"
build_signer_uri = "https://{ci_config_ref_uri | path}"
build_signer_digest = "{ci_config_sha}"
runner_environment = "{runner_environment}"
source_repository_uri = "{$url}/{project_path | path}"
source_repository_digest = "{sha}"
source_repository_ref = 'refs/{ref_type | map "branch" "heads" "tag" "tags"}/{ref}'
source_repository_identifier = "{project_id}"
source_repository_owner_uri = "{$url}/{namespace_path | path}"
source_repository_owner_identifier = "{namespace_id}"
build_trigger = "{pipeline_source}"
run_invocation_uri = "{$url}/{project_path | path}/-/jobs/{job_id}"
source_repository_visibility_at_signing = "{project_visibility}"
values.url = "https://gitlab.com"
"#;

const BUILDKITE: &str = r#"
subject_alternative_name = "https://buildkite.com/{organization_slug}/{pipeline_slug}"
"#;

/// A branch or tag is named without `refs/`.
const CODEFRESH: &str = r#"
subject_alternative_name = "{platform_url | default $url}/{account_name}/{pipeline_name | path}:{account_id}/{pipeline_id}"
build_signer_uri = "{platform_url | default $url}/build/{workflow_id}"
runner_environment = "{runner_environment?}"
source_repository_uri = "{scm_repo_url?}"
source_repository_ref = "{scm_ref?}"
build_config_uri = "{platform_url | default $url}/api/pipelines/{pipeline_id}"
run_invocation_uri = "{platform_url | default $url}/build/{workflow_id}"
unshaped = ["source_repository_ref"]
values.url = "https://g.codefresh.io"
"#;

const CHAINGUARD: &str = r#"
subject_alternative_name = "{iss}/{sub | path}"
"#;
