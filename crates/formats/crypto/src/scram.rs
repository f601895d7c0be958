use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};

/// What a server keeps of a password by SCRAM-SHA-256 (RFC 5802 §3): who has it cannot log in by it.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// `StoredKey`: proves to the server that a client knows the password.
    pub stored_key: [u8; 32],
    /// `ServerKey`: proves to a client that the server has the verifier.
    pub server_key: [u8; 32],
}

impl ScramVerifier {
    /// Of a password, which must be as `SASLprep` would leave it: ASCII is.
    #[must_use]
    pub fn new(password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = [0; 32];
        let password = password.as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        let [mut stored, mut server] = [[0; 32]; 2];
        stored.copy_from_slice(stored_key.as_ref());
        server.copy_from_slice(server_key.as_ref());
        Self { stored_key: stored, server_key: server }
    }
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ScramVerifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3: its password and salt, and the server's signature over its messages.
    #[test]
    fn the_verifier_is_that_of_the_standard() {
        let salt = hex::decode("5b6d99689d12358eeca04b141236fa81").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        let verifier = ScramVerifier::new("pencil", &salt, iterations);
        let messages = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &verifier.server_key);
        let signature = hmac::sign(&key, messages.as_bytes());
        let expected = "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e";
        assert_eq!(hex::encode(signature), expected);
    }
}
