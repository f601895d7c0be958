//! `POST /api/v1/index/retrieve`.

use std::sync::Arc;

use crypto::{LocalSigner, sha256};
use rekor::Rekor1Options;
use serde_json::{Value, json};
use testlog::{Flood, LogDir, cpu, for_names, hostile_bodies, post};

use super::{
    ENTRIES, RETRIEVE, assert_error, b64, bytes, create, create_many, entries_of, get_entry,
    hashedrekord, hashedrekord_of, pem_of, rekor1_of, router, router_of,
};

const SEARCH: &str = "/api/v1/index/retrieve";

async fn search(router: &axum::Router, query: Value) -> Vec<String> {
    let answer = post(router, SEARCH, query.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

/// A proposed entry by a certificate with these names, and the certificate in PEM.
fn by_certificate(names: &[&str], artifact: &[u8]) -> (Value, String) {
    let (der, key) = for_names(names);
    let signer = LocalSigner::from_pkcs8_pem(&key.serialize_pem(), "client").unwrap();
    let pem = pem_of(&der);
    (hashedrekord_of(artifact, &signer.sign_now(artifact).unwrap(), &pem), pem)
}

#[tokio::test]
async fn gives_what_a_common_word_finds_in_pages() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let names = ["alice@acme.example"];
    let mut ids = Vec::new();
    for artifact in [b"a", b"b", b"c", b"d", b"e"] {
        let (request, _) = by_certificate(&names, artifact);
        ids.push(create(&place, &router, &request).await.id);
    }
    ids.reverse();
    let query = json!({"email": names[0]}).to_string();
    let page = async |parameters: &str| {
        let answer = post(&router, &format!("{SEARCH}?{parameters}"), query.clone()).await;
        (answer.status.as_u16(), serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    assert_eq!(page("limit=2").await, (200, json!(ids[..2])));
    assert_eq!(page(&format!("limit=2&after={}", ids[1])).await, (200, json!(ids[2..4])));
    assert_eq!(page(&format!("after={}", ids[3])).await, (200, json!(ids[4..])));
    assert_eq!(page(&format!("after={}", ids[4])).await, (200, json!([])));
    assert_eq!(page("limit=99999").await, (200, json!(ids)));
    let unknown = "0".repeat(64);
    for (wrong, status) in
        [("limit=0", 422), ("limit=x", 422), ("after=x", 422), (&format!("after={unknown}"), 400)]
    {
        assert_eq!(page(wrong).await.0, status, "{wrong}");
    }
}

#[tokio::test]
async fn a_page_that_is_not_the_last_one_says_how_the_next_is_asked_for() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let names = ["alice@acme.example"];
    for artifact in [b"a", b"b", b"c", b"d"] {
        let (request, _) = by_certificate(&names, artifact);
        create(&place, &router, &request).await;
    }
    let query = json!({"email": names[0]}).to_string();
    let page = async |parameters: &str| {
        let answer = post(&router, &format!("{SEARCH}{parameters}"), query.clone()).await;
        let ids: Vec<String> = serde_json::from_slice(&answer.body).unwrap();
        let link = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        (ids, link)
    };
    let (all, link) = page("").await;
    assert_eq!((all.len(), link), (4, None));
    let (first, link) = page("?limit=2").await;
    let link = link.unwrap();
    let next =
        link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let (second, link) = page(next).await;
    assert_eq!(link, None, "the last one, and full");
    assert_eq!([first, second].concat(), all);
}

#[tokio::test]
async fn finds_entries_by_hash_key_address_and_name() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    create_many(&place, &router, 3).await;
    let names = ["Alice@Acme.example", "https://ci.example/Build.yml"];
    let (request, pem) = by_certificate(&names, b"x");
    let entry = create(&place, &router, &request).await;
    let digest = hex::encode(sha256(b"x"));
    for query in [
        json!({"hash": digest}),
        json!({"hash": format!("sha256:{digest}")}),
        json!({"hash": digest.to_uppercase()}),
        json!({"email": "alice@acme.example"}),
        json!({"email": "ALICE@ACME.EXAMPLE"}),
        json!({"subject": "alice@acme.example"}),
        json!({"subject": "https://ci.example/build.yml"}),
        json!({"publicKey": {"format": "x509", "content": b64(&pem)}}),
        json!({"hash": digest, "email": "alice@acme.example", "operator": "and"}),
        json!({"hash": digest, "subject": "https://ci.example/Build.yml", "operator": "and"}),
        json!({"hash": digest, "email": "nobody@acme.example"}),
        json!({"hash": digest, "email": "nobody@acme.example", "operator": "or"}),
    ] {
        assert_eq!(search(&router, query.clone()).await, [entry.id.as_str()], "{query}");
    }
    for query in [
        json!({"hash": digest, "email": "nobody@acme.example", "operator": "and"}),
        json!({"hash": "0".repeat(64)}),
        json!({"hash": format!("sha512:{}", "0".repeat(128))}),
        json!({"hash": format!("sha1:{}", "0".repeat(40))}),
        json!({"email": "https://ci.example/build.yml"}),
    ] {
        assert_eq!(search(&router, query.clone()).await, [] as [String; 0], "{query}");
    }
    running.stop().await;
}

/// As `base64` and `openssl enc` write it: lines of `length`, a line end after the last.
fn wrapped(base64: &str, length: usize, end: &str) -> String {
    let lines = base64.as_bytes().chunks(length).map(|line| str::from_utf8(line).unwrap());
    lines.map(|line| line.to_owned() + end).collect()
}

#[tokio::test]
async fn an_entry_that_was_submitted_in_wrapped_base64_is_found_by_the_same_text() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let (plain, pem) = by_certificate(&["a@acme.example"], b"wrapped");
    for (length, end) in [(64, "\n"), (76, "\r\n"), (1000, "\n")] {
        let mut request = plain.clone();
        let signature = &mut request["spec"]["signature"];
        let content = json!(wrapped(&b64(&pem), length, end));
        signature["publicKey"]["content"] = content.clone();
        let bare = signature["content"].as_str().unwrap();
        signature["content"] = wrapped(bare, length, end).into();
        // One entry, however its request was written: the body is the canonical one.
        let entry = create(&place, &router, &request).await;
        assert_eq!(entry.index, 0);
        let query = json!({"publicKey": {"format": "x509", "content": content}});
        assert_eq!(search(&router, query).await, [entry.id.as_str()]);
        for proposal in [&request, &plain] {
            let query = json!({"entries": [proposal]}).to_string();
            let found = entries_of(&place, &post(&router, RETRIEVE, query).await);
            assert!(found.len() == 1 && found[0].is_same(&entry));
        }
        let body: Value = serde_json::from_slice(&entry.body).unwrap();
        let key = String::from_utf8(bytes(&body["spec"]["signature"]["publicKey"]["content"]));
        assert_eq!(key.unwrap().trim_end(), pem.trim_end());
    }
    running.stop().await;
}

#[tokio::test]
async fn gives_the_newest_first_and_ids_that_lead_to_entries() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let mut ids = Vec::new();
    for number in 0..5 {
        let (request, _) = by_certificate(&["a@acme.example"], format!("{number}").as_bytes());
        ids.push(create(&place, &router, &request).await.id);
    }
    ids.reverse();
    let found = search(&router, json!({"email": "a@acme.example"})).await;
    assert_eq!(found, ids);
    for id in found {
        get_entry(&place, &router, &format!("{ENTRIES}/{id}")).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn an_entry_is_found_as_soon_as_its_creation_is_answered() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for number in 0..20 {
        let artifact = format!("{number}");
        let entry = create(&place, &router, &hashedrekord(artifact.as_bytes())).await;
        let hash = hex::encode(sha256(artifact.as_bytes()));
        assert_eq!(search(&router, json!({ "hash": hash })).await, [entry.id]);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_chain_is_read_on_the_threads_for_computing() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let pool = cpu();
    let rekor1 =
        rekor1_of(&running, Arc::clone(&place.signer), pool.clone(), Rekor1Options::default());
    let router = router_of(rekor1);

    let flood = Flood::of(&pool).await;
    let (_, pem) = by_certificate(&["a@acme.example"], b"x");
    let query = json!({"publicKey": {"format": "x509", "content": b64(&pem)}});
    assert_eq!(post(&router, SEARCH, query.to_string()).await.status, 503);
    assert_eq!(search(&router, json!({"email": "a@acme.example"})).await, [] as [String; 0]);
    flood.end().await;
    running.stop().await;
}

#[tokio::test]
async fn refuses_questions_without_a_word_or_in_another_form() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let hash = "0".repeat(64);
    for (query, status) in [
        (json!({}), 400),
        (json!({"operator": "and"}), 400),
        (json!({"email": "", "hash": ""}), 400),
        (json!({"publicKey": {"format": "x509"}}), 400),
        (json!({"publicKey": {"format": "x509", "content": b64("no key")}}), 400),
        (json!({"publicKey": {"format": "pgp", "content": b64("x")}}), 422),
        (json!({"publicKey": {"format": "gpg", "content": b64("x")}}), 422),
        (json!({"publicKey": {"content": b64("x")}}), 422),
        (json!({"publicKey": {"format": "x509", "url": "http://127.0.0.1:1/"}}), 422),
        (json!({"hash": "xyz"}), 422),
        (json!({"hash": format!("sha512:{hash}")}), 422),
        (json!({"hash": format!("md5:{hash}")}), 422),
        (json!({"hash": hash, "operator": "xor"}), 422),
        (json!({"hash": 7}), 422),
        (json!({"subject": "x".repeat(513)}), 422),
        (json!({"email": "x".repeat(100_000)}), 422),
    ] {
        let answer = post(&router, SEARCH, query.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
        assert!(answer.json()["message"].is_string());
    }
    for (what, body) in hostile_bodies(r#"{"email":"a@b.example"}"#) {
        let answer = post(&router, SEARCH, body).await;
        assert!([400, 413, 422].contains(&answer.status.as_u16()), "{what}: {}", answer.text());
    }
    assert_error(&post(&router, SEARCH, vec![b' '; 300_000]).await, 413, 413, "262144");
    running.stop().await;
}
