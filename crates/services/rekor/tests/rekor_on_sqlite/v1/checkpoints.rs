//! The tree under its two origins: Rekor v1's checkpoint, and that of its tiles.

use std::{collections::HashMap, sync::Arc};

use crypto::{KeyType, LocalSigner};
use engine::StartError;
use rekor::http::rekor1_router;
use testlog::{LogDir, ORIGIN, TILES_ORIGIN, TREE_ID, get};
use tlog::{KeyIdKind, SignedNote, TreeHead, leaf_hash, log_key_id};

use super::{create_many, rekor1, router};

fn tiles_head(place: &LogDir, note: &str) -> TreeHead {
    let note: SignedNote = note.parse().unwrap();
    assert_eq!(note.signatures.len(), 1);
    let key = place.tiles.as_ref().unwrap().public_key();
    let key_id = log_key_id(key, TILES_ORIGIN, KeyIdKind::Named);
    let checkpoint = note.verified_checkpoint(key, TILES_ORIGIN, &key_id).unwrap();
    assert_eq!(checkpoint.origin, TILES_ORIGIN);
    checkpoint.head
}

#[tokio::test]
async fn both_faces_sign_the_same_head_at_every_size() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let mut roots = HashMap::new();
    for _ in 0..5 {
        let answer = get(&router, "/checkpoint").await;
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        let tiles = tiles_head(&place, answer.text());
        let info = get(&router, "/api/v1/log").await.json();
        let note: SignedNote = info["signedTreeHead"].as_str().unwrap().parse().unwrap();
        let key = place.signer.public_key();
        let v1 = note.verified_checkpoint(key, ORIGIN, &key.spki_sha256()).unwrap();
        assert_eq!(v1.origin, format!("{ORIGIN} - {TREE_ID}"));
        assert_eq!(v1.head, tiles);
        assert_eq!(roots.insert(tiles.size, tiles.root), None);
        create_many(&place, &router, 1).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn the_tiles_hold_the_bodies_of_the_entries() {
    let place = LogDir::rekor1();
    let running = place.start().await;
    let router = router(&running);
    let entries = create_many(&place, &router, 3).await;
    let hashes = get(&router, "/tile/0/000.p/3").await;
    assert_eq!(hashes.status, 200);
    let expected: Vec<u8> = entries.iter().flat_map(|entry| leaf_hash(&entry.body).0).collect();
    assert_eq!(hashes.body, expected);
    let bundle = get(&router, "/tile/entries/000.p/3").await;
    let expected: Vec<u8> = entries
        .iter()
        .flat_map(|entry| {
            let length = u16::try_from(entry.body.len()).unwrap().to_be_bytes();
            [length.as_slice(), &entry.body].concat()
        })
        .collect();
    assert_eq!(bundle.body, expected);
    let missing = get(&router, "/tile/0/000").await;
    assert_eq!((missing.status.as_u16(), missing.header("cache-control")), (404, "no-store"));
    running.stop().await;
}

#[tokio::test]
async fn a_log_without_a_second_origin_has_no_tiles() {
    let place = LogDir { tiles: None, ..LogDir::rekor1() };
    let running = place.start().await;
    let router = rekor1_router(rekor1(&running));
    create_many(&place, &router, 1).await;
    for path in ["/checkpoint", "/tile/0/000.p/1"] {
        assert_eq!(get(&router, path).await.status, 404);
    }
    running.stop().await;
}

#[tokio::test]
async fn refuses_a_second_origin_that_looks_like_a_first() {
    for origin in ["", "log.test - 7", "log.test", "x - 0123"] {
        let place = LogDir::rekor1();
        let mut config = place.config();
        config.spec.origin = "log.test".to_owned();
        let refused = place.start_tiled(place.open_store().await, config, origin).await;
        assert!(matches!(refused, Err(StartError::TilesOrigin { .. })), "{origin}");
    }
    for origin in ["log.test - seven", "log.test/rekor1", "log.test - "] {
        let place = LogDir::rekor1();
        let key = LocalSigner::generate(KeyType::Ed25519, "tiles").unwrap();
        let place = LogDir { tiles: Some(Arc::new(key)), ..place };
        let started = place.start_tiled(place.open_store().await, place.config(), origin).await;
        assert!(!matches!(started, Err(StartError::TilesOrigin { .. })), "{origin}");
    }
}
