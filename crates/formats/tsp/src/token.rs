use std::sync::Arc;

use const_oid::ObjectIdentifier;
use crypto::{
    HashAlgorithm, PublicKey, SignatureAlgorithm, SignatureError, Unsigned, Unverified, digest,
    sha256,
};
use moment::UnixSeconds;
use thiserror::Error;

use crate::{
    Nonce, PolicyOid, SerialNumber, TimestampRequest, TsaChain,
    certificate::profile_signature_algorithm,
    der_reader::{
        GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, context,
    },
    der_writer::{
        algorithm_identifier, element, element_len, object_identifier, put, put_header,
        small_integer,
    },
    imprint::hash_oid,
    oid::{
        ID_AA_SIGNING_CERTIFICATE_V2, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST,
        ID_SIGNED_DATA,
    },
    time,
};

/// `PKIStatusInfo` of a granted token: status 0 and nothing else, as Go and Python accept no other.
const GRANTED: [u8; 5] = [SEQUENCE, 3, INTEGER, 1, 0];

/// `Accuracy` of one second.
const ACCURACY: [u8; 5] = [SEQUENCE, 3, INTEGER, 1, 1];

/// Longest signature taken, in bytes: ECDSA P-384 in DER has at most 104.
const MAX_SIGNATURE_LEN: usize = 128;

/// An empty `Name`, which cannot be given as the authority's.
const EMPTY_NAME: [u8; 2] = [SEQUENCE, 0];

/// Everything that is the same in each token of one leaf certificate, encoded once.
#[derive(Debug)]
pub struct TokenProfile {
    public_key: PublicKey,
    hash: HashAlgorithm,
    /// `digestAlgorithms`, a SET of one.
    digest_algorithms: Vec<u8>,
    /// `[0]` with the leaf.
    certificates: Vec<u8>,
    /// `[0]` with the leaf's subject, or nothing when that is empty.
    tsa_name: Vec<u8>,
    /// `SignerInfo` up to the signed attributes: version, issuer and serial, digest algorithm.
    signer_head: Vec<u8>,
    signature_algorithm: Vec<u8>,
    attributes: SignedAttributes,
}

impl TokenProfile {
    /// Encodes the constant parts for tokens signed by the leaf of `chain`.
    ///
    /// # Errors
    /// [`TokenError::UnsupportedKey`] for other keys than ECDSA P-256 and P-384: each of them
    /// fails in some client.
    pub fn new(chain: &TsaChain) -> Result<Self, TokenError> {
        let leaf = chain.leaf();
        let public_key = PublicKey::from_spki_der(leaf.public_key.spki_der())
            .map_err(|_| TokenError::UnsupportedKey)?;
        let algorithm = public_key.default_algorithm();
        let signature_algorithm =
            profile_signature_algorithm(algorithm).ok_or(TokenError::UnsupportedKey)?;
        let hash = algorithm.hash().ok_or(TokenError::UnsupportedKey)?;
        let digest_algorithm = algorithm_identifier(&hash_oid(hash));
        let serial = element(INTEGER, &[&leaf.serial_number]);
        let signer_id = element(SEQUENCE, &[&leaf.issuer, &serial]);
        Ok(Self {
            public_key,
            hash,
            digest_algorithms: element(SET, &[&digest_algorithm]),
            certificates: element(context(0), &[&leaf.der]),
            tsa_name: tsa_name(&leaf.subject),
            signer_head: [&small_integer(1)[..], &signer_id, &digest_algorithm].concat(),
            signature_algorithm,
            attributes: SignedAttributes::new(hash, &leaf.der),
        })
    }

    /// The algorithm with which [`UnsignedToken::bytes_to_sign`] must be signed.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key.default_algorithm()
    }

    /// Prepares the token that answers `request`.
    ///
    /// # Errors
    /// [`TokenError::Time`] after the year 9999.
    pub fn prepare(
        self: &Arc<Self>,
        request: &TimestampRequest,
        policy: &PolicyOid,
        gen_time: UnixSeconds,
        serial: SerialNumber,
    ) -> Result<UnsignedToken, TokenError> {
        let gen_time = time::encode(gen_time).ok_or(TokenError::Time)?;
        let tst_info = self.tst_info(request, policy, &gen_time, serial);
        let signed_attributes = self.attributes.over(&digest(self.hash, &tst_info));
        Ok(UnsignedToken {
            profile: Arc::clone(self),
            tst_info,
            signed_attributes,
            certificates: request.certificates(),
            verified: true,
        })
    }

    /// `TSTInfo`, RFC 3161 §2.4.2; `ordering` is false and hence not written.
    fn tst_info(
        &self,
        request: &TimestampRequest,
        policy: &PolicyOid,
        gen_time: &[u8],
        serial: SerialNumber,
    ) -> Vec<u8> {
        let nonce = request.nonce().map(Nonce::as_bytes);
        let version = small_integer(1);
        let content_len = version.len()
            + element_len(policy.as_bytes().len())
            + request.imprint_der().len()
            + element_len(serial.as_bytes().len())
            + element_len(gen_time.len())
            + ACCURACY.len()
            + nonce.map_or(0, |nonce| element_len(nonce.len()))
            + self.tsa_name.len();
        let mut out = Vec::with_capacity(element_len(content_len));
        put_header(&mut out, SEQUENCE, content_len);
        out.extend_from_slice(&version);
        put(&mut out, OBJECT_IDENTIFIER, policy.as_bytes());
        out.extend_from_slice(request.imprint_der());
        put(&mut out, INTEGER, serial.as_bytes());
        put(&mut out, GENERALIZED_TIME, gen_time);
        out.extend_from_slice(&ACCURACY);
        if let Some(nonce) = nonce {
            put(&mut out, INTEGER, nonce);
        }
        out.extend_from_slice(&self.tsa_name);
        out
    }
}

/// A token that lacks only its signature.
#[derive(Debug)]
pub struct UnsignedToken {
    profile: Arc<TokenProfile>,
    tst_info: Vec<u8>,
    /// DER of the SET, as it is signed; stored under `[0]` instead (RFC 5652 §5.4).
    signed_attributes: Vec<u8>,
    certificates: bool,
    verified: bool,
}

impl Unverified for UnsignedToken {
    /// Verifying costs twice what signing with P-256 does.
    fn unverified(self) -> Self {
        Self { verified: false, ..self }
    }
}

impl UnsignedToken {
    /// Writes the `TimeStampResp`: lengths from the inside out, then all bytes forward, once.
    fn encode(&self, signature: &[u8]) -> Vec<u8> {
        let profile = &*self.profile;
        let certificates = if self.certificates { profile.certificates.as_slice() } else { &[] };
        let signer_info = profile.signer_head.len()
            + self.signed_attributes.len()
            + profile.signature_algorithm.len()
            + element_len(signature.len());
        let content_octets = element_len(self.tst_info.len());
        let encapsulated =
            element_len(ID_CT_TST_INFO.as_bytes().len()) + element_len(content_octets);
        let signed_data = small_integer(3).len()
            + profile.digest_algorithms.len()
            + element_len(encapsulated)
            + certificates.len()
            + element_len(element_len(signer_info));
        let content_info =
            element_len(ID_SIGNED_DATA.as_bytes().len()) + element_len(element_len(signed_data));
        let response = GRANTED.len() + element_len(content_info);

        let mut out = Vec::with_capacity(element_len(response));
        put_header(&mut out, SEQUENCE, response);
        out.extend_from_slice(&GRANTED);
        put_header(&mut out, SEQUENCE, content_info);
        put(&mut out, OBJECT_IDENTIFIER, ID_SIGNED_DATA.as_bytes());
        put_header(&mut out, context(0), element_len(signed_data));
        put_header(&mut out, SEQUENCE, signed_data);
        out.extend_from_slice(&small_integer(3));
        out.extend_from_slice(&profile.digest_algorithms);
        put_header(&mut out, SEQUENCE, encapsulated);
        put(&mut out, OBJECT_IDENTIFIER, ID_CT_TST_INFO.as_bytes());
        put_header(&mut out, context(0), content_octets);
        put(&mut out, OCTET_STRING, &self.tst_info);
        out.extend_from_slice(certificates);
        put_header(&mut out, SET, element_len(signer_info));
        put_header(&mut out, SEQUENCE, signer_info);
        out.extend_from_slice(&profile.signer_head);
        out.push(context(0));
        out.extend_from_slice(self.signed_attributes.get(1..).unwrap_or_default());
        out.extend_from_slice(&profile.signature_algorithm);
        put(&mut out, OCTET_STRING, signature);
        out
    }
}

impl Unsigned for UnsignedToken {
    type Signed = TimestampResponse;
    type Error = TokenError;

    const KIND: &'static str = "timestamp";

    /// The signed attributes as a DER `SET OF`, RFC 5652 §5.4.
    fn bytes_to_sign(&self) -> &[u8] {
        &self.signed_attributes
    }

    /// Gives the finished response. `key` must be the leaf's.
    ///
    /// # Errors
    /// [`TokenError::OtherKey`], [`TokenError::SignatureLength`], [`TokenError::Signature`].
    fn with_signature(
        self,
        signature: &[u8],
        key: &PublicKey,
    ) -> Result<TimestampResponse, TokenError> {
        if *key != self.profile.public_key {
            return Err(TokenError::OtherKey);
        }
        if signature.is_empty() || signature.len() > MAX_SIGNATURE_LEN {
            return Err(TokenError::SignatureLength(signature.len()));
        }
        if self.verified {
            key.verify_with(self.profile.algorithm(), &self.signed_attributes, signature)
                .map_err(TokenError::Signature)?;
        }
        Ok(TimestampResponse(self.encode(signature)))
    }
}

/// A granted `TimeStampResp` in DER, as `application/timestamp-reply`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampResponse(Vec<u8>);

impl TimestampResponse {
    /// The DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }

    /// The DER, without a copy.
    #[must_use]
    pub fn into_der(self) -> Vec<u8> {
        self.0
    }
}

/// The signed attributes with a gap for the digest of the `TSTInfo`.
///
/// Their lengths are fixed, so that their DER order is too: it is found once.
#[derive(Debug)]
struct SignedAttributes {
    before_digest: Vec<u8>,
    after_digest: Vec<u8>,
}

impl SignedAttributes {
    fn new(hash: HashAlgorithm, leaf_der: &[u8]) -> Self {
        // Any digest does for sorting: the attributes' lengths differ, and so their second bytes.
        let placeholder = vec![0; hash.output_len()];
        let message_digest = attribute(&ID_MESSAGE_DIGEST, &element(OCTET_STRING, &[&placeholder]));
        let mut attributes = [
            attribute(&ID_CONTENT_TYPE, &object_identifier(&ID_CT_TST_INFO)),
            message_digest.clone(),
            attribute(&ID_AA_SIGNING_CERTIFICATE_V2, &signing_certificate_v2(leaf_der)),
        ];
        attributes.sort();
        let mut before_digest = element(SET, &attributes.each_ref().map(Vec::as_slice));
        let following = attributes.iter().skip_while(|attribute| **attribute != message_digest);
        let after_len: usize = following.skip(1).map(Vec::len).sum();
        let after_digest = before_digest.split_off(before_digest.len() - after_len);
        before_digest.truncate(before_digest.len() - placeholder.len());
        Self { before_digest, after_digest }
    }

    fn over(&self, digest: &[u8]) -> Vec<u8> {
        [&self.before_digest, digest, &self.after_digest].concat()
    }
}

fn attribute(oid: &ObjectIdentifier, value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&object_identifier(oid), &element(SET, &[value])])
}

/// `SigningCertificateV2` of one `ESSCertIDv2`: SHA-256, which as the default is not written,
/// over the whole certificate. RFC 5035 §3, RFC 5816 §2.2.1.
fn signing_certificate_v2(leaf_der: &[u8]) -> Vec<u8> {
    let certificate_id = element(SEQUENCE, &[&element(OCTET_STRING, &[&sha256(leaf_der)])]);
    element(SEQUENCE, &[&element(SEQUENCE, &[&certificate_id])])
}

/// `tsa [0] GeneralName` as a directory name; both tags are explicit, as `GeneralName` and
/// `Name` are CHOICEs.
fn tsa_name(subject: &[u8]) -> Vec<u8> {
    if subject == EMPTY_NAME {
        return Vec::new();
    }
    element(context(0), &[&element(context(4), &[subject])])
}

/// Why no token was made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// A key that some client cannot verify tokens with.
    #[error("timestamp tokens are signed with ECDSA P-256 or P-384 only")]
    UnsupportedKey,
    /// The time cannot be written.
    #[error("the time is outside the years 1970 to 9999")]
    Time,
    /// Found before the signature is looked at: a wrong key slot.
    #[error("the signature is from another key than the leaf's")]
    OtherKey,
    /// A backend that answers in another form, or with nothing.
    #[error("a signature of {0} bytes is not one of ECDSA")]
    SignatureLength(usize),
    /// The signer signed something else, or with something else.
    #[error("the signer gave a wrong signature")]
    Signature(#[source] SignatureError),
}
