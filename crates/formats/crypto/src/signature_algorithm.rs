//! The one table of signature algorithms: which identifier with which key means which of them.
//!
//! Certificates and CMS name them by `AlgorithmIdentifier` (RFC 5754, RFC 5758, RFC 8410, RFC 4055),
//! SCTs by two bytes (RFC 5246 §7.4.1.4.1), bundles by key type (the Sigstore algorithm registry).
//! Whatever verifies asks here, so that no two readers take different algorithms. The weakest hash
//! is SHA-256: SHA-1 and MD5 have no row.

use aws_lc_rs::signature::{self as backend, VerificationAlgorithm};
use der::{Any, Decode, Encode, asn1::Null};
use spki::{AlgorithmIdentifierOwned, ObjectIdentifier};

use crate::{HashAlgorithm, KeyFamily};

/// A signature algorithm that can be verified.
///
/// What our own keys sign with is [`crate::PublicKey::default_algorithm`]; the rest is what other
/// authorities sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA P-256 with SHA-256, DER signature.
    EcdsaP256Sha256,
    /// ECDSA P-256 with SHA-384, DER signature.
    EcdsaP256Sha384,
    /// ECDSA P-256 with SHA-512, DER signature.
    EcdsaP256Sha512,
    /// ECDSA P-384 with SHA-256, DER signature (also older cosign with managed keys).
    EcdsaP384Sha256,
    /// ECDSA P-384 with SHA-384, DER signature.
    EcdsaP384Sha384,
    /// ECDSA P-384 with SHA-512, DER signature.
    EcdsaP384Sha512,
    /// ECDSA P-521 with SHA-256, DER signature (also older cosign with managed keys).
    EcdsaP521Sha256,
    /// ECDSA P-521 with SHA-384, DER signature.
    EcdsaP521Sha384,
    /// ECDSA P-521 with SHA-512, DER signature.
    EcdsaP521Sha512,
    /// Pure Ed25519.
    Ed25519,
    /// Ed25519ph with an empty context (RFC 8032 §5.1); its digest is SHA-512.
    Ed25519ph,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256 throughout and a salt of 32 bytes.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384 throughout and a salt of 48 bytes.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512 throughout and a salt of 64 bytes.
    RsaPssSha512,
}

use HashAlgorithm::{Sha256, Sha384, Sha512};

impl SignatureAlgorithm {
    /// Those that certificates are signed with: all but Ed25519ph, which has no identifier.
    pub const OF_CERTIFICATES: [Self; 16] = [
        Self::EcdsaP256Sha256,
        Self::EcdsaP256Sha384,
        Self::EcdsaP256Sha512,
        Self::EcdsaP384Sha256,
        Self::EcdsaP384Sha384,
        Self::EcdsaP384Sha512,
        Self::EcdsaP521Sha256,
        Self::EcdsaP521Sha384,
        Self::EcdsaP521Sha512,
        Self::Ed25519,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
    ];

    /// The hash that the algorithm applies to the message; `None` for pure Ed25519.
    #[must_use]
    pub const fn hash(self) -> Option<HashAlgorithm> {
        self.row().hash
    }

    /// The family of the keys that sign so.
    #[must_use]
    pub const fn family(self) -> KeyFamily {
        self.row().family
    }

    /// The algorithm that a certificate's `AlgorithmIdentifier` (DER) names, for a key of `family`.
    ///
    /// Parameters are absent for ECDSA (RFC 5758 §3.2) and Ed25519 (RFC 8410 §3); for RSA PKCS#1
    /// v1.5 they are NULL, and their absence is taken (RFC 4055 §5); for PSS they are those that
    /// RFC 4055 §3.1 spells out. `None` when any of that is not so, or key and algorithm do not fit.
    #[must_use]
    pub fn of_certificate(identifier_der: &[u8], family: KeyFamily) -> Option<Self> {
        let named = AlgorithmIdentifierOwned::from_der(identifier_der).ok()?;
        Self::OF_CERTIFICATES
            .into_iter()
            .filter(|algorithm| algorithm.family() == family)
            .find(|algorithm| algorithm.identifiers().any(|identifier| identifier == named))
    }

    /// The algorithm that signed the attributes of a CMS `SignerInfo`, whose `digestAlgorithm` is
    /// `digest` and whose `signatureAlgorithm` is `identifier_der`, for a key of `family`.
    ///
    /// The attributes are hashed by the digest algorithm (RFC 5652 §5.4). `rsaEncryption` leaves it
    /// to say so (RFC 3370 §3.2, RFC 5754 §3.2); an identifier with a hash of its own must name the
    /// same one, since OpenSSL and the Go clients believe the digest algorithm and Java the other.
    /// Ed25519 hashes for itself. PSS is refused: no verifier of timestamps reads it (RFC 4056).
    #[must_use]
    pub fn of_cms(identifier_der: &[u8], digest: HashAlgorithm, family: KeyFamily) -> Option<Self> {
        let named = AlgorithmIdentifierOwned::from_der(identifier_der).ok()?;
        if family == KeyFamily::Rsa && named.oid == RSA_ENCRYPTION {
            let usual = named.parameters.is_none_or(|parameters| parameters == Any::null());
            return usual.then_some(match digest {
                Sha256 => Self::RsaPkcs1Sha256,
                Sha384 => Self::RsaPkcs1Sha384,
                Sha512 => Self::RsaPkcs1Sha512,
            });
        }
        Self::of_certificate(identifier_der, family)
            .filter(|algorithm| !matches!(algorithm.row().parameters, Parameters::Pss(_)))
            .filter(|algorithm| algorithm.hash().is_none_or(|hash| hash == digest))
    }

    /// The algorithm of a TLS 1.2 `SignatureAndHashAlgorithm`, which SCTs and tree heads bear,
    /// for a key of `family`: SHA-256, SHA-384 or SHA-512 with ECDSA or RSA PKCS#1 v1.5.
    #[must_use]
    pub fn of_tls(algorithm: [u8; 2], family: KeyFamily) -> Option<Self> {
        const RSA: u8 = 1;
        const ECDSA: u8 = 3;
        let [hash, signature] = algorithm;
        let hash = match hash {
            4 => Sha256,
            5 => Sha384,
            6 => Sha512,
            _ => return None,
        };
        let wanted = match family {
            KeyFamily::Rsa => RSA,
            KeyFamily::P256 | KeyFamily::P384 | KeyFamily::P521 => ECDSA,
            KeyFamily::Ed25519 => return None,
        };
        Self::OF_CERTIFICATES
            .into_iter()
            .filter(|algorithm| !matches!(algorithm.row().parameters, Parameters::Pss(_)))
            .find(|algorithm| algorithm.family() == family && algorithm.hash() == Some(hash))
            .filter(|_| signature == wanted)
    }

    /// DER of the `AlgorithmIdentifier` that names it, the one to write first; RSA has a second
    /// one that is read. Empty for Ed25519ph.
    #[must_use]
    pub fn identifiers_der(self) -> Vec<Vec<u8>> {
        self.identifiers().filter_map(|identifier| identifier.to_der().ok()).collect()
    }

    pub(crate) const fn backend(self) -> &'static dyn VerificationAlgorithm {
        self.row().backend
    }

    fn identifiers(self) -> impl Iterator<Item = AlgorithmIdentifierOwned> {
        let Row { oid, parameters, .. } = self.row();
        let (first, second) = match parameters {
            Parameters::NoIdentifier => (None, None),
            Parameters::Absent => (Some(None), None),
            Parameters::NullOrAbsent => (Some(Some(Any::from(Null))), Some(None)),
            // A constant of this file; were it not DER, it would name nothing.
            Parameters::Pss(der) => (Any::from_der(&der).ok().map(Some), None),
        };
        [first, second]
            .into_iter()
            .flatten()
            .map(move |parameters| AlgorithmIdentifierOwned { oid, parameters })
    }

    /// The table.
    const fn row(self) -> Row {
        use KeyFamily::{P256, P384, P521};
        match self {
            Self::EcdsaP256Sha256 => ecdsa(P256, Sha256, &backend::ECDSA_P256_SHA256_ASN1),
            Self::EcdsaP256Sha384 => ecdsa(P256, Sha384, &backend::ECDSA_P256_SHA384_ASN1),
            Self::EcdsaP256Sha512 => ecdsa(P256, Sha512, &backend::ECDSA_P256_SHA512_ASN1),
            Self::EcdsaP384Sha256 => ecdsa(P384, Sha256, &backend::ECDSA_P384_SHA256_ASN1),
            Self::EcdsaP384Sha384 => ecdsa(P384, Sha384, &backend::ECDSA_P384_SHA384_ASN1),
            Self::EcdsaP384Sha512 => ecdsa(P384, Sha512, &backend::ECDSA_P384_SHA512_ASN1),
            Self::EcdsaP521Sha256 => ecdsa(P521, Sha256, &backend::ECDSA_P521_SHA256_ASN1),
            Self::EcdsaP521Sha384 => ecdsa(P521, Sha384, &backend::ECDSA_P521_SHA384_ASN1),
            Self::EcdsaP521Sha512 => ecdsa(P521, Sha512, &backend::ECDSA_P521_SHA512_ASN1),
            Self::Ed25519 => ed25519(None, Parameters::Absent),
            Self::Ed25519ph => ed25519(Some(Sha512), Parameters::NoIdentifier),
            Self::RsaPkcs1Sha256 => rsa_pkcs1(Sha256, &backend::RSA_PKCS1_2048_8192_SHA256),
            Self::RsaPkcs1Sha384 => rsa_pkcs1(Sha384, &backend::RSA_PKCS1_2048_8192_SHA384),
            Self::RsaPkcs1Sha512 => rsa_pkcs1(Sha512, &backend::RSA_PKCS1_2048_8192_SHA512),
            Self::RsaPssSha256 => rsa_pss(Sha256, &backend::RSA_PSS_2048_8192_SHA256),
            Self::RsaPssSha384 => rsa_pss(Sha384, &backend::RSA_PSS_2048_8192_SHA384),
            Self::RsaPssSha512 => rsa_pss(Sha512, &backend::RSA_PSS_2048_8192_SHA512),
        }
    }
}

/// What the table says of an algorithm.
struct Row {
    oid: ObjectIdentifier,
    parameters: Parameters,
    family: KeyFamily,
    hash: Option<HashAlgorithm>,
    backend: &'static dyn VerificationAlgorithm,
}

/// The parameters of an `AlgorithmIdentifier`.
#[derive(Clone, Copy)]
enum Parameters {
    NoIdentifier,
    Absent,
    NullOrAbsent,
    /// DER of `RSASSA-PSS-params`, of which one spelling is taken.
    Pss([u8; PSS_LEN]),
}

/// RFC 5758 §3.2.
const fn ecdsa(
    family: KeyFamily,
    hash: HashAlgorithm,
    backend: &'static dyn VerificationAlgorithm,
) -> Row {
    let oid = match hash {
        Sha256 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
        Sha384 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
        Sha512 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"),
    };
    Row { oid, parameters: Parameters::Absent, family, hash: Some(hash), backend }
}

/// RFC 8410 §3.
const fn ed25519(hash: Option<HashAlgorithm>, parameters: Parameters) -> Row {
    let oid = ObjectIdentifier::new_unwrap("1.3.101.112");
    Row { oid, parameters, family: KeyFamily::Ed25519, hash, backend: &backend::ED25519 }
}

/// RFC 4055 §5, RFC 5754 §3.2.
const fn rsa_pkcs1(hash: HashAlgorithm, backend: &'static dyn VerificationAlgorithm) -> Row {
    let oid = match hash {
        Sha256 => ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
        Sha384 => ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
        Sha512 => ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
    };
    let parameters = Parameters::NullOrAbsent;
    Row { oid, parameters, family: KeyFamily::Rsa, hash: Some(hash), backend }
}

/// RFC 4055 §3.1: the hash, MGF1 with the same one, a salt as long as it, the default trailer.
const fn rsa_pss(hash: HashAlgorithm, backend: &'static dyn VerificationAlgorithm) -> Row {
    let parameters = Parameters::Pss(match hash {
        Sha256 => pss_parameters(0x01, 32),
        Sha384 => pss_parameters(0x02, 48),
        Sha512 => pss_parameters(0x03, 64),
    });
    let oid = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
    Row { oid, parameters, family: KeyFamily::Rsa, hash: Some(hash), backend }
}

/// Length of `RSASSA-PSS-params` in DER.
const PSS_LEN: usize = 54;

/// DER of `RSASSA-PSS-params`; `hash` is the last arc of the hash's identifier.
#[rustfmt::skip]
const fn pss_parameters(hash: u8, salt_len: u8) -> [u8; PSS_LEN] {
    [
        0x30, 0x34,
            0xa0, 0x0f, 0x30, 0x0d,
                0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00,
            0xa1, 0x1c, 0x30, 0x1a,
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
                0x30, 0x0d,
                    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00,
            0xa2, 0x03, 0x02, 0x01, salt_len,
    ]
}

pub(crate) const RSA_ENCRYPTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

#[cfg(test)]
mod tests;
