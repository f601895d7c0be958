//! What every key must be, whoever brings it, before a signature by it says anything.

use der::{Decode, Encode, Sequence, asn1::Uint};

use crate::KeyError;

/// First byte of a curve point that has both coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Longest `RSAPublicKey` read, in bytes.
const MAX_RSA_LEN: usize = 2048;

/// Most bits of an RSA exponent: Go refuses what does not fit 31 bits, and real ones have 17.
const MAX_EXPONENT_BITS: usize = 31;

/// Admits uncompressed points alone: compressed and hybrid ones would be a second spelling of a key,
/// and Go, in which Fulcio, Rekor and cosign are written, reads neither.
pub(crate) fn check_point(raw: &[u8]) -> Result<(), KeyError> {
    match raw.first() {
        Some(&UNCOMPRESSED) => Ok(()),
        Some(2 | 3 | 6 | 7) => Err(KeyError::PointEncoding),
        _ => Err(KeyError::Rejected),
    }
}

/// Admits canonical points of large order.
///
/// Under a key of small order the signature of R = identity, S = 0 verifies for a message in eight,
/// under the identity for every one. RFC 8032 §5.1.3 refuses encodings whose y is not below the
/// prime; AWS-LC and OpenSSL reduce it instead, so that a key would have two spellings.
pub(crate) fn check_ed25519(raw: &[u8]) -> Result<(), KeyError> {
    let bytes: &[u8; 32] = raw.try_into().map_err(|_| KeyError::Rejected)?;
    if !is_below_the_prime(bytes) {
        return Err(KeyError::Ed25519Point);
    }
    let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Ed25519Point)?;
    // The one other encoding that is not canonical, x = 0 with its sign set, is of small order.
    if key.is_weak() { Err(KeyError::Ed25519Point) } else { Ok(()) }
}

/// Whether y, without the sign of x in the top bit, is below 2^255 - 19.
fn is_below_the_prime(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *first < 0xed || middle.iter().any(|byte| *byte != 0xff) || last & 0x7f != 0x7f
}

#[derive(Sequence)]
struct RsaPublicKey {
    modulus: Uint,
    public_exponent: Uint,
}

/// The size of the modulus in bits; whether it is a sound one is [`check_rsa`]'s question.
pub(crate) fn rsa_bits(rsa_public_key_der: &[u8]) -> Result<usize, KeyError> {
    Ok(bits_of(read_rsa(rsa_public_key_der)?.modulus.as_bytes()))
}

/// Admits keys of the sizes that `check_bits` admits, under which one signature fits one message.
///
/// With an exponent of 1 a message is its own signature. RFC 8017 §3.1 has it odd and 3 at least;
/// an even modulus is no product of two large primes.
pub(crate) fn check_rsa(
    rsa_public_key_der: &[u8],
    check_bits: impl FnOnce(usize) -> Result<(), KeyError>,
) -> Result<(), KeyError> {
    let key = read_rsa(rsa_public_key_der)?;
    let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    check_bits(bits_of(modulus))?;
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    if !is_odd(exponent) || exponent == [1] || bits_of(exponent) > MAX_EXPONENT_BITS {
        return Err(KeyError::RsaExponent);
    }
    if is_odd(modulus) { Ok(()) } else { Err(KeyError::RsaModulus) }
}

fn read_rsa(rsa_public_key_der: &[u8]) -> Result<RsaPublicKey, KeyError> {
    if rsa_public_key_der.len() > MAX_RSA_LEN {
        return Err(KeyError::TooLong);
    }
    RsaPublicKey::from_der(rsa_public_key_der).map_err(|_| KeyError::Spki)
}

/// DER of an `RSAPublicKey` (RFC 8017 §A.1.1).
pub(crate) fn rsa_public_key_der(modulus: &[u8], exponent: &[u8]) -> Result<Vec<u8>, KeyError> {
    let number = |bytes: &[u8]| Uint::new(bytes).map_err(|_| KeyError::Spki);
    RsaPublicKey { modulus: number(modulus)?, public_exponent: number(exponent)? }
        .to_der()
        .map_err(|_| KeyError::Spki)
}

/// `Uint` holds no leading zero byte, so the first byte has the top bit.
fn bits_of(number: &[u8]) -> usize {
    let leading = number.first().map_or(0, |byte| byte.leading_zeros() as usize);
    (number.len() * 8).saturating_sub(leading)
}
