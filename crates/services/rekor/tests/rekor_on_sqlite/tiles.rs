//! Checkpoint, tiles and bundles: complete, within the published size, immutable.

use std::collections::HashMap;

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use proptest::prelude::*;
use rekor::Rekor2Options;
use testlog::{LogDir, body, entry, get};
use tlog::{NodeHash, leaf_hash, root_of, tile_root};
use tower::ServiceExt;

use crate::v2::router;

#[tokio::test]
async fn the_checkpoint_is_served_under_both_paths_and_not_cached() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    running.fill(3).await;
    for path in ["/checkpoint", "/api/v2/checkpoint"] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.text(), running.log.checkpoint().note);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    running.stop().await;
}

#[tokio::test]
async fn the_root_can_be_recomputed_from_the_bundles_and_from_the_tiles() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    running.fill(600).await;
    let mut leaves = Vec::new();
    for path in ["/tile/entries/000", "/api/v2/tile/entries/001", "/tile/entries/002.p/88"] {
        let answer = found(&router, path).await;
        leaves.extend(bundle_entries(&answer).iter().map(|entry| leaf_hash(entry)));
    }
    assert_eq!(leaves.len(), 600);
    assert_eq!(root_of(&leaves), running.log.checkpoint().head.root);
    let mut from_tiles = Vec::new();
    for path in ["/tile/0/000", "/tile/0/001", "/api/v2/tile/0/002.p/88"] {
        from_tiles.extend(hashes(&found(&router, path).await));
    }
    assert_eq!(from_tiles.len(), leaves.len());
    assert!(from_tiles.iter().zip(&leaves).all(|(node, leaf)| *node == NodeHash::from(*leaf)));
    let above = hashes(&found(&router, "/tile/1/000.p/2").await);
    let first: &[NodeHash; 256] = from_tiles[..256].try_into().unwrap();
    assert_eq!(above[0], tile_root(first));
    running.stop().await;
}

/// Who writes short entries before long ones makes a reader hold no more than who writes the same length always.
#[tokio::test]
async fn a_bundle_is_given_in_pages_whatever_the_lengths_of_its_entries() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for number in 0..256u64 {
        let mut body = body(number);
        match number {
            100..130 | 200..204 => body.resize(65_535, b'x'),
            130..140 => body.resize(30_000, b'y'),
            _ => {}
        }
        running.log.submit(entry(&body)).await.unwrap();
        bodies.push(body);
    }
    let request = Request::get("/tile/entries/000").body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let length = answer.headers()["content-length"].to_str().unwrap().to_owned();
    let (mut body, mut content, mut pages) = (answer.into_body(), Vec::new(), 0);
    while let Some(page) = body.frame().await {
        let page = page.unwrap().into_data().unwrap();
        // An entry's length stands before it, so one entry alone may be longer than a page.
        assert!(page.len() <= server::PAGE_LEN + 2 * 256, "{}", page.len());
        content.extend_from_slice(&page);
        pages += 1;
    }
    assert!(pages > 30, "{pages}");
    assert_eq!(length, content.len().to_string());
    assert_eq!(bundle_entries(&content), bodies);
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_published_is_404_and_not_cached() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    running.fill(300).await;
    for path in [
        // Not full yet.
        "/tile/0/001",
        "/tile/entries/001",
        "/tile/1/000",
        // Beyond the published size.
        "/tile/0/001.p/45",
        "/tile/entries/001.p/45",
        "/tile/0/002.p/1",
        "/tile/1/000.p/2",
        "/tile/2/000.p/1",
        "/tile/63/000.p/1",
        "/tile/0/x018/x446/x744/x073/x709/551.p/1",
        // Not the spelling of a tile.
        "/tile/64/000",
        "/tile/0/0",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/000.p/01",
        "/tile/0/x000/000",
        "/tile/00/000",
        "/tile/-1/000",
        "/tile/entries",
        "/tile/entries/000.p/",
        "/tile/0/%30%30%30",
        "/tile/0/../checkpoint",
        "/tile/%ff/000",
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.json()["code"], 5, "{path}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_empty_log_has_no_tiles() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    for path in ["/tile/0/000", "/tile/0/000.p/1", "/tile/entries/000.p/1"] {
        assert_eq!(get(&router, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    running.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Whatever a tile URL gave once, it gives for ever, however the log grows.
    #[test]
    fn the_bytes_of_a_tile_url_never_change(
        growth in prop::collection::vec(1u64..200, 2..5),
        widths in prop::collection::vec(1u64..256, 3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_immutability(&growth, &widths));
    }
}

async fn check_immutability(growth: &[u64], widths: &[u64]) {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    let mut urls: Vec<String> = Vec::new();
    for tile in 0..4 {
        for base in ["0", "1", "entries"] {
            urls.push(format!("/tile/{base}/{tile:03}"));
            urls.extend(widths.iter().map(|width| format!("/tile/{base}/{tile:03}.p/{width}")));
        }
    }
    let mut seen: HashMap<&str, Bytes> = HashMap::new();
    for count in growth {
        running.fill(*count).await;
        for url in &urls {
            let answer = get(&router, url).await;
            if answer.status == StatusCode::NOT_FOUND {
                assert!(!seen.contains_key(url.as_str()), "{url} went away");
                assert_eq!(answer.header("cache-control"), "no-store");
                continue;
            }
            assert_eq!(answer.status, StatusCode::OK);
            assert!(answer.header("cache-control").contains("immutable"));
            let first = seen.entry(url).or_insert_with(|| answer.body.clone());
            assert_eq!(*first, answer.body, "{url} changed");
        }
    }
    running.stop().await;
}

async fn found(router: &Router, path: &str) -> Bytes {
    let answer = get(router, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    answer.body
}

fn hashes(tile: &Bytes) -> Vec<NodeHash> {
    tile.chunks(32).map(|chunk| NodeHash::try_from(chunk).unwrap()).collect()
}

fn bundle_entries(bundle: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bundle;
    let mut entries = Vec::new();
    while let Some((length, others)) = rest.split_first_chunk() {
        let (entry, others) = others.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(entry.to_vec());
        rest = others;
    }
    assert!(rest.is_empty());
    entries
}

#[tokio::test]
async fn bundles_hold_the_bodies_as_submitted() {
    let place = LogDir::new();
    let running = place.start().await;
    let router = router(&running, Rekor2Options::default());
    running.fill(5).await;
    let entries = bundle_entries(&found(&router, "/tile/entries/000.p/5").await);
    assert_eq!(entries, (0..5).map(body).collect::<Vec<_>>());
    running.stop().await;
}
