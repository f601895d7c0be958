//! `[tsa.<name>]`: timestamp authorities.

use crypto::KeyType;
use tsp::{IntermediateUsage, PolicyOid};

use super::{
    common::{Around, Table},
    logs::bounded,
    section::Section,
};
use crate::{
    certificates::ChainPlace,
    cli::Part,
    deployment::{Kind, TimestampAuthority, TsaSettings},
};

/// Most policies that requests may name: each is compared with, and nobody has more than a few.
const MAX_ACCEPTED_POLICIES: usize = 32;

/// RFC 5280 §4.2.1.4: stands for every policy in certificates, and for none in a token.
const ANY_POLICY: &str = "2.5.29.32.0";

/// Furthest that a clock may be said to step back, in seconds: tokens declare an accuracy of one.
const MAX_CLOCK_STEP_BACK_S: u64 = 60;

pub(super) fn read(
    file: &mut Section<'_>,
    around: &Around<'_, '_>,
) -> Vec<Option<TimestampAuthority>> {
    Table::all(file, Kind::Tsa).into_iter().map(|table| one(table, around)).collect()
}

fn one(mut table: Table<'_>, around: &Around<'_, '_>) -> Option<TimestampAuthority> {
    let (dirs, stem) = (around.dirs, table.stem());
    let service = table.service(around);
    let (name, usual) = (table.key_name(), dirs.key_file(Part::Tsa, &stem, ""));
    let key = table.key("key", (name, KeyType::EcdsaP256), usual);
    let section = &mut table.section;
    let owner = service.as_ref().and_then(|service| service.tenant.as_deref());
    let organization = section.text("organization");
    if organization.is_none() && owner.is_none() && around.tenants.0.len() > 1 {
        section
            .wrong("organization", "is missing: `O` of the certificates of a TSA of all tenants");
    }
    let of_owner = || owner.and_then(|name| around.tenants.named(name)?.organization.clone());
    let organization = organization.or_else(of_owner).unwrap_or_default();
    let settings = settings(section);
    section.end();
    let chain = ChainPlace {
        file: dirs.public_file(&stem, "_chain.pem"),
        root_key_file: dirs.offline_key_file(&stem),
        organization,
    };
    Some(TimestampAuthority { service: service?, key: key?, chain, settings })
}

/// What it declares, and how it checks itself.
fn settings(section: &mut Section<'_>) -> TsaSettings {
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
    TsaSettings {
        policy,
        accepted_policies,
        intermediate_usage,
        verify_every: bounded(section, "verify_every", 1..=u32::MAX),
        max_clock_step_back_s: bounded(section, "max_clock_step_back_s", 0..=MAX_CLOCK_STEP_BACK_S),
    }
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
