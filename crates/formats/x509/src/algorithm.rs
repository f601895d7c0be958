//! The table of `crypto`, in the types of certificates and of path building.

use std::sync::LazyLock;

use crypto::{AuthorityKey, KeyFamily, SignatureAlgorithm};
use der::{Decode, Encode, SliceReader};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use spki::AlgorithmIdentifierOwned;

/// The `AlgorithmIdentifier` under which a signature of `algorithm` is written.
///
/// `None` for Ed25519ph, which certificates do not use.
pub(crate) fn identifier_of(algorithm: SignatureAlgorithm) -> Option<AlgorithmIdentifierOwned> {
    let first = algorithm.identifiers_der().into_iter().next()?;
    AlgorithmIdentifierOwned::from_der(&first).ok()
}

/// The algorithm that `identifier` names for a key of `family`; `None` when the two do not
/// fit, the parameters are not the ones of the standard, or we do not support the pair.
pub(crate) fn algorithm_of(
    identifier: &AlgorithmIdentifierOwned,
    family: KeyFamily,
) -> Option<SignatureAlgorithm> {
    SignatureAlgorithm::of_certificate(&identifier.to_der().ok()?, family)
}

/// Every algorithm that a chain may be signed with, for rustls-webpki.
///
/// Its own list knows neither all pairs of curve and hash nor which keys are unsound.
pub(crate) fn path_algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    static ALL: LazyLock<Vec<PathAlgorithm>> = LazyLock::new(|| {
        let rows = SignatureAlgorithm::OF_CERTIFICATES.into_iter();
        rows.flat_map(PathAlgorithm::of).collect()
    });
    static BORROWED: LazyLock<Vec<&'static dyn SignatureVerificationAlgorithm>> =
        LazyLock::new(|| {
            let borrow =
                |algorithm: &'static PathAlgorithm| -> &'static dyn SignatureVerificationAlgorithm {
                    algorithm
                };
            ALL.iter().map(borrow).collect()
        });
    &BORROWED
}

/// One spelling of a signature algorithm.
#[derive(Debug)]
struct PathAlgorithm {
    algorithm: SignatureAlgorithm,
    key_identifier: AlgorithmIdentifier,
    signature_identifier: AlgorithmIdentifier,
}

impl PathAlgorithm {
    fn of(algorithm: SignatureAlgorithm) -> impl Iterator<Item = Self> {
        let key_identifier = identifier_content(&algorithm.family().identifier_der());
        algorithm.identifiers_der().into_iter().filter_map(move |der| {
            Some(Self {
                algorithm,
                key_identifier: key_identifier?,
                signature_identifier: identifier_content(&der)?,
            })
        })
    }
}

impl SignatureVerificationAlgorithm for PathAlgorithm {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key_identifier
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature_identifier
    }

    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = AuthorityKey::from_raw(self.algorithm.family(), public_key)
            .map_err(|_| InvalidSignature)?;
        key.verify_with(self.algorithm, message, signature).map_err(|_| InvalidSignature)
    }
}

/// What is inside the SEQUENCE, which is what rustls-webpki compares. Kept for ever: the table is
/// made once in a process.
fn identifier_content(der: &[u8]) -> Option<AlgorithmIdentifier> {
    let mut reader = SliceReader::new(der).ok()?;
    der::Header::decode(&mut reader).ok()?;
    let content = der.get(usize::try_from(der::Reader::position(&reader)).ok()?..)?;
    Some(AlgorithmIdentifier::from_slice(content.to_vec().leak()))
}
