//! Certificates that are issued, by kind of issuer and shape of request.

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::Signer;
use http::{Request, header};
use identity::IssuerKind;
use serde_json::json;
use x509::{FulcioExtensions, SubjectAlternativeName};

use crate::stack::{EMAIL, NOW, Stack, Wishes, YEAR, client_key, request, uri_kind};

#[tokio::test]
async fn issues_for_an_email_address() {
    let stack = Stack::start().await;
    let key = client_key();
    let reply = stack.post(request(&stack.token(), &key, EMAIL).to_string()).await;
    let leaf = stack.verified_leaf(&reply);
    let san = SubjectAlternativeName::Email(EMAIL.to_owned());
    assert_eq!(leaf.subject_alternative_name(), Ok(san));
    assert_eq!(leaf.public_key(), key.public_key());
    assert_eq!(
        *leaf.extensions(),
        FulcioExtensions {
            issuer: Some(stack.issuer.url.clone()),
            token_subject: Some("user-17".to_owned()),
            ..FulcioExtensions::default()
        }
    );
    assert_eq!(stack.log.submissions(), 1);
}

#[tokio::test]
async fn a_domain_of_another_script_is_certified_in_a_labels_for_who_signed_it_as_it_came() {
    let stack = Stack::start().await;
    let address = "some.one@b\u{fc}cher.example";
    let token = stack.issuer.token(&stack.claims(&json!({ "email": address })));
    let reply = stack.post(request(&token, &client_key(), address).to_string()).await;
    let leaf = stack.verified_leaf(&reply);
    let san = SubjectAlternativeName::Email("some.one@xn--bcher-kva.example".to_owned());
    assert_eq!(leaf.subject_alternative_name(), Ok(san));
}

#[tokio::test]
async fn is_valid_for_ten_minutes_from_shortly_before_now() {
    let stack = Stack::start().await;
    let leaf = stack.verified_leaf(&stack.ask(&stack.token()).await);
    assert_eq!((leaf.not_before().0, leaf.not_after().0), (NOW - 5, NOW + 595));
}

#[tokio::test]
async fn never_exceeds_the_validity_of_the_ca() {
    let stack = Stack::with(Wishes { validity: (NOW - 1, NOW + 60), ..Wishes::default() }).await;
    let leaf = stack.verified_leaf(&stack.ask(&stack.token()).await);
    assert_eq!((leaf.not_before().0, leaf.not_after().0), (NOW - 1, NOW + 60));
}

#[tokio::test]
async fn an_expired_or_future_ca_issues_nothing() {
    for validity in [(NOW - YEAR, NOW - 600), (NOW + 600, NOW + YEAR)] {
        let stack = Stack::with(Wishes { validity, ..Wishes::default() }).await;
        stack.ask(&stack.token()).await.refused(500, 13);
        assert_eq!(stack.log.submissions(), 0);
    }
}

#[tokio::test]
async fn serial_numbers_are_positive_and_never_repeat() {
    let stack = Stack::start().await;
    let mut serials = std::collections::HashSet::new();
    for _ in 0..5 {
        let leaf = stack.verified_leaf(&stack.ask(&stack.token()).await);
        assert_eq!(leaf.serial_number().len(), 20);
        assert!((0x01..=0x7f).contains(&leaf.serial_number()[0]));
        assert!(serials.insert(leaf.serial_number().to_vec()));
    }
}

#[tokio::test]
async fn accepts_a_proof_over_the_subject_in_place_of_the_email() {
    let stack = Stack::start().await;
    let reply = stack.post(request(&stack.token(), &client_key(), "user-17").to_string()).await;
    stack.verified_leaf(&reply);
}

#[tokio::test]
async fn issues_for_a_uri() {
    let stack = Stack::of_kind(uri_kind()).await;
    let subject = format!("{}/team/robot", stack.issuer.url);
    let claims = stack.claims(&json!({"sub": subject, "email": null}));
    let body = request(&stack.issuer.token(&claims), &client_key(), &subject);
    let leaf = stack.verified_leaf(&stack.post(body.to_string()).await);
    assert_eq!(leaf.subject_alternative_name(), Ok(SubjectAlternativeName::Uri(subject)));
}

#[tokio::test]
async fn issues_for_a_github_workflow_with_every_extension() {
    let base_url = IssuerKind::GITHUB.to_owned();
    let stack = Stack::of_kind(IssuerKind::GithubWorkflow { base_url }).await;
    let claims = stack.claims(&json!({
        "sub": "repo:my-org/my-secure-repo:ref:refs/heads/main", "email": null,
        "repository": "my-org/my-secure-repo", "repository_id": "1", "repository_owner": "my-org",
        "repository_owner_id": "2", "repository_visibility": "public", "ref": "refs/heads/main",
        "sha": "a1", "workflow": "CI <'\"&+>", "workflow_sha": "a2", "job_workflow_sha": "a3",
        "workflow_ref": "my-org/my-secure-repo/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "my-org/my-secure-repo/.github/workflows/ci.yml@refs/heads/main",
        "event_name": "push", "run_id": "9007199254740993", "run_attempt": "1",
        "runner_environment": "github-hosted", "environment": "prod", "ref_protected": "true"
    }));
    let challenge = claims["sub"].as_str().unwrap();
    let body = request(&stack.issuer.token(&claims), &client_key(), challenge);
    let leaf = stack.verified_leaf(&stack.post(body.to_string()).await);
    let extensions = leaf.extensions();
    assert_eq!(extensions.named().count(), 23, ".1 to .6, .9 to .24 and one of ours");
    assert_eq!(extensions.ref_protected.as_deref(), Some("true"));
    assert_eq!(extensions.github_workflow_name.as_deref(), Some("CI <'\"&+>"));
    assert_eq!(
        extensions.run_invocation_uri.as_deref(),
        Some("https://github.com/my-org/my-secure-repo/actions/runs/9007199254740993/attempts/1")
    );
    assert_eq!(
        leaf.subject_alternative_name().unwrap().as_str(),
        "https://github.com/my-org/my-secure-repo/.github/workflows/ci.yml@refs/heads/main"
    );
}

#[tokio::test]
async fn issues_for_a_kubernetes_service_account() {
    let stack = Stack::of_kind(IssuerKind::Kubernetes { cluster: None }).await;
    let claims = stack.claims(&json!({
        "sub": "system:serviceaccount:team:builder", "email": null, "aud": ["other", "sigstore"],
        "kubernetes.io": {"namespace": "team", "serviceaccount": {"name": "builder", "uid": "u"}}
    }));
    let token = stack.issuer.token(&claims);
    let body = request(&token, &client_key(), "system:serviceaccount:team:builder");
    let leaf = stack.verified_leaf(&stack.post(body.to_string()).await);
    assert_eq!(
        leaf.subject_alternative_name().unwrap().as_str(),
        "https://kubernetes.io/namespaces/team/serviceaccounts/builder"
    );
}

#[tokio::test]
async fn issues_for_a_certificate_signing_request() {
    let stack = Stack::start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["ignored.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let body = json!({
        "credentials": {"oidcIdentityToken": stack.token()},
        "certificateSigningRequest": STANDARD.encode(csr)
    });
    let leaf = stack.verified_leaf(&stack.post(body.to_string()).await);
    assert_eq!(leaf.public_key().raw(), key.public_key_raw());
    assert_eq!(leaf.subject_alternative_name().unwrap().as_str(), EMAIL);
}

#[tokio::test]
async fn takes_base64_with_line_ends_as_fulcio_does() {
    let wrap = |value: &mut serde_json::Value| {
        let text = value.as_str().unwrap();
        let lines = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap());
        *value = lines.map(|line| line.to_owned() + "\r\n").collect::<String>().into();
    };
    let stack = Stack::start().await;
    let mut body = request(&stack.token(), &client_key(), EMAIL);
    wrap(&mut body["publicKeyRequest"]["proofOfPossession"]);
    stack.verified_leaf(&stack.post(body.to_string()).await);

    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let mut body = json!({
        "credentials": {"oidcIdentityToken": stack.token()},
        "certificateSigningRequest": STANDARD.encode(csr)
    });
    wrap(&mut body["certificateSigningRequest"]);
    stack.verified_leaf(&stack.post(body.to_string()).await);
}

#[tokio::test]
async fn takes_the_token_of_the_header_with_or_without_scheme() {
    let stack = Stack::start().await;
    let mut body = request("", &client_key(), EMAIL);
    for credentials in [json!(null), json!({}), json!({"oidcIdentityToken": ""})] {
        body["credentials"] = credentials;
        for scheme in ["Bearer ", "bearer ", ""] {
            let header = format!("{scheme}{}", stack.token());
            let request = Request::post("/api/v2/signingCert")
                .header(header::AUTHORIZATION, header)
                .body(Body::from(body.to_string()));
            stack.verified_leaf(&stack.send(request.unwrap()).await);
        }
    }
}

#[tokio::test]
async fn the_token_of_the_body_wins() {
    let stack = Stack::start().await;
    let post = |body_token: String, header_token: String| {
        Request::post("/api/v2/signingCert")
            .header(header::AUTHORIZATION, format!("Bearer {header_token}"))
            .body(Body::from(request(&body_token, &client_key(), EMAIL).to_string()))
            .unwrap()
    };
    stack.verified_leaf(&stack.send(post(stack.token(), "nonsense".to_owned())).await);
    stack.send(post("nonsense".to_owned(), stack.token())).await.refused(400, 3);
}

#[tokio::test]
async fn ignores_unknown_members_nulls_and_the_algorithm() {
    let stack = Stack::start().await;
    let sound = request(&stack.token(), &client_key(), EMAIL);
    for algorithm in [json!("RSA"), json!(""), json!(null), json!(7), json!("ecdsa"), json!({})] {
        let mut body = sound.clone();
        body["publicKeyRequest"]["publicKey"]["algorithm"] = algorithm;
        body["certificateSigningRequest"] = json!(null);
        body["futureMember"] = json!({"a": [1, 2, {"b": null}]});
        stack.verified_leaf(&stack.post(body.to_string()).await);
    }
}

#[tokio::test]
async fn accepts_snake_case_and_url_safe_base64() {
    let stack = Stack::start().await;
    let key = client_key();
    let proof = key.sign(EMAIL.as_bytes()).await.unwrap();
    let body = json!({
        "credentials": {"oidc_identity_token": stack.token()},
        "public_key_request": {
            "public_key": {"content": key.public_key().to_pem()},
            "proof_of_possession": base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(proof)
        }
    });
    stack.verified_leaf(&stack.post(body.to_string()).await);
}

#[tokio::test]
async fn tolerates_slashes_and_any_content_type_or_accept() {
    let stack = Stack::start().await;
    for path in ["//api/v2/signingCert", "/api/v2/signingCert/", "/api//v2/signingCert"] {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "text/plain")
            .header(header::ACCEPT, "application/pem-certificate-chain")
            .body(Body::from(request(&stack.token(), &client_key(), EMAIL).to_string()));
        stack.verified_leaf(&stack.send(request.unwrap()).await);
    }
}
