use std::sync::Arc;

use crypto::{KeyType, LocalSigner, PublicKey, SignatureAlgorithm, Signer, SignerError};
use signing::{CpuPool, FixedClock};
use tsa::{ConfigError, Tsa, TsaConfig};
use tsp::{ChainError, TokenError};

use crate::support::{Authority, NOW};

fn refusal(config: TsaConfig) -> ConfigError {
    Tsa::new(config, Arc::new(FixedClock::at(NOW)), CpuPool::new(1)).err().unwrap()
}

#[test]
fn refuses_the_key_of_another_certificate() {
    let mut config = Authority::new().config();
    config.signer = Arc::new(LocalSigner::generate(KeyType::EcdsaP256, "other").unwrap());
    assert!(matches!(refusal(config), ConfigError::Chain(ChainError::OtherKey)));
}

#[test]
fn refuses_a_chain_that_clients_would_not_accept() {
    let mut config = Authority::new().config();
    config.chain.reverse();
    assert!(matches!(refusal(config), ConfigError::Chain(ChainError::LeafIsCa)));
    let mut config = Authority::new().config();
    config.chain.truncate(1);
    assert!(matches!(refusal(config), ConfigError::Chain(ChainError::NoIssuer)));
    let unmarked =
        Authority::with_leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |leaf| leaf.custom_extensions.clear());
    assert!(matches!(refusal(unmarked.config()), ConfigError::Chain(ChainError::LeafUsage)));
}

#[test]
fn refuses_a_key_that_some_client_cannot_verify() {
    let ed25519 = Authority::with_leaf(&rcgen::PKCS_ED25519, |_| {});
    assert!(matches!(refusal(ed25519.config()), ConfigError::Key(TokenError::UnsupportedKey)));
}

#[test]
fn refuses_a_signer_of_another_algorithm_than_tokens_name() {
    struct Sha256(LocalSigner);
    #[async_trait::async_trait]
    impl Signer for Sha256 {
        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
            self.0.sign(message).await
        }
        fn public_key(&self) -> &PublicKey {
            self.0.public_key()
        }
        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::EcdsaP384Sha256
        }
        fn key_id(&self) -> &str {
            self.0.key_id()
        }
    }
    let Authority { chain, signer } = Authority::with_leaf(&rcgen::PKCS_ECDSA_P384_SHA384, |_| {});
    let config = TsaConfig::new(Arc::new(Sha256(signer)), chain);
    assert!(matches!(refusal(config), ConfigError::Algorithm));
}
