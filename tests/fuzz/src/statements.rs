//! What a signed statement says, and whether a policy believes it.

use crypto::Unsigned as _;
use provenance::{
    BareNames, BuildLevel, CertificateClaims, Forge, GITHUB_WORKFLOW_BUILD_TYPE,
    PREDICATE_TYPE_SLSA_V1, Provenance, STATEMENT_V1, SourceDemand, SourceWords, Statement,
    UnsignedEnvelope,
};
use serde_json::json;
use wire::dsse::{IN_TOTO_PAYLOAD_TYPE, pae};

use crate::{
    case::Case,
    input::{Input, joined},
};

pub(crate) const CASES: &[Case] = &[
    Case { run: statement, seeds: || vec![github_statement()] },
    Case { run: encoding, seeds: || vec![joined(["t", "payload", "t ", "ayload"])] },
    Case { run: policy, seeds: policies },
];

const REPOSITORY: &str = "https://github.com/my-org/my-secure-repo";

/// A statement reads as it was written, and signs as the bytes that are kept.
fn statement(payload: &[u8]) {
    let Ok(statement) = Statement::parse(payload) else { return };
    let written = statement.to_json().unwrap();
    let again = Statement::parse(&written).unwrap();
    assert_eq!((&again, again.to_json().unwrap()), (&statement, written.clone()));
    let envelope = UnsignedEnvelope::new(&statement).unwrap();
    assert_eq!(envelope.bytes_to_sign(), pae(IN_TOTO_PAYLOAD_TYPE, &written));
    let Ok(provenance) = Provenance::of(&statement) else { return };
    assert!(!provenance.run_details.builder.id.is_empty());
    let made = provenance.statement(statement.subject().to_vec()).unwrap();
    assert_eq!(Provenance::of(&made).unwrap(), provenance);
    // Whatever a predicate says: without a certificate nobody hosted the build.
    assert!(BuildLevel::of(Some(&provenance), None) <= BuildLevel::L1);
}

/// Two different pairs of type and payload never encode to the same bytes.
fn encoding(input: &[u8]) {
    let mut input = Input(input);
    let (Some(one), first) = (input.text(), input.bytes()) else { return };
    let (Some(other), second) = (input.text(), input.bytes()) else { return };
    let same = (one, first) == (other, second);
    assert_eq!(pae(one, first) == pae(other, second), same);
}

/// A certificate of another repository or ref never passes, whatever the predicate says.
fn policy(input: &[u8]) {
    let mut input = Input(input);
    let mut text = || input.text().filter(|text| !text.is_empty()).map(str::to_owned);
    let certificate = CertificateClaims {
        issuer: text(),
        source_repository_uri: text(),
        source_repository_ref: text(),
        source_repository_digest: text(),
        source_repository_owner_uri: text(),
        build_signer_uri: text(),
        build_config_uri: text(),
        runner_environment: text(),
    };
    let provenance = Statement::parse(input.0).ok();
    let provenance = provenance.and_then(|statement| Provenance::of(&statement).ok());
    let forge = Forge::new("https://github.com", None).unwrap();
    let names = BareNames { forge: Some(&forge), issuer: None };
    for demanded in ["my-org/my-secure-repo", REPOSITORY] {
        let demand = SourceDemand::new(SourceWords {
            repository: Some(demanded),
            reference: Some("main"),
            ..SourceWords::default()
        })
        .unwrap();
        let policy = demand.resolve(&names).unwrap();
        if policy.check(&certificate, provenance.as_ref()).is_ok() {
            let found = certificate.source_repository_uri.as_deref().unwrap();
            let found = found.to_ascii_lowercase().replace(":443", "");
            // Escapes stand for what they hide.
            assert!(found.contains('%') || found == "https://github.com/my-org/my-secure-repo");
            assert_eq!(certificate.source_repository_ref.as_deref(), Some("refs/heads/main"));
        }
    }
    let demand = SourceDemand::new(SourceWords {
        organisation: Some("https://github.com/my-org"),
        ..SourceWords::default()
    })
    .unwrap();
    let policy = demand.resolve(&names).unwrap();
    if policy.check(&certificate, None).is_ok() {
        let found = certificate.source_repository_uri.as_deref().unwrap();
        let found = found.to_ascii_lowercase().replace(":443", "");
        assert!(found.contains('%') || found.starts_with("https://github.com/my-org/"), "{found}");
    }
    let level = BuildLevel::of(provenance.as_ref(), Some(&certificate));
    assert!(level < BuildLevel::L2 || certificate.build_signer_uri.is_some());
}

pub(crate) fn github_statement() -> Vec<u8> {
    let builder = format!("{REPOSITORY}/.github/workflows/b.yml@refs/heads/main");
    let source = format!("git+{REPOSITORY}@refs/heads/main");
    json!({
        "_type": STATEMENT_V1,
        "subject": [{"name": "artifact", "digest": {"sha256": "00"}}],
        "predicateType": PREDICATE_TYPE_SLSA_V1,
        "predicate": {
            "buildDefinition": {
                "buildType": GITHUB_WORKFLOW_BUILD_TYPE,
                "externalParameters": {"workflow": {"ref": "refs/heads/main", "repository": REPOSITORY}},
                "resolvedDependencies": [{"uri": source, "digest": {"gitCommit": "abc"}}]
            },
            "runDetails": {"builder": {"id": builder}, "metadata": {"invocationId": "1"}}
        }
    })
    .to_string()
    .into_bytes()
}

fn policies() -> Vec<Vec<u8>> {
    let builder = format!("{REPOSITORY}/.github/workflows/b.yml@refs/heads/main");
    let claims = joined([
        "https://token.actions.githubusercontent.com",
        REPOSITORY,
        "refs/heads/main",
        "abc",
        "https://github.com/my-org",
        &builder,
        &builder,
        "github-hosted",
    ]);
    vec![[claims, github_statement()].concat()]
}
