//! What the log lines say, and what they never say.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use async_trait::async_trait;
use crypto::{LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use serde_json::{Value, json};
use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

use crate::stack::{EMAIL, Stack, Wishes};

/// Log lines of this thread, as JSON.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn listen(&self) -> DefaultGuard {
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

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
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
