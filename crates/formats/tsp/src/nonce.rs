use thiserror::Error;

use crate::der_reader::is_minimal_integer;

/// Longest nonce accepted, in bytes. Clients send 8 to 20.
const MAX_NONCE_LEN: usize = 64;

/// A number that the client made up and that the token repeats (RFC 3161 §2.4.1).
///
/// Kept as the content octets of its INTEGER: it may be of any size up to 64 bytes and of
/// either sign, and is echoed byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// A positive nonce from random bytes, big-endian.
    ///
    /// # Errors
    /// [`NonceError::TooLong`] above 64 bytes with the sign's.
    pub fn from_unsigned(bytes: &[u8]) -> Result<Self, NonceError> {
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let magnitude = bytes.get(first..).unwrap_or_default();
        let mut content = Vec::with_capacity(magnitude.len() + 1);
        if magnitude.first().is_none_or(|byte| *byte >= 0x80) {
            content.push(0);
        }
        content.extend_from_slice(magnitude);
        Self::from_content(&content)
    }

    /// Content octets of the INTEGER: big-endian two's complement, the fewest octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_content(content: &[u8]) -> Result<Self, NonceError> {
        if content.len() > MAX_NONCE_LEN {
            return Err(NonceError::TooLong);
        }
        if !is_minimal_integer(content) {
            return Err(NonceError::NotMinimal);
        }
        Ok(Self(content.to_vec()))
    }
}

/// Why a nonce is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NonceError {
    /// RFC 3161 sets no limit; OpenSSL sends 8 bytes.
    #[error("the nonce is longer than {MAX_NONCE_LEN} bytes")]
    TooLong,
    /// Not the shortest encoding of its value.
    #[error("the nonce is not a DER integer")]
    NotMinimal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_unsigned_bytes_as_the_shortest_positive_integer() {
        for (bytes, content) in [
            (&[][..], &[0u8][..]),
            (&[0, 0], &[0]),
            (&[0x7F], &[0x7F]),
            (&[0x80], &[0, 0x80]),
            (&[0, 0, 1, 2], &[1, 2]),
            (&[0, 0xFF], &[0, 0xFF]),
        ] {
            assert_eq!(Nonce::from_unsigned(bytes).unwrap().as_bytes(), content);
        }
    }

    #[test]
    fn caps_the_length() {
        assert!(Nonce::from_content(&[1; MAX_NONCE_LEN]).is_ok());
        assert_eq!(Nonce::from_content(&[1; MAX_NONCE_LEN + 1]), Err(NonceError::TooLong));
        assert_eq!(Nonce::from_unsigned(&[0x80; MAX_NONCE_LEN]), Err(NonceError::TooLong));
    }

    #[test]
    fn keeps_negative_integers_and_rejects_long_forms() {
        assert_eq!(Nonce::from_content(&[0x80]).unwrap().as_bytes(), [0x80]);
        for content in [&[][..], &[0, 1], &[0xFF, 0x80]] {
            assert_eq!(Nonce::from_content(content), Err(NonceError::NotMinimal));
        }
    }
}
