//! From the token of each CI system to a certificate, and what makes none.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

use std::{collections::BTreeMap, fs};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use crypto::{KeyType, LocalSigner, Signer};
use e2e::{Database, Stack, said};
use serde_json::{Value, json};
use x509::LeafView;

const ALL: [&str; 8] =
    ["github", "gitlab", "azure", "jenkins", "buildkite", "circleci", "bitbucket", "kubernetes"];

const SHA: &str = "3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40";

/// A client of one stack's CA, with a key of its own.
struct Holder<'a> {
    stack: &'a Stack,
    key: LocalSigner,
    http: reqwest::Client,
}

impl<'a> Holder<'a> {
    fn new(stack: &'a Stack) -> Self {
        let key = LocalSigner::generate(KeyType::EcdsaP256, "test").unwrap();
        Self { stack, key, http: reqwest::Client::new() }
    }

    /// What the CA answers to a token with these options.
    async fn ask(&self, options: &[&str]) -> (u16, Value) {
        let file = self.stack.token_file("token", options).unwrap();
        let token = fs::read_to_string(file.trim_start_matches('@')).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let proof = self.key.sign_now(claims["sub"].as_str().unwrap().as_bytes()).unwrap();
        let request = json!({
            "credentials": {"oidcIdentityToken": token},
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": self.key.public_key().to_pem()},
                "proofOfPossession": STANDARD.encode(proof),
            },
        });
        let url = format!("{}/api/v2/signingCert", self.stack.ready("ca"));
        let response = self.http.post(url).json(&request).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The leaf that a token with these options gets.
    async fn certificate(&self, options: &[&str]) -> LeafView {
        let (status, answer) = self.ask(options).await;
        assert_eq!(status, 200, "{options:?}: {answer}");
        let pem = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0];
        let der = x509::from_pem(pem.as_str().unwrap()).unwrap();
        LeafView::from_der(&der[0]).unwrap()
    }

    /// Checks that a token with these options gets a 400 in Fulcio's form, and no certificate.
    async fn refused(&self, options: &[&str]) {
        let (status, answer) = self.ask(options).await;
        assert_eq!((status, &answer["code"]), (400, &json!(3)), "{options:?}: {answer}");
        assert!(!answer.to_string().contains("CERTIFICATE"), "{options:?}: {answer}");
    }
}

/// Name and extensions of the certificate for the development token of `ci`.
fn expected(ci: &str) -> (&'static str, Vec<(&'static str, &'static str)>) {
    match ci {
        "github" => github(),
        "gitlab" => gitlab(),
        "azure" => azure(),
        "jenkins" => jenkins(),
        "buildkite" => buildkite(),
        "circleci" => circleci(),
        "bitbucket" => bitbucket(),
        _ => (
            "https://kubernetes.io/namespaces/ci/serviceaccounts/builder",
            vec![("token_subject", "system:serviceaccount:ci:builder")],
        ),
    }
}

fn github() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://github.com/acme/widgets/.github/workflows/release.yml@refs/heads/main";
    let extensions = vec![
        ("github_workflow_trigger", "push"),
        ("github_workflow_sha", SHA),
        ("github_workflow_name", "Release"),
        ("github_workflow_repository", "acme/widgets"),
        ("github_workflow_ref", "refs/heads/main"),
        ("build_signer_uri", name),
        ("build_signer_digest", SHA),
        ("runner_environment", "github-hosted"),
        ("source_repository_uri", "https://github.com/acme/widgets"),
        ("source_repository_digest", SHA),
        ("source_repository_ref", "refs/heads/main"),
        ("source_repository_identifier", "1296269"),
        ("source_repository_owner_uri", "https://github.com/acme"),
        ("source_repository_owner_identifier", "4747"),
        ("build_config_uri", name),
        ("build_config_digest", SHA),
        ("build_trigger", "push"),
        (
            "run_invocation_uri",
            "https://github.com/acme/widgets/actions/runs/11223344556/attempts/1",
        ),
        ("source_repository_visibility_at_signing", "private"),
        ("deployment_environment", "production"),
        ("token_subject", "repo:acme/widgets:environment:production"),
        ("ref_protected", "true"),
    ];
    (name, extensions)
}

fn gitlab() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://gitlab.com/acme/platform/widgets//.gitlab-ci.yml@refs/heads/main";
    let extensions = vec![
        ("build_signer_uri", name),
        ("build_signer_digest", SHA),
        ("runner_environment", "gitlab-hosted"),
        ("source_repository_uri", "https://gitlab.com/acme/platform/widgets"),
        ("source_repository_digest", SHA),
        ("source_repository_ref", "refs/heads/main"),
        ("source_repository_identifier", "20"),
        ("source_repository_owner_uri", "https://gitlab.com/acme/platform"),
        ("source_repository_owner_identifier", "72"),
        ("build_config_uri", name),
        ("build_config_digest", SHA),
        ("build_trigger", "push"),
        ("run_invocation_uri", "https://gitlab.com/acme/platform/widgets/-/jobs/302"),
        ("source_repository_visibility_at_signing", "private"),
        ("deployment_environment", "production"),
        ("token_subject", "project_path:acme/platform/widgets:ref_type:branch:ref:main"),
        ("ref_protected", "true"),
        ("environment_protected", "true"),
        ("environment_action", "start"),
        ("deployment_tier", "production"),
    ];
    (name, extensions)
}

fn azure() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://dev.azure.com/acme/Widgets/_build?definitionId=12";
    let extensions = vec![
        ("build_signer_uri", name),
        ("source_repository_uri", "https://dev.azure.com/acme/Widgets/_git/widgets"),
        ("source_repository_digest", SHA),
        ("source_repository_ref", "refs/heads/main"),
        ("source_repository_identifier", "4d1e0f6a-7b8c-4d9e-8f0a-1b2c3d4e5f60"),
        ("source_repository_owner_uri", "https://dev.azure.com/acme"),
        ("source_repository_owner_identifier", "6a8f1c1e-3b0d-4d5a-9a7e-2f0c4b8d9e10"),
        ("build_config_uri", name),
        ("run_invocation_uri", "https://dev.azure.com/acme/Widgets/_build/results?buildId=345"),
        ("token_subject", "p://acme/Widgets/release"),
    ];
    (name, extensions)
}

fn jenkins() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://jenkins.acme.example/job/platform/job/widgets/job/main";
    let extensions = vec![
        ("build_signer_uri", name),
        ("source_repository_uri", "https://git.acme.example/platform/widgets"),
        ("source_repository_digest", SHA),
        ("source_repository_ref", "refs/heads/main"),
        ("build_config_uri", name),
        (
            "run_invocation_uri",
            "https://jenkins.acme.example/job/platform/job/widgets/job/main/42/",
        ),
        ("token_subject", "https://jenkins.acme.example/job/platform/job/widgets/job/main/"),
    ];
    (name, extensions)
}

fn buildkite() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://buildkite.com/acme/widgets";
    let extensions = vec![
        ("build_signer_uri", name),
        ("runner_environment", "buildkite-hosted"),
        ("source_repository_digest", SHA),
        ("build_trigger", "webhook"),
        (
            "run_invocation_uri",
            "https://buildkite.com/acme/widgets/builds/42#0184990a-477b-4fa8-9968-496074483cee",
        ),
        (
            "token_subject",
            "organization:acme:pipeline:widgets:ref:refs/heads/main:commit:3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40:step:release",
        ),
    ];
    (name, extensions)
}

fn circleci() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://circleci.com/api/v2/projects/5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22/pipeline-definitions/1c2d3e4f-5061-4728-893a-4b5c6d7e8f90";
    let extensions = vec![
        ("build_signer_uri", name),
        ("source_repository_uri", "https://github.com/acme/widgets"),
        ("source_repository_ref", "refs/heads/main"),
        (
            "build_config_uri",
            "https://circleci.com/api/v2/pipeline/2d3e4f50-6172-4839-8a4b-5c6d7e8f90a1/config",
        ),
        (
            "run_invocation_uri",
            "https://app.circleci.com/workflow/3e4f5061-7283-494a-8b5c-6d7e8f90a1b2/job/0b1c2d3e-4f50-4617-8829-3a4b5c6d7e8f",
        ),
        (
            "token_subject",
            "org/c1ec1111-2b3c-4d5e-8f60-718293a4b5c6/project/5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22/user/9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e5f/vcs-origin/github.com/acme/widgets/vcs-ref/refs/heads/main",
        ),
    ];
    (name, extensions)
}

fn bitbucket() -> (&'static str, Vec<(&'static str, &'static str)>) {
    let name = "https://bitbucket.org/acme/%7B4f506172-8394-4a5b-8c6d-7e8f90a1b2c3%7D";
    let extensions = vec![
        ("build_signer_uri", name),
        ("source_repository_uri", name),
        ("source_repository_ref", "refs/heads/main"),
        ("source_repository_identifier", "{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}"),
        ("source_repository_owner_uri", "https://bitbucket.org/acme"),
        ("source_repository_owner_identifier", "{b17b0c4e-5d6f-4a7b-8c9d-0e1f2a3b4c5d}"),
        (
            "run_invocation_uri",
            "https://bitbucket.org/acme/%7B4f506172-8394-4a5b-8c6d-7e8f90a1b2c3%7D/pipelines/results/%7B83940516-c7d8-4e9f-90a1-b2c3d4e5f607%7D/steps/%7B61728394-a5b6-4c7d-8e8f-90a1b2c3d4e5%7D",
        ),
        ("deployment_environment", "{50617283-94a5-4b6c-8d7e-8f90a1b2c3d4}"),
        (
            "token_subject",
            "{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}:{50617283-94a5-4b6c-8d7e-8f90a1b2c3d4}:{61728394-a5b6-4c7d-8e8f-90a1b2c3d4e5}",
        ),
    ];
    (name, extensions)
}

/// How often the certificate has an extension of Fulcio's arc, or of ours.
fn extension_count(der: &[u8]) -> usize {
    // DER of the object identifier 1.3.6.1.4.1.57264.1, without its last arc.
    let fulcio = [0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x83, 0xBF, 0x30, 0x01];
    // The value of 1.2.840.113556.1.8000.2554.61632, with which ours begin (docs/extensions.md).
    let ours = [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x14, 0x01, 0xBE, 0x40, 0x93, 0x7A, 0x83, 0xE1, 0x40];
    let count = |prefix: &[u8]| der.windows(prefix.len()).filter(|part| *part == prefix).count();
    count(&fulcio) + count(&ours)
}

#[tokio::test]
async fn each_ci_gets_its_name_and_each_extension_once() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let holder = Holder::new(&stack);
    for ci in ALL {
        let leaf = holder.certificate(&["--ci", ci]).await;
        let (name, extensions) = expected(ci);
        assert_eq!(leaf.subject_alternative_name().unwrap().as_str(), name, "{ci}");
        let issuer = format!("{}/{ci}", stack.ready("oidc"));
        let mut wanted: BTreeMap<&str, &str> = extensions.into_iter().collect();
        wanted.insert("issuer", &issuer);
        let found: BTreeMap<&str, &str> = leaf.extensions().named().collect();
        assert_eq!(found, wanted, "{ci}");
        // The issuer has two.
        assert_eq!(extension_count(leaf.der()), wanted.len() + 1, "{ci}");
    }
}

#[tokio::test]
async fn no_token_with_a_broken_claim_gets_a_certificate() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let holder = Holder::new(&stack);
    for (ci, claim) in [
        ("github", "repository_owner=evil"),
        ("github", "job_workflow_ref=acme/widgets/../../evil/x/w.yml@refs/heads/main"),
        ("github", "workflow_ref=acme/widgets/w.yml@refs/heads/x@refs/heads/main"),
        ("gitlab", "namespace_path=evil"),
        ("gitlab", "ref=main\nfoo"),
        ("gitlab", "ci_config_ref_uri=gitlab.com/evil/p//.gitlab-ci.yml@refs/heads/main"),
        ("gitlab", "sha=HEAD"),
        ("azure", "org_id=ffffffff-3b0d-4d5a-9a7e-2f0c4b8d9e10"),
        ("azure", "sub=sc://acme/Widgets/connection"),
        ("azure", "rpo_uri=https://dev.azure.com/evil/Widgets/_git/widgets"),
        ("azure", "rpo_ref=refs/heads/../../main"),
        ("jenkins", "sub=https://jenkins.evil.example/job/a/"),
        ("jenkins", "sub=https://jenkins.acme.example/job/a/job/%2e%2e/"),
        ("jenkins", "git_url=https://git.evil.example/platform/widgets"),
        ("jenkins", "git_ref=refs/heads/${BRANCH_NAME}"),
        ("jenkins", "build_number=-1"),
        ("buildkite", "organization_slug=evil"),
        ("buildkite", "pipeline_slug=../evil"),
        ("circleci", "oidc.circleci.com/org-id=ffffffff-2b3c-4d5e-8f60-718293a4b5c6"),
        ("circleci", "oidc.circleci.com/ssh-rerun=true"),
        ("circleci", "oidc.circleci.com/vcs-origin=evil.example/acme/widgets"),
        ("bitbucket", "workspaceUuid={ffffffff-5d6f-4a7b-8c9d-0e1f2a3b4c5d}"),
        ("bitbucket", "sub={00000000-8394-4a5b-8c6d-7e8f90a1b2c3}:x"),
        ("bitbucket", "branchName=../../main"),
        ("kubernetes", "kubernetes.io.namespace=a/serviceaccounts/b"),
    ] {
        holder.refused(&["--ci", ci, "--claim", claim]).await;
    }
    let long = format!("repository={}/widgets", "a".repeat(2000));
    holder.refused(&["--ci", "github", "--claim", &long]).await;
}

#[tokio::test]
async fn no_token_passes_at_another_issuer_or_for_another_audience() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let holder = Holder::new(&stack);
    for ci in ALL {
        for other in ALL.into_iter().filter(|other| *other != ci) {
            // All development issuers sign with one key: only the claims tell them apart.
            let issuer = format!("iss={}/{other}", stack.ready("oidc"));
            let audience = if other == "azure" { "api://AzureADTokenExchange" } else { "sigstore" };
            holder.refused(&["--ci", ci, "--claim", &issuer, "--aud", audience]).await;
        }
        let plain = format!("iss={}", stack.ready("oidc"));
        holder.refused(&["--ci", ci, "--claim", &plain, "--aud", "sigstore"]).await;
        holder.refused(&["--ci", ci, "--aud", "somebody-else"]).await;
    }
    holder.refused(&["--ci", "azure", "--aud", "sigstore"]).await;
    holder.refused(&["--ci", "gitlab", "--aud", "api://AzureADTokenExchange"]).await;
}

#[test]
fn the_client_attests_and_verifies_for_each_ci() {
    let stack = Stack::start(Database::Sqlite).unwrap();
    let artifact = stack.work().join("artifact");
    fs::write(&artifact, "built").unwrap();
    for (ci, repository) in [
        ("github", Some(("github.com", "acme/widgets"))),
        ("gitlab", Some(("gitlab.com", "acme/platform/widgets"))),
        ("azure", Some(("dev.azure.com", "acme/Widgets/_git/widgets"))),
        ("jenkins", Some(("git.acme.example", "platform/widgets"))),
        ("buildkite", None),
        ("circleci", Some(("github.com", "acme/widgets"))),
        ("bitbucket", Some(("bitbucket.org", "acme/{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}"))),
        ("kubernetes", None),
    ] {
        let token = stack.token_file("token", &["--ci", ci]).unwrap();
        let mut attest = stack.countersign();
        attest.args(["attest", "generate-and-sign", "--keyless", "--identity-token", &token]);
        let attested = said(attest.arg("--subjects").arg(&artifact)).unwrap();
        assert_eq!(attested.code, Some(0), "{ci}: {attested:?}");
        let verify = |policy: &[&str]| {
            let mut verify = stack.countersign();
            verify.args(["attest", "verify", "--keyless", "--subjects"]).arg(&artifact);
            said(verify.args(policy)).unwrap()
        };
        let issuer = format!("{}/{ci}", stack.ready("oidc"));
        let identity = expected(ci).0;
        let who = ["--certificate-identity", identity, "--certificate-oidc-issuer", &issuer];
        let verified = verify(&who);
        assert_eq!(verified.code, Some(0), "{ci}: {verified:?}");
        if let Some((host, name)) = repository {
            // Bitbucket's and Circle's tokens name a branch too.
            let url = format!("https://{host}/{name}");
            let of = |repo: &str, reference: &str, code: i32| {
                let verified = verify(&["--verify-repo", repo, "--verify-ref", reference]);
                assert_eq!(verified.code, Some(code), "{ci} {repo}: {verified:?}");
            };
            of(&url, "main", 0);
            of(&url, "develop", 1);
            of(&format!("{host}/{name}.git/"), "main", 0);
            // The forge of bare names is GitHub's: no other CI may speak of it.
            of(name, "main", i32::from(ci != "github"));
            of(&name.to_uppercase(), "main", i32::from(ci != "github"));
            let shouted = i32::from(ci == "jenkins");
            of(&format!("https://{host}/{}", name.to_uppercase()), "main", shouted);
        }
        let other = verify(&["--verify-repo", "https://github.com/acme/other"]);
        assert_eq!(other.code, Some(1), "{ci}: {other:?}");
    }
}
