use super::*;

fn variables() -> BTreeMap<String, String> {
    [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com/"),
        ("GITHUB_REPOSITORY", "my-org/my-repo"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_SHA", "0123456789012345678901234567890123456789"),
        ("GITHUB_WORKFLOW_REF", "my-org/my-repo/.github/workflows/b.yml@refs/heads/main"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_EVENT_NAME", "push"),
        ("RUNNER_ENVIRONMENT", "github-hosted"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn claims() -> Map<String, Value> {
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com", "repository": "my-org/my-repo",
        "ref": "refs/heads/main", "sha": "0123456789012345678901234567890123456789",
        "workflow_ref": "my-org/my-repo/.github/workflows/b.yml@refs/heads/main",
        "job_workflow_ref": "my-org/shared/.github/workflows/r.yml@refs/tags/v1",
        "run_id": "42", "run_attempt": 1, "event_name": "push"
    });
    claims.as_object().unwrap().clone()
}

#[test]
fn describes_a_workflow_from_its_variables_as_the_build_type_says() {
    let provenance = BuildEnvironment::from_variables(&variables(), [0; 16]).unwrap().provenance();
    assert_eq!(
        serde_json::to_value(provenance).unwrap(),
        json!({
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"ref": "refs/heads/main",
                    "repository": "https://github.com/my-org/my-repo", "path": ".github/workflows/b.yml"}},
                "internalParameters": {"github": {"event_name": "push", "runner_environment": "github-hosted"}},
                "resolvedDependencies": [{"uri": "git+https://github.com/my-org/my-repo@refs/heads/main",
                    "digest": {"gitCommit": "0123456789012345678901234567890123456789"}}]
            },
            "runDetails": {
                "builder": {"id": "https://github.com/my-org/my-repo/.github/workflows/b.yml@refs/heads/main"},
                "metadata": {"invocationId": "https://github.com/my-org/my-repo/actions/runs/42/attempts/1"}
            }
        })
    );
}

#[test]
fn names_the_reusable_workflow_of_the_token_as_builder() {
    let environment =
        BuildEnvironment::from_token_claims(&claims(), "https://github.com").unwrap().unwrap();
    assert_eq!(
        environment.provenance().run_details.builder.id,
        "https://github.com/my-org/shared/.github/workflows/r.yml@refs/tags/v1"
    );
}

#[test]
fn takes_a_person_s_token_for_no_build_platform() {
    let claims = json!({"iss": "i", "sub": "s", "email": "a@example.com"});
    let found =
        BuildEnvironment::from_token_claims(claims.as_object().unwrap(), "https://github.com");
    assert_eq!(found, Ok(None));
}

#[test]
fn names_the_variable_or_claim_that_is_missing() {
    for missing in ["GITHUB_SHA", "GITHUB_REF", "GITHUB_RUN_ID", "GITHUB_WORKFLOW_REF"] {
        let mut some = variables();
        some.remove(missing);
        assert_eq!(
            BuildEnvironment::from_variables(&some, [0; 16]),
            Err(EnvironmentError::MissingVariable(missing))
        );
    }
    let mut some = claims();
    some.remove("sha");
    assert_eq!(
        BuildEnvironment::from_token_claims(&some, "https://github.com"),
        Err(EnvironmentError::MissingClaim("sha"))
    );
}

#[test]
fn says_of_a_local_build_nothing_but_its_run() {
    let variables = BTreeMap::from([("USER".to_owned(), "alice".to_owned())]);
    let provenance = BuildEnvironment::from_variables(&variables, [0xab; 16]).unwrap().provenance();
    assert_eq!(provenance.run_details.builder.id, LOCAL_BUILDER_ID);
    let text = serde_json::to_string(&provenance).unwrap();
    assert!(text.contains("abababab") && !text.contains("alice"));
}

/// What the provenance says of a job: builder, run, source with ref, commit.
fn told(provenance: &Provenance) -> [String; 4] {
    let source = provenance.build_definition.resolved_dependencies.first();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let metadata = provenance.run_details.metadata.as_ref();
    [
        provenance.run_details.builder.id.clone(),
        text(metadata.and_then(|metadata| metadata.invocation_id.as_deref())),
        text(source.and_then(|source| source.uri.as_deref())),
        text(source.and_then(|source| source.digest.get("gitCommit")).map(String::as_str)),
    ]
}

/// Claims of a job of each CI, and what is told of it.
fn jobs_by_token() -> Value {
    json!([
        [{"iss": "https://git.corp", "project_path": "g/s/p", "namespace_path": "g/s",
          "ref": "main", "ref_type": "branch", "sha": "ab", "job_id": 7,
          "ci_config_ref_uri": "git.corp/g/s/p//.gitlab-ci.yml@refs/heads/main"},
         ["https://git.corp/g/s/p//.gitlab-ci.yml@refs/heads/main",
          "https://git.corp/g/s/p/-/jobs/7", "git+https://git.corp/g/s/p@refs/heads/main", "ab"]],
        [{"iss": "http://localhost:3006/gitlab", "project_path": "g/p", "namespace_path": "g",
          "ref": "v1", "ref_type": "tag", "sha": "ab", "job_id": "7", "ci_config_ref_uri": null},
         ["https://gitlab.com/g/p@refs/tags/v1", "https://gitlab.com/g/p/-/jobs/7",
          "git+https://gitlab.com/g/p@refs/tags/v1", "ab"]],
        [{"sub": "p://contoso/My App/ci", "org_id": "o", "def_id": "12",
          "rpo_uri": "https://contoso@dev.azure.com/contoso/My%20App/_git/app",
          "rpo_ref": "refs/heads/main", "rpo_ver": "ab", "run_id": "3"},
         ["https://dev.azure.com/contoso/My%20App/_build?definitionId=12",
          "https://dev.azure.com/contoso/My%20App/_build/results?buildId=3",
          "git+https://dev.azure.com/contoso/My%20App/_git/app@refs/heads/main", "ab"]],
        [{"sub": "https://ci.corp/job/gr%c3%bcn/", "build_number": 7,
          "git_url": "git@git.corp:a/b.git", "git_ref": "refs/heads/main", "git_commit": "ab"},
         ["https://ci.corp/job/gr%C3%BCn", "https://ci.corp/job/gr%C3%BCn/7/",
          "git+https://git.corp/a/b@refs/heads/main", "ab"]],
        [{"organization_slug": "acme", "pipeline_slug": "app", "build_number": 3, "job_id": "j",
          "build_commit": "HEAD"},
         ["https://buildkite.com/acme/app", "https://buildkite.com/acme/app/builds/3#j", "", ""]],
        [{"oidc.circleci.com/project-id": "p", "oidc.circleci.com/pipeline-definition-id": "d",
          "oidc.circleci.com/workflow-id": "w", "oidc.circleci.com/job-id": "j"},
         ["https://circleci.com/api/v2/projects/p/pipeline-definitions/d",
          "https://app.circleci.com/workflow/w/job/j", "", ""]],
        [{"iss": "https://api.bitbucket.org/2.0/workspaces/ws/pipelines-config/identity/oidc",
          "workspaceUuid": "{w}", "repositoryUuid": "{r}", "pipelineUuid": "{p}",
          "stepUuid": "{s}", "branchName": "main"},
         ["https://bitbucket.org/ws/%7Br%7D",
          "https://bitbucket.org/ws/%7Br%7D/pipelines/results/%7Bp%7D/steps/%7Bs%7D", "", ""]],
        [{"kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "builder"}}},
         ["https://kubernetes.io/namespaces/ci/serviceaccounts/builder", "", "", ""]],
    ])
}

#[test]
fn describes_the_job_of_every_ci_from_its_token_as_certificates_name_it() {
    let cases: Vec<(Map<String, Value>, [String; 4])> =
        serde_json::from_value(jobs_by_token()).unwrap();
    for (claims, expected) in cases {
        let build = BuildEnvironment::from_token_claims(&claims, "").unwrap().unwrap();
        assert_eq!(told(&build.provenance()), expected);
        for missing in claims.keys() {
            let mut some = claims.clone();
            some.remove(missing);
            // Without a claim it is another's, nobody's, poorer or an error, never a panic.
            let _ = BuildEnvironment::from_token_claims(&some, "");
        }
    }
}

/// Variables of a job of each CI, and what is told of it.
fn jobs_by_variables() -> Value {
    json!([
        [{"GITLAB_CI": "true", "CI_PROJECT_URL": "https://git.corp/g/p",
          "CI_COMMIT_REF_NAME": "main", "CI_COMMIT_SHA": "ab",
          "CI_JOB_URL": "https://git.corp/g/p/-/jobs/7"},
         ["https://git.corp/g/p//.gitlab-ci.yml@refs/heads/main", "https://git.corp/g/p/-/jobs/7",
          "git+https://git.corp/g/p@refs/heads/main", "ab"]],
        [{"TF_BUILD": "True", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/contoso/",
          "SYSTEM_TEAMPROJECT": "My App", "SYSTEM_DEFINITIONID": "12", "BUILD_BUILDID": "3",
          "BUILD_REPOSITORY_URI": "https://contoso.visualstudio.com/app/_git/app",
          "BUILD_SOURCEBRANCH": "refs/heads/main", "BUILD_SOURCEVERSION": "ab"},
         ["https://dev.azure.com/contoso/My%20App/_build?definitionId=12",
          "https://dev.azure.com/contoso/My%20App/_build/results?buildId=3",
          "git+https://dev.azure.com/contoso/app/_git/app@refs/heads/main", "ab"]],
        [{"JENKINS_URL": "https://ci.corp/", "JOB_URL": "https://ci.corp/job/app/",
          "BUILD_URL": "https://ci.corp/job/app/7/", "GIT_BRANCH": "origin/main",
          "GIT_URL": "https://robot:secret@git.corp/a/b.git", "GIT_COMMIT": "ab"},
         ["https://ci.corp/job/app", "https://ci.corp/job/app/7/",
          "git+https://git.corp/a/b@refs/heads/main", "ab"]],
        [{"BUILDKITE": "true", "BUILDKITE_ORGANIZATION_SLUG": "acme",
          "BUILDKITE_PIPELINE_SLUG": "app", "BUILDKITE_BUILD_NUMBER": "3", "BUILDKITE_JOB_ID": "j",
          "BUILDKITE_REPO": "ssh://git@github.com/acme/app.git", "BUILDKITE_BRANCH": "main",
          "BUILDKITE_TAG": "v1", "BUILDKITE_COMMIT": "ab"},
         ["https://buildkite.com/acme/app", "https://buildkite.com/acme/app/builds/3#j",
          "git+https://github.com/acme/app@refs/tags/v1", "ab"]],
        [{"CIRCLECI": "true", "CIRCLE_PROJECT_ID": "p", "CIRCLE_BRANCH": "main",
          "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/app/7", "CIRCLE_SHA1": "ab",
          "CIRCLE_REPOSITORY_URL": "git@github.com:acme/app.git"},
         ["https://circleci.com/api/v2/projects/p", "https://circleci.com/gh/acme/app/7",
          "git+https://github.com/acme/app@refs/heads/main", "ab"]],
        [{"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_WORKSPACE": "ws", "BITBUCKET_REPO_UUID": "{R}",
          "BITBUCKET_BRANCH": "main", "BITBUCKET_COMMIT": "ab"},
         ["https://bitbucket.org/ws/%7Br%7D",
          "https://bitbucket.org/ws/%7Br%7D/pipelines/results/7",
          "git+https://bitbucket.org/ws/%7Br%7D@refs/heads/main", "ab"]],
        [{"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAMESPACE": "ci",
          "POD_SERVICE_ACCOUNT": "builder"},
         ["https://kubernetes.io/namespaces/ci/serviceaccounts/builder", "", "", ""]],
    ])
}

#[test]
fn describes_the_job_of_every_ci_from_its_variables() {
    type Case = (BTreeMap<String, String>, [String; 4]);
    let cases: Vec<Case> = serde_json::from_value(jobs_by_variables()).unwrap();
    for (variables, expected) in cases {
        let build = BuildEnvironment::from_variables(&variables, [0; 16]).unwrap();
        assert_eq!(told(&build.provenance()), expected);
        let json = serde_json::to_string(&build.provenance()).unwrap();
        assert!(!json.contains("secret"), "{json}");
    }
}

#[test]
fn a_pod_that_says_nothing_of_itself_is_any_machine() {
    let variables = BTreeMap::from([("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned())]);
    let build = BuildEnvironment::from_variables(&variables, [0; 16]).unwrap();
    assert!(matches!(build, BuildEnvironment::Local(_)));
}
