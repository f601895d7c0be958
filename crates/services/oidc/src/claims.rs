use std::str::FromStr;

use moment::UnixSeconds;
use serde_json::{Map, Value, json};

use super::{Ci, jobs};

/// `--claim K=V`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimOverride {
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
pub struct TokenRequest {
    /// Whose claims; without it a person's or a URI's.
    pub ci: Option<Ci>,
    /// `sub`, when it is told.
    pub subject: Option<String>,
    /// `email`, which is verified then.
    pub email: Option<String>,
    /// `aud`.
    pub audience: String,
    /// Claims that are told, in the order of telling.
    pub overrides: Vec<ClaimOverride>,
    /// Seconds from now to `exp`; negative for an expired token.
    pub lifetime_s: i64,
}

impl TokenRequest {
    /// The claims of the token, at `now`, from the provider at `base_url`.
    #[must_use]
    pub fn claims(&self, base_url: &str, now: UnixSeconds) -> Map<String, Value> {
        let mut claims = object(match self.ci {
            None => self.plain(base_url),
            Some(ci) => jobs::claims(ci, self, now),
        });
        set(&mut claims, "iss", self.ci.map_or(base_url.to_owned(), |ci| ci.issuer(base_url)));
        set(&mut claims, "iat", now.0);
        claims.entry("nbf").or_insert_with(|| now.0.into());
        set(&mut claims, "exp", now.0.saturating_add_signed(self.lifetime_s));
        set(&mut claims, "jti", unique_id());
        if let Some(ci) = self.ci {
            jobs::drop_foreign(ci, &mut claims);
        }
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
    fn plain(&self, base_url: &str) -> Value {
        let subject = self.email.clone().unwrap_or_else(|| format!("{base_url}/developer"));
        json!({"sub": subject, "aud": self.audience})
    }

    /// The last override of a claim, when it is a text: what other claims are derived from.
    pub(super) fn overridden(&self, path: &str) -> Option<&str> {
        let mut newest_first = self.overrides.iter().rev();
        newest_first.find(|change| change.path == path).map(|change| change.value.as_str())
    }
}

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
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;
    use crate::issuers;

    const BASE: &str = "http://localhost:3006";
    const NOW: UnixSeconds = UnixSeconds(1_767_225_600);

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
    fn every_token_has_the_registered_claims_that_its_ci_writes() {
        for ci in Ci::ALL.map(Some).into_iter().chain([None]) {
            let claims = claims(ci, &[]);
            assert_eq!(claims["iat"], NOW.0);
            assert_eq!(claims["exp"], NOW.0 + 600);
            assert!(claims["sub"].is_string());
            let name = ci.map_or("", Ci::name);
            assert_eq!(claims.contains_key("jti"), name != "jenkins", "{name}");
            let has_nbf = !["jenkins", "circleci", "bitbucket"].contains(&name);
            assert_eq!(claims.contains_key("nbf"), has_nbf, "{name}");
            let path = if name.is_empty() { String::new() } else { format!("/{name}") };
            assert_eq!(claims["iss"], format!("{BASE}{path}"));
        }
        assert_eq!(claims(Some(Ci::Azure), &[])["nbf"], NOW.0 - 600);
    }

    #[test]
    fn the_stack_maps_the_token_of_every_ci() {
        for ci in Ci::ALL {
            let issuer = issuers(BASE, None)
                .unwrap()
                .remove(1 + Ci::ALL.iter().position(|c| *c == ci).unwrap());
            assert_eq!(issuer.url(), ci.issuer(BASE));
            let mut request = request(Some(ci), Vec::new());
            request.audience = ci.audiences().remove(0);
            let encode = |json: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(json);
            let claims = serde_json::to_vec(&request.claims(BASE, NOW)).unwrap();
            let token = format!("{}.{}.AA", encode(br#"{"alg":"RS256"}"#), encode(&claims));
            let token = identity::UnverifiedClaims::parse(&token).unwrap();
            let verified = token.verify(&issuer, NOW, |_, _| true).unwrap();
            let principal = verified.principal(&issuer).unwrap();
            assert!(principal.san.as_str().starts_with("https://"), "{}", ci.name());
        }
    }

    #[test]
    fn claims_that_are_made_of_others_follow_them() {
        for (ci, told, claim, expected) in [
            (Ci::Gitlab, "project_path=g/sub/p", "namespace_path", "g/sub"),
            (
                Ci::Gitlab,
                "ref=dev",
                "ci_config_ref_uri",
                "gitlab.com/acme/platform/widgets//.gitlab-ci.yml@refs/heads/dev",
            ),
            (Ci::Gitlab, "ref_type=tag", "ref_path", "refs/tags/main"),
            (
                Ci::Azure,
                "sub=p://acme/My App/ci",
                "rpo_uri",
                "https://dev.azure.com/acme/My%20App/_git/widgets",
            ),
            (
                Ci::Buildkite,
                "pipeline_slug=app",
                "sub",
                "organization:acme:pipeline:app:ref:refs/heads/main:commit:3c5e2f0d6b1a49788e7d4c2b1f0a9e8d7c6b5a40:step:release",
            ),
            (
                Ci::Bitbucket,
                "stepUuid={x}",
                "sub",
                "{4f506172-8394-4a5b-8c6d-7e8f90a1b2c3}:{50617283-94a5-4b6c-8d7e-8f90a1b2c3d4}:{x}",
            ),
        ] {
            assert_eq!(claims(Some(ci), &[told])[claim], expected, "{told}");
        }
        let circleci = claims(Some(Ci::Circleci), &["oidc.circleci.com/vcs-origin=github.com/a/b"]);
        assert!(circleci["sub"].as_str().unwrap().contains("/vcs-origin/github.com/a/b/"));
        assert_eq!(circleci["oidc.circleci.com/ssh-rerun"], false);
    }

    #[test]
    fn numbers_are_texts_where_the_ci_writes_texts() {
        assert_eq!(claims(Some(Ci::Gitlab), &["job_id=7"])["job_id"], "7");
        assert_eq!(claims(Some(Ci::Gitlab), &["runner_id=7"])["runner_id"], 7);
        assert_eq!(claims(Some(Ci::Azure), &["def_id=7"])["def_id"], "7");
        assert_eq!(claims(Some(Ci::Jenkins), &["build_number=7"])["build_number"], 7);
        assert_eq!(claims(Some(Ci::Buildkite), &["build_number=7"])["build_number"], 7);
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
            for ci in Ci::ALL.map(Some).into_iter().chain([None]) {
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
        assert_eq!(request.claims(BASE, NOW)["exp"], NOW.0 - 60);
    }
}
