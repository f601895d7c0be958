//! The CA's key does not sign, or not what it was asked to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use crypto::{KeyType, LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use http::header;

use crate::stack::{Stack, Wishes};

/// A signer with the right public key, whose backend misbehaves.
struct Broken {
    key: LocalSigner,
    fault: Fault,
}

enum Fault {
    Unavailable,
    Refused,
    /// Signs the precertificate and nothing after it.
    UnavailableAfterOne(AtomicBool),
    /// Signs with the key of another slot.
    WrongSlot(LocalSigner),
}

#[async_trait]
impl Signer for Broken {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let (key_id, reason) = (self.key_id().to_owned(), "token removed".to_owned());
        match &self.fault {
            Fault::Unavailable => Err(SignerError::Unavailable { key_id, reason }),
            Fault::UnavailableAfterOne(used) if used.swap(true, Ordering::SeqCst) => {
                Err(SignerError::Unavailable { key_id, reason })
            }
            Fault::UnavailableAfterOne(_) => self.key.sign(message).await,
            Fault::Refused => Err(SignerError::Refused { key_id, reason }),
            Fault::WrongSlot(other) => other.sign(message).await,
        }
    }

    fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    fn key_id(&self) -> &str {
        self.key.key_id()
    }
}

#[tokio::test]
async fn a_frozen_authority_tells_its_chain_and_issues_nothing() {
    let settings = |config: &mut ca::CaConfig| config.frozen = true;
    let stack = Stack::with(Wishes { settings, ..Wishes::default() }).await;
    let reply = stack.ask(&stack.token()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.headers["countersign-reason"].as_bytes()),
        (405, b"frozen".as_slice())
    );
    assert!(reply.json()["message"].as_str().unwrap().contains("frozen"));
    let get = http::Request::get("/api/v2/trustBundle").body(axum::body::Body::empty()).unwrap();
    assert_eq!(stack.send(get).await.status.as_u16(), 200);
    assert_eq!(stack.log.submissions(), 0);
}

#[tokio::test]
async fn a_signer_that_fails_is_503_and_its_words_stay_inside() {
    let unavailable: fn(LocalSigner) -> Arc<dyn Signer> =
        |key| Arc::new(Broken { key, fault: Fault::Unavailable });
    let refused: fn(LocalSigner) -> Arc<dyn Signer> =
        |key| Arc::new(Broken { key, fault: Fault::Refused });
    for signer in [unavailable, refused] {
        let stack = Stack::with(Wishes { signer, ..Wishes::default() }).await;
        let reply = stack.ask(&stack.token()).await;
        let message = reply.refused(503, 14);
        assert!(reply.headers.contains_key(header::RETRY_AFTER));
        assert!(!message.contains("token removed"), "{message}");
        assert_eq!(stack.log.submissions(), 0);
    }
}

#[tokio::test]
async fn a_signature_of_another_key_never_leaves() {
    let signer: fn(LocalSigner) -> Arc<dyn Signer> = |key| {
        let other = LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap();
        Arc::new(Broken { key, fault: Fault::WrongSlot(other) })
    };
    let stack = Stack::with(Wishes { signer, ..Wishes::default() }).await;
    stack.ask(&stack.token()).await.refused(500, 13);
    assert_eq!(stack.log.submissions(), 0);
}

#[tokio::test]
async fn a_signer_that_fails_after_the_sct_is_503_and_gives_no_precertificate_away() {
    let signer: fn(LocalSigner) -> Arc<dyn Signer> =
        |key| Arc::new(Broken { key, fault: Fault::UnavailableAfterOne(AtomicBool::new(false)) });
    let stack = Stack::with(Wishes { signer, ..Wishes::default() }).await;
    let reply = stack.ask(&stack.token()).await;
    reply.refused(503, 14);
    assert!(!reply.text().contains("CERTIFICATE"), "{}", reply.text());
    assert_eq!(stack.log.submissions(), 1);
}
