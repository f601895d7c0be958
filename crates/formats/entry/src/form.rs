//! In which form a signature came, told from its bytes alone: what cannot be a key's is not tried with it, and
//! no signature is tried in two forms.

use std::borrow::Cow;

use crypto::KeyType;
use x509_cert::der::{Decode, Encode, asn1::Uint};

/// Whether a key of that type can have made `signature`: by its length, or for ECDSA as the DER of two numbers.
pub(crate) fn is_of(key_type: KeyType, signature: &[u8]) -> bool {
    match key_type {
        KeyType::Ed25519 => signature.len() == 64,
        KeyType::Rsa2048 => signature.len() == 256,
        KeyType::Rsa3072 => signature.len() == 384,
        KeyType::Rsa4096 => signature.len() == 512,
        KeyType::EcdsaP256 => is_der_of_two(signature, 32),
        KeyType::EcdsaP384 => is_der_of_two(signature, 48),
        KeyType::EcdsaP521 => is_der_of_two(signature, 66),
    }
}

/// The signature in the form that [`is_of`] knows, also of ECDSA's `r || s`, both as long as the field (IEEE P1363).
///
/// `WebCrypto` and JWS libraries sign so. `None` when a key of that type cannot have made it.
pub(crate) fn read(key_type: KeyType, signature: &[u8]) -> Option<Cow<'_, [u8]>> {
    if is_of(key_type, signature) {
        return Some(Cow::Borrowed(signature));
    }
    let field_len = match key_type {
        KeyType::EcdsaP256 => 32,
        KeyType::EcdsaP384 => 48,
        KeyType::EcdsaP521 => 66,
        _ => return None,
    };
    let (r, s) = signature.split_at_checked(field_len).filter(|(_, s)| s.len() == field_len)?;
    vec![Uint::new(r).ok()?, Uint::new(s).ok()?].to_der().ok().map(Cow::Owned)
}

/// Head of a sequence, heads of two integers, and a zero before each that would be negative.
const DER_OVERHEAD: usize = 9;

fn is_der_of_two(signature: &[u8], field_len: usize) -> bool {
    signature.len() <= 2 * field_len + DER_OVERHEAD
        && Vec::<Uint>::from_der(signature).is_ok_and(|numbers| {
            numbers.len() == 2 && numbers.iter().all(|number| number.as_bytes().len() <= field_len)
        })
}
