//! Discovery, keys, their cache, and issuers that are down, slow or hostile.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crypto::KeyType;
use serde_json::json;
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    issuer::{Answer, TestIssuer},
    jwk::TokenKey,
    stack::{EMAIL, Stack, Wishes, client_key, entry, request},
};

const HOUR_MS: u64 = 60 * 60 * 1000;

/// Refuses to wait long for issuers.
async fn impatient() -> Stack {
    let settings: fn(&mut ca::CaConfig) = |config| config.oidc.timeout_ms = 300;
    Stack::with(Wishes { settings, ..Wishes::default() }).await
}

/// A token valid at the stack's present time.
fn token_now(stack: &Stack, key: &TokenKey, key_id: &str) -> String {
    let now = signing::Clock::now(stack.clock.as_ref()).0;
    let claims = stack.claims(&json!({"iat": now, "exp": now + 300}));
    key.token(&json!({"alg": key.algorithm(), "kid": key_id}), &claims)
}

async fn accepts(stack: &Stack, key: &TokenKey, key_id: &str) -> bool {
    stack.ask(&token_now(stack, key, key_id)).await.status == 200
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_callers() {
    let stack = Arc::new(Stack::start().await);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let stack = Arc::clone(&stack);
        callers.spawn(async move { stack.ask(&stack.token()).await.status });
    }
    while let Some(status) = callers.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(stack.issuer.fetches(), 1);
}

#[tokio::test]
async fn a_request_whose_issuer_was_asked_is_decided_whatever_waits_for_the_threads() {
    let stack = Stack::start().await;
    let told = Arc::new(Notify::new());
    stack.issuer.answer_jwks(Answer::Held(Arc::clone(&told)));
    let token = stack.token();
    let mut asking = Box::pin(stack.ask(&token));
    while stack.issuer.fetches() == 0 {
        let turn = Duration::from_millis(1);
        assert!(tokio::time::timeout(turn, &mut asking).await.is_err());
    }
    let flood = stack.flood().await;
    told.notify_one();
    // Without a thread to run on it can only wait, or be refused.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut asking).await.is_err());
    drop(flood);
    stack.verified_leaf(&asking.await);
}

#[tokio::test]
async fn a_silent_issuer_holds_up_a_bounded_number_of_callers() {
    let stack = Arc::new(Stack::start().await);
    stack.issuer.answer_discovery(Answer::Silence);
    let body = request(&stack.token(), &client_key(), EMAIL).to_string();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..600 {
        let (stack, body) = (Arc::clone(&stack), body.clone());
        callers.spawn(async move { stack.post(body).await });
    }
    let started = Instant::now();
    for _ in 512..600 {
        let refused = callers.join_next().await.unwrap().unwrap();
        assert!(refused.refused(503, 14).contains("gives no keys"));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "the others wait for the time-out");
    assert_eq!(callers.len(), 512);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch_an_interval() {
    let stack = Stack::start().await;
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    let foreign = TokenKey::generate(KeyType::EcdsaP256);
    for round in 1..=2 {
        stack.clock.advance_ms(10_000);
        let token = token_now(&stack, &foreign, &format!("r{round}"));
        assert!(stack.ask(&token).await.refused(400, 3).contains("does not publish"));
        for number in 0..30 {
            let token = token_now(&stack, &foreign, &format!("r{round}-{number}"));
            stack.ask(&token).await.refused(503, 14);
        }
        assert_eq!(stack.issuer.fetches(), 1 + round);
    }
}

/// A token signed with a key that is seconds old is refused for the moment, and told for how long.
#[tokio::test]
async fn an_unknown_key_within_the_interval_is_503_until_the_issuer_was_asked() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    let next = TokenKey::generate(KeyType::EcdsaP256);
    stack.issuer.publish(vec![stack.issuer.key.jwk("k1"), next.jwk("k2")]);
    stack.clock.advance_ms(3_000);
    let reply = stack.ask(&token_now(&stack, &next, "k2")).await;
    assert!(reply.refused(503, 14).contains("gives no keys"));
    assert_eq!(reply.headers[http::header::RETRY_AFTER], "7");
    stack.clock.advance_ms(7_000);
    assert!(accepts(&stack, &next, "k2").await);
    let never = stack.ask(&token_now(&stack, &next, "k3")).await;
    never.refused(503, 14);
    stack.clock.advance_ms(10_000);
    let never = stack.ask(&token_now(&stack, &next, "k3")).await;
    assert!(never.refused(400, 3).contains("does not publish"), "after it was asked");
    // Of a token that is older than the issuer's last answer, that answer is the last word.
    let old = stack.claims(&json!({"exp": signing::Clock::now(stack.clock.as_ref()).0 + 300}));
    let old = next.token(&json!({"alg": "ES256", "kid": "k4"}), &old);
    assert!(stack.ask(&old).await.refused(400, 3).contains("does not publish"));
    assert_eq!(stack.issuer.fetches(), 3);
}

/// dex and others keep an id for a new key.
#[tokio::test]
async fn a_key_that_was_replaced_under_its_id_is_fetched_again() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    let next = TokenKey::generate(KeyType::EcdsaP256);
    stack.issuer.publish(vec![next.jwk("k1")]);
    stack.clock.advance_ms(4_000);
    let reply = stack.ask(&token_now(&stack, &next, "k1")).await;
    reply.refused(503, 14);
    assert_eq!(reply.headers[http::header::RETRY_AFTER], "6");
    stack.clock.advance_ms(6_000);
    assert!(accepts(&stack, &next, "k1").await);
    assert!(!accepts(&stack, &stack.issuer.key, "k1").await, "the old key is gone");
    assert_eq!(stack.issuer.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_bad_signatures_causes_one_fetch_an_interval() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    let foreign = TokenKey::generate(KeyType::EcdsaP256);
    for round in 1..=2 {
        stack.clock.advance_ms(10_000);
        let bad = token_now(&stack, &foreign, "k1");
        let refused = stack.ask(&bad).await.refused(400, 3);
        assert!(refused.contains("signature does not verify"), "{refused}");
        for _ in 0..30 {
            stack.ask(&bad).await.refused(503, 14);
        }
        assert!(accepts(&stack, &stack.issuer.key, "k1").await);
        assert_eq!(stack.issuer.fetches(), 1 + round);
    }
}

/// A silent issuer keeps those who bring bad signatures; whoever has a good one waits for nobody.
#[tokio::test]
async fn bad_signatures_wait_in_few_places_and_not_before_good_ones() {
    let stack = Arc::new(impatient().await);
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    stack.issuer.answer_jwks(Answer::Silence);
    stack.clock.advance_ms(10_000);
    let foreign = TokenKey::generate(KeyType::EcdsaP256);
    let body = request(&token_now(&stack, &foreign, "k1"), &client_key(), EMAIL).to_string();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..80 {
        let (stack, body) = (Arc::clone(&stack), body.clone());
        callers.spawn(async move { stack.post(body).await });
    }
    for _ in 64..80 {
        callers.join_next().await.unwrap().unwrap().refused(503, 14);
    }
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    assert_eq!(callers.len(), 64);
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_a_removed_one_forgotten() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    let next = TokenKey::generate(KeyType::EcdsaP256);
    stack.issuer.publish(vec![next.jwk("k2")]);
    stack.clock.advance_ms(10_000);
    assert!(accepts(&stack, &next, "k2").await);
    assert!(!accepts(&stack, &stack.issuer.key, "k1").await);
}

#[tokio::test]
async fn keys_of_long_ago_are_fetched_again_before_use() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    stack.issuer.publish(vec![TokenKey::generate(KeyType::EcdsaP256).jwk("k2")]);
    stack.clock.advance_ms(HOUR_MS);
    assert!(!accepts(&stack, &stack.issuer.key, "k1").await);
    assert_eq!(stack.issuer.fetches(), 2);
}

#[tokio::test]
async fn last_good_keys_count_while_the_issuer_is_down_but_not_for_ever() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    let unusable = json!({"keys": [{"kty": "oct", "kid": "k1", "k": "AAAA"}]});
    for answer in [Answer::Status(503), Answer::Json(unusable), Answer::Json(json!("?"))] {
        stack.issuer.answer_jwks(answer);
        stack.clock.advance_ms(HOUR_MS);
        assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    }
    stack.clock.advance_ms(24 * HOUR_MS);
    stack.ask(&token_now(&stack, &stack.issuer.key, "k1")).await.refused(503, 14);
    stack.issuer.answer_jwks(Answer::AsIs);
    stack.clock.advance_ms(10_000);
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_503_and_tried_again_soon() {
    let stack = Stack::start().await;
    stack.issuer.answer_discovery(Answer::Status(500));
    stack.ask(&stack.token()).await.refused(503, 14);
    stack.issuer.answer_discovery(Answer::AsIs);
    stack.ask(&stack.token()).await.refused(503, 14);
    stack.clock.advance_ms(1_000);
    stack.verified_leaf(&stack.ask(&stack.token()).await);
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let foreign = TestIssuer::start(KeyType::EcdsaP256).await;
    let stack = Stack::start().await;
    let elsewhere = format!("{}/.well-known/openid-configuration", foreign.url);
    stack.issuer.answer_discovery(Answer::RedirectTo(elsewhere));
    stack.ask(&stack.token()).await.refused(500, 13);

    let stack = Stack::start().await;
    stack.issuer.answer_jwks(Answer::RedirectTo(format!("{}/keys", foreign.url)));
    stack.ask(&stack.token()).await.refused(500, 13);

    let stack = Stack::start().await;
    let itself = format!("{}/keys", stack.issuer.url);
    stack.issuer.answer_jwks(Answer::RedirectTo(itself));
    stack.ask(&stack.token()).await.refused(500, 13);
    assert_eq!((foreign.fetches(), stack.issuer.fetches()), (0, 1));
}

#[tokio::test]
async fn metadata_of_another_issuer_or_with_foreign_keys_is_refused() {
    let foreign = TestIssuer::start(KeyType::EcdsaP256).await;
    let stack = Stack::start().await;
    let own = stack.issuer.url.clone();
    let other_port = format!("{}/keys", foreign.url);
    let https = own.replacen("http", "https", 1);
    // What lasts until a setting is changed is 500: trying again would be of no use.
    for (metadata, status) in [
        (json!({"issuer": foreign.url, "jwks_uri": format!("{own}/keys")}), 500),
        (json!({"issuer": format!("{own}/"), "jwks_uri": format!("{own}/keys")}), 500),
        (json!({"issuer": own, "jwks_uri": other_port}), 500),
        (json!({"issuer": own, "jwks_uri": format!("{https}/keys")}), 500),
        (json!({"issuer": own, "jwks_uri": "/keys"}), 503),
        (json!({"issuer": own, "jwks_uri": "file:///etc/passwd"}), 500),
        (json!({"issuer": own}), 503),
        (json!({"jwks_uri": format!("{own}/keys")}), 503),
        (json!([]), 503),
    ] {
        stack.issuer.answer_discovery(Answer::Json(metadata.clone()));
        stack.clock.advance_ms(10_000);
        stack
            .ask(&token_now(&stack, &stack.issuer.key, "k1"))
            .await
            .refused(status, if status == 500 { 13 } else { 14 });
        assert_eq!((stack.issuer.fetches(), foreign.fetches()), (0, 0), "{metadata}");
    }
}

#[tokio::test]
async fn documents_without_end_and_silent_issuers_cost_little() {
    for answer in [Answer::Endless, Answer::Silence] {
        let stack = impatient().await;
        stack.issuer.answer_jwks(answer.clone());
        let started = Instant::now();
        stack.ask(&stack.token()).await.refused(503, 14);
        assert!(started.elapsed() < Duration::from_secs(3), "{answer:?}: {:?}", started.elapsed());

        let stack = impatient().await;
        stack.issuer.answer_discovery(answer);
        stack.ask(&stack.token()).await.refused(503, 14);
    }
}

#[tokio::test]
async fn an_issuer_that_fell_silent_is_waited_for_once() {
    let stack = impatient().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    stack.issuer.answer_jwks(Answer::Silence);
    stack.clock.advance_ms(HOUR_MS);
    assert!(accepts(&stack, &stack.issuer.key, "k1").await, "after waiting for a time-out");
    stack.clock.advance_ms(10_000);
    let asked = stack.issuer.fetches();
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    assert!(stack.issuer.fetches() <= asked + 1, "the fetch runs beside the answer");
}

#[tokio::test]
async fn callers_that_give_up_do_not_break_off_a_fetch() {
    let stack = Stack::start().await;
    {
        let token = stack.token();
        let mut asking = std::pin::pin!(stack.ask(&token));
        // Polled until the fetch is under way, then dropped.
        while stack.issuer.fetches() == 0 {
            let once = std::future::poll_fn(|context| {
                let _ = asking.as_mut().poll(context);
                std::task::Poll::Ready(())
            });
            once.await;
            tokio::task::yield_now().await;
        }
    }
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    assert_eq!(stack.issuer.fetches(), 1);
}

#[tokio::test]
async fn symmetric_keys_in_the_set_verify_nothing() {
    let stack = Stack::start().await;
    stack.issuer.publish(vec![
        json!({"kty": "oct", "kid": "k1", "k": "c2VjcmV0", "alg": "HS256"}),
        stack.issuer.key.jwk("k1"),
    ]);
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
}

/// One passes by itself, the other waits for an operator: not the same status, word or advice.
#[tokio::test]
async fn a_misconfigured_issuer_is_told_from_one_that_is_away() {
    for (answer, status, code, word) in [
        (Answer::Status(403), 500, 13, "issuer_misconfigured"),
        (
            Answer::Json(
                json!({"issuer": "https://other.example", "jwks_uri": "https://other.example/k"}),
            ),
            500,
            13,
            "issuer_misconfigured",
        ),
        (Answer::Status(502), 503, 14, "issuer_unavailable"),
        // What a proxy says of a provider that is being restarted.
        (Answer::Status(404), 503, 14, "issuer_unavailable"),
        (Answer::Status(429), 503, 14, "issuer_unavailable"),
    ] {
        let stack = Stack::start().await;
        stack.issuer.answer_discovery(answer.clone());
        let reply = stack.ask(&stack.token()).await;
        let said = reply.refused(status, code);
        assert!(said.contains(&format!("issuer `{}`", stack.issuer.url)), "{said}");
        assert_eq!(reply.headers["countersign-reason"], word, "{answer:?}");
        assert_eq!(reply.headers.contains_key("retry-after"), status == 503, "{answer:?}");
    }
}

/// As an administrator takes a stolen key away: the set is sound and empty, so the last key goes.
#[tokio::test]
async fn an_empty_set_withdraws_the_last_key() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    stack.issuer.answer_jwks(Answer::Json(json!({"keys": []})));
    let refreshed = stack.ca.refresh_issuers(None, false).await.remove(0);
    assert!(refreshed.after.is_empty());
    assert_eq!(refreshed.failure.unwrap(), "the issuer publishes no keys: its set is empty");
    stack.ask(&token_now(&stack, &stack.issuer.key, "k1")).await.refused(503, 14);
    stack.issuer.answer_jwks(Answer::AsIs);
    stack.clock.advance_ms(1_000);
    assert!(accepts(&stack, &stack.issuer.key, "k1").await, "and comes back with a key");
}

/// The provider's clock is behind, or both events are in one second of `iat`.
#[tokio::test]
async fn a_key_replaced_just_after_the_fetch_is_not_yet_whatever_the_clocks_say() {
    let stack = Stack::start().await;
    assert!(accepts(&stack, &stack.issuer.key, "k1").await);
    let next = TokenKey::generate(KeyType::EcdsaP256);
    stack.issuer.publish(vec![next.jwk("k1")]);
    stack.clock.advance_ms(500);
    let now = signing::Clock::now(stack.clock.as_ref()).0;
    let made = |behind_s: u64| {
        let claims = stack.claims(&json!({"iat": now - behind_s, "exp": now + 300}));
        next.token(&json!({"alg": "ES256", "kid": "k1"}), &claims)
    };
    for behind_s in [0, 5, 59] {
        let reply = stack.ask(&made(behind_s)).await;
        reply.refused(503, 14);
        assert_eq!(reply.headers[http::header::RETRY_AFTER], "10", "{behind_s}");
    }
    let older = stack.ask(&made(60)).await.refused(400, 3);
    assert!(older.contains("signature does not verify"), "an honest refusal stays final: {older}");
    stack.clock.advance_ms(9_500);
    assert_eq!(stack.ask(&made(5)).await.status, 200);
}

/// As when a company's way out breaks: all its issuers at once, and strangers who write tokens.
#[tokio::test]
async fn many_silent_issuers_leave_places_for_the_tokens_of_others() {
    const SILENT: usize = 12;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let urls: Vec<String> = (0..SILENT).map(|number| format!("{base}/{number}")).collect();
    let of = urls.clone();
    let entries = move |issuer: &TestIssuer| {
        let email = |(number, url): (usize, &String)| {
            let domain = format!("d{number}.example").replace("d0.example", "example.com");
            entry(json!({"url": url, "type": "email", "domains": [domain]}))
        };
        [&issuer.url].into_iter().chain(&of).enumerate().map(email).collect()
    };
    let settings: fn(&mut ca::CaConfig) = |config| config.oidc.timeout_ms = 20_000;
    let wishes = Wishes { settings, entries: Some(Box::new(entries)), ..Wishes::default() };
    let stack = Arc::new(Stack::with(wishes).await);
    let bodies: Vec<String> = urls
        .iter()
        .map(|url| {
            let token = stack.issuer.token(&stack.claims(&json!({"iss": url})));
            request(&token, &client_key(), EMAIL).to_string()
        })
        .collect();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..48 {
        for body in bodies.iter().cycle().take(100).cloned() {
            let stack = Arc::clone(&stack);
            callers.spawn(async move { stack.post(body).await.status });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // All others are sent away at once.
    let quiet = Duration::from_secs(2);
    while let Ok(Some(_)) = tokio::time::timeout(quiet, callers.join_next()).await {}
    // Its keys are not even known yet.
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    assert!((900..=1024).contains(&callers.len()), "{} wait", callers.len());
}
