//! Several entries of one issuer: whose key signed decides, and exactly one must grant.

use crypto::KeyType;
use serde_json::{Value, json};

use crate::{
    issuer::{Answer, TestIssuer},
    jwk::TokenKey,
    stack::{EMAIL, NOW, Reply, Stack, Wishes, client_key, entry, request},
};

/// A stack that believes two clusters which call themselves by the first one's URL.
async fn two_clusters() -> (Stack, TestIssuer) {
    let other = TestIssuer::start(KeyType::EcdsaP256).await;
    let other_keys = format!("{}/keys", other.url);
    let entries = move |issuer: &TestIssuer| {
        let cluster = |name: &str, keys: &str| {
            entry(json!({
                "url": issuer.url, "type": "kubernetes", "cluster": name, "jwks_uri": keys
            }))
        };
        vec![cluster("one", &format!("{}/keys", issuer.url)), cluster("two", &other_keys)]
    };
    (Stack::with(Wishes { entries: Some(Box::new(entries)), ..Wishes::default() }).await, other)
}

const ACCOUNT: &str = "system:serviceaccount:ci:builder";

fn pod(stack: &Stack, key: &TokenKey, key_id: &str, changes: &Value) -> String {
    let mut claims = json!({
        "iss": stack.issuer.url, "aud": "sigstore", "iat": NOW, "exp": NOW + 300, "sub": ACCOUNT,
        "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "builder", "uid": "u"}}
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key.token(&json!({"alg": "ES256", "kid": key_id}), &claims)
}

async fn ask(stack: &Stack, token: &str, challenge: &str) -> Reply {
    stack.post(request(token, &client_key(), challenge).to_string()).await
}

fn name(stack: &Stack, reply: &Reply) -> String {
    stack.verified_leaf(reply).subject_alternative_name().unwrap().as_str().to_owned()
}

#[tokio::test]
async fn two_clusters_of_one_name_are_told_apart_by_whose_key_signed() {
    let (stack, other) = two_clusters().await;
    for _ in 0..2 {
        let one = ask(&stack, &pod(&stack, &stack.issuer.key, "k1", &json!({})), ACCOUNT).await;
        let two = ask(&stack, &pod(&stack, &other.key, "k1", &json!({})), ACCOUNT).await;
        assert!(name(&stack, &one).contains("/clusters/one/"), "{}", name(&stack, &one));
        assert!(name(&stack, &two).contains("/clusters/two/"));
    }
    assert_eq!((stack.issuer.fetches(), other.fetches()), (1, 1));
    let foreign = TokenKey::generate(KeyType::EcdsaP256);
    // Older than what was fetched: a newer one could be signed with a key that was just replaced.
    let older = json!({"iat": NOW - 60});
    let forged = ask(&stack, &pod(&stack, &foreign, "k1", &older), ACCOUNT).await;
    assert!(forged.refused(400, 3).contains("signature does not verify"));
}

#[tokio::test]
async fn a_cluster_that_is_down_does_not_stop_the_other() {
    let (stack, other) = two_clusters().await;
    other.answer_jwks(Answer::Status(500));
    let one = ask(&stack, &pod(&stack, &stack.issuer.key, "k1", &json!({})), ACCOUNT).await;
    assert!(name(&stack, &one).contains("/clusters/one/"));
    // Of whom a token is that the first did not sign, only the second could tell.
    for key in [&other.key, &TokenKey::generate(KeyType::EcdsaP256)] {
        let refused = ask(&stack, &pod(&stack, key, "k1", &json!({})), ACCOUNT).await;
        assert!(refused.refused(503, 14).contains("gives no keys"));
    }
}

#[tokio::test]
async fn a_key_of_two_sources_is_nobodys() {
    let (stack, other) = two_clusters().await;
    other.publish(vec![other.key.jwk("k1"), stack.issuer.key.jwk("k1")]);
    let token = pod(&stack, &stack.issuer.key, "k1", &json!({}));
    // The second is asked only when the first does not know the key.
    let two = ask(&stack, &pod(&stack, &other.key, "k1", &json!({})), ACCOUNT).await;
    assert!(name(&stack, &two).contains("/clusters/two/"));
    let refused = ask(&stack, &token, ACCOUNT).await.refused(400, 3);
    assert!(refused.contains("two entries"), "{refused}");
    assert_eq!(stack.log.submissions(), 1);
}

#[tokio::test]
async fn one_realm_serves_people_and_machines() {
    let entries = |issuer: &TestIssuer| {
        vec![
            entry(json!({"url": issuer.url, "type": "email"})),
            entry(json!({"url": issuer.url, "type": "uri", "subject_domain": "http://127.0.0.1"})),
        ]
    };
    let wishes = Wishes { entries: Some(Box::new(entries)), ..Wishes::default() };
    let stack = Stack::with(wishes).await;
    let machine = "http://127.0.0.1/builder";
    let token = |changes: Value| stack.issuer.token(&stack.claims(&changes));

    let person = ask(&stack, &token(json!({})), EMAIL).await;
    assert_eq!(name(&stack, &person), EMAIL);
    let robot = token(json!({"sub": machine, "email": null}));
    assert_eq!(name(&stack, &ask(&stack, &robot, machine).await), machine);
    assert_eq!(stack.issuer.fetches(), 1, "one source");

    let both = ask(&stack, &token(json!({"sub": machine})), EMAIL).await.refused(400, 3);
    assert!(both.contains("two entries"), "{both}");
    let neither = ask(&stack, &token(json!({"email_verified": false})), EMAIL).await;
    assert!(neither.refused(400, 3).contains("`email_verified` is not true"));
}

/// Of several refusals the one that came furthest is told.
#[tokio::test]
async fn the_most_telling_reason_is_told() {
    let entries = |issuer: &TestIssuer| {
        vec![
            entry(json!({"url": issuer.url, "type": "email", "audiences": ["people"]})),
            entry(json!({
                "url": issuer.url, "type": "uri", "subject_domain": "http://127.0.0.1",
                "audiences": ["machines"]
            })),
        ]
    };
    let wishes = Wishes { entries: Some(Box::new(entries)), ..Wishes::default() };
    let stack = Stack::with(wishes).await;
    for (changes, told) in [
        (json!({"aud": "people", "email_verified": false}), "`email_verified` is not true"),
        (json!({"aud": "machines"}), "`sub` is not a URI below"),
        (json!({"aud": "machines", "exp": NOW}), "expired"),
        (json!({"aud": "other", "exp": NOW}), "audience"),
    ] {
        let token = stack.issuer.token(&stack.claims(&changes));
        let refused = ask(&stack, &token, EMAIL).await.refused(400, 3);
        assert!(refused.contains(told), "{changes}: {refused}");
    }
}

/// What nobody would accept makes nobody fetch anything.
#[tokio::test]
async fn tokens_that_no_key_could_save_cause_no_fetch() {
    let stack = Stack::start().await;
    for changes in [json!({"aud": "other"}), json!({"exp": NOW}), json!({"exp": NOW + 90_000})] {
        let token = stack.issuer.token(&stack.claims(&changes));
        stack.ask(&token).await.refused(400, 3);
    }
    assert_eq!(stack.issuer.fetches(), 0);
}

/// All that kubeadm made are called alike. What nobody's key signed costs no more than a comparison with
/// each.
#[tokio::test]
async fn two_hundred_and_fifty_six_clusters_have_one_issuer_name() {
    let directory = tempfile::tempdir().unwrap();
    let keys: Vec<TokenKey> = (0..256).map(|_| TokenKey::generate(KeyType::EcdsaP256)).collect();
    let file = |number: usize| directory.path().join(format!("{number}.json"));
    for (number, key) in keys.iter().enumerate() {
        let set = json!({"keys": [key.jwk(&format!("k{number}"))]});
        std::fs::write(file(number), set.to_string()).unwrap();
    }
    let files: Vec<_> = (0..256).map(file).collect();
    let entries = move |issuer: &TestIssuer| {
        let cluster = |(number, file): (usize, &std::path::PathBuf)| {
            entry(json!({
                "url": issuer.url, "type": "kubernetes", "cluster": format!("c{number}"),
                "keys_file": file
            }))
        };
        files.iter().enumerate().map(cluster).collect()
    };
    let wishes = Wishes { entries: Some(Box::new(entries)), ..Wishes::default() };
    let stack = Stack::with(wishes).await;
    for number in [0, 255] {
        let token = pod(&stack, &keys[number], &format!("k{number}"), &json!({}));
        let reply = ask(&stack, &token, ACCOUNT).await;
        let cluster = format!("/clusters/c{number}/");
        assert!(name(&stack, &reply).contains(&cluster), "{}", name(&stack, &reply));
    }
    let foreign = TokenKey::generate(KeyType::EcdsaP256);
    for key_id in ["k0", "other"] {
        let begun = std::time::Instant::now();
        let reply = ask(&stack, &pod(&stack, &foreign, key_id, &json!({})), ACCOUNT).await;
        // 503 where the files were read a moment ago.
        assert!(matches!(reply.status.as_u16(), 400 | 503), "{}", reply.status);
        println!("refused a token of key {key_id} after {:?}", begun.elapsed());
    }
    let expired = pod(&stack, &keys[0], "k0", &json!({"exp": NOW}));
    let begun = std::time::Instant::now();
    ask(&stack, &expired, ACCOUNT).await.refused(400, 3);
    println!("refused an expired token after {:?}", begun.elapsed());
}
