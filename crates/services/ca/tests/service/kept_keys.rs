//! Keys that outlive a restart, and those that must not.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use crypto::KeyType;
use serde_json::{Value, json};

use crate::{
    issuer::{Answer, TestIssuer},
    jwk::TokenKey,
    key_sources::{CLUSTER, Cluster, ask},
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

/// As when the configuration changes while the process runs: no directory is needed for it.
#[tokio::test]
async fn a_ca_that_replaces_another_goes_on_with_its_keys_and_takes_none_of_another_source() {
    let cluster = Cluster::start().await;
    let old = cluster.stack(&json!({}), None, NOW).await;
    old.verified_leaf(&ask(&old, &cluster.server.key).await);
    for path in [DISCOVERY, JWKS] {
        cluster.server.answer(path, 500, &json!(0));
    }
    let same = cluster.stack(&json!({}), None, NOW).await;
    same.ca.take_over_keys(&old.ca);
    assert_eq!(ask(&same, &cluster.server.key).await.status, 200);
    let change = json!({"jwks_hosts": ["127.0.0.1"], "tls_roots_file": cluster.file("ca.crt")});
    let other = cluster.stack(&change, None, NOW).await;
    other.ca.take_over_keys(&same.ca);
    ask(&other, &cluster.server.key).await.refused(503, 14);
    // Its keys are too old in a day, as they would have been there.
    let later = cluster.stack(&json!({}), None, NOW + 25 * HOUR_S).await;
    later.ca.take_over_keys(&same.ca);
    ask(&later, &cluster.server.key).await.refused(503, 14);
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
        assert_eq!(stack.ca.issuer_health()[0].age, None, "{changes}");
    }
}

#[tokio::test]
async fn spoilt_and_foreign_files_are_passed_over() {
    let (cluster, keys_dir) = kept().await;
    let file = fs::read_dir(&keys_dir).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read(&file).unwrap();
    let known = async || {
        let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + 60).await;
        stack.ca.issuer_health()[0].age
    };
    for spoilt in [b"".as_slice(), b"{}", b"[]", &sound[..sound.len() / 2]] {
        fs::write(&file, spoilt).unwrap();
        assert_eq!(known().await, None);
    }
    fs::write(&file, &sound).unwrap();
    assert_eq!(known().await, Some(Duration::from_mins(1)));
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

/// What could not be used at this start may be at the next.
#[tokio::test]
async fn an_order_to_forget_says_when_it_cannot_reach_what_is_kept() {
    let (cluster, keys_dir) = kept().await;
    let link = cluster.file("link");
    symlink(&keys_dir, &link).unwrap();
    cluster.server.answer(
        DISCOVERY,
        200,
        &json!({"issuer": CLUSTER,
        "jwks_uri": format!("https://127.0.0.1:{}{JWKS}", cluster.server.port)}),
    );
    cluster.server.answer(JWKS, 200, &json!({"keys": [cluster.server.key.jwk("k1")]}));
    let forget = async |place: &Path| {
        let stack = cluster.stack(&json!({}), Some(place), NOW + 60).await;
        stack.ca.refresh_issuers(None, true).await.remove(0).failure
    };
    let said = forget(&link).await.unwrap();
    assert!(said.contains("is still there") && said.contains("remove what it holds"), "{said}");
    assert_eq!(forget(&cluster.file("token")).await, None, "there is nothing in a file");
}

/// The state was restored from a backup of before the order: the provider, which is up, decides.
#[tokio::test]
async fn a_forgotten_key_does_not_come_back_with_an_older_copy_of_the_state() {
    let cluster = Cluster::start().await;
    let keys_dir = cluster.file("state");
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW).await;
    assert_eq!(ask(&stack, &cluster.server.key).await.status, 200);
    while kept_files(&keys_dir) == 0 {
        tokio::task::yield_now().await;
    }
    let file = fs::read_dir(&keys_dir).unwrap().next().unwrap().unwrap().path();
    let backup = fs::read(&file).unwrap();
    let next = TokenKey::generate(KeyType::EcdsaP256);
    cluster.server.answer(JWKS, 200, &json!({"keys": [next.jwk("k2")]}));
    let forgotten = stack.ca.refresh_issuers(None, true).await.remove(0);
    assert_eq!(forgotten.failure, None);

    fs::write(&file, &backup).unwrap();
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + 1).await;
    ask(&stack, &cluster.server.key).await.refused(400, 3);

    // The same without a caller: what is known is renewed by the first look, whatever its age.
    fs::write(&file, &backup).unwrap();
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + 1).await;
    stack.ca.tick_issuers().await;
    assert_eq!(stack.ca.issuer_health()[0].keys[0].id.as_deref(), Some("k2"));
}

#[tokio::test]
async fn links_are_not_followed() {
    let (cluster, keys_dir) = kept().await;
    let known = async |keys_dir: &Path| {
        let stack = cluster.stack(&json!({}), Some(keys_dir), NOW + 60).await;
        stack.ca.issuer_health()[0].age
    };
    let link = cluster.file("link");
    symlink(&keys_dir, &link).unwrap();
    assert_eq!(known(&link).await, None);
    let said = ca::check_keys_dir(&link).unwrap_err();
    assert!(said.contains("is a symbolic link") && said.contains("keys of their own"), "{said}");
    assert_eq!(known(&keys_dir).await, Some(Duration::from_mins(1)));
    let file = fs::read_dir(&keys_dir).unwrap().next().unwrap().unwrap().path();
    fs::rename(&file, cluster.file("elsewhere")).unwrap();
    symlink(cluster.file("elsewhere"), &file).unwrap();
    assert_eq!(known(&keys_dir).await, None);
}

#[test]
fn a_place_for_keys_is_checked_without_making_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("state/issuer-keys");
    assert_eq!(ca::check_keys_dir(&missing), Ok(()));
    assert!(!directory.path().join("state").exists());
    fs::write(directory.path().join("state"), "a file").unwrap();
    let said = ca::check_keys_dir(&missing).unwrap_err();
    assert!(said.contains("state") && said.contains("ot a directory"), "{said}");
}

/// Orders name an issuer that is known: of one that is not any more nothing may be left.
#[tokio::test]
async fn an_issuer_that_a_pattern_has_no_room_for_leaves_nothing_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let entries = |issuer: &TestIssuer| {
        let pattern = format!("{}/realms/*", issuer.url);
        vec![entry(json!({
        "url_pattern": pattern, "type": "email", "shares_names_with": [&pattern]
        }))]
    };
    let stack = Stack::with(Wishes {
        entries: Some(Box::new(entries)),
        keys_dir: Some(directory.path().to_owned()),
        ..Wishes::default()
    })
    .await;
    for number in 0..=256 {
        let iss = format!("{}/realms/r{number}", stack.issuer.url);
        let now = signing::Clock::now(stack.clock.as_ref()).0;
        let claims = json!({"iss": iss, "iat": now, "exp": now + 300});
        let token = stack.issuer.token(&stack.claims(&claims));
        assert_eq!(stack.ask(&token).await.status, 200, "{number}");
        stack.clock.advance_ms(1_000);
    }
    assert_eq!(kept_files(directory.path()), 256);
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

/// A pattern whose issuers were kept by a first start, and a file of one more that nothing knows of.
#[tokio::test]
async fn an_order_to_forget_reaches_issuers_of_a_pattern_that_are_on_disk_alone() {
    for by_pattern in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let entries = |issuer: &TestIssuer| {
            let pattern = format!("{}/realms/*", issuer.url);
            vec![entry(json!({
            "url_pattern": pattern, "type": "email", "shares_names_with": [&pattern]
            }))]
        };
        let stack = Stack::with(Wishes {
            entries: Some(Box::new(entries)),
            keys_dir: Some(directory.path().to_owned()),
            ..Wishes::default()
        })
        .await;
        let iss = format!("{}/realms/stolen", stack.issuer.url);
        let token = stack.issuer.token(&stack.claims(&json!({"iss": iss})));
        assert_eq!(stack.ask(&token).await.status, 200);
        let file = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
        let kept = fs::read(&file).unwrap();
        // Out of memory with a failed removal, or restored from a backup.
        stack.ca.refresh_issuers(None, true).await;
        let restart = || {
            let url = stack.issuer.url.clone();
            let pattern = format!("{url}/realms/*");
            let entry = entry(json!({
            "url_pattern": pattern, "type": "email", "shares_names_with": [&pattern]
            }));
            Stack::with(Wishes {
                entries: Some(Box::new(move |_| vec![entry])),
                keys_dir: Some(directory.path().to_owned()),
                ..Wishes::default()
            })
        };
        let again = restart().await;
        fs::write(&file, &kept).unwrap();
        stack.issuer.answer_discovery(Answer::Status(500));
        let pattern = format!("{}/realms/*", stack.issuer.url);
        let named = if by_pattern { &pattern } else { &iss };
        let refreshed = again.ca.refresh_issuers(Some(named), true).await;
        assert_eq!((refreshed.len(), refreshed[0].issuer.as_str()), (1, iss.as_str()));
        assert_eq!(kept_files(directory.path()), 0, "{named}");
        let foreign = format!("{}/other/stolen", stack.issuer.url);
        assert!(again.ca.refresh_issuers(Some(&foreign), true).await.is_empty());
    }
}

/// More are on disk than a pattern has places: those that were used last are taken up.
#[tokio::test]
async fn the_newest_of_a_patterns_kept_keys_are_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let issuer = TestIssuer::start(KeyType::EcdsaP256).await;
    let pattern = format!("{}/realms/*", issuer.url);
    let start = async |now: u64| {
        let entry = entry(json!({
        "url_pattern": pattern, "type": "email", "shares_names_with": [&pattern]
        }));
        Stack::with(Wishes {
            entries: Some(Box::new(move |_| vec![entry])),
            keys_dir: Some(directory.path().to_owned()),
            now,
            ..Wishes::default()
        })
        .await
    };
    let stack = start(NOW).await;
    let mut files = Vec::new();
    for number in 0..300_u64 {
        let iss = format!("{}/realms/r{number}", issuer.url);
        let now = signing::Clock::now(stack.clock.as_ref()).0;
        let claims = json!({"iss": iss, "iat": now, "exp": now + 300});
        let reply = stack.ask(&issuer.token(&stack.claims(&claims))).await;
        assert_eq!(reply.status, 200);
        stack.clock.advance_ms(1_000);
        if number < 44 {
            // Those that will be pushed out.
            for file in fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()) {
                if !files.iter().any(|(known, _)| *known == file) {
                    files.push((file.clone(), fs::read(&file).unwrap()));
                }
            }
        }
    }
    for (file, content) in files {
        fs::write(file, content).unwrap();
    }
    assert_eq!(kept_files(directory.path()), 300);
    let stack = start(NOW + 400).await;
    let taken_up = stack.ca.issuer_health();
    assert_eq!(taken_up.len(), 256);
    let oldest = taken_up.iter().filter_map(|health| health.age).max();
    assert!(oldest.unwrap().as_secs() <= 400 - 44, "{oldest:?}");
    assert_eq!(kept_files(directory.path()), 256, "the others are removed");
}

/// Whoever owns the directory can bring back what was forgotten, or hide it.
#[tokio::test]
async fn a_directory_of_others_is_not_used() {
    let (cluster, keys_dir) = kept().await;
    let known = async || {
        let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW + 60).await;
        stack.ca.issuer_health()[0].age
    };
    let mode = |mode| fs::set_permissions(&keys_dir, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    assert_eq!(known().await, None);
    let said = ca::check_keys_dir(&keys_dir).unwrap_err();
    assert!(said.contains("chmod o-w"), "{said}");
    mode(0o770);
    assert_eq!(known().await, Some(Duration::from_mins(1)));
    // Only root can give it away.
    if std::os::unix::fs::chown(&keys_dir, Some(65534), None).is_ok() {
        assert_eq!(known().await, None);
        let said = ca::check_keys_dir(&keys_dir).unwrap_err();
        assert!(said.contains("belongs to user 65534"), "{said}");
    }
}

/// A link with the name of the probe led to a file that was emptied.
#[tokio::test]
async fn trying_whether_it_can_write_touches_nothing_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let keys_dir = directory.path().join("issuer-keys");
    fs::create_dir(&keys_dir).unwrap();
    symlink(&victim, keys_dir.join(".writable")).unwrap();
    assert_eq!(ca::check_keys_dir(&keys_dir), Ok(()));
    assert!(keys_dir.join(".writable").is_symlink());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_dir(&keys_dir).unwrap().count(), 1);
}

#[tokio::test]
async fn an_empty_set_leaves_nothing_on_disk_and_a_broken_one_everything() {
    let cluster = Cluster::start().await;
    let keys_dir = cluster.file("state");
    let stack = cluster.stack(&json!({}), Some(&keys_dir), NOW).await;
    stack.verified_leaf(&ask(&stack, &cluster.server.key).await);
    while kept_files(&keys_dir) == 0 {
        tokio::task::yield_now().await;
    }
    for unusable in [json!("<html>"), json!({"keys": [{"kty": "oct", "k": "AAAA"}]})] {
        cluster.server.answer(JWKS, 200, &unusable);
        let kept = stack.ca.refresh_issuers(None, false).await.remove(0);
        assert_eq!((kept.after.len(), kept_files(&keys_dir)), (1, 1), "{unusable}");
    }
    cluster.server.answer(JWKS, 200, &json!({"keys": []}));
    stack.ca.refresh_issuers(None, false).await;
    assert_eq!(kept_files(&keys_dir), 0);
    ask(&stack, &cluster.server.key).await.refused(503, 14);
}
