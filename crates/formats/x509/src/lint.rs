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
/// RSA: another exponent than 65537, a small factor, the fingerprint of CVE-2017-15361 (ROCA), or
/// two primes close to each other. That sizes are 2048, 3072 or 4096 bits, that curve points lie
/// on their curve and are not of small order, and that the encoding is the one that verifiers
/// read, [`PublicKey`] itself has checked.
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
    if let Some(factor) = residues.iter().find(|of| of.residue == 0) {
        return Err(WeakKey::SmallFactor(factor.prime));
    }
    if has_roca_fingerprint(&residues) {
        return Err(WeakKey::Roca);
    }
    if has_close_factors(&modulus) { Err(WeakKey::CloseFactors) } else { Ok(()) }
}

/// What is left of the modulus modulo a small prime.
struct Residue {
    prime: u32,
    residue: u32,
}

/// The modulus modulo every small prime.
fn small_residues(modulus: &BigUint) -> Vec<Residue> {
    let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..=SMALL_PRIME_BOUND)
        .filter(is_prime)
        .map(|prime| {
            let residue = (modulus % prime).to_u32_digits().first().copied().unwrap_or(0);
            Residue { prime, residue }
        })
        .collect()
}

/// Affected primes are 65537 to some power modulo a product of small primes; so is the modulus.
///
/// Nemec et al., "The Return of Coppersmith's Attack", section 2.2. Chance hits: below 2^-27.
fn has_roca_fingerprint(residues: &[Residue]) -> bool {
    residues
        .iter()
        .take_while(|of| of.prime <= ROCA_PRIME_BOUND)
        .all(|of| powers_of_65537(of.prime).any(|power| power == of.residue))
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

#[cfg(test)]
mod tests {
    use crypto::{KeyError, LocalSigner, Signer};
    use der::Encode;

    use super::*;

    fn der_of(modulus: &BigUint, exponent: u32) -> Vec<u8> {
        let integer =
            |number: &BigUint| Uint::new(&number.to_bytes_be()).unwrap().to_der().unwrap();
        let content = [integer(modulus), integer(&BigUint::from(exponent))].concat();
        der::Any::new(der::Tag::Sequence, content).unwrap().to_der().unwrap()
    }

    fn sound_modulus() -> BigUint {
        let key = LocalSigner::generate(KeyType::Rsa2048, "sound").unwrap();
        let (_, modulus) = modulus_and_rest(key.public_key().raw());
        modulus
    }

    fn modulus_and_rest(der: &[u8]) -> (Vec<u8>, BigUint) {
        let sequence = der::Any::from_der(der).unwrap();
        let mut reader = der::SliceReader::new(sequence.value()).unwrap();
        let modulus = Uint::decode(&mut reader).unwrap();
        (sequence.value().to_vec(), BigUint::from_bytes_be(modulus.as_bytes()))
    }

    fn has_small_factor(modulus: &BigUint) -> bool {
        small_residues(modulus).iter().any(|of| of.residue == 0)
    }

    /// The product of two odd numbers with `distance` rounds of Fermat between them and their mean.
    fn close_product(rounds: u32) -> BigUint {
        let mut mean = (BigUint::from(1u32) << 1023) + 12_345u32;
        loop {
            let square: BigUint = &mean * 2u32 * rounds;
            let half_difference = square.sqrt();
            let modulus = &mean * &mean - &half_difference * &half_difference;
            if !has_small_factor(&modulus) {
                return modulus;
            }
            mean += 1u32;
        }
    }

    #[test]
    fn accepts_sound_keys_of_every_kind() {
        for key_type in [
            KeyType::EcdsaP256,
            KeyType::EcdsaP384,
            KeyType::EcdsaP521,
            KeyType::Ed25519,
            KeyType::Rsa2048,
            KeyType::Rsa3072,
        ] {
            let signer = LocalSigner::generate(key_type, "sound").unwrap();
            assert_eq!(client_key(signer.public_key()), Ok(()), "{key_type:?}");
        }
    }

    #[test]
    fn refuses_encodings_that_verifiers_do_not_read() {
        let encode = |algorithm: &str, raw: &[u8]| {
            let bits = der::asn1::BitString::from_bytes(raw).unwrap().to_der().unwrap();
            let content = [hex::decode(algorithm).unwrap(), bits].concat();
            let der = der::Any::new(der::Tag::Sequence, content).unwrap().to_der().unwrap();
            PublicKey::from_spki_der(&der).map(|key| client_key(&key))
        };
        let key = |key_type| LocalSigner::generate(key_type, "test").unwrap();
        let ed25519 = key(KeyType::Ed25519);
        let raw = ed25519.public_key().raw();
        assert_eq!(encode("300506032b6570", raw), Ok(Ok(())));
        assert_eq!(encode("300706032b65700500", raw), Err(KeyError::Parameters));
        let rsa = key(KeyType::Rsa2048);
        let (null, none) = ("300d06092a864886f70d0101010500", "300b06092a864886f70d010101");
        assert_eq!(encode(null, rsa.public_key().raw()), Ok(Ok(())));
        assert_eq!(encode(none, rsa.public_key().raw()), Err(KeyError::Parameters));
        let p256 = key(KeyType::EcdsaP256);
        let point = p256.public_key().raw();
        let algorithm = "301306072a8648ce3d020106082a8648ce3d030107";
        assert_eq!(encode(algorithm, point), Ok(Ok(())));
        let compressed = [&[2 | (point[64] & 1)], &point[1..33]].concat();
        assert_eq!(encode(algorithm, &compressed), Err(KeyError::PointEncoding));
    }

    #[test]
    fn refuses_other_exponents() {
        let modulus = sound_modulus();
        assert_eq!(rsa(&der_of(&modulus, 65537)), Ok(()));
        for exponent in [3, 17, 65535, 65539] {
            assert_eq!(rsa(&der_of(&modulus, exponent)), Err(WeakKey::Exponent));
        }
    }

    #[test]
    fn refuses_small_factors_up_to_the_bound() {
        for prime in [2, 3, 743, 751] {
            let modulus = sound_modulus() * prime;
            assert_eq!(rsa(&der_of(&modulus, 65537)), Err(WeakKey::SmallFactor(prime)));
        }
        // 757 is the next prime.
        assert_eq!(rsa(&der_of(&(sound_modulus() * 757u32), 65537)), Ok(()));
    }

    #[test]
    fn refuses_the_roca_fingerprint() {
        let product: BigUint = small_residues(&BigUint::from(1u32))
            .iter()
            .take_while(|of| of.prime <= ROCA_PRIME_BOUND)
            .map(|of| of.prime)
            .product();
        let power = BigUint::from(65537u32).modpow(&BigUint::from(123_456_789u32), &product);
        let mut modulus = ((BigUint::from(1u32) << 2047) / &product + 1u32) * &product + power;
        while has_small_factor(&modulus) {
            modulus += &product;
        }
        assert_eq!(rsa(&der_of(&modulus, 65537)), Err(WeakKey::Roca));
    }

    #[test]
    fn refuses_close_factors_within_a_hundred_rounds() {
        for rounds in [0, 1, 50, 98] {
            let modulus = close_product(rounds);
            assert_eq!(rsa(&der_of(&modulus, 65537)), Err(WeakKey::CloseFactors), "{rounds}");
        }
        assert_eq!(rsa(&der_of(&close_product(102), 65537)), Ok(()));
    }

    #[test]
    fn refuses_what_is_no_rsa_key() {
        assert_eq!(rsa(&[0x30, 0x00]), Err(WeakKey::Malformed));
    }

    #[test]
    fn knows_squares() {
        for number in 0u32..2000 {
            let expected = (0..=number).any(|root| root * root == number);
            assert_eq!(is_square(&BigUint::from(number)), expected, "{number}");
        }
    }

    #[test]
    fn powers_of_65537_are_its_whole_subgroup() {
        assert_eq!(powers_of_65537(2).collect::<Vec<_>>(), [1]);
        assert_eq!(powers_of_65537(3).collect::<Vec<_>>(), [1, 2]);
        // 65537 = 10 modulo 11, of order 2.
        assert_eq!(powers_of_65537(11).collect::<Vec<_>>(), [1, 10]);
    }
}
