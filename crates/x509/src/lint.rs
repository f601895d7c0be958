//! Keys that must not be certified although they are well-formed.

use crypto::{KeyType, PublicKey};
use der::{Decode, Sequence, asn1::Uint};
use num_bigint::BigUint;
use thiserror::Error;

/// The one public exponent accepted: what every RSA key generator in use writes.
const PUBLIC_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];

/// Primes up to this bound are tried as divisors of a modulus.
const SMALL_PRIME_BOUND: u32 = 751;

/// Primes up to this bound take part in the test for CVE-2017-15361: the first 39 primes, which
/// divide the constant of every affected key size from 512 bits on.
const ROCA_PRIME_BOUND: u32 = 167;

/// Rounds of Fermat's factorisation; primes closer than this betray come from broken generators.
const FERMAT_ROUNDS: u32 = 100;

/// Refuses client keys that are known to be weak.
///
/// RSA: another exponent than 65537, a small factor, the fingerprint of CVE-2017-15361 (ROCA),
/// or two primes close to each other. That sizes are 2048, 3072 or 4096 bits and that curve
/// points lie on their curve, [`PublicKey`] itself has checked.
///
/// # Errors
/// [`WeakKey`], by the weakness found.
pub fn client_key(key: &PublicKey) -> Result<(), WeakKey> {
    match key.key_type() {
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 | KeyType::Ed25519 => Ok(()),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => rsa(key.raw()),
    }
}

/// The weakness of a key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WeakKey {
    /// Not a DER `RSAPublicKey`; [`PublicKey`] would have refused it.
    #[error("the RSA key is malformed")]
    Malformed,
    /// Another public exponent than 65537.
    #[error("the RSA key's exponent is not 65537")]
    Exponent,
    /// The modulus has a small prime factor.
    #[error("the RSA key's modulus is divisible by {0}")]
    SmallFactor(u32),
    /// The key was made by an Infineon chip with CVE-2017-15361.
    #[error("the RSA key has the fingerprint of CVE-2017-15361 (ROCA)")]
    Roca,
    /// The modulus is the product of two primes close to each other.
    #[error("the RSA key's primes are too close to each other")]
    CloseFactors,
}

fn rsa(rsa_public_key_der: &[u8]) -> Result<(), WeakKey> {
    #[derive(Sequence)]
    struct RsaPublicKey {
        modulus: Uint,
        public_exponent: Uint,
    }
    let key = RsaPublicKey::from_der(rsa_public_key_der).map_err(|_| WeakKey::Malformed)?;
    if key.public_exponent.as_bytes() != PUBLIC_EXPONENT {
        return Err(WeakKey::Exponent);
    }
    let modulus = BigUint::from_bytes_be(key.modulus.as_bytes());
    let residues = small_residues(&modulus);
    if let Some((prime, _)) = residues.iter().find(|(_, residue)| *residue == 0) {
        return Err(WeakKey::SmallFactor(*prime));
    }
    if has_roca_fingerprint(&residues) {
        return Err(WeakKey::Roca);
    }
    if has_close_factors(&modulus) { Err(WeakKey::CloseFactors) } else { Ok(()) }
}

/// The modulus modulo every small prime.
fn small_residues(modulus: &BigUint) -> Vec<(u32, u32)> {
    let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..=SMALL_PRIME_BOUND)
        .filter(is_prime)
        .map(|prime| {
            let residue = (modulus % prime).to_u32_digits().first().copied().unwrap_or(0);
            (prime, residue)
        })
        .collect()
}

/// Affected primes are 65537 to some power modulo a product of small primes; so is the modulus.
///
/// Nemec et al., "The Return of Coppersmith's Attack", section 2.2. Chance hits: below 2^-27.
fn has_roca_fingerprint(residues: &[(u32, u32)]) -> bool {
    residues
        .iter()
        .take_while(|(prime, _)| *prime <= ROCA_PRIME_BOUND)
        .all(|(prime, residue)| powers_of_65537(*prime).any(|power| power == *residue))
}

fn powers_of_65537(prime: u32) -> impl Iterator<Item = u32> {
    let generator = 65537 % prime;
    std::iter::successors(Some(1 % prime), move |power| {
        Some(power * generator % prime).filter(|next| *next != 1 % prime)
    })
}

/// Fermat: n = a² - b² with a just above the root of n, when the primes are close.
fn has_close_factors(modulus: &BigUint) -> bool {
    let mut root = modulus.sqrt();
    if &root * &root < *modulus {
        root += 1u32;
    }
    let mut remainder = &root * &root - modulus;
    for _ in 0..FERMAT_ROUNDS {
        if is_square(&remainder) {
            return true;
        }
        // (a + 1)² - n = (a² - n) + 2a + 1
        remainder += &root * 2u32 + 1u32;
        root += 1u32;
    }
    false
}

/// Squares are rare modulo 64, 63, 65 and 11: the root is computed for one number in a hundred.
fn is_square(number: &BigUint) -> bool {
    let may_be = [64u32, 63, 65, 11].into_iter().all(|modulus| {
        let residue = (number % modulus).to_u32_digits().first().copied().unwrap_or(0);
        (0..modulus).any(|root| root * root % modulus == residue)
    });
    may_be && {
        let root = number.sqrt();
        &root * &root == *number
    }
}
