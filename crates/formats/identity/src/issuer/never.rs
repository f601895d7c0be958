//! Rules that no token of the issuer can meet: a value of another form than the provider's. They let nobody
//! in, so they are no danger, and hours are lost over them.

use super::{ClaimRules, IssuerConfig, IssuerKind};

/// What a provider's claims look like.
#[derive(Clone, Copy)]
enum Form {
    /// `refs/heads/main`.
    FullRef,
    /// `main`.
    ShortRef,
    /// `owner/name/.github/workflows/file.yml@refs/heads/main`, or a commit after the `@`.
    Workflow,
    /// Whole numbers.
    Number,
    /// With a `/` between names, and no server before them.
    Path,
    /// `true` or `false` as text.
    TextFlag,
    /// One of a few words.
    Word(&'static [&'static str]),
}

const GITHUB: &[(&str, Form)] = &[
    ("ref", Form::FullRef),
    ("base_ref", Form::ShortRef),
    ("head_ref", Form::ShortRef),
    ("job_workflow_ref", Form::Workflow),
    ("workflow_ref", Form::Workflow),
    ("repository", Form::Path),
    ("repository_id", Form::Number),
    ("repository_owner_id", Form::Number),
    ("actor_id", Form::Number),
    ("ref_protected", Form::TextFlag),
    ("ref_type", Form::Word(&["branch", "tag"])),
    ("repository_visibility", Form::Word(&["public", "private", "internal"])),
    ("runner_environment", Form::Word(&["github-hosted", "self-hosted"])),
];

const GITLAB: &[(&str, Form)] = &[
    ("ref", Form::ShortRef),
    ("ref_path", Form::FullRef),
    ("project_path", Form::Path),
    ("project_id", Form::Number),
    ("namespace_id", Form::Number),
    ("user_id", Form::Number),
    ("ref_protected", Form::TextFlag),
    ("environment_protected", Form::TextFlag),
    ("ref_type", Form::Word(&["branch", "tag"])),
    ("project_visibility", Form::Word(&["public", "private", "internal"])),
    ("runner_environment", Form::Word(&["gitlab-hosted", "self-hosted"])),
];

const AZURE: &[(&str, Form)] = &[("rpo_ref", Form::FullRef)];
const CIRCLECI: &[(&str, Form)] = &[("oidc.circleci.com/vcs-ref", Form::FullRef)];
const BITBUCKET: &[(&str, Form)] = &[("branchName", Form::ShortRef)];

impl IssuerConfig {
    /// Each rule that no token of the issuer can meet, with what to write in its place; for `check`.
    #[must_use]
    pub fn rules_never_met(&self) -> Vec<String> {
        let claims = match self.kind() {
            IssuerKind::GithubWorkflow { .. } => GITHUB,
            IssuerKind::GitlabPipeline { .. } => GITLAB,
            IssuerKind::AzurePipeline(_) => AZURE,
            IssuerKind::CircleciJob(_) => CIRCLECI,
            IssuerKind::BitbucketPipeline(_) => BITBUCKET,
            _ => &[],
        };
        [("required_claims", self.required_claims()), ("dry_run_claims", self.dry_run_claims())]
            .into_iter()
            .flat_map(|(setting, rules)| {
                let misfits =
                    move |(claim, form): &(&str, Form)| form.misfits(setting, rules, claim);
                claims.iter().flat_map(misfits).chain(self.foreign_issuers(setting, rules))
            })
            .collect()
    }

    /// Issuers in a list of `iss` that are none of this entry's: one slash too few is enough.
    fn foreign_issuers(&self, setting: &str, rules: &ClaimRules) -> Vec<String> {
        let foreign = rules.texts_of("iss").into_iter().filter(|iss| !self.is_of(iss));
        let say = |iss: &str| {
            format!(
                "`{setting}`: no token here has the `iss` `{iss}`, which `{}` does not fit; it has to be \
                 written as in tokens, with or without the final slash",
                self.url()
            )
        };
        foreign.map(say).collect()
    }
}

impl Form {
    fn misfits(self, setting: &str, rules: &ClaimRules, claim: &str) -> Vec<String> {
        let say = |value: &str, hint: String| {
            format!(
                "`{setting}`: claim `{claim}` is never `{value}` in tokens of this type; {hint}"
            )
        };
        let mut said: Vec<String> = rules
            .texts_of(claim)
            .into_iter()
            .filter_map(|value| Some(say(value, self.hint(value)?)))
            .collect();
        if rules.has_boolean(claim) {
            let hint = match self {
                Self::TextFlag => "it is a text: write \"true\" or \"false\" in quotes",
                _ => "it is a text",
            };
            said.push(say("true` or `false", hint.to_owned()));
        }
        said
    }

    /// What to write in place of a value that is of another form.
    fn hint(self, value: &str) -> Option<String> {
        let is_number = || value.bytes().all(|byte| byte.is_ascii_digit());
        let short =
            || ["refs/heads/", "refs/tags/"].iter().find_map(|prefix| value.strip_prefix(prefix));
        match self {
            Self::FullRef if !value.starts_with("refs/") => {
                Some(format!("write the whole ref, as `refs/heads/{value}`"))
            }
            Self::ShortRef => short().map(|name| format!("write `{name}`")),
            Self::Workflow => {
                let is_sound = value.split_once('@').is_some_and(|(path, at)| {
                    !path.contains("://") && (at.starts_with("refs/") || is_commit(at))
                });
                (!is_sound).then(|| {
                    "it is like `acme/app/.github/workflows/release.yml@refs/heads/main`".to_owned()
                })
            }
            Self::Number => (!is_number()).then(|| "it is a number".to_owned()),
            Self::Path => (!value.contains('/') || value.contains("://"))
                .then(|| "it is like `acme/app`".to_owned()),
            Self::TextFlag => (!matches!(value, "true" | "false"))
                .then(|| "it is \"true\" or \"false\"".to_owned()),
            Self::Word(words) => {
                (!words.contains(&value)).then(|| format!("it is one of `{}`", words.join("`, `")))
            }
            Self::FullRef => None,
        }
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::IssuerConfig;

    fn warnings(kind: &str, rules: &Value, more: &Value) -> Vec<String> {
        let mut settings = json!({
            "type": kind, "audiences": ["a"], "url": "https://ci.acme.example",
            "required_claims": rules
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<IssuerConfig>(settings).unwrap().rules_never_met()
    }

    fn github(rules: Value) -> Vec<String> {
        let mut rules = rules;
        rules["repository_owner_id"] = json!(4747);
        let url = "https://token.actions.githubusercontent.com";
        warnings("github-workflow", &rules, &json!({ "url": url }))
    }

    #[test]
    fn a_rule_that_no_token_of_github_can_meet_is_told_with_what_to_write() {
        for (rules, said) in [
            (json!({"ref": "main"}), "`ref` is never `main`"),
            (
                json!({"ref": ["refs/heads/main", "next"]}),
                "write the whole ref, as `refs/heads/next`",
            ),
            (json!({"ref_protected": true}), "in quotes"),
            (json!({"repository": "https://github.com/acme/app"}), "like `acme/app`"),
            (json!({"job_workflow_ref": "acme/app/.github/workflows/a.yml"}), "@refs/heads/main"),
            (json!({"job_workflow_ref": "acme/app/.github/workflows/a.yml@main"}), "@refs/heads"),
            (json!({"actor_id": "alice"}), "a number"),
            (json!({"ref_type": "heads"}), "`branch`, `tag`"),
            (json!({"base_ref": "refs/heads/main"}), "write `main`"),
        ] {
            let warned = github(rules.clone());
            assert!(warned.len() == 1 && warned[0].contains(said), "{rules}: {warned:?}");
        }
    }

    #[test]
    fn a_list_of_issuers_that_the_pattern_does_not_fit_is_told() {
        let warned = |listed: Value| {
            let settings: IssuerConfig = serde_json::from_value(json!({
                "type": "kubernetes", "audiences": ["a"], "required_claims": {"iss": listed},
                "url_pattern": "https://oidc.eks.*.amazonaws.com/id/*"
            }))
            .unwrap();
            settings.rules_never_met()
        };
        let own = "https://oidc.eks.eu-central-1.amazonaws.com/id/A1";
        assert_eq!(warned(json!([own])), Vec::<String>::new());
        for other in
            [&format!("{own}/"), "https://other.example/id/A1", &own.replace("oidc", "OIDC")]
        {
            let said = warned(json!([own, other]));
            assert!(said.len() == 1 && said[0].contains(other), "{other}: {said:?}");
        }
    }

    #[test]
    fn rules_that_can_be_met_are_passed_over() {
        let sha = "c291ea713801eb300054d353d279e7b02331f671";
        let met = github(json!({
            "ref": ["refs/heads/main", "refs/tags/v1"], "ref_protected": "true", "base_ref": "main",
            "job_workflow_ref": format!("acme/app/.github/workflows/a.yml@{sha}"),
            "workflow_ref": "acme/app/.github/workflows/a.yml@refs/heads/main",
            "repository": "acme/app", "event_name": "push", "actor_id": [1, "2"]
        }));
        assert_eq!(met, Vec::<String>::new());
        let gitlab = json!({"ref": "main", "ref_path": "refs/heads/main", "ref_protected": "true"});
        assert_eq!(warnings("gitlab-pipeline", &gitlab, &json!({})), Vec::<String>::new());
    }

    /// GitLab's `ref` is short, and so is Bitbucket's branch.
    #[test]
    fn each_ci_has_refs_of_its_own_form() {
        let warned = warnings("gitlab-pipeline", &json!({"ref": "refs/heads/main"}), &json!({}));
        assert!(warned.len() == 1 && warned[0].contains("write `main`"), "{warned:?}");
        let dry = json!({"dry_run_claims": {"ref_path": "main"}});
        let warned = warnings("gitlab-pipeline", &json!({}), &dry);
        assert!(warned.len() == 1 && warned[0].starts_with("`dry_run_claims`"), "{warned:?}");
        let organization = json!({"organization_ids": ["c1ec1111-2b3c-4d5e-8f60-718293a4b5c6"]});
        let rules = json!({"oidc.circleci.com/vcs-ref": "main"});
        assert_eq!(warnings("circleci-job", &rules, &organization).len(), 1);
    }
}
