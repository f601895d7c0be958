//! The rows: which key signs with what.

use std::fmt;

/// What a chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Root, issuing CA and a certificate for signing code.
    Ca,
    /// The same with a policy CA between root and issuing CA which has no key usage, as those of companies.
    CaOfPolicy,
    /// Root and timestamp authority, which answers a query.
    Tsa,
}

/// The kind of the keys of every authority in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    P256,
    P384,
    P521,
    /// Bits.
    Rsa(u16),
    /// Bits; certificates are signed by RSASSA-PSS.
    RsaPss(u16),
    Ed25519,
}

impl Key {
    /// Arguments of `openssl genpkey`.
    pub(super) fn generation(self) -> [String; 4] {
        let (algorithm, option) = match self {
            Self::P256 => ("EC", "ec_paramgen_curve:P-256".to_owned()),
            Self::P384 => ("EC", "ec_paramgen_curve:P-384".to_owned()),
            Self::P521 => ("EC", "ec_paramgen_curve:P-521".to_owned()),
            Self::Rsa(bits) | Self::RsaPss(bits) => ("RSA", format!("rsa_keygen_bits:{bits}")),
            Self::Ed25519 => {
                return ["-algorithm", "ED25519", "-outform", "PEM"].map(str::to_owned);
            }
        };
        ["-algorithm".to_owned(), algorithm.to_owned(), "-pkeyopt".to_owned(), option]
    }

    /// The files of keys that are made once.
    pub(super) fn file(self) -> String {
        match self {
            Self::Rsa(bits) | Self::RsaPss(bits) => format!("rsa{bits}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// Arguments that make certificates PSS-signed.
    pub(super) fn signing_options(self) -> &'static [&'static str] {
        match self {
            Self::RsaPss(_) => {
                &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
            }
            _ => &[],
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::RsaPss(bits) => write!(f, "RSA {bits} PSS"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// What every verifier should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Taken,
    Refused,
}

/// One chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) purpose: Purpose,
    pub(super) key: Key,
    /// As an option of openssl, without the dash.
    pub(super) hash: &'static str,
    pub(super) expected: Expected,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let purpose = match self.purpose {
            Purpose::Ca => "CA",
            Purpose::CaOfPolicy => "CA below a policy CA",
            Purpose::Tsa => "TSA",
        };
        write!(f, "{purpose} {}, {}", self.key, self.hash)
    }
}

/// What openssl cannot make, and why.
pub(super) const NOT_MADE: (&str, &str) = (
    "TSA Ed25519",
    "`openssl ts -reply` signs by PKCS#7, which knows no Ed25519 (it answers \"Error during signature \
     generation\"); countersign takes such tokens (crypto: cms_names_one_hash_and_no_pss)",
);

/// Every pair that verifiers must take, then what they must refuse.
pub(super) fn rows() -> Vec<Row> {
    use Key::{Ed25519, P256, P384, P521, Rsa, RsaPss};
    let mut rows = Vec::new();
    for purpose in [Purpose::Ca, Purpose::Tsa] {
        let row = |key, hash, expected| Row { purpose, key, hash, expected };
        for key in [P256, P384, P521, Rsa(2048), Rsa(3072), Rsa(4096), RsaPss(2048)] {
            rows.extend(["sha256", "sha384", "sha512"].map(|hash| row(key, hash, Expected::Taken)));
        }
        // It hashes for itself. As a timestamp authority: see `NOT_MADE`.
        if purpose == Purpose::Ca {
            rows.push(row(Ed25519, "sha512", Expected::Taken));
        }
        rows.push(row(Rsa(6144), "sha256", Expected::Taken));
        rows.push(row(P256, "sha1", Expected::Refused));
        rows.push(row(Rsa(2048), "sha1", Expected::Refused));
        rows.push(row(Rsa(1024), "sha256", Expected::Refused));
    }
    let purpose = Purpose::CaOfPolicy;
    rows.extend([P256, Rsa(2048)].map(|key| Row {
        purpose,
        key,
        hash: "sha256",
        expected: Expected::Taken,
    }));
    rows
}
