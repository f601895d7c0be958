//! What the log lines say, and what they never say.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use async_trait::async_trait;
use crypto::{LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use prost::Message;
use serde_json::{Value, json};
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    grpc,
    stack::{EMAIL, Stack, Wishes, client_key, request},
    v1,
};

/// Log lines of this thread, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn listen(&self) -> DefaultGuard {
        // While there is one subscriber in the process, tracing asks only that of the thread which
        // meets an event first, and remembers that nobody listens. With two it asks both.
        static ANOTHER: LazyLock<Dispatch> =
            LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&ANOTHER);
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The one line of each request.
    fn request_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let is_one = |event: &Value| event["fields"]["ca.api"].is_string();
        self.text().lines().map(parse).filter(is_one).collect()
    }

    fn audit_events(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        self.text().lines().map(parse).filter(|event| event["target"] == "audit").collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A key that cannot be used where the work is, as one on a token.
struct Elsewhere(LocalSigner);

#[async_trait]
impl Signer for Elsewhere {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0.sign(message).await
    }

    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn key_id(&self) -> &str {
        self.0.key_id()
    }
}

#[tokio::test]
async fn every_use_of_the_key_is_recorded_before_and_after() {
    recorded_by(Stack::start().await).await;
}

#[tokio::test]
async fn every_use_of_a_key_elsewhere_is_recorded_before_and_after() {
    let signer: fn(LocalSigner) -> Arc<dyn Signer> = |key| Arc::new(Elsewhere(key));
    recorded_by(Stack::with(Wishes { signer, ..Wishes::default() }).await).await;
}

async fn recorded_by(stack: Stack) {
    let lines = Lines::default();
    let _listening = lines.listen();
    let leaf = stack.verified_leaf(&stack.ask(&stack.token()).await);
    let events = lines.audit_events();
    let steps: Vec<_> = events
        .iter()
        .map(|event| {
            [&event["fields"]["ca.signs"], &event["fields"]["ca.step"]].map(|v| v.as_str().unwrap())
        })
        .collect();
    assert_eq!(
        steps,
        [
            ["precertificate", "signing"],
            ["precertificate", "signed"],
            ["certificate", "signing"],
            ["certificate", "signed"],
        ]
    );
    for event in events {
        let fields = &event["fields"];
        assert_eq!(fields["ca.issuer"], stack.issuer.url);
        assert_eq!(fields["ca.subject"], "user-17");
        assert_eq!(fields["ca.subject_alternative_name"], EMAIL);
        assert_eq!(fields["ca.serial_number"], hex::encode(leaf.serial_number()));
        assert_eq!(fields["ca.key_sha256"], hex::encode(leaf.public_key().spki_sha256()));
        assert_eq!(fields["ca.signer"], "issuing-ca");
        assert_eq!(event["span"]["name"], "request");
    }
}

#[tokio::test]
async fn tokens_are_never_logged() {
    let (stack, lines) = (Stack::start().await, Lines::default());
    let _listening = lines.listen();
    let accepted = stack.token();
    let refused = stack.issuer.token(&stack.claims(&json!({"aud": "other", "email": "x@y"})));
    stack.verified_leaf(&stack.ask(&accepted).await);
    stack.ask(&refused).await.refused(400, 3);
    stack.post(json!({"credentials": refused}).to_string()).await.refused(400, 3);
    let text = lines.text();
    assert!(text.contains("the token is for another audience"), "{text}");
    for part in accepted.split('.').chain(refused.split('.')) {
        assert!(!text.contains(part), "{text}");
    }
    assert!(!text.contains("x@y"), "claims of refused tokens stay out");
}

/// What all APIs are asked alike: by a caller with an id and an address of its own.
const REQUEST_ID: &str = "from-the-user-17";

/// The only line of one request on each of the three APIs, with its answer's id.
async fn lines_of(stack: &Stack, token: &str) -> Vec<Value> {
    let lines = Lines::default();
    let listening = lines.listen();
    let key = client_key();
    let peer = server::CallerAddress("192.0.2.7".parse().unwrap());
    for (path, body) in [
        ("/api/v2/signingCert", request(token, &key, EMAIL)),
        ("/api/v1/signingCert", v1::body(&key, key.public_key().to_pem().as_bytes(), EMAIL)),
    ] {
        let asked = http::Request::post(path)
            .header("x-request-id", REQUEST_ID)
            .header("authorization", format!("Bearer {token}"))
            .extension(peer)
            .body(body.to_string().into())
            .unwrap();
        let reply = stack.send(asked).await;
        assert_eq!(reply.headers["x-request-id"], REQUEST_ID, "for the user to quote");
    }
    // On this thread, where the lines are listened for.
    let message = grpc::request(token, &key, EMAIL).encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let call = http::Request::post("/dev.sigstore.fulcio.v2.CA/CreateSigningCertificate")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("x-request-id", REQUEST_ID)
        .extension(peer)
        .body(framed.into())
        .unwrap();
    let reply = stack.send(call).await;
    assert_eq!(reply.headers["x-request-id"], REQUEST_ID, "metadata of the call");
    drop(listening);
    let found = lines.request_lines();
    let apis: Vec<_> = found.iter().map(|line| line["fields"]["ca.api"].clone()).collect();
    assert_eq!(apis, ["http-v2", "http-v1", "grpc-v2"], "one line each");
    for line in &found {
        assert_eq!(line["fields"]["request.id"], REQUEST_ID);
        assert_eq!(line["fields"]["caller.address"], "192.0.2.7");
    }
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!lines.text().contains(part), "{}", lines.text());
    }
    found
}

#[tokio::test]
async fn the_line_of_a_granted_request_says_who_got_which_certificate() {
    let stack = Stack::start().await;
    let token = stack.issuer.token(&stack.claims(&json!({"jti": "t-1"})));
    for line in lines_of(&stack, &token).await {
        let fields = &line["fields"];
        assert_eq!((&line["level"], &fields["message"]), (&json!("INFO"), &json!("granted")));
        assert_eq!(fields["ca.issuer"], stack.issuer.url);
        assert_eq!(fields["ca.subject"], "user-17");
        assert_eq!(fields["ca.key_id"], "k1");
        assert_eq!(fields["ca.token_id"], "t-1");
        assert_eq!(fields["ca.subject_alternative_name"], EMAIL);
        assert_eq!(fields["ca.serial_number"].as_str().unwrap().len(), 40);
        assert!(fields["ca.unverified_issuer"].is_null() && fields["ca.reason"].is_null());
    }
}

#[tokio::test]
async fn the_line_of_a_refused_request_says_that_nobody_signed_what_it_quotes() {
    let stack = Stack::start().await;
    let claims = json!({
        "iss": "https://evil.example/\u{202e}\nERROR forged line", "sub": "s".repeat(5000),
        "jti": "\u{1b}[2J", "email": "victim@example.com"
    });
    let token = stack.issuer.token(&stack.claims(&claims));
    for line in lines_of(&stack, &token).await {
        let fields = &line["fields"];
        assert_eq!((&line["level"], &fields["message"]), (&json!("INFO"), &json!("refused")));
        assert_eq!(fields["ca.reason"], "unknown_issuer");
        assert_eq!(
            fields["ca.unverified_issuer"],
            "https://evil.example/\\u{202e}\\nERROR forged line"
        );
        assert_eq!(fields["ca.unverified_subject"], format!("{}...", "s".repeat(256)));
        assert_eq!(fields["ca.unverified_key_id"], "k1");
        assert_eq!(fields["ca.unverified_token_id"], "\\u{1b}[2J");
        assert!(fields["ca.issuer"].is_null() && fields["ca.subject"].is_null());
        assert!(!line.to_string().contains("victim"), "other claims stay out: {line}");
    }
}

#[tokio::test]
async fn what_the_issuer_signed_is_called_so_also_where_it_is_refused() {
    let stack = Stack::start().await;
    let token = stack.issuer.token(&stack.claims(&json!({"email_verified": false})));
    for line in lines_of(&stack, &token).await {
        let fields = &line["fields"];
        assert_eq!(fields["ca.reason"], "email_not_verified");
        assert_eq!(fields["ca.issuer"], stack.issuer.url);
        assert_eq!(fields["ca.subject"], "user-17");
        assert!(fields["ca.unverified_issuer"].is_null());
        assert!(!line.to_string().contains(EMAIL), "{line}");
    }
    let garbage = lines_of(&stack, "garbage").await;
    assert!(garbage.iter().all(|line| line["fields"]["ca.reason"] == "token"));
}

#[tokio::test]
async fn a_request_that_runs_out_of_time_has_its_line_too() {
    let wishes = Wishes { timeout: Some(std::time::Duration::ZERO), ..Wishes::default() };
    let (stack, lines) = (Stack::with(wishes).await, Lines::default());
    let _listening = lines.listen();
    let asked = http::Request::post("/api/v2/signingCert")
        .header("x-request-id", REQUEST_ID)
        .body(request(&stack.token(), &client_key(), EMAIL).to_string().into())
        .unwrap();
    stack.send(asked).await.refused(503, 14);
    let [line] = &lines.request_lines()[..] else { panic!("{}", lines.text()) };
    assert_eq!(line["fields"]["message"], "gave up");
    assert_eq!(line["fields"]["request.id"], REQUEST_ID);
    assert_eq!(line["fields"]["ca.unverified_subject"], "user-17");
}

#[tokio::test]
async fn a_body_that_never_comes_whole_has_its_line_too() {
    let (stack, lines) = (Stack::start().await, Lines::default());
    let _listening = lines.listen();
    for path in ["/api/v2/signingCert", "/api/v1/signingCert"] {
        let broken = futures::stream::iter([Err::<bytes::Bytes, _>(io::Error::other("cut"))]);
        let body = axum::body::Body::from_stream(broken);
        let asked = http::Request::post(path).header("x-request-id", REQUEST_ID).body(body);
        stack.send(asked.unwrap()).await.refused(400, 3);
    }
    let found = lines.request_lines();
    assert_eq!(found.len(), 2, "{}", lines.text());
    for line in found {
        assert_eq!(line["fields"]["ca.reason"], "unread");
        assert_eq!(line["fields"]["request.id"], REQUEST_ID);
    }
}

#[tokio::test]
async fn the_line_says_what_is_wrong_with_a_misconfigured_issuer() {
    let stack = Stack::start().await;
    stack.issuer.answer_discovery(crate::issuer::Answer::Status(403));
    let token = stack.token();
    for line in lines_of(&stack, &token).await {
        let fields = &line["fields"];
        assert_eq!((&line["level"], &fields["message"]), (&json!("ERROR"), &json!("cannot issue")));
        assert_eq!(fields["ca.reason"], "issuer_misconfigured");
        assert_eq!(fields["ca.unverified_issuer"], stack.issuer.url);
        assert!(fields["error"].as_str().unwrap().ends_with("status 403"), "{line}");
    }
}

#[tokio::test]
async fn a_dry_run_of_claim_rules_says_whom_it_would_refuse_and_refuses_nobody() {
    let stack = Stack::with(Wishes {
        settings: |config| {
            let settings = json!({
                "type": "email", "url": config.issuers[0].url(), "audiences": ["sigstore"],
                "allow_loopback_http": true, "open_to_all": true,
                "dry_run_claims": {"groups": ["release"]}
            });
            config.issuers = vec![serde_json::from_value(settings).unwrap()];
        },
        ..Wishes::default()
    })
    .await;
    let lines = Lines::default();
    let guard = lines.listen();
    let token = |groups: Value| stack.issuer.token(&stack.claims(&json!({ "groups": groups })));
    stack.verified_leaf(&stack.ask(&token(json!(["release", "dev"]))).await);
    let says = |event: &Value| event["fields"]["ca.claim"] == "groups";
    assert!(!lines.audit_events().iter().any(says));
    stack.verified_leaf(&stack.ask(&token(json!(["hidden-group"]))).await);
    drop(guard);
    let events = lines.audit_events();
    let said: Vec<_> = events.iter().filter(|event| says(event)).collect();
    assert_eq!(said.len(), 1, "{events:?}");
    assert_eq!(said[0]["level"], "WARN");
    assert_eq!(said[0]["fields"]["ca.issuer"], stack.issuer.url);
    assert_eq!(said[0]["fields"]["ca.subject"], "user-17");
    assert!(!lines.text().contains("hidden-group"));
}

/// The operator was told that the audience is wrong, and not what it is.
#[tokio::test]
async fn the_line_of_a_wrong_audience_has_the_audience() {
    let stack = Stack::start().await;
    let claims = stack.claims(&json!({"aud": ["other", "\u{1b}[2J"]}));
    for line in lines_of(&stack, &stack.issuer.token(&claims)).await {
        let fields = &line["fields"];
        assert_eq!(fields["ca.reason"], "audience");
        assert_eq!(fields["ca.unverified_audience"], "other, \\u{1b}[2J");
    }
    let expired = stack.issuer.token(&stack.claims(&json!({"exp": 1})));
    for line in lines_of(&stack, &expired).await {
        assert!(line["fields"]["ca.unverified_audience"].is_null(), "{line}");
    }
}
