//! That no token is granted by the CAs of two tenants.

use std::mem::discriminant;

use super::{IssuerConfig, IssuerKind, strangers};

impl IssuerConfig {
    /// An audience for which a token may be granted here and by `other`, each in a CA of its own; `None` where no
    /// token can be. Where that cannot be told, it may be granted by both.
    ///
    /// Tokens are parted by the audience; else by who owns the job at a platform that serves everybody, or by a claim
    /// that jobs of a kind have one value of, where both demand another, or by the names of people and workloads,
    /// where both let other names pass.
    #[must_use]
    pub fn grants_with<'a>(&'a self, other: &Self) -> Option<&'a str> {
        let shared = self.audiences().iter().find(|own| other.audiences().contains(own))?;
        let is_apart = !self.meets(other) || self.demands_others(other) || self.has_others(other);
        (!is_apart).then_some(shared.as_str())
    }

    /// Whether both demand a claim of which a token has one value, and each another one than the other.
    fn demands_others(&self, other: &Self) -> bool {
        let (own, others) = (self.required_claims(), other.required_claims());
        let of_both = discriminant(self.kind()) == discriminant(other.kind());
        let of_jobs = if of_both { single_claims(self.kind()) } else { &["sub"] };
        strangers::owner_claims(self.url()).chain(of_jobs.iter().copied()).any(|claim| {
            let (own, others) = (own.texts_of(claim), others.texts_of(claim));
            let both = !own.is_empty() && !others.is_empty();
            both && own.iter().all(|text| !others.contains(text))
        })
    }

    /// Whether the names that both let pass are of others, taken from one place of the token.
    fn has_others(&self, other: &Self) -> bool {
        let lets_pass = matches!(self.kind(), IssuerKind::Email { .. } | IssuerKind::Spiffe { .. })
            || self.kind().names_owners();
        let is_alike = discriminant(self.kind()) == discriminant(other.kind())
            && self.people().name_claim() == other.people().name_claim();
        let others = other.names();
        let overlaps = || self.names().iter().any(|own| others.iter().any(|of| own.overlaps(of)));
        lets_pass && is_alike && !overlaps()
    }
}

/// Claims that say where a job or workload belongs, of which a token of its kind has one value, as its own
/// preset demands. Of any other claim nobody knows that it is no list.
const fn single_claims(kind: &IssuerKind) -> &'static [&'static str] {
    match kind {
        IssuerKind::GithubWorkflow { .. } => {
            &["sub", "repository", "repository_id", "repository_owner", "repository_owner_id"]
        }
        IssuerKind::GitlabPipeline { .. } => {
            &["sub", "namespace_id", "namespace_path", "project_id", "project_path"]
        }
        IssuerKind::AzurePipeline(_) => &["sub", "org_id", "prj_id"],
        IssuerKind::BuildkiteJob(_) => &["sub", "organization_id", "pipeline_id"],
        IssuerKind::CircleciJob(_) => &["sub", "oidc.circleci.com/project-id"],
        IssuerKind::BitbucketPipeline(_) => &["sub", "workspaceUuid", "repositoryUuid"],
        _ => &["sub"],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn issuer(settings: &Value, changes: &Value) -> IssuerConfig {
        let mut settings = settings.as_object().unwrap().clone();
        settings.extend(changes.as_object().unwrap().clone());
        serde_json::from_value(settings.into()).unwrap()
    }

    fn grant(settings: &Value, one: &Value, other: &Value) -> bool {
        let (one, other) = (issuer(settings, one), issuer(settings, other));
        let shared = one.grants_with(&other);
        assert_eq!(shared, other.grants_with(&one), "{one:?} {other:?}");
        shared.is_some()
    }

    #[test]
    fn one_issuer_and_one_audience_grant_at_two_authorities() {
        let gitlab = json!({
            "type": "gitlab-pipeline", "url": "https://git.example", "base_url": "https://git.example",
            "audiences": ["a"]
        });
        let same = json!({});
        assert!(grant(&gitlab, &same, &same));
        assert!(grant(&gitlab, &json!({"base_url": "https://x.example"}), &same), "another name");
        assert!(grant(&gitlab, &same, &json!({"audiences": ["b", "a"]})));
        assert!(!grant(&gitlab, &same, &json!({"audiences": ["b"]})));
        assert!(!grant(&gitlab, &same, &json!({"url": "https://git2.example"})));
        // A claim of which nobody knows whose it is may be a list with both.
        let group = |name| json!({"required_claims": {"group": [name]}});
        assert!(grant(&gitlab, &group("a"), &group("b")));
    }

    #[test]
    fn jobs_of_other_projects_are_apart_where_nobody_chooses_the_audience() {
        let bitbucket = json!({
            "type": "bitbucket-pipeline",
            "url": "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
            "workspace": "acme",
            "workspace_id": "{b17b0c4e-5d6f-4a7b-8c9d-0e1f2a3b4c5d}"
        });
        let of = |uuids: &[&str]| json!({"required_claims": {"repositoryUuid": uuids}});
        assert!(!grant(&bitbucket, &of(&["{a}"]), &of(&["{b}", "{c}"])));
        assert!(grant(&bitbucket, &of(&["{a}", "{b}"]), &of(&["{b}"])));
        assert!(grant(&bitbucket, &of(&["{a}"]), &json!({})));
        let gitlab = json!({
            "type": "gitlab-pipeline", "url": "https://git.example", "base_url": "https://git.example",
            "audiences": ["a"]
        });
        let of = |ids: &[u32]| json!({"required_claims": {"namespace_id": ids}});
        assert!(!grant(&gitlab, &of(&[1]), &of(&[2])));
        assert!(grant(&gitlab, &of(&[1]), &of(&[1, 2])));
    }

    #[test]
    fn a_pattern_grants_with_each_issuer_of_it() {
        let realms = json!({
            "type": "email", "url_pattern": "https://sso.example/realms/*", "audiences": ["a"],
            "domains": ["a.example"], "shares_names_with": ["https://sso.example/realms/*"]
        });
        let one = json!({"required_claims": {"iss": ["https://sso.example/realms/a"]}});
        let two = json!({"required_claims": {"iss": ["https://sso.example/realms/b"]}});
        assert!(grant(&realms, &one, &one));
        assert!(!grant(&realms, &one, &two));
    }

    #[test]
    fn owners_at_a_platform_of_everybody_and_mail_domains_part_tokens() {
        let github = json!({
            "type": "github-workflow", "url": "https://token.actions.githubusercontent.com",
            "audiences": ["sigstore"]
        });
        let of = |claim: &str, ids: Value| json!({"required_claims": {claim: ids}});
        let (one, two) =
            (of("repository_owner_id", json!([1])), of("repository_owner_id", json!([2])));
        assert!(!grant(&github, &one, &two));
        assert!(grant(&github, &one, &of("repository_owner_id", json!([2, 1]))));
        assert!(grant(&github, &one, &of("repository_owner", json!(["acme"]))), "of one perhaps");
        assert!(grant(&github, &one, &json!({"open_to_all": true})));

        let people = json!({"type": "email", "url": "https://sso.example", "audiences": ["a"]});
        let of = |domain: &str| json!({"domains": [domain]});
        assert!(!grant(&people, &of("a.example"), &of("b.example")));
        assert!(grant(&people, &of("a.example"), &of("a.example")));
    }
}
