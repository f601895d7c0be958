/// Declares a protobuf enum: its Rust name, and for each value the number and the name that JSON writes.
///
/// The first value is the default. JSON is read by name or number, unknown ones are refused.
macro_rules! proto_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$value_meta:meta])* $value:ident = $number:literal => $text:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$value_meta])* $value,)+ }

        impl $name {
            /// The name that JSON writes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }

            /// The protobuf number.
            #[must_use]
            pub const fn number(self) -> i64 {
                match self { $(Self::$value => $number,)+ }
            }

            /// The value of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$value),)+ _ => None }
            }

            /// The value of that protobuf number.
            #[must_use]
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Self::$value),)+ _ => None }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct NameOrNumber;

                impl serde::de::Visitor<'_> for NameOrNumber {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a name or number of ", stringify!($name)))
                    }

                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$name, E> {
                        $name::from_name(name)
                            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(name), &self))
                    }

                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$name, E> {
                        $name::from_number(number)
                            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
                    }

                    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$name, E> {
                        i64::try_from(number).ok().and_then($name::from_number)
                            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
                    }
                }

                deserializer.deserialize_any(NameOrNumber)
            }
        }
    };
}

pub(crate) use proto_enum;

proto_enum! {
    /// `dev.sigstore.common.v1.HashAlgorithm`.
    pub enum HashAlgorithm {
        /// Not set.
        #[default]
        Unspecified = 0 => "HASH_ALGORITHM_UNSPECIFIED",
        /// SHA-256.
        Sha2_256 = 1 => "SHA2_256",
        /// SHA-384.
        Sha2_384 = 2 => "SHA2_384",
        /// SHA-512.
        Sha2_512 = 3 => "SHA2_512",
        /// SHA3-256.
        Sha3_256 = 4 => "SHA3_256",
        /// SHA3-384.
        Sha3_384 = 5 => "SHA3_384",
    }
}

proto_enum! {
    /// `dev.sigstore.common.v1.PublicKeyDetails`: encoding of a key, signature scheme and hash in one name.
    pub enum PublicKeyDetails {
        /// Not set.
        #[default]
        Unspecified = 0 => "PUBLIC_KEY_DETAILS_UNSPECIFIED",
        /// PKCS#1 key, PKCS#1 v1.5 signature; deprecated.
        Pkcs1RsaPkcs1v5 = 1 => "PKCS1_RSA_PKCS1V5",
        /// PKCS#1 key, PSS signature; deprecated.
        Pkcs1RsaPss = 2 => "PKCS1_RSA_PSS",
        /// RSA of any size, PKCS#1 v1.5 signature; deprecated.
        PkixRsaPkcs1v5 = 3 => "PKIX_RSA_PKCS1V5",
        /// RSA of any size, PSS signature; deprecated.
        PkixRsaPss = 4 => "PKIX_RSA_PSS",
        /// ECDSA P-256 with SHA-256.
        PkixEcdsaP256Sha256 = 5 => "PKIX_ECDSA_P256_SHA_256",
        /// Deterministic ECDSA P-256 (RFC 6979); deprecated.
        PkixEcdsaP256HmacSha256 = 6 => "PKIX_ECDSA_P256_HMAC_SHA_256",
        /// Pure Ed25519.
        PkixEd25519 = 7 => "PKIX_ED25519",
        /// Ed25519ph.
        PkixEd25519Ph = 8 => "PKIX_ED25519_PH",
        /// RSA-2048, PKCS#1 v1.5 with SHA-256.
        PkixRsaPkcs1v15_2048Sha256 = 9 => "PKIX_RSA_PKCS1V15_2048_SHA256",
        /// RSA-3072, PKCS#1 v1.5 with SHA-256.
        PkixRsaPkcs1v15_3072Sha256 = 10 => "PKIX_RSA_PKCS1V15_3072_SHA256",
        /// RSA-4096, PKCS#1 v1.5 with SHA-256.
        PkixRsaPkcs1v15_4096Sha256 = 11 => "PKIX_RSA_PKCS1V15_4096_SHA256",
        /// ECDSA P-384 with SHA-384.
        PkixEcdsaP384Sha384 = 12 => "PKIX_ECDSA_P384_SHA_384",
        /// ECDSA P-521 with SHA-512.
        PkixEcdsaP521Sha512 = 13 => "PKIX_ECDSA_P521_SHA_512",
        /// LMS with SHA-256.
        LmsSha256 = 14 => "LMS_SHA256",
        /// LM-OTS with SHA-256.
        LmotsSha256 = 15 => "LMOTS_SHA256",
        /// RSA-2048, PSS with SHA-256.
        PkixRsaPss2048Sha256 = 16 => "PKIX_RSA_PSS_2048_SHA256",
        /// RSA-3072, PSS with SHA-256.
        PkixRsaPss3072Sha256 = 17 => "PKIX_RSA_PSS_3072_SHA256",
        /// RSA-4096, PSS with SHA-256.
        PkixRsaPss4096Sha256 = 18 => "PKIX_RSA_PSS_4096_SHA256",
        /// ECDSA P-384 with SHA-256; deprecated, older cosign with managed keys.
        PkixEcdsaP384Sha256 = 19 => "PKIX_ECDSA_P384_SHA_256",
        /// ECDSA P-521 with SHA-256; deprecated, older cosign with managed keys.
        PkixEcdsaP521Sha256 = 20 => "PKIX_ECDSA_P521_SHA_256",
        /// ML-DSA-65.
        MlDsa65 = 21 => "ML_DSA_65",
        /// ML-DSA-87.
        MlDsa87 = 22 => "ML_DSA_87",
        /// ML-DSA-44.
        MlDsa44 = 23 => "ML_DSA_44",
    }
}
