use base64::{Engine, prelude::BASE64_STANDARD};
use http::StatusCode;
use serde_json::{Value, json};
use tsp::{Nonce, PolicyOid};

use crate::support::{Answer, JSON, Server, imprint, request};

fn body() -> Value {
    json!({ "artifactHash": BASE64_STANDARD.encode(imprint().digest()), "hashAlgorithm": "sha256" })
}

fn with(member: &str, value: &str) -> String {
    let text = body().to_string();
    format!("{},\"{member}\":{value}}}", text.strip_suffix('}').unwrap())
}

async fn post(server: &Server, body: impl ToString) -> Answer {
    server.post(JSON, body.to_string()).await
}

#[track_caller]
fn embeds_certificates(server: &Server, answer: &Answer) -> bool {
    answer.verified(&server.chain);
    let leaf = &server.chain[0];
    answer.body.windows(leaf.len()).any(|window| window == leaf)
}

#[tokio::test]
async fn grants_what_sigstore_js_asks_for() {
    let server = Server::new();
    let answer = post(&server, body()).await;
    answer.verified(&server.chain).answers(&request()).unwrap();
    assert!(!embeds_certificates(&server, &answer));
}

#[tokio::test]
async fn grants_every_option() {
    let server = Server::new();
    let mut body = body();
    body["certificates"] = json!(true);
    body["nonce"] = json!(0xDEAD_BEEF_u64);
    body["tsaPolicyOID"] = json!("1.3.6.1.4.1.57264.2");
    body["hashAlgorithm"] = json!("SHA256");
    let answer = post(&server, &body).await;
    assert!(embeds_certificates(&server, &answer));
    let nonce = Nonce::from_unsigned(&0xDEAD_BEEF_u64.to_be_bytes()).unwrap();
    let asked = request().with_nonce(nonce).with_policy(PolicyOid::SIGSTORE);
    answer.verified(&server.chain).answers(&asked).unwrap();
}

#[tokio::test]
async fn accepts_parameters_of_the_media_type_and_unknown_members() {
    let server = Server::new();
    let answer = server.post("application/json; charset=utf-8", with("unknown", "[1]")).await;
    answer.verified(&server.chain);
}

#[tokio::test]
async fn accepts_the_hash_in_base64_with_line_ends() {
    let server = Server::new();
    let mut body = body();
    body["artifactHash"] = format!("{}\n", body["artifactHash"].as_str().unwrap()).into();
    post(&server, body).await.verified(&server.chain);
}

#[tokio::test]
async fn accepts_longer_hashes() {
    let server = Server::new();
    for (name, len) in [("sha384", 48), ("Sha512", 64)] {
        let hash = BASE64_STANDARD.encode(vec![1; len]);
        let answer = post(&server, json!({ "artifactHash": hash, "hashAlgorithm": name })).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

#[tokio::test]
async fn repeats_nonces_that_no_machine_word_holds() {
    let server = Server::new();
    let digits = "340282366920938463463374607431768211456";
    let answer = post(&server, with("nonce", digits)).await;
    let mut two_to_128 = vec![0; 17];
    two_to_128[0] = 1;
    assert_eq!(answer.verified(&server.chain).nonce, Some(two_to_128));
    for none in [body().to_string(), with("nonce", "null")] {
        assert_eq!(post(&server, none).await.verified(&server.chain).nonce, None);
    }
}

#[tokio::test]
async fn refuses_hostile_and_malformed_nonces() {
    let server = Server::new();
    for nonce in ["-1", "1.5", "1e9", "\"1\"", "true", "[]", &"9".repeat(900)] {
        post(&server, with("nonce", nonce)).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn refuses_hostile_and_malformed_policies() {
    let server = Server::new();
    for policy in ["1.2.3", "x", "1..2", &".".repeat(800), &"1.".repeat(400)] {
        let body = with("tsaPolicyOID", &format!("\"{policy}\""));
        post(&server, body).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn refuses_weak_unknown_and_missing_algorithms() {
    let server = Server::new();
    for name in ["sha1", "SHA1", "md5", "sha224", "", "sha256 "] {
        let message = post(&server, json!({ "artifactHash": "AAAA", "hashAlgorithm": name }))
            .await
            .problem(StatusCode::BAD_REQUEST);
        assert_eq!(message, "the hash algorithm of the message imprint is weak or unknown");
    }
    let missing = json!({ "artifactHash": "AAAA" });
    post(&server, missing).await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn refuses_a_digest_of_another_length() {
    let server = Server::new();
    for hash in ["", "AAAA"] {
        let body = json!({ "artifactHash": hash, "hashAlgorithm": "sha256" });
        let message = post(&server, body).await.problem(StatusCode::BAD_REQUEST);
        assert!(message.contains("its hash algorithm gives 32"), "{message}");
    }
    let missing = json!({ "hashAlgorithm": "sha256" });
    post(&server, missing).await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn refuses_what_is_not_the_shape_and_repeats_none_of_it() {
    let server = Server::new();
    let good = body().to_string();
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"secret\"",
        "{\"artifactHash\":1}",
        "{\"artifactHash\":\"secret!\",\"hashAlgorithm\":\"sha256\"}",
        "{\"certificates\":\"secret\"}",
        &good[..good.len() - 1],
        &format!("{good}x"),
        &"[".repeat(1000),
        &"{\"a\":".repeat(200),
        "\u{0}\u{1}",
    ] {
        let message = post(&server, body).await.problem(StatusCode::BAD_REQUEST);
        assert!(!message.contains("secret"), "{message}");
    }
}

#[tokio::test]
async fn refuses_more_than_1024_bytes() {
    let server = Server::new();
    let fill = |len: usize| {
        let empty = with("x", "\"\"").len();
        with("x", &format!("\"{}\"", "x".repeat(len - empty)))
    };
    post(&server, fill(1024)).await.verified(&server.chain);
    let message = post(&server, fill(1025)).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(message, "the request body is too long");
}
