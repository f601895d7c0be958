//! Keys of a TUF root: `tough` takes what its backend takes, Ed25519 of small order among it, under
//! which everybody signs.

use std::borrow::Borrow;

use crypto::{AuthorityKey, KeyError, KeyFamily};
use tough::schema::key::Key;

/// Refuses a root one of whose keys would be refused anywhere else.
pub(super) fn check<K: Borrow<Key>>(keys: impl IntoIterator<Item = K>) -> Result<(), KeyError> {
    keys.into_iter().try_for_each(|key| {
        let (family, raw): (_, &[u8]) = match key.borrow() {
            Key::Ed25519 { keyval, .. } => (KeyFamily::Ed25519, &keyval.public),
            Key::Rsa { keyval, .. } => (KeyFamily::Rsa, &keyval.public),
            // P-256 is the only curve that it knows.
            Key::Ecdsa { keyval, .. } | Key::EcdsaOld { keyval, .. } => {
                (KeyFamily::P256, &keyval.public)
            }
        };
        AuthorityKey::from_raw(family, raw).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use crypto::{KeyType, LocalSigner, Signer};
    use serde_json::{Value, json};

    use super::*;

    fn ed25519(public: &str) -> Value {
        json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
    }

    fn verdict(key: Value) -> Result<(), KeyError> {
        check([serde_json::from_value::<Key>(key).unwrap()])
    }

    #[test]
    fn takes_keys_as_roots_have_them() {
        let key = |key_type| LocalSigner::generate(key_type, "tuf").unwrap();
        let raw = hex::encode(key(KeyType::Ed25519).public_key().raw());
        assert_eq!(verdict(ed25519(&raw)), Ok(()));
        let pem = key(KeyType::EcdsaP256).public_key().to_pem();
        for keytype in ["ecdsa", "ecdsa-sha2-nistp256"] {
            let ecdsa = json!({
                "keytype": keytype, "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}
            });
            assert_eq!(verdict(ecdsa), Ok(()));
        }
        let pem = key(KeyType::Rsa2048).public_key().to_pem();
        let rsa =
            json!({"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": pem}});
        assert_eq!(verdict(rsa), Ok(()));
    }

    #[test]
    fn refuses_ed25519_keys_of_small_order() {
        for public in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert_eq!(verdict(ed25519(public)), Err(KeyError::Ed25519Point), "{public}");
        }
    }
}
