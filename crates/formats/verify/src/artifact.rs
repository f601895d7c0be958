use crypto::HashAlgorithm;

/// What a bundle must be about: an artifact, or only a digest of it.
#[derive(Clone, Debug)]
pub struct Artifact<'a>(Known<'a>);

#[derive(Clone, Debug)]
enum Known<'a> {
    Bytes { bytes: &'a [u8], sha256: [u8; 32] },
    Digest { algorithm: HashAlgorithm, digest: Vec<u8>, begins_like_pae: bool },
}

impl<'a> Artifact<'a> {
    /// The whole artifact.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(Known::Bytes { bytes, sha256: crypto::sha256(bytes) })
    }

    /// An artifact of which only the SHA-256 is known; enough for all but a few bundles
    /// (see [`needs_artifact_bytes`](crate::needs_artifact_bytes)).
    #[must_use]
    pub fn from_sha256(sha256: [u8; 32]) -> Self {
        Self::of_digest(HashAlgorithm::Sha256, sha256.to_vec())
    }

    /// An artifact of which only the SHA-512 is known, as registries of npm packages give it.
    #[must_use]
    pub fn from_sha512(sha512: [u8; 64]) -> Self {
        Self::of_digest(HashAlgorithm::Sha512, sha512.to_vec())
    }

    fn of_digest(algorithm: HashAlgorithm, digest: Vec<u8>) -> Self {
        Self(Known::Digest { algorithm, digest, begins_like_pae: false })
    }

    /// The same artifact, whose first bytes were seen when its digest was made.
    ///
    /// A bare digest hides that a file is a DSSE pre-authentication encoding, whose signature is
    /// also one on an attestation: whoever hashes a file has to say how it begins.
    #[must_use]
    pub fn with_beginning(self, beginning: &[u8]) -> Self {
        match self.0 {
            Known::Digest { algorithm, digest, .. } => {
                let begins_like_pae = wire::dsse::begins_like_pae(beginning);
                Self(Known::Digest { algorithm, digest, begins_like_pae })
            }
            bytes @ Known::Bytes { .. } => Self(bytes),
        }
    }

    /// Whether the artifact is known to begin like a DSSE pre-authentication encoding.
    #[must_use]
    pub fn begins_like_pae(&self) -> bool {
        match &self.0 {
            Known::Bytes { bytes, .. } => wire::dsse::begins_like_pae(bytes),
            Known::Digest { begins_like_pae, .. } => *begins_like_pae,
        }
    }

    /// The bytes, when they are known.
    pub(crate) fn bytes(&self) -> Option<&'a [u8]> {
        match self.0 {
            Known::Bytes { bytes, .. } => Some(bytes),
            Known::Digest { .. } => None,
        }
    }

    /// The digest by `algorithm`, when it is known or can be made.
    pub(crate) fn digest(&self, algorithm: HashAlgorithm) -> Option<Vec<u8>> {
        match &self.0 {
            Known::Bytes { sha256, .. } if algorithm == HashAlgorithm::Sha256 => {
                Some(sha256.to_vec())
            }
            Known::Bytes { bytes, .. } => Some(crypto::digest(algorithm, bytes)),
            Known::Digest { algorithm: known, digest, .. } => {
                (*known == algorithm).then(|| digest.clone())
            }
        }
    }
}
