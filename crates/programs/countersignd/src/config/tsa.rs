use tsp::{IntermediateUsage, PolicyOid};

use super::section::Section;

/// Most policies that requests may name: each is compared with, and nobody has more than a few.
const MAX_ACCEPTED_POLICIES: usize = 32;

/// RFC 5280 §4.2.1.4: stands for every policy in certificates, and for none in a token.
const ANY_POLICY: &str = "2.5.29.32.0";

/// What a timestamp authority declares in its tokens.
#[derive(Debug, Clone)]
pub(crate) struct TsaSettings {
    /// Of tokens for requests that name none.
    pub(crate) policy: PolicyOid,
    /// Further ones that a request may name.
    pub(crate) accepted_policies: Vec<PolicyOid>,
    /// Whether certificates between leaf and root must say that they are for timestamps.
    pub(crate) intermediate_usage: IntermediateUsage,
}

impl Default for TsaSettings {
    fn default() -> Self {
        Self {
            policy: PolicyOid::SIGSTORE,
            accepted_policies: Vec::new(),
            intermediate_usage: IntermediateUsage::Required,
        }
    }
}

/// Reads `policy`, `accepted_policies` and `unmarked_intermediates`.
pub(super) fn settings(section: &mut Section<'_>) -> TsaSettings {
    let policy = section.text("policy").and_then(|text| policy(section, "policy", &text));
    let texts = section.texts("accepted_policies").unwrap_or_default();
    if texts.len() > MAX_ACCEPTED_POLICIES {
        section.wrong("accepted_policies", format!("are more than {MAX_ACCEPTED_POLICIES}"));
    }
    let accepted = texts.iter().take(MAX_ACCEPTED_POLICIES);
    let accepted_policies: Vec<_> =
        accepted.filter_map(|text| self::policy(section, "accepted_policies", text)).collect();
    let policy = policy.unwrap_or(PolicyOid::SIGSTORE);
    for (position, one) in accepted_policies.iter().enumerate() {
        if *one == policy {
            section.wrong("accepted_policies", format!("`{one}` is the `policy`, always accepted"));
        } else if accepted_policies.iter().take(position).any(|other| other == one) {
            section.wrong("accepted_policies", format!("`{one}` is there twice"));
        }
    }
    let intermediate_usage = if section.flag("unmarked_intermediates") {
        IntermediateUsage::Optional
    } else {
        IntermediateUsage::Required
    };
    TsaSettings { policy, accepted_policies, intermediate_usage }
}

fn policy(section: &Section<'_>, key: &str, text: &str) -> Option<PolicyOid> {
    if text == ANY_POLICY {
        section.wrong(key, format!("`{text}`: anyPolicy is no policy of a timestamp authority"));
        return None;
    }
    let parsed = text.parse::<PolicyOid>();
    let example = "an object identifier is written in dots, like 1.3.6.1.4.1.32473.1, below an arc of \
                   your own";
    parsed.map_err(|error| section.wrong(key, format!("`{text}`: {error}; {example}"))).ok()
}
