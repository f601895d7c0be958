//! `GET /api/v1/log/entries`, by index and by id, and what all answers share.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request};
use store::LogStore;
use testlog::{Lie, LogDir, TREE_ID, Tampering, get, post, send, unavailable};
use tower::ServiceExt;

use super::{
    ENTRIES, assert_error, create, create_many, entries_of, get_entry, hashedrekord, router,
};

#[tokio::test]
async fn gives_an_entry_by_index_and_by_both_forms_of_its_id() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for entry in create_many(&place, &router, 20).await {
        let zero_tree = format!("{:016x}{}", 0, entry.leaf_hash());
        for path in [
            format!("{ENTRIES}?logIndex={}", entry.index),
            format!("{ENTRIES}?logIndex=999&logIndex={}", entry.index),
            format!("{ENTRIES}/{}", entry.id),
            format!("{ENTRIES}/{}/", entry.id),
            format!("//api/v1/log/entries/{}", entry.id.to_uppercase()),
            format!("{ENTRIES}/{}", entry.leaf_hash()),
            format!("{ENTRIES}/{zero_tree}"),
        ] {
            let found = get_entry(&place, &router, &path).await;
            assert!(found.is_same(&entry), "{path}");
            assert_eq!(found.tree_size, 20);
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_in_the_log_is_404_with_nothing() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let entry = create(&place, &router, &hashedrekord(b"x")).await;
    let another_tree = format!("{:016x}{}", TREE_ID + 1, entry.leaf_hash());
    for path in [
        format!("{ENTRIES}?logIndex=1"),
        format!("{ENTRIES}?logIndex={}", i64::MAX),
        format!("{ENTRIES}/{}", "0".repeat(64)),
        format!("{ENTRIES}/{TREE_ID:016x}{}", "0".repeat(64)),
        format!("{ENTRIES}/{another_tree}"),
    ] {
        let answer = get(&router, &path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (404, ""), "{path}");
        assert!(answer.header("cache-control").contains("no-store"));
    }
    running.stop().await;
}

#[tokio::test]
async fn malformed_parameters_are_422_with_the_codes_of_generated_servers() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    for (path, code, message) in [
        (ENTRIES.to_owned(), 602, "logIndex in query is required"),
        (format!("{ENTRIES}?logIndex="), 602, "logIndex in query is required"),
        (format!("{ENTRIES}?logIndex=x"), 601, "must be of type int64"),
        (format!("{ENTRIES}?logIndex=1.0"), 601, "must be of type int64"),
        (format!("{ENTRIES}?logIndex=9223372036854775808"), 601, "must be of type int64"),
        (format!("{ENTRIES}?logIndex=-1"), 609, "greater than or equal to 0"),
        (format!("{ENTRIES}/xyz"), 605, "entryUUID in path should match"),
        (format!("{ENTRIES}/{}", "g".repeat(64)), 605, "should match"),
        (format!("{ENTRIES}/{}", "0".repeat(72)), 605, "should match"),
        (format!("{ENTRIES}/{}", "0".repeat(81)), 605, "should match"),
    ] {
        assert_error(&get(&router, &path).await, 422, code, message);
    }
    let negative = format!("{ENTRIES}/ffffffffffffffff{}", "0".repeat(64));
    assert_error(&get(&router, &negative).await, 400, 400, "tree id");
    running.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    assert_error(&get(&router, "/api/v1/nothing").await, 404, 404, "no such path");
    let answer = send(&router, Method::DELETE, ENTRIES, Body::empty()).await;
    assert_error(&answer, 405, 405, "not allowed");
    assert_error(&post(&router, "/api/v1/log", "{}").await, 405, 405, "not allowed");
    for path in ["/ping", "/"] {
        assert_eq!(get(&router, path).await.status, 200);
    }
    running.stop().await;
}

#[tokio::test]
async fn answers_are_not_cached_and_open_to_pages_of_any_origin() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    create(&place, &router, &hashedrekord(b"x")).await;
    let ask = async |method: Method, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri("/api/v1/log");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let plain = ask(Method::GET, &[]).await;
    assert!(plain.headers()["cache-control"].to_str().unwrap().starts_with("no-cache"));
    assert!(!plain.headers().contains_key("access-control-allow-origin"));
    let page = ask(Method::GET, &[("origin", "https://a.example")]).await;
    assert_eq!(
        (page.status().as_u16(), &page.headers()["access-control-allow-origin"]),
        (200, &"*".parse().unwrap())
    );
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let allowed = ask(Method::OPTIONS, &preflight).await;
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-methods"], "GET, HEAD, POST");
    running.stop().await;
}

#[tokio::test]
async fn a_damaged_proof_or_body_is_never_given_out() {
    let place = LogDir::rekor1();
    let store = Tampering::new(place.open_store().await);
    let running = place.start_on(Arc::clone(&store) as Arc<dyn LogStore>).await.unwrap();
    let router = router(&running);
    let entries = create_many(&place, &router, 5).await;
    for lie in [Lie::Body(2), Lie::BodyAndLeafHash(2), Lie::StoredHash(0, 3), Lie::Missing(2)] {
        store.tell(Some(lie));
        let answer = get(&router, &format!("{ENTRIES}?logIndex=2")).await;
        assert_error(&answer, 500, 500, "internal error");
        store.tell(None);
    }
    let found = get_entry(&place, &router, &format!("{ENTRIES}?logIndex=2")).await;
    assert!(found.is_same(&entries[2]));
    store.fail_read(unavailable());
    let answer = get(&router, &format!("{ENTRIES}?logIndex=2")).await;
    assert_error(&answer, 503, 503, "unavailable");
    running.stop().await;
}

#[tokio::test]
async fn proof_and_checkpoint_fit_while_the_log_grows() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let first = create(&place, &router, &hashedrekord(b"first")).await;
    let grow = async {
        create_many(&place, &router, 30).await;
    };
    let read = async {
        // Each of them is verified against the checkpoint that came with it (Rekor PR #956).
        for _ in 0..60 {
            let path = format!("{ENTRIES}/{}", first.id);
            assert!(get_entry(&place, &router, &path).await.is_same(&first));
            let request = format!(r#"{{"logIndexes":[0,1,2],"entryUUIDs":["{}"]}}"#, first.id);
            let answer = post(&router, super::RETRIEVE, request).await;
            let sizes: Vec<u64> =
                entries_of(&place, &answer).iter().map(|entry| entry.tree_size).collect();
            assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
        }
    };
    tokio::join!(grow, read);
    running.stop().await;
}
