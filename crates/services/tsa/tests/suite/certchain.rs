use axum::body::Body;
use http::{Request, StatusCode, header};

use crate::support::{Answer, Server};

async fn show(server: &Server, if_none_match: Option<&str>) -> Answer {
    let mut http = Request::get("/api/v1/timestamp/certchain");
    if let Some(tags) = if_none_match {
        http = http.header(header::IF_NONE_MATCH, tags);
    }
    server.send(http.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn shows_the_chain_from_leaf_to_root() {
    let server = Server::new();
    let answer = show(&server, None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/pem-certificate-chain");
    assert_eq!(answer.header(header::CACHE_CONTROL), "public, max-age=300");
    let blocks = pem::parse_many(&answer.body).unwrap();
    let ders: Vec<_> = blocks.iter().map(|block| block.contents().to_vec()).collect();
    assert_eq!(ders, server.chain);
    assert!(blocks.iter().all(|block| block.tag() == "CERTIFICATE"));
    assert!(answer.body.ends_with(b"-----END CERTIFICATE-----\n"));
}

#[tokio::test]
async fn says_that_a_known_chain_has_not_changed() {
    let server = Server::new();
    let first = show(&server, None).await;
    let tag = first.header(header::ETAG);
    for known in [tag, "*", &format!("W/{tag}"), &format!("\"x\", {tag}")] {
        let answer = show(&server, Some(known)).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(answer.header(header::ETAG), tag);
        assert!(answer.body.is_empty());
    }
    for other in ["\"x\"", "", "\u{e9}"] {
        assert_eq!(show(&server, Some(other)).await.status, StatusCode::OK, "{other}");
    }
}
