/// What a caller shows: who it is, and which key it holds.
///
/// Each API of the service brings its own form of request into this one.
pub struct IssueRequest {
    /// Compact JWS of an identity provider.
    pub token: Option<String>,
    /// The key to be certified, with its proof.
    pub key: ClaimedKey,
}

/// A key and the proof that the caller holds it, not yet verified.
#[derive(Debug)]
pub enum ClaimedKey {
    /// A key and a signature by it over the token's `email` or `sub`.
    Proven {
        /// The key.
        public_key: EncodedKey,
        /// The signature; DER for ECDSA.
        proof_of_possession: Vec<u8>,
    },
    /// A PEM PKCS#10 request, which is signed by its own key.
    CertificateSigningRequest(Vec<u8>),
}

/// A public key as it came.
#[derive(Debug)]
pub enum EncodedKey {
    /// `PUBLIC KEY` or `RSA PUBLIC KEY`.
    Pem(String),
    /// A `SubjectPublicKeyInfo`.
    Der(Vec<u8>),
}

impl EncodedKey {
    /// PEM where there is a PEM label, else DER.
    pub(crate) fn from_pem_or_der(bytes: Vec<u8>) -> Self {
        const LABEL: &[u8] = b"-----BEGIN ";
        match String::from_utf8(bytes) {
            Ok(text) if text.as_bytes().windows(LABEL.len()).any(|part| part == LABEL) => {
                Self::Pem(text)
            }
            Ok(text) => Self::Der(text.into_bytes()),
            Err(error) => Self::Der(error.into_bytes()),
        }
    }
}

impl std::fmt::Debug for IssueRequest {
    /// Never shows the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.token.as_ref().map(String::len);
        write!(f, "IssueRequest(token of {length:?} bytes, {:?})", self.key)
    }
}
