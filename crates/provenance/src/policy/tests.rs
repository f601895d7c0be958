use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{BuildEnvironment, GITHUB_WORKFLOW_BUILD_TYPE};

const REPO: &str = "https://github.com/my-org/my-secure-repo";
const COMMIT: &str = "0123456789012345678901234567890123456789";

fn certificate() -> CertificateClaims {
    let workflow = format!("{REPO}/.github/workflows/b.yml@refs/heads/main");
    CertificateClaims {
        issuer: Some("https://token.actions.githubusercontent.com".to_owned()),
        build_signer_uri: Some(workflow.clone()),
        runner_environment: Some("github-hosted".to_owned()),
        source_repository_uri: Some(REPO.to_owned()),
        source_repository_digest: Some(COMMIT.to_owned()),
        source_repository_ref: Some("refs/heads/main".to_owned()),
        source_repository_owner_uri: Some("https://github.com/my-org".to_owned()),
        build_config_uri: Some(workflow),
    }
}

fn provenance() -> Provenance {
    let claims = json!({
        "repository": "my-org/my-secure-repo", "ref": "refs/heads/main", "sha": COMMIT,
        "job_workflow_ref": "my-org/my-secure-repo/.github/workflows/b.yml@refs/heads/main",
        "run_id": "1", "run_attempt": "1"
    });
    BuildEnvironment::from_token_claims(claims.as_object().unwrap(), "https://github.com")
        .unwrap()
        .unwrap()
        .provenance()
}

fn check(
    repo: Option<&str>,
    org: Option<&str>,
    reference: Option<&str>,
) -> Result<(), SourceViolation> {
    SourcePolicy::new(repo, org, reference).unwrap().check(&certificate(), Some(&provenance()))
}

#[test]
fn accepts_the_repository_organisation_and_branch_of_the_certificate() {
    check(Some("my-org/my-secure-repo"), None, Some("main")).unwrap();
    check(Some(REPO), Some("my-org"), Some("refs/heads/main")).unwrap();
    check(None, Some("https://github.com/my-org"), None).unwrap();
    check(None, None, None).unwrap();
}

#[test]
fn rejects_another_repository_and_a_part_of_the_name() {
    for repo in [
        "my-org/other",
        "my-org/my-secure",
        "my-org/my-secure-repo2",
        "my-org/my-secure-repo/sub",
        "other/my-secure-repo",
        "My-Org/my-secure-repo",
        "https://gitlab.com/my-org/my-secure-repo",
        "https://github.com.evil.example/my-org/my-secure-repo",
    ] {
        assert!(
            matches!(check(Some(repo), None, None), Err(SourceViolation::Repository { .. })),
            "{repo}"
        );
    }
}

#[test]
fn rejects_another_organisation_and_a_part_of_the_name() {
    for org in ["my", "my-or", "my-org2", "other", "https://github.com/my"] {
        assert!(
            matches!(check(None, Some(org), None), Err(SourceViolation::Organisation { .. })),
            "{org}"
        );
    }
}

#[test]
fn rejects_another_ref() {
    for reference in ["mai", "main2", "refs/tags/main", "refs/heads/mai", "release/main"] {
        assert!(
            matches!(check(None, None, Some(reference)), Err(SourceViolation::Ref { .. })),
            "{reference}"
        );
    }
}

#[test]
fn takes_a_tag_only_by_its_full_ref() {
    let mut tagged = certificate();
    tagged.source_repository_ref = Some("refs/tags/v1".to_owned());
    let accepts =
        |reference| SourcePolicy::new(None, None, Some(reference)).unwrap().check(&tagged, None);
    accepts("refs/tags/v1").unwrap();
    accepts("v1").unwrap_err();
    assert!(SourcePolicy::new(None, None, Some("tags/v1")).is_err());
}

#[test]
fn rejects_a_certificate_without_a_repository_or_ref() {
    let bare = CertificateClaims { issuer: certificate().issuer, ..CertificateClaims::default() };
    for (repo, org, reference) in
        [(Some("a/b"), None, None), (None, Some("a"), None), (None, None, Some("main"))]
    {
        let policy = SourcePolicy::new(repo, org, reference).unwrap();
        policy.check(&bare, Some(&provenance())).unwrap_err();
    }
}

#[test]
fn lets_an_issuer_speak_for_its_own_forge_only() {
    let hosts = [
        ("https://token.actions.githubusercontent.com/enterprise", Some("github.com")),
        (
            "https://token.actions.githubusercontent.com.evil.example",
            Some("token.actions.githubusercontent.com.evil.example"),
        ),
        ("https://gitlab.com", Some("gitlab.com")),
        ("https://ghes.example/_services/token", Some("ghes.example")),
        ("https://git.example", Some("git.example")),
        ("http://localhost:3006/github", Some("github.com")),
        ("http://127.0.0.1:3006/github", Some("github.com")),
        ("http://[::1]:3006/github", Some("github.com")),
        ("http://evil.example/github", None),
        ("http://localhost.evil.example/github", None),
        ("https://agent.buildkite.com", None),
        ("https://agent.buildkite.com/x", None),
        ("https://oidc.circleci.com", None),
        ("https://oidc.circleci.com/org/c1ec1111-2b3c-4d5e-8f60-718293a4b5c6", None),
        ("https://vstoken.dev.azure.com/0ca3ddd9-f0b0-4635", Some("dev.azure.com")),
        ("https://token.actions.acme.ghe.com", Some("acme.ghe.com")),
        (
            "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
            Some("bitbucket.org"),
        ),
        ("https://jenkins.example/oidc", None),
        ("http://localhost:3006/azure", Some("dev.azure.com")),
        ("http://localhost:3006/gitlab", Some("gitlab.com")),
        ("http://localhost:3006/bitbucket", Some("bitbucket.org")),
        ("http://localhost:3006/circleci", None),
        ("http://localhost:3006/jenkins", None),
        ("http://localhost:3006", None),
        ("", None),
    ];
    for (issuer, host) in hosts {
        assert_eq!(spoken_host(issuer).as_deref(), host, "{issuer}");
    }
}

#[test]
fn demands_a_whole_url_when_the_issuer_speaks_for_no_known_host() {
    let mut other = certificate();
    other.issuer = Some("http://ci.example/oidc".to_owned());
    let by = |repo| SourcePolicy::new(Some(repo), None, None).unwrap().check(&other, None);
    assert!(matches!(by("my-org/my-secure-repo"), Err(SourceViolation::IssuerSpeaksForNoHost(_))));
    by(REPO).unwrap();
}

#[test]
fn rejects_a_known_issuer_that_speaks_for_a_foreign_forge() {
    let mut foreign = certificate();
    foreign.source_repository_uri = Some("https://git.example/my-org/my-secure-repo".to_owned());
    let policy =
        SourcePolicy::new(Some("https://git.example/my-org/my-secure-repo"), None, None).unwrap();
    policy.check(&foreign, None).unwrap_err();
}

#[test]
fn rejects_a_predicate_that_contradicts_the_certificate() {
    let contradicted = |change: &dyn Fn(&mut Provenance)| {
        let mut changed = provenance();
        change(&mut changed);
        let found = SourcePolicy::default().check(&certificate(), Some(&changed));
        assert!(matches!(found, Err(SourceViolation::PredicateContradicts { .. })), "{found:?}");
    };
    let workflow = |p: &mut Provenance, name: &str, value: &str| {
        p.build_definition.external_parameters["workflow"][name] = json!(value);
    };
    contradicted(&|p| workflow(p, "repository", "https://github.com/other/repo"));
    contradicted(&|p| workflow(p, "ref", "refs/heads/other"));
    contradicted(&|p| {
        p.run_details.builder.id = format!("{REPO}/.github/workflows/x.yml@refs/heads/main");
    });
    contradicted(&|p| {
        p.build_definition.resolved_dependencies[0].uri = Some(format!("git+{REPO}@refs/heads/x"));
    });
    contradicted(&|p| {
        let digest = &mut p.build_definition.resolved_dependencies[0].digest;
        digest.insert("gitCommit".to_owned(), "ff".to_owned());
    });
}

#[test]
fn rejects_provenance_that_names_no_source_when_one_is_demanded() {
    let mut silent = provenance();
    silent.build_definition.external_parameters = json!({});
    silent.build_definition.resolved_dependencies.clear();
    assert_eq!(silent.build_definition.build_type, GITHUB_WORKFLOW_BUILD_TYPE);
    let policy = SourcePolicy::new(Some("my-org/my-secure-repo"), None, None).unwrap();
    let found = policy.check(&certificate(), Some(&silent));
    assert_eq!(found, Err(SourceViolation::PredicateSilent));
    SourcePolicy::default().check(&certificate(), Some(&silent)).unwrap();
}

#[test]
fn rejects_demands_that_cannot_be_meant() {
    for repo in [
        "repo",
        "",
        "/",
        "org/",
        "/repo",
        "org//repo",
        "org/..",
        "http://github.com/o/r",
        "org/re po",
        "https://github.com/o/r/",
    ] {
        assert!(
            matches!(SourcePolicy::new(Some(repo), None, None), Err(PolicyError::Repository(_))),
            "{repo}"
        );
    }
    for org in ["", "/", "a/", "..", "https://github.com", "https://github.com/"] {
        assert!(
            matches!(SourcePolicy::new(None, Some(org), None), Err(PolicyError::Organisation(_))),
            "{org}"
        );
    }
    for reference in ["", "/main", "main/", "heads/main", "tags/v1", "refs", "a..b", "a b", "refs/"]
    {
        assert!(
            matches!(
                SourcePolicy::new(None, None, Some(reference)),
                Err(PolicyError::Reference(_))
            ),
            "{reference}"
        );
    }
}

proptest! {
    #[test]
    fn no_other_branch_name_is_accepted(reference in "[a-z/]{1,12}") {
        prop_assume!(reference != "main" && reference != "refs/heads/main");
        if let Ok(policy) = SourcePolicy::new(None, None, Some(&reference)) {
            prop_assert!(policy.check(&certificate(), None).is_err());
        }
    }

    #[test]
    fn no_other_repository_is_accepted(repo in "[a-z-]{1,8}/[a-z-]{1,16}") {
        prop_assume!(repo != "my-org/my-secure-repo");
        let policy = SourcePolicy::new(Some(&repo), None, None).unwrap();
        prop_assert!(policy.check(&certificate(), None).is_err());
    }
}

/// What a certificate of another CI says.
fn of_ci(issuer: &str, repository: &str, owner: Option<&str>) -> CertificateClaims {
    CertificateClaims {
        issuer: Some(issuer.to_owned()),
        source_repository_uri: Some(repository.to_owned()),
        source_repository_owner_uri: owner.map(str::to_owned),
        source_repository_ref: Some("refs/heads/main".to_owned()),
        ..CertificateClaims::default()
    }
}

#[test]
fn knows_the_repositories_of_every_forge_by_their_short_names() {
    let azure = "https://vstoken.dev.azure.com/0ca3ddd9-f0b0-4635-a98c-5866526961b6";
    let bitbucket = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc";
    for (issuer, repository, owner, repo, org) in [
        (
            "https://gitlab.com",
            "https://gitlab.com/g/sub/p",
            "https://gitlab.com/g/sub",
            "g/sub/p",
            "g/sub",
        ),
        (
            "https://gitlab.com",
            "https://gitlab.com/g/sub/p",
            "https://gitlab.com/g/sub",
            "g/sub/p",
            "g",
        ),
        ("https://git.corp", "https://git.corp/g/p", "https://git.corp/g", "g/p", "g"),
        (
            azure,
            "https://dev.azure.com/contoso/My%20App/_git/app",
            "https://dev.azure.com/contoso",
            "contoso/My%20App/_git/app",
            "contoso",
        ),
        (
            bitbucket,
            "https://bitbucket.org/acme/%7B4f506172-8394-4a5b-8c6d-7e8f90a1b2c3%7D",
            "https://bitbucket.org/acme",
            "acme/{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}",
            "acme",
        ),
    ] {
        let certificate = of_ci(issuer, repository, Some(owner));
        let policy = SourcePolicy::new(Some(repo), Some(org), Some("main")).unwrap();
        policy.check(&certificate, None).unwrap();
        for (repo, org) in [(Some("g/sub"), None), (Some("evil/p"), None), (None, Some("evil"))] {
            let policy = SourcePolicy::new(repo, org, None).unwrap();
            policy.check(&certificate, None).unwrap_err();
        }
    }
}

#[test]
fn no_forges_issuer_speaks_for_another_forge() {
    let github = "https://github.com/acme/app";
    for issuer in [
        "https://gitlab.com",
        "https://vstoken.dev.azure.com/0ca3ddd9-f0b0-4635-a98c-5866526961b6",
        "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
        "https://token.actions.acme.ghe.com",
    ] {
        let certificate = of_ci(issuer, github, None);
        for repo in ["acme/app", github] {
            let policy = SourcePolicy::new(Some(repo), None, None).unwrap();
            policy.check(&certificate, None).unwrap_err();
        }
    }
}

#[test]
fn a_ci_without_a_forge_needs_the_whole_url() {
    let github = "https://github.com/acme/app";
    for issuer in ["https://oidc.circleci.com/org/c1ec1111", "http://localhost:3006/circleci"] {
        let certificate = of_ci(issuer, github, None);
        let by =
            |repo| SourcePolicy::new(Some(repo), None, None).unwrap().check(&certificate, None);
        assert!(matches!(by("acme/app"), Err(SourceViolation::IssuerSpeaksForNoHost(_))));
        by(github).unwrap();
    }
}

#[test]
fn a_job_that_names_another_pipeline_than_its_certificate_is_refused() {
    let claims = json!({"organization_slug": "acme", "pipeline_slug": "app", "build_number": 3,
        "job_id": "j"});
    let build = BuildEnvironment::from_token_claims(claims.as_object().unwrap(), "");
    let provenance = build.unwrap().unwrap().provenance();
    let mut certificate = of_ci("https://agent.buildkite.com", "https://github.com/a/b", None);
    for (signer, agrees) in
        [("https://buildkite.com/acme/app", true), ("https://buildkite.com/acme/other", false)]
    {
        certificate.build_signer_uri = Some(signer.to_owned());
        let found = SourcePolicy::default().check(&certificate, Some(&provenance));
        assert_eq!(found.is_ok(), agrees, "{signer}: {found:?}");
    }
}
