use aws_lc_rs::digest as backend;

/// A hash function of the SHA-2 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    /// Length of a digest in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn backend(self) -> &'static backend::Algorithm {
        match self {
            Self::Sha256 => &backend::SHA256,
            Self::Sha384 => &backend::SHA384,
            Self::Sha512 => &backend::SHA512,
        }
    }
}

/// Hashes `message` with `algorithm`.
#[must_use]
pub fn digest(algorithm: HashAlgorithm, message: &[u8]) -> Vec<u8> {
    backend::digest(algorithm.backend(), message).as_ref().to_vec()
}

/// Hashes `message` with SHA-256.
#[must_use]
pub fn sha256(message: &[u8]) -> [u8; 32] {
    let mut hash = [0u8; 32];
    hash.copy_from_slice(backend::digest(&backend::SHA256, message).as_ref());
    hash
}

/// Hashes a message that does not fit into memory, piece by piece.
pub struct Hasher(backend::Context);

impl Hasher {
    /// Starts a hash of `algorithm`.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(backend::Context::new(algorithm.backend()))
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces, in order.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hasher").field(&self.0.algorithm()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_same_digest_in_pieces_as_at_once() {
        for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512] {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"one ");
            hasher.update(b"");
            hasher.update(b"two");
            assert_eq!(hasher.finish(), digest(algorithm, b"one two"));
        }
    }
}
