//! Keys that outlive a restart, and those that must not.

use std::{fs, os::unix::fs::PermissionsExt};

use crypto::KeyType;
use serde_json::{Value, json};

use crate::{
    issuer::{Answer, TestIssuer},
    jwk::TokenKey,
    key_sources::{Cluster, ask},
    stack::{EMAIL, NOW, Stack, Wishes, client_key, entry, request},
    tls_issuer::{DISCOVERY, JWKS},
};

const HOUR_S: u64 = 60 * 60;

/// A cluster whose keys were kept by a first start at [`NOW`], and which is down since.
async fn kept() -> (Cluster, std::path::PathBuf) {
    let cluster = Cluster::start().await;
    let keys_dir = cluster.file("state");
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW).await;
    stack.verified_leaf(&ask(&stack, &cluster.server.key).await);
    while kept_files(&keys_dir) == 0 {
        tokio::task::yield_now().await;
    }
    for path in [DISCOVERY, JWKS] {
        cluster.server.answer(path, 500, &json!(0));
    }
    (cluster, keys_dir)
}

fn kept_files(directory: &std::path::Path) -> usize {
    let files = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    files.filter(|file| file.path().extension().is_some_and(|end| end == "json")).count()
}

#[tokio::test]
async fn keys_survive_a_restart_while_the_provider_is_down() {
    let (cluster, keys_dir) = kept().await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = fs::read_dir(&keys_dir).unwrap().next().unwrap().unwrap().path();
    assert_eq!((mode(&keys_dir), mode(&file)), (0o700, 0o600));
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + HOUR_S).await;
    assert_eq!(ask(&stack, &cluster.server.key).await.status, 200);
}

#[tokio::test]
async fn kept_keys_are_not_believed_when_old_or_from_the_future() {
    for now in [NOW + 24 * HOUR_S, NOW - 1] {
        let (cluster, keys_dir) = kept().await;
        let stack = cluster.stack(&json!({}), Some(&keys_dir), now).await;
        ask(&stack, &cluster.server.key).await.refused(503, 14);
    }
}

#[tokio::test]
async fn kept_keys_of_another_source_are_not_believed() {
    let changes: [fn(&Cluster) -> Value; 4] = [
        |cluster: &Cluster| {
            json!({"discovery_url": null, "jwks_hosts": null,
            "jwks_uri": format!("https://localhost:{}{JWKS}", cluster.server.port)})
        },
        |cluster: &Cluster| json!({"jwks_hosts": ["127.0.0.1"], "tls_roots_file": cluster.file("ca.crt")}),
        |_: &Cluster| json!({"url": "https://other.example"}),
        |cluster: &Cluster| {
            // Another root in the same file.
            let mut roots = fs::read_to_string(cluster.file("ca.crt")).unwrap();
            roots.push_str(&roots.clone());
            fs::write(cluster.file("ca.crt"), roots).unwrap();
            json!({})
        },
    ];
    for change in changes {
        let (cluster, keys_dir) = kept().await;
        let changes: Value = change(&cluster);
        let stack = cluster.stack(&changes, Some(&keys_dir), NOW + 60).await;
        assert_eq!(stack.ca.issuer_health()[0].age_s, None, "{changes}");
    }
}

#[tokio::test]
async fn spoilt_and_foreign_files_are_passed_over() {
    let (cluster, keys_dir) = kept().await;
    let file = fs::read_dir(&keys_dir).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read(&file).unwrap();
    let known = async || {
        let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + 60).await;
        stack.ca.issuer_health()[0].age_s
    };
    for spoilt in [b"".as_slice(), b"{}", b"[]", &sound[..sound.len() / 2]] {
        fs::write(&file, spoilt).unwrap();
        assert_eq!(known().await, None);
    }
    fs::write(&file, &sound).unwrap();
    assert_eq!(known().await, Some(60));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(known().await, None, "anybody can have written it");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_no_reason_not_to_start() {
    let cluster = Cluster::start().await;
    // A file is in its place: root may write everywhere else.
    let stack = cluster.stack(&json!({}), Some(&cluster.file("token")), NOW).await;
    stack.verified_leaf(&ask(&stack, &cluster.server.key).await);
}

#[tokio::test]
async fn a_refresh_on_order_comes_at_once_and_tells_what_changed() {
    let cluster = Cluster::start().await;
    let stack = cluster.stack(&json!({}), None, NOW).await;
    stack.verified_leaf(&ask(&stack, &cluster.server.key).await);
    let next = TokenKey::generate(KeyType::EcdsaP256);
    cluster.server.answer(JWKS, 200, &json!({"keys": [next.jwk("k2")]}));
    let refreshed = stack.ca.refresh_issuers(None, false).await.remove(0);
    assert_eq!(refreshed.failure, None);
    let id = |keys: &[ca::KeyName]| keys[0].id.clone().unwrap();
    assert_eq!((id(&refreshed.before).as_str(), id(&refreshed.after).as_str()), ("k1", "k2"));
    assert!(stack.ca.refresh_issuers(Some("https://other.example"), false).await.is_empty());
}

/// A key was stolen, and its provider cannot be reached: nothing is believed until it can.
#[tokio::test]
async fn forgotten_keys_are_gone_from_memory_and_disk_though_the_provider_is_down() {
    let (cluster, keys_dir) = kept().await;
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + 60).await;
    assert_eq!(ask(&stack, &cluster.server.key).await.status, 200);
    let kept = stack.ca.refresh_issuers(None, false).await.remove(0);
    assert!(kept.failure.is_some() && kept.after.len() == 1, "not forgotten unless told to");
    let forgotten = stack.ca.refresh_issuers(None, true).await.remove(0);
    assert!(forgotten.failure.unwrap().contains("status 500"));
    assert!(forgotten.after.is_empty());
    ask(&stack, &cluster.server.key).await.refused(503, 14);
    assert_eq!(kept_files(&keys_dir), 0);
    let again = cluster.stack(&json!({}), Some(&keys_dir), NOW + 61).await;
    ask(&again, &cluster.server.key).await.refused(503, 14);
}

/// Issuers of a pattern that granted something need not compete with made-up ones after a restart.
#[tokio::test]
async fn good_issuers_of_a_pattern_survive_a_restart_too() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = TestIssuer::start(KeyType::EcdsaP256).await;
    let pattern = format!("{}/realms/*", issuer.url);
    let start = async || {
        let entry = entry(json!({
            "url_pattern": pattern, "type": "email", "shares_names_with": [&pattern]
        }));
        Stack::with(Wishes {
            entries: Some(Box::new(move |_| vec![entry])),
            keys_dir: Some(directory.path().to_owned()),
            ..Wishes::default()
        })
        .await
    };
    let ask = async |stack: &Stack, realm: &str| {
        let iss = format!("{}/realms/{realm}", issuer.url);
        let token = issuer.token(&stack.claims(&json!({"iss": iss})));
        stack.post(request(&token, &client_key(), EMAIL).to_string()).await.status.as_u16()
    };
    let stack = start().await;
    assert_eq!(ask(&stack, "acme").await, 200);
    assert_eq!(ask(&stack, "made-up").await, 503);
    assert_eq!(kept_files(directory.path()), 1);
    issuer.answer_discovery(Answer::Status(500));
    let stack = start().await;
    assert_eq!(ask(&stack, "acme").await, 200);
}
