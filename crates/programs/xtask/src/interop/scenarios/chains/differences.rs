//! Where verifiers do not agree, and why. A difference that is no longer there fails the run.

use super::{
    ask::Verifier,
    plan::{Key, Purpose, Row},
};

/// A verdict other than the row's.
pub(super) struct Difference {
    purpose: Purpose,
    /// Of all keys, when there is none.
    key: Option<Key>,
    /// Of all hashes, when there is none.
    hash: Option<&'static str>,
    verifier: Verifier,
    /// What the program says when it refuses; nothing where it takes the chain.
    says: Option<&'static str>,
    pub(super) why: &'static str,
}

impl Difference {
    /// Whether a program that said this, or took the chain, did what is described here.
    pub(super) fn explains(&self, said: Option<&str>) -> bool {
        match (self.says, said) {
            (Some(says), Some(said)) => said.contains(says),
            (None, None) => true,
            _ => false,
        }
    }
}

/// The difference that is known of a verifier's verdict on a row.
pub(super) fn of(row: &Row, verifier: Verifier) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| {
        difference.purpose == row.purpose
            && difference.key.is_none_or(|key| key == row.key)
            && difference.hash.is_none_or(|hash| hash == row.hash)
            && difference.verifier == verifier
    })
}

/// One line for both purposes would hide that one of them is gone.
const DIFFERENCES: [Difference; 3] =
    [go_takes_rsa_1024(Purpose::Ca), go_takes_rsa_1024(Purpose::Tsa), STRICT_OPENSSL];

const STRICT_OPENSSL: Difference = Difference {
    purpose: Purpose::CaOfPolicy,
    key: None,
    hash: None,
    verifier: Verifier::OpenSsl,
    says: Some("does not include key usage"),
    why: "openssl's `-x509_strict` demands a key usage of every CA, as RFC 5280 section 4.2.1.3 does of \
          those that make them; without it openssl takes such chains, as clients do",
};

const fn go_takes_rsa_1024(purpose: Purpose) -> Difference {
    Difference {
        purpose,
        key: Some(Key::Rsa(1024)),
        hash: None,
        verifier: Verifier::Cosign3,
        says: None,
        why: "cosign takes RSA of 1024 bits, which NIST SP 800-131A forbids: Go's crypto/rsa refuses \
              below that only; countersign and openssl at level 2 refuse it",
    }
}
