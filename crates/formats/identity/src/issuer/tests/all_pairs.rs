//! Every two kinds of issuer: wherever a token of each gets one and the same name, the configuration
//! that has both is refused. A new kind does not compile here before it is in the table.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moment::UnixSeconds;
use serde_json::{Value, json};
use x509::SubjectAlternativeName;

use super::from_json;
use crate::{IssuerConfig, IssuerKind, UnverifiedClaims, name_conflicts};

const KINDS: usize = 15;
const UUID: &str = "0ca3ddd9-f0b0-4635-a98c-5866526961b6";
const OTHER_UUID: &str = "1ca3ddd9-f0b0-4635-a98c-5866526961b6";
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// Place in the table. No wildcard: a new kind must be given one, a maker and a name.
const fn index(kind: &IssuerKind) -> usize {
    match kind {
        IssuerKind::Email { .. } => 0,
        IssuerKind::Uri { .. } => 1,
        IssuerKind::EmailOrUri { .. } => 2,
        IssuerKind::Spiffe { .. } => 3,
        IssuerKind::Username { .. } => 4,
        IssuerKind::GithubWorkflow { .. } => 5,
        IssuerKind::GitlabPipeline { .. } => 6,
        IssuerKind::AzurePipeline(_) => 7,
        IssuerKind::JenkinsJob(_) => 8,
        IssuerKind::BuildkiteJob(_) => 9,
        IssuerKind::CircleciJob(_) => 10,
        IssuerKind::BitbucketPipeline(_) => 11,
        IssuerKind::CiProvider(_) => 12,
        IssuerKind::Kubernetes { .. } => 13,
        IssuerKind::Machine(_) => 14,
    }
}

/// Names that certificates can have; each kind makes those of them that it can.
fn targets() -> Vec<String> {
    let mut targets: Vec<String> = [
        "anna@acme.example",
        "anna!acme.example",
        "https://apps.acme.example/x",
        "spiffe://acme.example/ns/ci/sa/builder",
        "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
        "https://git.acme.example/acme/app//.gitlab-ci.yml@refs/heads/main",
        "https://git.acme.example/acme/group/app@refs/heads/main",
        "https://dev.azure.com/acme/Widgets/_build?definitionId=12",
        "https://ci.acme.example/job/team/job/release",
        "https://buildkite.com/acme/app",
        "https://buildkite.com/job/app",
        "https://buildkite.com/clients/app",
        "https://sso.acme.example/acme/clients/ci-bot",
        "https://kubernetes.io/namespaces/ci/serviceaccounts/builder",
        "https://kubernetes.io/clusters/prod-1/namespaces/ci/serviceaccounts/builder",
    ]
    .map(str::to_owned)
    .to_vec();
    targets.extend(
        ["acme", "job", "clients"].map(|slug| format!("https://bitbucket.org/{slug}/%7B{UUID}%7D")),
    );
    targets.push(format!(
        "https://circleci.com/api/v2/projects/{UUID}/pipeline-definitions/{OTHER_UUID}"
    ));
    targets
}

/// An issuer, and claims that make a token of its get the wanted name.
struct Made {
    settings: Value,
    claims: Value,
}

#[expect(clippy::unnecessary_wraps, reason = "what makers return")]
fn made(settings: Value, claims: Value) -> Option<Made> {
    Some(Made { settings, claims })
}

/// `https://host`, and the path without its first slash.
fn parts(target: &str) -> Option<(&str, &str)> {
    let host = target.find("://")? + 3;
    let end = host + target[host..].find('/')?;
    Some((&target[..end], &target[end + 1..]))
}

/// What the kind at `index` needs to give `target`; `nth` tells two issuers of a kind apart.
fn make(index: usize, target: &str, nth: usize) -> Option<Made> {
    let host = format!("https://issuer-{nth}.partner.example");
    match index {
        0 => made(
            json!({"type": "email", "url": host, "domains": ["acme.example"]}),
            json!({"email": target, "email_verified": true}),
        ),
        1 | 2 => own_subject(index, target, nth),
        3 => made(
            json!({"type": "spiffe", "url": host, "trust_domains": ["acme.example"]}),
            json!({ "sub": target }),
        ),
        4 => made(
            json!({
                "type": "username", "url": format!("https://people-{nth}.acme.example"),
                "subject_domain": "acme.example"
            }),
            json!({"sub": target.strip_suffix("!acme.example")?}),
        ),
        5 => github(target, &host),
        6 => gitlab(target, &host),
        7 => azure(target, &host, nth),
        8 => made(
            json!({"type": "jenkins-job", "url": host, "base_url": parts(target)?.0}),
            json!({"sub": target, "build_number": 7}),
        ),
        9..=11 => hosted_ci(index, target, &host, nth),
        12 => ci_provider(target, &host),
        13 => kubernetes(target, &host),
        14 => {
            let (base, id) = target.rsplit_once("/clients/")?;
            let id = id.replace("%7B", "{").replace("%7D", "}");
            made(
                json!({"type": "machine", "url": host, "provider": "okta", "base_url": base}),
                json!({"cid": id, "sub": id}),
            )
        }
        _ => None,
    }
}

fn own_subject(index: usize, target: &str, nth: usize) -> Option<Made> {
    let kind = ["uri", "email-or-uri"][index - 1];
    let (domain, _) = parts(target).unwrap_or(("https://acme.example", ""));
    let (_, host) = domain.split_once("://")?;
    let claims = if target.contains("://") {
        json!({ "sub": target })
    } else {
        json!({"sub": "17", "email": target, "email_verified": true})
    };
    let mut settings = json!({
        "type": kind, "url": format!("https://{host}/{kind}-{nth}"), "subject_domain": domain
    });
    if index == 2 {
        settings["domains"] = json!(["acme.example"]);
    }
    made(settings, claims)
}

fn github(target: &str, host: &str) -> Option<Made> {
    let (base, path) = parts(target)?;
    let mut claims = json!({
        "sub": "x", "repository": "acme/app", "repository_owner": "acme", "job_workflow_ref": path,
        "workflow_ref": "acme/app/.github/workflows/w.yml@refs/heads/main",
        "repository_owner_id": "65", "repository_id": "74"
    });
    for name in [
        "event_name",
        "sha",
        "workflow",
        "ref",
        "job_workflow_sha",
        "runner_environment",
        "repository_visibility",
        "workflow_sha",
        "run_id",
        "run_attempt",
    ] {
        claims[name] = json!("1");
    }
    made(json!({"type": "github-workflow", "url": host, "base_url": base}), claims)
}

fn gitlab(target: &str, host: &str) -> Option<Made> {
    let (base, path) = parts(target)?;
    let (project, git_ref) = path.split_once("@refs/heads/")?;
    let project = project.split_once("//").map_or(project, |(project, _)| project);
    let config = path.contains("//").then(|| target.replacen("https://", "", 1));
    let claims = json!({
        "sub": "x", "project_path": project, "project_id": 1, "namespace_id": 2,
        "namespace_path": project.rsplit_once('/')?.0, "ref": git_ref, "ref_type": "branch",
        "sha": "a0".repeat(20), "pipeline_source": "push", "job_id": 3, "ci_config_ref_uri": config
    });
    made(json!({"type": "gitlab-pipeline", "url": host, "base_url": base}), claims)
}

fn azure(target: &str, host: &str, nth: usize) -> Option<Made> {
    let path = target.strip_prefix("https://dev.azure.com/")?;
    let (project, definition) = path.split_once("/_build?definitionId=")?;
    let ids = [UUID, OTHER_UUID];
    // The second is no server of Microsoft's.
    let url = [format!("https://vstoken.dev.azure.com/{UUID}"), host.to_owned()][nth].clone();
    let claims = json!({
        "sub": format!("p://{project}/release"), "org_id": ids[nth], "def_id": definition,
        "run_id": 8, "rpo_uri": format!("https://dev.azure.com/{project}/_git/app"),
        "rpo_ver": "a0".repeat(20), "rpo_ref": "refs/heads/main", "rpo_id": "9"
    });
    made(json!({"type": "azure-pipeline", "url": url, "organization_id": ids[nth]}), claims)
}

fn hosted_ci(index: usize, target: &str, host: &str, nth: usize) -> Option<Made> {
    let (_, path) = parts(target)?;
    let segments: Vec<&str> = path.split('/').collect();
    match (index, segments.as_slice()) {
        (9, [organization, pipeline]) => made(
            json!({"type": "buildkite-job", "url": host, "organizations": [organization]}),
            json!({
                "sub": "x", "organization_slug": organization, "pipeline_slug": pipeline,
                "build_number": 1, "job_id": UUID, "build_commit": "HEAD"
            }),
        ),
        (10, ["api", "v2", "projects", project, _, definition]) => {
            let organization = [UUID, OTHER_UUID][nth];
            let url = ["https://oidc.circleci.com", host][nth];
            made(
                json!({"type": "circleci-job", "url": url, "organization_ids": [organization]}),
                json!({
                    "sub": format!("org/{organization}/project/{project}/user/{UUID}"),
                    "oidc.circleci.com/project-id": project,
                    "oidc.circleci.com/pipeline-definition-id": definition,
                    "oidc.circleci.com/pipeline-id": UUID, "oidc.circleci.com/workflow-id": UUID,
                    "oidc.circleci.com/job-id": UUID
                }),
            )
        }
        (11, [workspace, _]) => made(
            json!({
                "type": "bitbucket-pipeline", "url": host, "workspace": workspace,
                "workspace_id": UUID
            }),
            json!({
                "sub": format!("{{{UUID}}}:x"), "repositoryUuid": format!("{{{UUID}}}"),
                "workspaceUuid": format!("{{{UUID}}}"), "pipelineUuid": format!("{{{UUID}}}"),
                "stepUuid": format!("{{{UUID}}}")
            }),
        ),
        _ => None,
    }
}

fn ci_provider(target: &str, host: &str) -> Option<Made> {
    let (base, path) = parts(target)?;
    let path = path.replace("%7B", "{").replace("%7D", "}");
    let (path, query) = path.split_once('?').map_or((path.as_str(), ""), |parts| parts);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let name = format!("{base}/{{p | path}}{query}");
    made(
        json!({
            "type": "ci-provider", "url": host, "base_url": base,
            "template": {"subject_alternative_name": name}
        }),
        json!({"sub": "x", "p": path}),
    )
}

fn kubernetes(target: &str, host: &str) -> Option<Made> {
    let (_, path) = parts(target)?;
    let mut settings = json!({"type": "kubernetes", "url": host});
    let segments: Vec<&str> = path.split('/').collect();
    let [.., _, namespace, _, account] = segments.as_slice() else { return None };
    if let ["clusters", cluster, ..] = segments.as_slice() {
        settings["cluster"] = json!(cluster);
    }
    made(
        settings,
        json!({
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}}
        }),
    )
}

/// The issuer of the kind that gives a real token of its own the name `target`, if any.
fn giver(index_of_kind: usize, target: &str, nth: usize) -> Option<(IssuerConfig, &'static str)> {
    let Made { mut settings, mut claims } = make(index_of_kind, target, nth)?;
    if settings["type"] != "azure-pipeline" && settings["type"] != "bitbucket-pipeline" {
        settings["audiences"] = json!(["a"]);
    }
    let issuer = from_json(settings).ok()?;
    assert_eq!(index(issuer.kind()), index_of_kind, "the table is in order");
    claims["iss"] = json!(issuer.url());
    claims["aud"] = json!(issuer.audiences()[0]);
    claims["exp"] = json!(NOW.0 + 60);
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = encode(json!({"alg": "RS256"}).to_string());
    let token = format!("{header}.{}.{}", encode(claims.to_string()), encode("s".to_owned()));
    let verified = UnverifiedClaims::parse(&token).unwrap().verify(&issuer, NOW, |_, _| true);
    let principal = verified.unwrap().principal(&issuer).ok()?;
    (principal.san.as_str() == target).then_some((issuer, kind_of(&principal.san)))
}

/// Pairs that have no name in common, and why. All others are found below.
fn is_apart(one: usize, other: usize) -> bool {
    let is = |kinds: &[usize]| kinds.contains(&one) || kinds.contains(&other);
    let both = |kinds: &[usize]| kinds.contains(&one) && kinds.contains(&other);
    // Addresses, user names and SPIFFE IDs, which only some kinds give.
    (is(&[0]) && !both(&[0, 2]))
        || (is(&[4]) && one != other)
        || (is(&[3]) && !both(&[1, 2, 3]))
        // Names on a host that no setting moves: dev.azure.com, buildkite.com, circleci.com,
        // bitbucket.org, kubernetes.io.
        || (one != other && both(&[7, 9, 10, 11, 13]))
        // GitLab's names end in `@refs/...`, which none of these can have.
        || (is(&[6]) && is(&[7, 8, 9, 10, 11, 13, 14]))
        // Jenkins' end in `/job/<name>`, machines' in `/clients/<id>`.
        || (is(&[8]) && is(&[7, 10, 13, 14]))
        || (is(&[14]) && is(&[7, 10, 13]))
        // Bitbucket's second segment has braces, which no repository of GitHub's has.
        || (one, other) == (5, 11)
}

#[test]
fn no_two_kinds_give_one_name_without_a_word_of_the_operator() {
    let mut found = BTreeSet::new();
    for target in targets() {
        for one in 0..KINDS {
            for other in one..KINDS {
                let givers = giver(one, &target, 0).zip(giver(other, &target, 1));
                let Some(((first, _), (second, _))) = givers else { continue };
                found.insert((one, other));
                for pair in [[first.clone(), second.clone()], [second.clone(), first.clone()]] {
                    let conflicts = name_conflicts(&pair);
                    assert_eq!(conflicts.len(), 1, "{target}: {first:?} {second:?}: {conflicts:?}");
                }
            }
        }
    }
    for one in 0..KINDS {
        for other in one..KINDS {
            let met = found.contains(&(one, other));
            assert_eq!(met, !is_apart(one, other), "kinds {one} and {other}: {met}");
        }
    }
}

/// Verifiers compare the text alone, whatever kind of name it is.
#[test]
fn the_text_of_a_name_tells_of_what_kind_it_is() {
    let mut seen = BTreeSet::new();
    for target in targets() {
        for kind in 0..KINDS {
            let Some((_, kind_of_name)) = giver(kind, &target, 0) else { continue };
            assert_eq!(kind_of_name, kind_of_text(&target), "{target}");
            seen.insert(kind);
        }
    }
    assert_eq!(seen.len(), KINDS, "every kind gives some name: {seen:?}");
}

const fn kind_of(name: &SubjectAlternativeName) -> &'static str {
    match name {
        SubjectAlternativeName::Uri(_) => "uri",
        SubjectAlternativeName::Email(_) => "address",
        SubjectAlternativeName::OtherName(_) => "user",
    }
}

fn kind_of_text(text: &str) -> &'static str {
    match text {
        uri if uri.contains("://") => "uri",
        address if address.contains('@') => "address",
        _ => "user",
    }
}
