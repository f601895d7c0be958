//! What is shown of issuers, and how many are asked at once for no caller's sake.

use ca::{CaConfig, IssuerTrouble};
use identity::IssuerConfig;
use serde_json::json;

use crate::{
    gauges::Gauges,
    issuer::{Answer, TestIssuer},
    stack::{Stack, Wishes, entry},
};

/// As many as `MAX_ASKED_AT_ONCE`.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn gauges_follow_every_change_and_what_is_forgotten_has_no_age() {
    let gauges = Gauges::default();
    let _recording = metrics::set_default_local_recorder(&gauges);
    let stack = Stack::start().await;
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    assert_eq!(gauges.all(), ["1", "0", "0"]);
    stack.issuer.answer_jwks(Answer::Status(500));
    stack.clock.advance_ms(60 * 60 * 1000);
    stack.ca.tick_issuers().await;
    assert_eq!(gauges.all(), ["1", "3600", "1"], "at once, not at the next look");
    stack.ca.refresh_issuers(None, true).await;
    assert_eq!(gauges.all(), ["0", "NaN", "1"]);
    stack.issuer.answer_jwks(Answer::AsIs);
    stack.ca.refresh_issuers(None, false).await;
    assert_eq!(gauges.all(), ["1", "0", "0"]);
    stack.clock.advance_ms(7_000);
    stack.ca.show_issuers();
    assert_eq!(gauges.of("countersign_ca_issuer_keys_age_seconds"), "7");
}

#[tokio::test]
async fn what_is_wrong_is_one_word_and_a_pattern_hides_who_it_is() {
    let stack = Stack::start().await;
    let trouble = || stack.ca.issuer_health()[0].trouble();
    assert_eq!(trouble(), Some(IssuerTrouble::NotAsked));
    stack.issuer.answer_discovery(Answer::Status(500));
    stack.ca.tick_issuers().await;
    assert_eq!(trouble(), Some(IssuerTrouble::Away));
    stack.issuer.answer_discovery(Answer::Status(403));
    stack.ca.refresh_issuers(None, false).await;
    assert_eq!(trouble(), Some(IssuerTrouble::Misconfigured));
    stack.issuer.answer_discovery(Answer::AsIs);
    stack.ca.refresh_issuers(None, false).await;
    assert_eq!(trouble(), None);

    let pattern = |issuer: &TestIssuer| format!("{}/realms/*", issuer.url);
    let entries = move |issuer: &TestIssuer| {
        vec![entry(json!({
        "url_pattern": pattern(issuer), "type": "email", "shares_names_with": [pattern(issuer)]
        }))]
    };
    let stack = Stack::with(Wishes { entries: Some(Box::new(entries)), ..Wishes::default() }).await;
    let acme = format!("{}/realms/acme", stack.issuer.url);
    let token = stack.issuer.token(&stack.claims(&json!({"iss": acme})));
    stack.verified_leaf(&stack.ask(&token).await);
    let health = stack.ca.issuer_health().remove(0);
    assert_eq!((health.issuer, health.entry), (acme, pattern(&stack.issuer)));
}

/// Three times as many as are asked at once, of a provider that never answers.
fn silent_realms(issuer: &TestIssuer) -> Vec<IssuerConfig> {
    issuer.answer_discovery(Answer::Silence);
    let realm = |number| {
        let url = format!("{}/realms/r{number}", issuer.url);
        entry(json!({"url": url, "type": "email", "shares_names_with": others(issuer, number)}))
    };
    (0..3 * AT_ONCE).map(realm).collect()
}

fn others(issuer: &TestIssuer, own: usize) -> Vec<String> {
    let others = (0..3 * AT_ONCE).filter(|number| *number != own);
    others.map(|number| format!("{}/realms/r{number}", issuer.url)).collect()
}

/// Runs `asking` until the provider has had as many questions as there may be, and some time more.
async fn asks_few_at_once(issuer: &TestIssuer, asking: impl Future) {
    let enough = async {
        while issuer.discoveries() < AT_ONCE {
            tokio::task::yield_now().await;
        }
        for _ in 0..2_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = enough => {}
        _ = asking => panic!("nobody answers"),
    }
    assert_eq!(issuer.discoveries(), AT_ONCE);
}

#[tokio::test]
async fn a_thousand_issuers_are_not_asked_at_once() {
    let start = async || {
        let entries = Some(Box::new(silent_realms) as _);
        Stack::with(Wishes { entries, ..Wishes::default() }).await
    };
    let stack = start().await;
    asks_few_at_once(&stack.issuer, stack.ca.tick_issuers()).await;
    let stack = start().await;
    asks_few_at_once(&stack.issuer, stack.ca.refresh_issuers(None, true)).await;
    let issuer = TestIssuer::start(crypto::KeyType::EcdsaP256).await;
    let config = CaConfig::new(silent_realms(&issuer), "http://127.0.0.1:1".parse().unwrap());
    asks_few_at_once(&issuer, ca::probe_issuers(&config)).await;
}
