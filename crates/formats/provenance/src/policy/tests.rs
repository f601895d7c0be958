use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::issuer::spoken_host;
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

fn forge(url: &str) -> Forge {
    Forge::new(url, None).unwrap()
}

fn repository(repository: &str) -> SourceWords<'_> {
    SourceWords { repository: Some(repository), ..SourceWords::default() }
}

fn organisation(organisation: &str) -> SourceWords<'_> {
    SourceWords { organisation: Some(organisation), ..SourceWords::default() }
}

fn reference(reference: &str) -> SourceWords<'_> {
    SourceWords { reference: Some(reference), ..SourceWords::default() }
}

fn resolved(
    (repo, org, reference): (Option<&str>, Option<&str>, Option<&str>),
    forge: Option<&Forge>,
    issuer: Option<&str>,
) -> Result<SourcePolicy, PolicyError> {
    SourceDemand::new(SourceWords { repository: repo, organisation: org, reference })?
        .resolve(&BareNames { forge, issuer })
}

/// The policy where bare names mean github.com.
fn policy(repo: Option<&str>, org: Option<&str>, reference: Option<&str>) -> SourcePolicy {
    resolved((repo, org, reference), Some(&forge("https://github.com")), None).unwrap()
}

fn check(
    repo: Option<&str>,
    org: Option<&str>,
    reference: Option<&str>,
) -> Result<(), SourceViolation> {
    policy(repo, org, reference).check(&certificate(), Some(&provenance()))
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
    let accepts = |reference| policy(None, None, Some(reference)).check(&tagged, None);
    accepts("refs/tags/v1").unwrap();
    accepts("v1").unwrap_err();
    assert!(SourceDemand::new(reference("tags/v1")).is_err());
}

#[test]
fn rejects_a_certificate_without_a_repository_or_ref() {
    let bare = CertificateClaims { issuer: certificate().issuer, ..CertificateClaims::default() };
    for (repo, org, reference) in
        [(Some("a/b"), None, None), (None, Some("a"), None), (None, None, Some("main"))]
    {
        policy(repo, org, reference).check(&bare, Some(&provenance())).unwrap_err();
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
fn rejects_a_known_issuer_that_speaks_for_a_foreign_forge() {
    let mut foreign = certificate();
    foreign.source_repository_uri = Some("https://git.example/my-org/my-secure-repo".to_owned());
    let policy = policy(Some("https://git.example/my-org/my-secure-repo"), None, None);
    let found = policy.check(&foreign, None);
    assert!(matches!(found, Err(SourceViolation::Issuer { .. })), "{found:?}");
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
    let policy = policy(Some("my-org/my-secure-repo"), None, None);
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
        "https://github.com/o/r//",
        "https://github.com/o",
        "github.com/o",
        "https://user@github.com/o/r",
        "https://github.com:0443/o/r",
        "https://github.com./o/r",
        "https://github.com/o/r?x",
        "https://github.com/o/r#x",
        "https://github.com/o/%2e%2e",
        "https://github.com/o/a%2fb",
        "https://github.com/o/a%252fb",
        "https://github.com/o/r%0a",
        "https://github.com/o/r\u{202e}",
        "git@github.com:o/r",
        "ssh://git@github.com/o/r",
        "o/.git",
    ] {
        assert!(
            matches!(SourceDemand::new(repository(repo)), Err(PolicyError::Repository(_))),
            "{repo}"
        );
    }
    for org in ["", "/", "a//", "..", "https://github.com", "https://github.com/", "github.com"] {
        assert!(
            matches!(SourceDemand::new(organisation(org)), Err(PolicyError::Organisation(_))),
            "{org}"
        );
    }
    for name in ["", "/main", "main/", "heads/main", "tags/v1", "refs", "a..b", "a b", "refs/"] {
        assert!(
            matches!(SourceDemand::new(reference(name)), Err(PolicyError::Reference(_))),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn no_other_branch_name_is_accepted(name in "[a-z/]{1,12}") {
        prop_assume!(name != "main" && name != "refs/heads/main");
        if SourceDemand::new(reference(&name)).is_ok() {
            prop_assert!(check(None, None, Some(&name)).is_err());
        }
    }

    #[test]
    fn no_other_repository_is_accepted(repo in "[a-z-]{1,8}/[a-z-]{1,16}") {
        prop_assume!(repo != "my-org/my-secure-repo");
        prop_assert!(policy(Some(&repo), None, None).check(&certificate(), None).is_err());
    }

    #[test]
    fn no_url_is_taken_for_another(found in "(https?://)?[a-zA-Z./:@%?#-]{0,40}") {
        let demanded = policy(Some("my-org/my-secure-repo"), None, None);
        let claims = CertificateClaims {
            source_repository_uri: Some(found.clone()),
            ..certificate()
        };
        let is_it = found.eq_ignore_ascii_case(REPO);
        prop_assert!(is_it || demanded.check(&claims, None).is_err(), "{}", found);
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
            "G/Sub/P",
            "G",
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
            azure,
            "https://dev.azure.com/contoso/My%20App/_git/app",
            "https://dev.azure.com/contoso",
            "Contoso/my%20app/_git/App",
            "CONTOSO",
        ),
        (
            bitbucket,
            "https://bitbucket.org/acme/%7B4f506172-8394-4a5b-8c6d-7e8f90a1b2c3%7D",
            "https://bitbucket.org/acme",
            "Acme/{4F506172-8394-4a5b-8c6d-7e8f90a1b2c3}",
            "acme",
        ),
    ] {
        let certificate = of_ci(issuer, repository, Some(owner));
        let of_issuer = Forge::of_issuer(issuer).unwrap();
        // By the trust configuration, and by the issuer that was demanded.
        for (forge, demanded) in [(Some(&of_issuer), None), (None, Some(issuer))] {
            let by = |repo, org, reference| {
                resolved((repo, org, reference), forge, demanded).unwrap().check(&certificate, None)
            };
            by(Some(repo), Some(org), Some("main")).unwrap();
            by(Some("g/sub"), None, None).unwrap_err();
            by(Some("evil/p"), None, None).unwrap_err();
            by(None, Some("evil"), None).unwrap_err();
            by(None, Some(repo), None).unwrap_err();
        }
    }
}

#[test]
fn a_name_without_a_host_means_the_forge_that_is_named_for_it_and_no_other() {
    for (issuer, repository) in [
        ("https://gitlab.com", "https://gitlab.com/my-org/my-secure-repo"),
        ("http://localhost:3006/gitlab", "https://gitlab.com/my-org/my-secure-repo"),
        ("https://git.corp", "https://git.corp/my-org/my-secure-repo"),
        ("https://ghes.corp/_services/token", "https://ghes.corp/my-org/my-secure-repo"),
        ("https://token.actions.acme.ghe.com", "https://acme.ghe.com/my-org/my-secure-repo"),
        ("https://api.bitbucket.org/2.0/w", "https://bitbucket.org/my-org/my-secure-repo"),
        ("https://token.actions.githubusercontent.com", "http://github.com/my-org/my-secure-repo"),
        (
            "https://token.actions.githubusercontent.com",
            "https://github.com.evil.example/my-org/my-secure-repo",
        ),
        (
            "https://token.actions.githubusercontent.com",
            "https://github.com:8443/my-org/my-secure-repo",
        ),
        (
            "https://token.actions.githubusercontent.com",
            "https://x@github.com/my-org/my-secure-repo",
        ),
        (
            "https://token.actions.githubusercontent.com",
            "https://github.com/evil/../my-org/my-secure-repo",
        ),
    ] {
        let certificate = of_ci(issuer, repository, None);
        for (repo, org) in [(Some("my-org/my-secure-repo"), None), (None, Some("my-org"))] {
            let found = policy(repo, org, None).check(&certificate, None);
            assert!(found.is_err(), "{issuer} {repository}");
        }
    }
}

#[test]
fn a_name_without_a_host_means_nothing_where_nobody_names_a_forge() {
    let by = |repo, org, forge, issuer| resolved((repo, org, None), forge, issuer);
    for (repo, org) in [(Some("a/b"), None), (None, Some("a"))] {
        assert!(matches!(by(repo, org, None, None), Err(PolicyError::NoForge(_))));
        let circle = Some("https://oidc.circleci.com/org/c1ec1111");
        let refused = by(repo, org, None, circle);
        assert!(matches!(refused, Err(PolicyError::NoForgeOfIssuer { .. })));
    }
    by(Some("https://github.com/a/b"), Some("https://github.com/a"), None, None).unwrap();
    by(Some("github.com/a/b"), Some("github.com/a"), None, None).unwrap();
    by(None, None, None, None).unwrap();
}

#[test]
fn the_forge_of_names_and_the_demanded_issuer_must_be_able_to_agree() {
    let github = forge("https://github.com");
    let by = |issuer| resolved((Some("a/b"), None, None), Some(&github), Some(issuer));
    for issuer in ["https://gitlab.com", "https://git.corp", "http://localhost:3006/gitlab"] {
        assert!(matches!(by(issuer), Err(PolicyError::AnotherForge { .. })), "{issuer}");
    }
    by("https://token.actions.githubusercontent.com/acme").unwrap();
    by("https://oidc.circleci.com").unwrap();
}

#[test]
fn passes_over_what_clone_urls_and_browsers_add() {
    for repo in [
        "my-org/my-secure-repo.git",
        "my-org/my-secure-repo/",
        "https://github.com/my-org/my-secure-repo.git",
        "https://github.com/my-org/my-secure-repo/",
        "HTTPS://GitHub.com:443/my-org/my-secure-repo",
        "github.com/my-org/my-secure-repo",
        "GitHub.com/My-Org/My-Secure-Repo.git/",
    ] {
        check(Some(repo), None, None).unwrap_or_else(|error| panic!("{repo}: {error}"));
    }
    for org in ["my-org/", "github.com/my-org", "https://github.com/My-Org/"] {
        check(None, Some(org), None).unwrap_or_else(|error| panic!("{org}: {error}"));
    }
    check(None, Some("my-org.git"), None).unwrap_err();
    check(Some("my-org.git/my-secure-repo"), None, None).unwrap_err();
}

#[test]
fn a_first_segment_with_a_dot_is_a_host() {
    let gitlab = forge("https://gitlab.com");
    let certificate = of_ci("https://gitlab.com", "https://gitlab.com/github.com/acme/app", None);
    let by = |repo, org| {
        resolved((repo, org, None), Some(&gitlab), None).unwrap().check(&certificate, None)
    };
    by(Some("github.com/acme/app"), None).unwrap_err();
    by(None, Some("github.com/acme")).unwrap_err();
    by(Some("https://gitlab.com/github.com/acme/app"), None).unwrap();
    by(Some("gitlab.com/github.com/acme/app"), None).unwrap();
}

#[test]
fn letters_are_equal_as_the_forge_has_them() {
    let other = of_ci("https://ci.corp/oidc", "https://git.corp/Acme/App", None);
    let server = of_ci("https://ghes.corp/_services/token", "https://ghes.corp/Acme/App", None);
    let by = |certificate: &CertificateClaims, url: &str, kind| {
        let host = url.split('/').nth(2).unwrap();
        let forge = Forge::new(&format!("https://{host}"), kind).unwrap();
        let demand = (Some(url), None, None);
        resolved(demand, Some(&forge), None).unwrap().check(certificate, None)
    };
    by(&other, "https://git.corp/Acme/App", None).unwrap();
    by(&other, "https://GIT.corp/Acme/App", None).unwrap();
    by(&other, "https://git.corp/acme/app", None).unwrap_err();
    by(&other, "https://git.corp/acme/app", Some(ForgeKind::Gitlab)).unwrap();
    by(&server, "https://ghes.corp/acme/app", None).unwrap();
    // Only ASCII: what a forge does to other letters is its own affair.
    let azure =
        of_ci("https://vstoken.dev.azure.com/x", "https://dev.azure.com/c/%C3%9C/_git/a", None);
    by(&azure, "https://dev.azure.com/C/%c3%9c/_git/a", None).unwrap();
    by(&azure, "https://dev.azure.com/C/Ü/_git/a", None).unwrap();
    by(&azure, "https://dev.azure.com/C/ü/_git/a", None).unwrap_err();
}

#[test]
fn reads_forges_by_their_urls() {
    for url in ["https://github.com", "https://GitHub.com/", "https://github.com:443"] {
        assert_eq!(forge(url).url(), "https://github.com");
        assert_eq!(forge(url).kind, ForgeKind::Github);
    }
    assert_eq!(forge("https://git.corp:8443").url(), "https://git.corp:8443");
    assert_eq!(forge("https://git.corp").kind, ForgeKind::Other);
    for url in [
        "",
        "github.com",
        "http://github.com",
        "https://",
        "https://u@github.com",
        "https://github.com/acme",
        "https://github.com//",
        "https://github.com?x",
        "https://github..com",
        "https://[::1]",
    ] {
        assert!(matches!(Forge::new(url, None), Err(ForgeError::Url(_))), "{url}");
    }
    let another = Forge::new("https://github.com", Some(ForgeKind::Gitlab));
    assert_eq!(another, Err(ForgeError::Kind("github.com".to_owned())));
}

#[test]
fn no_forges_issuer_speaks_for_another_forge() {
    let github = "https://github.com/acme/app";
    for issuer in [
        "https://gitlab.com",
        "https://gitlab.com/",
        "http://localhost:3006/gitlab",
        "https://vstoken.dev.azure.com/0ca3ddd9-f0b0-4635-a98c-5866526961b6",
        "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
        "https://token.actions.acme.ghe.com",
    ] {
        let certificate = of_ci(issuer, github, None);
        for repo in ["acme/app", github] {
            policy(Some(repo), None, None).check(&certificate, None).unwrap_err();
        }
    }
}

#[test]
fn a_ci_without_a_forge_needs_the_whole_url_or_to_be_demanded() {
    let github = "https://github.com/acme/app";
    for issuer in ["https://oidc.circleci.com/org/c1ec1111", "http://localhost:3006/circleci"] {
        let certificate = of_ci(issuer, github, None);
        let bare = policy(Some("acme/app"), None, None).check(&certificate, None);
        assert!(matches!(bare, Err(SourceViolation::Issuer { .. })), "{bare:?}");
        policy(Some(github), None, None).check(&certificate, None).unwrap();
        let names = Some(forge("https://github.com"));
        let demanded = resolved((Some("acme/app"), None, None), names.as_ref(), Some(issuer));
        demanded.unwrap().check(&certificate, None).unwrap();
    }
}

#[test]
fn a_predicate_may_write_the_repository_as_the_forge_reads_it() {
    let mut shouted = provenance();
    let url = "https://github.com/My-Org/My-Secure-Repo";
    shouted.build_definition.external_parameters["workflow"]["repository"] = json!(url);
    policy(Some("my-org/my-secure-repo"), None, None)
        .check(&certificate(), Some(&shouted))
        .unwrap();
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
