use std::{str::FromStr, time::Duration};

use serde_json::{Map, Value, json};

use super::Ci;

/// `--claim K=V`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimOverride {
    path: String,
    value: String,
}

impl FromStr for ClaimOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.is_empty() => {
                Ok(Self { path: path.to_owned(), value: value.to_owned() })
            }
            _ => Err("a claim is written as name=value".to_owned()),
        }
    }
}

/// What `countersignd token` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct TokenRequest {
    pub(crate) ci: Option<Ci>,
    pub(crate) subject: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) audience: String,
    pub(crate) overrides: Vec<ClaimOverride>,
    /// Seconds from now to `exp`; negative for an expired token.
    pub(crate) lifetime_s: i64,
}

impl TokenRequest {
    /// The claims of the token, at `now` (Unix seconds), from the provider at `base_url`.
    pub(crate) fn claims(&self, base_url: &str, now: u64) -> Map<String, Value> {
        let mut claims = match self.ci {
            None => self.plain(base_url),
            Some(Ci::Github) => self.github(),
            Some(Ci::Kubernetes) => self.kubernetes(now),
            Some(_) => self.plain(base_url),
        };
        let issuer = match self.ci {
            None => base_url.to_owned(),
            Some(ci) => format!("{base_url}/{}", ci.name()),
        };
        set(&mut claims, "iss", issuer);
        set(&mut claims, "iat", now);
        set(&mut claims, "nbf", now);
        set(&mut claims, "exp", now.saturating_add_signed(self.lifetime_s));
        set(&mut claims, "jti", unique_id());
        if let Some(subject) = &self.subject {
            set(&mut claims, "sub", subject.as_str());
        }
        if let Some(email) = &self.email {
            set(&mut claims, "email", email.as_str());
            set(&mut claims, "email_verified", true);
        }
        for change in &self.overrides {
            apply(&mut claims, &change.path, &change.value);
        }
        claims
    }

    /// A person with an e-mail address, or a workload named by a URI.
    fn plain(&self, base_url: &str) -> Map<String, Value> {
        let subject = self.email.clone().unwrap_or_else(|| format!("{base_url}/developer"));
        object(json!({"sub": subject, "aud": self.audience}))
    }

    /// GitHub's claims, consistent with those that are overridden.
    fn github(&self) -> Map<String, Value> {
        let repository = self.overridden("repository").unwrap_or("acme/widgets");
        let owner = repository.split('/').next().unwrap_or_default();
        let git_ref = self.overridden("ref").unwrap_or("refs/heads/main");
        let ref_type = if git_ref.starts_with("refs/tags/") { "tag" } else { "branch" };
        let sha = self.overridden("sha").unwrap_or("3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40");
        let environment = self.overridden("environment").unwrap_or("production");
        let workflow_ref = format!("{repository}/.github/workflows/release.yml@{git_ref}");
        object(json!({
            "sub": format!("repo:{repository}:environment:{environment}"),
            "aud": self.audience,
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
        }))
    }

    /// A pod's claims. `aud` is a list, as API servers write it.
    fn kubernetes(&self, now: u64) -> Map<String, Value> {
        let namespace = self.overridden("kubernetes.io.namespace").unwrap_or("ci");
        let account = self.overridden("kubernetes.io.serviceaccount.name").unwrap_or("builder");
        object(json!({
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
            "aud": [self.audience],
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": "0b8a2a3e-5d5e-4f86-9c5e-3f1f8f0f7a11"},
                "pod": {"name": "build-7d9f", "uid": "5b0e1c6a-0a43-4b53-8a5f-2a8d6e9b1c22"},
                "serviceaccount": {
                    "name": account,
                    "uid": "d3f0c9d4-6f0e-4c3a-9b51-7e1f2a3b4c33",
                },
                "warnafter": now.saturating_add(WARN_AFTER.as_secs()),
            },
        }))
    }

    /// The last override of a claim, when it is a text: what other claims are derived from.
    fn overridden(&self, path: &str) -> Option<&str> {
        let mut newest_first = self.overrides.iter().rev();
        newest_first.find(|change| change.path == path).map(|change| change.value.as_str())
    }
}

/// API servers ask for renewal this long after issuing.
const WARN_AFTER: Duration = Duration::from_secs(3607);

/// Sets the claim that `path` names: members of objects follow a dot.
///
/// Names may hold dots themselves (`kubernetes.io`), so the longest member that is
/// there is taken; what names no member becomes a new one, dots and all.
fn apply(object: &mut Map<String, Value>, path: &str, value: &str) {
    let inner = object
        .iter()
        .filter(|(_, member)| member.is_object())
        .filter_map(|(name, _)| Some((name, path.strip_prefix(name.as_str())?.strip_prefix('.')?)))
        .max_by_key(|(name, _)| name.len())
        .map(|(name, rest)| (name.clone(), rest));
    if let Some((name, rest)) = inner
        && let Some(Value::Object(member)) = object.get_mut(&name)
    {
        return apply(member, rest, value);
    }
    let value = if object.get(path).is_some_and(Value::is_string) {
        // GitHub writes numbers as texts, and so must who overrides them.
        Value::from(value)
    } else {
        typed(value)
    };
    object.insert(path.to_owned(), value);
}

/// `true`, `false` and whole numbers are such; all else is text.
fn typed(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(Value::Bool(truth)) => Value::Bool(truth),
        Ok(Value::Number(number)) if number.is_i64() || number.is_u64() => Value::Number(number),
        _ => Value::from(text),
    }
}

fn set(claims: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    claims.insert(name.to_owned(), value.into());
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn unique_id() -> String {
    hex::encode(crypto::random_bytes::<16>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "http://localhost:3006";
    const NOW: u64 = 1_767_225_600;

    fn claims(ci: Option<Ci>, overrides: &[&str]) -> Map<String, Value> {
        let overrides = overrides.iter().map(|text| text.parse().unwrap()).collect();
        request(ci, overrides).claims(BASE, NOW)
    }

    fn request(ci: Option<Ci>, overrides: Vec<ClaimOverride>) -> TokenRequest {
        TokenRequest {
            ci,
            subject: None,
            email: None,
            audience: "sigstore".to_owned(),
            overrides,
            lifetime_s: 600,
        }
    }

    #[test]
    fn every_token_has_the_registered_claims() {
        for ci in [None, Some(Ci::Github), Some(Ci::Kubernetes)] {
            let claims = claims(ci, &[]);
            assert_eq!(claims["iat"], NOW);
            assert_eq!(claims["nbf"], NOW);
            assert_eq!(claims["exp"], NOW + 600);
            assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
            assert!(claims["sub"].is_string());
        }
        assert_eq!(claims(None, &[])["iss"], BASE);
        assert_eq!(claims(Some(Ci::Github), &[])["iss"], "http://localhost:3006/github");
        assert_eq!(claims(Some(Ci::Kubernetes), &[])["iss"], "http://localhost:3006/kubernetes");
    }

    #[test]
    fn the_plain_subject_is_the_address_or_a_uri_of_the_issuer() {
        let by_uri = claims(None, &[]);
        assert_eq!(by_uri["sub"], "http://localhost:3006/developer");
        assert!(!by_uri.contains_key("email"));

        let mut request = request(None, Vec::new());
        request.email = Some("alice@example.com".to_owned());
        let by_email = request.claims(BASE, NOW);
        assert_eq!(by_email["sub"], "alice@example.com");
        assert_eq!(by_email["email"], "alice@example.com");
        assert_eq!(by_email["email_verified"], true);

        request.subject = Some("http://localhost:3006/robot".to_owned());
        assert_eq!(request.claims(BASE, NOW)["sub"], "http://localhost:3006/robot");
    }

    #[test]
    fn github_claims_follow_repository_and_ref() {
        let claims = claims(
            Some(Ci::Github),
            &["repository=my-org/my-secure-repo", "ref=refs/tags/v1", "run_id=7"],
        );
        let workflow = "my-org/my-secure-repo/.github/workflows/release.yml@refs/tags/v1";
        for (claim, expected) in [
            ("repository_owner", "my-org"),
            ("job_workflow_ref", workflow),
            ("workflow_ref", workflow),
            ("ref_type", "tag"),
            ("sub", "repo:my-org/my-secure-repo:environment:production"),
            ("run_id", "7"),
        ] {
            assert_eq!(claims[claim], expected, "{claim}");
        }
    }

    #[test]
    fn kubernetes_members_can_be_set_and_the_subject_follows() {
        let claims = claims(
            Some(Ci::Kubernetes),
            &[
                "kubernetes.io.namespace=prod",
                "kubernetes.io.serviceaccount.name=deployer",
                "kubernetes.io.warnafter=5",
                "kubernetes.io.new=x",
            ],
        );
        assert_eq!(claims["sub"], "system:serviceaccount:prod:deployer");
        let workload = &claims["kubernetes.io"];
        assert_eq!(workload["namespace"], "prod");
        assert_eq!(workload["serviceaccount"]["name"], "deployer");
        assert_eq!(workload["warnafter"], 5);
        assert_eq!(workload["new"], "x");
        assert_eq!(claims["aud"], json!(["sigstore"]));
    }

    #[test]
    fn overrides_are_typed_where_they_parse_and_texts_stay_texts() {
        let claims = claims(
            None,
            &[
                "a=true",
                "b=-7",
                "c=1.5",
                "d=null",
                "e=",
                "f=x=y",
                "g.h=1",
                "exp=5",
                "aud=123",
                "n=18446744073709551615",
            ],
        );
        for (claim, expected) in [
            ("a", json!(true)),
            ("b", json!(-7)),
            ("c", json!("1.5")),
            ("d", json!("null")),
            ("e", json!("")),
            ("f", json!("x=y")),
            ("g.h", json!(1)),
            ("exp", json!(5)),
            ("aud", json!("123")),
            ("n", json!(u64::MAX)),
        ] {
            assert_eq!(claims[claim], expected, "{claim}");
        }
    }

    #[test]
    fn refuses_claims_without_a_name_or_value() {
        for wrong in ["", "x", "=x"] {
            assert!(wrong.parse::<ClaimOverride>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_override_ends_up_somewhere_and_the_issuer_stays(
            path in "[a-z./]{1,12}", value in ".{0,12}"
        ) {
            prop_assume!(path != "iss");
            let text = format!("{path}={value}");
            for ci in [None, Some(Ci::Github), Some(Ci::Kubernetes)] {
                let (before, after) = (claims(ci, &[]), claims(ci, &[text.as_str()]));
                prop_assert_eq!(&after["iss"], &before["iss"]);
                prop_assert!(after.len() >= before.len());
                if ci.is_none() {
                    let found = &after[&path];
                    prop_assert!(found == &typed(&value) || found == &Value::from(value.as_str()));
                }
            }
        }
    }

    #[test]
    fn makes_expired_tokens_when_asked() {
        let mut request = request(None, Vec::new());
        request.lifetime_s = -60;
        assert_eq!(request.claims(BASE, NOW)["exp"], NOW - 60);
    }
}
