use serde_json::json;

use super::*;
use crate::{JenkinsClaims, JenkinsController, SubjectTemplate};

const SHA: &str = "c291ea713801eb300054d353d279e7b02331f671";

fn controller() -> JenkinsController {
    let named = |name: &str| Some(name.to_owned());
    JenkinsController {
        url: "https://ci.corp/jenkins".to_owned(),
        claims: JenkinsClaims {
            source_repository_uri: named("git"),
            source_repository_digest: named("commit"),
            source_repository_ref: named("git_ref"),
            runner_environment: named("agent"),
            build_trigger: named("cause"),
        },
        source_hosts: vec!["git.corp.example".to_owned()],
        subject_template: None,
    }
}

pub(super) fn kind() -> IssuerKind {
    IssuerKind::JenkinsJob(controller())
}

pub(super) fn claims() -> Value {
    json!({"sub": "https://ci.corp/jenkins/job/team/job/app/job/main/", "build_number": 7})
}

fn name_of(subject: &str) -> Result<String, PrincipalError> {
    let principal = map(kind(), &with(claims(), "sub", json!(subject)))?;
    Ok(principal.san.as_str().to_owned())
}

#[test]
fn maps_the_plugins_own_two_claims() {
    let principal = map(kind(), &claims()).unwrap();
    let job = "https://ci.corp/jenkins/job/team/job/app/job/main";
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(principal.san, SubjectAlternativeName::Uri(job.to_owned()));
    assert_eq!(
        principal.extensions,
        FulcioExtensions {
            issuer: text(ISSUER),
            build_signer_uri: text(job),
            build_config_uri: text(job),
            run_invocation_uri: text("https://ci.corp/jenkins/job/team/job/app/job/main/7/"),
            token_subject: text("https://ci.corp/jenkins/job/team/job/app/job/main/"),
            ..FulcioExtensions::default()
        }
    );
}

#[test]
fn maps_what_the_administrators_defined_and_the_operator_named() {
    let mut claims = claims();
    for (name, value) in [
        ("git", "git@git.corp.example:team/app.git"),
        ("commit", SHA),
        ("git_ref", "refs/tags/v1"),
        ("agent", "linux-pool"),
        ("cause", "SCMTrigger"),
        ("source_repository_uri", "https://evil.example/a/b"),
    ] {
        claims = with(claims, name, json!(value));
    }
    let extensions = map(kind(), &claims).unwrap().extensions;
    let of = |value: Option<String>| value.unwrap();
    assert_eq!(of(extensions.source_repository_uri), "https://git.corp.example/team/app");
    assert_eq!(of(extensions.source_repository_digest), SHA);
    assert_eq!(of(extensions.source_repository_ref), "refs/tags/v1");
    assert_eq!(of(extensions.runner_environment), "linux-pool");
    assert_eq!(of(extensions.build_trigger), "SCMTrigger");
}

#[test]
fn refuses_defined_claims_that_hold_something_else() {
    for (name, value) in [
        ("git", json!("https://github.com/acme/app")),
        ("git", json!("${GIT_URL}")),
        ("git", json!(["https://git.corp.example/a/b"])),
        ("commit", json!("HEAD")),
        ("git_ref", json!("main")),
        ("git_ref", json!("refs/heads/main\nfoo")),
        ("git_ref", json!("refs/heads/${BRANCH_NAME}")),
        ("agent", json!("a\u{202e}b")),
        ("agent", json!({"name": "x"})),
        ("cause", json!("x".repeat(2000))),
    ] {
        let refused = map(kind(), &with(claims(), name, value.clone())).unwrap_err();
        assert_eq!(refused, PrincipalError::DefinedClaim(name.to_owned()), "{value}");
    }
}

#[test]
fn reads_no_claim_that_the_operator_did_not_name() {
    let plain = JenkinsController { claims: JenkinsClaims::default(), ..controller() };
    let claims = with(claims(), "git", json!("https://github.com/acme/app"));
    let extensions = map(IssuerKind::JenkinsJob(plain), &claims).unwrap().extensions;
    assert_eq!(extensions.source_repository_uri, None);
}

#[test]
fn a_subject_of_the_administrators_own_leads_to_the_job() {
    let of = |template: &str, subject: &str| {
        let subject_template = Some(SubjectTemplate::parse(template).unwrap());
        let kind = IssuerKind::JenkinsJob(JenkinsController { subject_template, ..controller() });
        let principal = map(kind, &with(claims(), "sub", json!(subject)))?;
        assert_eq!(principal.challenges, [subject]);
        assert_eq!(principal.extensions.token_subject.as_deref(), Some(subject));
        Ok::<_, PrincipalError>(principal.san.as_str().to_owned())
    };
    let job = "https://ci.corp/jenkins/job/team/job/app";
    for (template, subject) in [
        ("{job}", "team/app"),
        ("jenkins/{job}", "jenkins/team/app"),
        ("https://ci.acme.example/{job}", "https://ci.acme.example/team/app"),
        ("jenkins:{job}:{build}", "jenkins:team/app:7"),
        ("{build}:{job}", "7:team/app"),
    ] {
        assert_eq!(of(template, subject).unwrap(), job, "{template}");
    }
    let branch = of("jenkins/{job}", "jenkins/my team/feature%2Fx").unwrap();
    assert_eq!(branch, "https://ci.corp/jenkins/job/my%20team/job/feature%252Fx");
    for subject in [
        "team/app",
        "jenkins/",
        "jenkins//app",
        "jenkins/team/",
        "jenkins/team/../app",
        "jenkins/${JOB_NAME}",
        "jenkins/a:b",
        "Jenkins/team/app",
        "https://ci.corp/jenkins/job/team/job/app",
        "jenkins/a\\b",
    ] {
        assert!(of("jenkins/{job}", subject).is_err(), "{subject:?}");
    }
    assert!(of("jenkins:{job}:{build}", "jenkins:team/app:8").is_err());
}

#[test]
fn a_subject_template_names_the_job_once() {
    for text in [
        "",
        "jenkins",
        "{job}{job}",
        "x{job}",
        "{job}x",
        "{job}/{branch}",
        "{job} x",
        "{build}:{job}:{build}",
        "${JOB_NAME}",
    ] {
        assert!(SubjectTemplate::parse(text).is_err(), "{text}");
    }
}

#[test]
fn one_job_has_one_name() {
    let job = "https://ci.corp/jenkins/job/My%20Team/job/feature%252Fx";
    assert_eq!(name_of(job).unwrap(), job);
    assert_eq!(name_of(&format!("{job}/")).unwrap(), job);
    let lower = "https://ci.corp/jenkins/job/gr%c3%bcn";
    assert_eq!(name_of(lower).unwrap(), "https://ci.corp/jenkins/job/gr%C3%BCn");
}

#[test]
fn refuses_subjects_that_are_no_job() {
    for subject in [
        "https://ci.corp/jenkins",
        "https://ci.corp/jenkins/",
        "https://ci.corp/jenkins/job/",
        "https://ci.corp/jenkins/job/a//",
        "https://ci.corp/jenkins/job/a/42/",
        "https://ci.corp/jenkins/view/x/job/a",
        "https://ci.corp/jenkins/job/a/job/..",
        "https://ci.corp/jenkins/job/../job/b",
        "https://ci.corp/jenkins/job/%2e%2e/job/b",
        "https://ci.corp/jenkins/job/a%2Fjob%2Fb",
        "https://ci.corp/jenkins/job/%61",
        "https://ci.corp/jenkins/job/a?x=1",
        "https://ci.corp/jenkins/job/a#x",
        "https://ci.corp/jenkins/job/a b",
        "https://ci.corp/jenkins/job/a%0a",
        "https://ci.corp/jenkins/job/a\\b",
        "https://ci.corp/jenkins/job/ä",
        "https://ci.corp/jenkins.evil.example/job/a",
        "https://ci.corp/jenkinsx/job/a",
    ] {
        assert_eq!(name_of(subject).unwrap_err(), PrincipalError::Shape("sub"), "{subject}");
    }
    let deep = |depth| format!("https://ci.corp/jenkins{}", "/job/a".repeat(depth));
    assert!(name_of(&deep(16)).is_ok());
    assert_eq!(name_of(&deep(17)).unwrap_err(), PrincipalError::Shape("sub"));
}

#[test]
fn refuses_jobs_of_other_controllers() {
    for subject in [
        "https://ci.evil.example/jenkins/job/a",
        "https://ci.corp@evil.example/jenkins/job/a",
        "http://ci.corp/jenkins/job/a",
        "https://ci.corp:443/jenkins/job/a",
        "HTTPS://ci.corp/jenkins/job/a",
        "admin@corp.example",
    ] {
        assert_eq!(name_of(subject).unwrap_err(), PrincipalError::Owner("sub"), "{subject}");
    }
}

#[test]
fn a_folders_issuer_speaks_for_that_folder_only() {
    let controller = JenkinsController { url: ISSUER.to_owned(), ..JenkinsController::default() };
    let issuer = format!("{ISSUER}/oidc/job/team%20a/job/inner");
    let of = |job: &str| {
        let kind = IssuerKind::JenkinsJob(controller.clone());
        let claims = with(claims(), "sub", json!(format!("{ISSUER}{job}")));
        map_from(&issuer, kind, &claims).map(|principal| principal.san.as_str().to_owned())
    };
    assert!(of("/job/team%20a/job/inner/job/app/").is_ok());
    for job in [
        "/job/app/",
        "/job/team%20a/job/app/",
        "/job/team%20a/job/inner/",
        "/job/team%20a/job/inner2/job/app/",
        "/job/team%20b/job/inner/job/app/",
    ] {
        assert_eq!(of(job).unwrap_err(), PrincipalError::Owner("sub"), "{job}");
    }
}

/// The plugin may be told any issuer, such as the public name of a controller that calls itself otherwise.
#[test]
fn a_folders_issuer_under_another_name_speaks_for_that_folder_only() {
    for issuer in ["https://ci.example/oidc/job/team", "https://CI.corp/jenkins/oidc/job/team"] {
        let of = |job: &str| {
            let claims = with(claims(), "sub", json!(format!("https://ci.corp/jenkins{job}")));
            map_from(issuer, kind(), &claims).map(|_| ())
        };
        assert_eq!(of("/job/team/job/app/"), Ok(()), "{issuer}");
        assert_eq!(of("/job/other/job/app/"), Err(PrincipalError::Owner("sub")), "{issuer}");
    }
}

/// A job can choose its agent's label and often the variables, by which it would reach SLSA build L2.
#[test]
fn no_job_says_that_a_platform_hosted_it() {
    for agent in ["github-hosted", "gitlab-hosted", "buildkite-hosted"] {
        let refused = map(kind(), &with(claims(), "agent", json!(agent))).unwrap_err();
        assert_eq!(refused, PrincipalError::DefinedClaim("agent".to_owned()), "{agent}");
    }
    assert!(map(kind(), &with(claims(), "agent", json!("self-hosted"))).is_ok());
}

#[test]
fn needs_a_build_number_that_is_one() {
    for number in [json!(null), json!(-1), json!("7/../8"), json!(1.5), json!("")] {
        assert!(map(kind(), &with(claims(), "build_number", number.clone())).is_err(), "{number}");
    }
}

proptest! {
    #[test]
    fn no_subject_leads_out_of_its_controller(path in "[a-z/%.@?#\\\\2ef ]{0,30}") {
        if let Ok(name) = name_of(&format!("https://ci.corp/jenkins/job/{path}")) {
            let parsed = url::Url::parse(&name).unwrap();
            prop_assert_eq!(parsed.host_str(), Some("ci.corp"));
            prop_assert!(parsed.path().starts_with("/jenkins/job/"));
            prop_assert_eq!(parsed.as_str(), &name, "no parser reads it otherwise");
        }
    }
}
