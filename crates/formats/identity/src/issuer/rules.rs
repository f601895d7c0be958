//! What an operator demands of a token's claims: `required_claims`, `dry_run_claims`.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{IssuerConfigError, claim_path::MAX_CLAIM_NAME_LEN};
use crate::Claims;

/// Most values of one claim, and most claims of one table: a list for people to read.
const MAX_LISTED: usize = 256;

/// Most values of all claims together; each is compared for every token.
const MAX_VALUES: usize = 4096;

/// Deepest table. Keycloak's `resource_access.<client>.roles` has three levels.
const MAX_DEPTH: usize = 8;

/// Most values of a rule that are told, and longest begin of a claim, in characters.
const MAX_TOLD: usize = 8;
const MAX_TOLD_LEN: usize = 256;

/// Claims that a token must have, each with the values of which it must have one.
///
/// ```
/// # use identity::ClaimRules;
/// let rules: ClaimRules = serde_json::from_str(r#"{
///     "repository_owner_id": [4747, 4748],
///     "email_verified": true,
///     "kubernetes.io": {"namespace": "ci"}
/// }"#)?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRules(BTreeMap<String, ClaimRule>);

/// What one claim must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ClaimRule {
    /// One of these, or a list that has one of them.
    AnyOf(Vec<ClaimValue>),
    /// An object whose members follow these rules.
    Members(ClaimRules),
}

/// A value that a claim can have. An integer is its digits: issuers send ids as either.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ClaimValue {
    Text(String),
    Boolean(bool),
}

impl ClaimRules {
    /// The first claim, names joined by dots, that is not as demanded; its value is not told.
    #[must_use]
    pub fn broken_by(&self, claims: &Claims) -> Option<String> {
        self.0.iter().find_map(|(name, rule)| rule.broken_by(name, claims.raw(name)))
    }

    /// The same for people who have the token in hand: what the claim is, and what it would have to be.
    pub(crate) fn told(&self, claims: &Claims) -> Option<String> {
        self.0.iter().find_map(|(name, rule)| rule.told(name, claims.raw(name)))
    }

    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values demanded of the claim `name` of the token itself, texts and digits.
    pub(super) fn texts_of(&self, name: &str) -> Vec<&str> {
        let Some(ClaimRule::AnyOf(values)) = self.0.get(name) else { return Vec::new() };
        let texts = values.iter().filter_map(|value| match value {
            ClaimValue::Text(text) => Some(text.as_str()),
            ClaimValue::Boolean(_) => None,
        });
        texts.collect()
    }

    /// Whether `true` or `false` is demanded of the claim `name` of the token itself.
    pub(super) fn has_boolean(&self, name: &str) -> bool {
        let Some(ClaimRule::AnyOf(values)) = self.0.get(name) else { return false };
        values.iter().any(|value| matches!(value, ClaimValue::Boolean(_)))
    }

    /// Refuses rules that demand nothing, or more than is sensible.
    pub(super) fn check(&self) -> Result<(), IssuerConfigError> {
        let mut values = 0;
        self.check_at("", 1, &mut values)?;
        let first = || self.0.keys().next().cloned().unwrap_or_default();
        if values > MAX_VALUES { Err(IssuerConfigError::RequiredClaim(first())) } else { Ok(()) }
    }

    fn check_at(
        &self,
        above: &str,
        depth: usize,
        values: &mut usize,
    ) -> Result<(), IssuerConfigError> {
        if depth > MAX_DEPTH || self.0.len() > MAX_LISTED {
            return Err(IssuerConfigError::RequiredClaim(above.to_owned()));
        }
        for (name, rule) in &self.0 {
            let place = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let sound = match rule {
                ClaimRule::AnyOf(listed) => {
                    *values += listed.len();
                    (1..=MAX_LISTED).contains(&listed.len()) && !listed.iter().any(is_empty)
                }
                ClaimRule::Members(rules) => {
                    rules.check_at(&place, depth + 1, values)?;
                    !rules.is_empty()
                }
            };
            // TOML's dates come as a table with a name of their own; no claim is compared with one.
            let named = !name.is_empty() && !name.starts_with("$__toml_private");
            if !sound || !named || name.len() > MAX_CLAIM_NAME_LEN {
                return Err(IssuerConfigError::RequiredClaim(place));
            }
        }
        Ok(())
    }
}

impl ClaimRule {
    fn broken_by(&self, name: &str, claim: Option<&RawValue>) -> Option<String> {
        let broken = || Some(name.to_owned());
        let Some(claim) = claim else { return broken() };
        match self {
            Self::AnyOf(values) if values.iter().any(|value| value.is_in(claim)) => None,
            Self::AnyOf(_) => broken(),
            Self::Members(rules) => match serde_json::from_str::<Claims>(claim.get()) {
                Ok(members) => rules.broken_by(&members).map(|member| format!("{name}.{member}")),
                Err(_) => broken(),
            },
        }
    }
}

impl ClaimRule {
    fn told(&self, name: &str, claim: Option<&RawValue>) -> Option<String> {
        self.broken_by(name, claim)?;
        let wanted = match self {
            Self::AnyOf(values) => {
                let listed = values.get(..MAX_TOLD).unwrap_or(values);
                let mut listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
                if values.len() > MAX_TOLD {
                    listed.push("another of the list".to_owned());
                }
                listed.join(" or ")
            }
            Self::Members(rules) => {
                let members = claim.map(|claim| serde_json::from_str::<Claims>(claim.get()));
                match members {
                    Some(Ok(members)) => {
                        return rules.told(&members).map(|told| format!("of `{name}`: {told}"));
                    }
                    _ => "a table of claims".to_owned(),
                }
            }
        };
        Some(match claim.map(RawValue::get) {
            None => format!("claim `{name}` is missing; it has to be {wanted}"),
            Some(json) => format!("claim `{name}` is `{}`; it has to be {wanted}", cut(json)),
        })
    }
}

/// The begin of a value, for a line to read.
fn cut(json: &str) -> String {
    match json.char_indices().nth(MAX_TOLD_LEN) {
        None => json.to_owned(),
        Some((end, _)) => format!("{}...", json.get(..end).unwrap_or_default()),
    }
}

impl fmt::Display for ClaimValue {
    /// As JSON has it, since `true` and `"true"` are two values; digits are one either way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if crate::claims::is_integer(text) => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "`{text:?}`"),
            Self::Boolean(flag) => write!(f, "`{flag}`"),
        }
    }
}

impl ClaimValue {
    /// Whether the claim is this value, or a list that has it.
    fn is_in(&self, claim: &RawValue) -> bool {
        if !claim.get().starts_with('[') {
            return self.is(claim);
        }
        let items: Result<Vec<&RawValue>, _> = serde_json::from_str(claim.get());
        items.is_ok_and(|items| items.into_iter().any(|item| self.is(item)))
    }

    fn is(&self, json: &RawValue) -> bool {
        match self {
            Self::Boolean(flag) => json.get() == if *flag { "true" } else { "false" },
            // Digits as they were sent: as a float, two ids beyond 2^53 could be one.
            Self::Text(text) if crate::claims::is_integer(json.get()) => json.get() == text,
            Self::Text(text) => {
                serde_json::from_str::<String>(json.get()).is_ok_and(|claimed| claimed == *text)
            }
        }
    }
}

fn is_empty(value: &ClaimValue) -> bool {
    matches!(value, ClaimValue::Text(text) if text.is_empty())
}

impl<'de> Deserialize<'de> for ClaimRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for ClaimRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor { in_list: false })
    }
}

impl<'de> Deserialize<'de> for ClaimValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(RuleVisitor { in_list: true })? {
            ClaimRule::AnyOf(mut values) if values.len() == 1 => Ok(values.remove(0)),
            _ => Err(D::Error::custom("a list of claims' values holds no tables")),
        }
    }
}

struct RuleVisitor {
    in_list: bool,
}

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = ClaimRule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, true or false, a whole number, a list of them, or a table of claims")
    }

    fn visit_str<E>(self, text: &str) -> Result<ClaimRule, E> {
        Ok(ClaimRule::AnyOf(vec![ClaimValue::Text(text.to_owned())]))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<ClaimRule, E> {
        Ok(ClaimRule::AnyOf(vec![ClaimValue::Boolean(flag)]))
    }

    fn visit_i64<E>(self, number: i64) -> Result<ClaimRule, E> {
        Ok(ClaimRule::AnyOf(vec![ClaimValue::Text(number.to_string())]))
    }

    fn visit_u64<E>(self, number: u64) -> Result<ClaimRule, E> {
        Ok(ClaimRule::AnyOf(vec![ClaimValue::Text(number.to_string())]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ClaimRule, A::Error> {
        if self.in_list {
            return Err(A::Error::custom("a list of claims' values holds no lists"));
        }
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(ClaimRule::AnyOf(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClaimRule, A::Error> {
        let mut rules = BTreeMap::new();
        while let Some((name, rule)) = map.next_entry::<String, ClaimRule>()? {
            if rules.insert(name, rule).is_some() {
                return Err(A::Error::custom("a claim is named twice"));
            }
        }
        Ok(ClaimRule::Members(ClaimRules(rules)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(json: serde_json::Value) -> ClaimRules {
        serde_json::from_value(json).unwrap()
    }

    fn broken(wanted: serde_json::Value, claims: &serde_json::Value) -> Option<String> {
        rules(wanted).broken_by(&Claims::parse(claims.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_claim_that_is_a_list_has_one_of_the_values() {
        let claims = json!({"groups": ["dev", "release"], "ids": [1, 4747]});
        assert_eq!(broken(json!({"groups": ["release", "ops"]}), &claims), None);
        assert_eq!(broken(json!({"groups": "release"}), &claims), None);
        assert_eq!(broken(json!({"ids": ["4747"]}), &claims), None);
        assert_eq!(broken(json!({"groups": ["ops"]}), &claims), Some("groups".to_owned()));
        // Neither a part of one nor all of them as text.
        for odd in ["rel", "dev,release", "[\"dev\",\"release\"]", "dev\",\"release"] {
            assert!(broken(json!({"groups": [odd]}), &claims).is_some(), "{odd}");
        }
    }

    #[test]
    fn who_has_the_token_is_told_what_the_claim_is_and_what_it_has_to_be() {
        let claims = json!({"ref": "refs/heads/dev", "protected": "true", "k": {"ns": "ci"}});
        let parsed = Claims::parse(claims.to_string().as_bytes()).unwrap();
        let told = |wanted: serde_json::Value| rules(wanted).told(&parsed);
        for (wanted, said) in [
            (
                json!({"ref": ["refs/heads/main", "refs/heads/next"]}),
                "claim `ref` is `\"refs/heads/dev\"`; it has to be `\"refs/heads/main\"` or \
                 `\"refs/heads/next\"`",
            ),
            (json!({"id": 4747}), "claim `id` is missing; it has to be `4747`"),
            (json!({"protected": true}), "claim `protected` is `\"true\"`; it has to be `true`"),
            (json!({"k": {"ns": "cd"}}), "of `k`: claim `ns` is `\"ci\"`; it has to be `\"cd\"`"),
            (
                json!({"ref": {"a": "b"}}),
                "claim `ref` is `\"refs/heads/dev\"`; it has to be a table of claims",
            ),
        ] {
            assert_eq!(told(wanted).as_deref(), Some(said));
        }
        assert_eq!(told(json!({"ref": "refs/heads/dev"})), None);
        let long = told(json!({"ref": vec!["x"; 9]})).unwrap();
        assert!(long.ends_with("`\"x\"` or another of the list"), "{long}");
    }

    #[test]
    fn members_of_objects_are_demanded_by_tables() {
        let claims = json!({"kubernetes.io": {"namespace": "ci", "pod": {"name": "p"}}});
        let wanted = |namespace: &str| json!({"kubernetes.io": {"namespace": [namespace]}});
        assert_eq!(broken(wanted("ci"), &claims), None);
        assert_eq!(broken(wanted("cd"), &claims), Some("kubernetes.io.namespace".to_owned()));
        assert_eq!(broken(json!({"kubernetes.io": {"pod": {"name": "p"}}}), &claims), None);
        // A dot leads nowhere, and an object is no text.
        assert!(broken(json!({"kubernetes.io.namespace": "ci"}), &claims).is_some());
        assert!(broken(json!({"kubernetes.io": "ci"}), &claims).is_some());
        for shape in [json!("ci"), json!([{"namespace": "ci"}]), json!(null), json!(1)] {
            assert!(broken(wanted("ci"), &json!({"kubernetes.io": shape})).is_some(), "{shape}");
        }
    }

    #[test]
    fn numbers_are_exact_and_alike_as_text_and_booleans_are_not_texts() {
        for claim in [json!(4747), json!("4747")] {
            for wanted in [json!(4747), json!("4747"), json!(["1", 4747])] {
                assert_eq!(broken(json!({"id": wanted}), &json!({"id": claim})), None);
            }
        }
        let large = json!({"id": 9_007_199_254_740_993_u64});
        assert_eq!(broken(json!({"id": 9_007_199_254_740_993_u64}), &large), None);
        assert!(broken(json!({"id": 9_007_199_254_740_992_u64}), &large).is_some());
        assert_eq!(broken(json!({"v": true}), &json!({"v": true})), None);
        for other in [json!("true"), json!(1), json!(false), json!(null), json!("")] {
            assert!(broken(json!({"v": true}), &json!({"v": other})).is_some(), "{other}");
        }
        assert!(broken(json!({"v": "true"}), &json!({"v": true})).is_some());
        assert!(broken(json!({"id": 1}), &json!({"id": 1.0})).is_some(), "no rounding");
    }

    #[test]
    fn demands_nothing_that_could_not_be() {
        let check = |json| serde_json::from_value::<ClaimRules>(json).map(|rules| rules.check());
        let mut deep = json!("x");
        for _ in 0..9 {
            deep = json!({ "a": deep });
        }
        for odd in [
            json!({"a": []}),
            json!({"a": ""}),
            json!({"a": {}}),
            json!({"": "x"}),
            json!({"a": {"b": [""]}}),
            json!({"a": vec!["x"; 257]}),
            json!({"a": {"$__toml_private_datetime": "1979-05-27"}}),
            deep,
        ] {
            assert!(matches!(check(odd.clone()), Ok(Err(_))), "{odd}");
        }
        let many: serde_json::Map<_, _> =
            (0..17).map(|n| (n.to_string(), json!(vec!["x"; 256]))).collect();
        assert!(matches!(check(many.into()), Ok(Err(_))));
        for odd in [json!({"a": 1.5}), json!({"a": null}), json!({"a": [["x"]]}), json!(["a"])] {
            assert!(check(odd.clone()).is_err(), "{odd}");
        }
        assert_eq!(check(json!({"a": "x", "b": {"c": [1, true]}})).unwrap(), Ok(()));
    }
}
