//! The structure of a `TimeStampResp`, read strictly: RFC 3161 §2.4.2 over RFC 5652 §5.
//!
//! Nothing is believed here; `verify` decides.

use const_oid::ObjectIdentifier;
use crypto::HashAlgorithm;
use thiserror::Error;

use crate::{
    FailInfo, ImprintError, MessageImprint,
    der_reader::{
        BIT_STRING, BOOLEAN, DerReader, GENERALIZED_TIME, INTEGER, NotDer, OBJECT_IDENTIFIER,
        OCTET_STRING, SEQUENCE, SET, UTF8_STRING, context, context_primitive, is_minimal_integer,
    },
    imprint::read_hash_algorithm,
    oid::{
        ID_AA_SIGNING_CERTIFICATE_V2, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST,
        ID_SIGNED_DATA,
    },
    time,
};

/// Longest response read, in bytes: a token with a long RSA chain takes about 8 KiB.
const MAX_RESPONSE_LEN: usize = 64 * 1024;

/// Most certificates that a token may carry.
const MAX_EMBEDDED: usize = 8;

/// Longest part of a refusal's text that is kept, in bytes.
const MAX_TEXT_LEN: usize = 512;

/// What an authority answers: a token, or a refusal.
pub(crate) enum Response<'a> {
    Granted(Box<Token<'a>>),
    Refused(Rejection),
}

/// An authority's refusal, in its own words. Not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("status {status}{}{}", self.fail_info.map(|info| format!(", {}", info.name())).unwrap_or_default(), self.text.as_ref().map(|text| format!(": {text:?}")).unwrap_or_default())]
pub struct Rejection {
    /// `PKIStatus`: 2 rejection, 3 waiting, 4 and 5 revocation; 1 (granted with modifications)
    /// counts as a refusal too, as a token other than the one asked for is of no use.
    pub status: u8,
    /// Which failure, if named.
    pub fail_info: Option<FailInfo>,
    /// Text for people, if any.
    pub text: Option<String>,
}

/// The parts of a granted token.
pub(crate) struct Token<'a> {
    /// Embedded certificates in DER, in the order in which they came.
    pub(crate) certificates: Vec<&'a [u8]>,
    /// Content of the `TSTInfo` octet string, over which the message digest is.
    pub(crate) tst_info_der: &'a [u8],
    pub(crate) tst_info: TstInfo<'a>,
    pub(crate) signer: SignerInfo<'a>,
}

/// `TSTInfo`.
pub(crate) struct TstInfo<'a> {
    pub(crate) policy: ObjectIdentifier,
    pub(crate) imprint: MessageImprint,
    /// Content octets of the INTEGER.
    pub(crate) serial_number: &'a [u8],
    /// Unix seconds.
    pub(crate) gen_time: u64,
    /// Content octets of the INTEGER.
    pub(crate) nonce: Option<&'a [u8]>,
    /// DER of the `Name` that the authority gives as its own.
    pub(crate) tsa: Option<&'a [u8]>,
}

/// `SignerInfo` by issuer and serial number.
pub(crate) struct SignerInfo<'a> {
    /// DER of the `Name`.
    pub(crate) issuer: &'a [u8],
    /// Content octets of the INTEGER.
    pub(crate) serial_number: &'a [u8],
    pub(crate) digest_algorithm: HashAlgorithm,
    /// DER of the signed attributes as the SET that was signed.
    pub(crate) signed_attributes: Vec<u8>,
    pub(crate) message_digest: &'a [u8],
    pub(crate) certificate_id: CertificateId<'a>,
    /// DER of the `AlgorithmIdentifier`.
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// The first `ESSCertIDv2`: which certificate the signer says it used.
pub(crate) struct CertificateId<'a> {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) hash: &'a [u8],
    /// DER of issuer `Name`, content of the serial number.
    pub(crate) issuer_serial: Option<(&'a [u8], &'a [u8])>,
}

/// What part of a response is not as it must be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MalformedResponse {
    /// Longer than any token.
    #[error("the response is longer than {MAX_RESPONSE_LEN} bytes")]
    TooLong,
    /// Not DER, or another structure.
    #[error("the response is not strict DER of a TimeStampResp")]
    Der,
    /// A granted response with text or failure bits beside its token.
    #[error("the granted status carries more than its number")]
    Status,
    /// Not CMS signed data, version 3, around a `TSTInfo` of version 1.
    #[error("the token is not CMS signed data of version 3 around a TSTInfo of version 1")]
    ContentType,
    /// Digest algorithms that are not exactly the signer's.
    #[error("the token names other digest algorithms than its signer's")]
    DigestAlgorithms,
    /// Not exactly one signer by issuer and serial number, with signed attributes.
    #[error("the token has no single signer, named by issuer and serial number")]
    Signer,
    /// A hash function other than SHA-256, SHA-384 and SHA-512.
    #[error("the token uses a weak or unknown hash algorithm")]
    HashAlgorithm,
    /// A mandatory signed attribute is missing, twice there, or has no single value.
    #[error("a signed attribute is missing or not unique")]
    SignedAttributes,
    /// The signed attributes are not in DER order.
    #[error("the signed attributes are not sorted")]
    UnsortedAttributes,
    /// Content that no signature covers: revocation lists or unsigned attributes.
    #[error("the token carries content that its signature does not cover")]
    Unsigned,
    /// A time that is not DER, or outside the years that can be handled.
    #[error("genTime is not a DER GeneralizedTime in UTC")]
    GenTime,
    /// A critical extension; none is understood.
    #[error("the token has a critical extension")]
    CriticalExtension,
}

impl From<NotDer> for MalformedResponse {
    fn from(NotDer: NotDer) -> Self {
        Self::Der
    }
}

impl From<ImprintError> for MalformedResponse {
    fn from(error: ImprintError) -> Self {
        match error {
            ImprintError::Algorithm => Self::HashAlgorithm,
            ImprintError::Malformed | ImprintError::DigestLength { .. } => Self::Der,
        }
    }
}

impl<'a> Response<'a> {
    pub(crate) fn from_der(der: &'a [u8]) -> Result<Self, MalformedResponse> {
        if der.len() > MAX_RESPONSE_LEN {
            return Err(MalformedResponse::TooLong);
        }
        let mut fields = DerReader::open(der, SEQUENCE)?;
        let mut status_info = fields.enter(SEQUENCE)?;
        let status = read_status(status_info.content(INTEGER)?)?;
        if status != 0 {
            return Ok(Self::Refused(read_rejection(status, status_info)));
        }
        status_info.finish().map_err(|NotDer| MalformedResponse::Status)?;
        let token = read_content_info(fields.enter(SEQUENCE)?)?;
        fields.finish()?;
        Ok(Self::Granted(Box::new(token)))
    }
}

fn read_status(content: &[u8]) -> Result<u8, MalformedResponse> {
    match content {
        [status @ 0..=5] => Ok(*status),
        _ => Err(MalformedResponse::Der),
    }
}

/// Reads why there is no token, as far as it can be read: it only informs.
fn read_rejection(status: u8, mut status_info: DerReader<'_>) -> Rejection {
    let text = status_info
        .optional(SEQUENCE)
        .ok()
        .flatten()
        .and_then(|texts| DerReader::new(texts).content(UTF8_STRING).ok())
        .and_then(|text| std::str::from_utf8(text).ok())
        .map(|text| text.chars().take(MAX_TEXT_LEN).collect());
    let fail_info =
        status_info.optional(BIT_STRING).ok().flatten().and_then(FailInfo::from_bit_string);
    Rejection { status, fail_info, text }
}

fn read_content_info(mut fields: DerReader<'_>) -> Result<Token<'_>, MalformedResponse> {
    if fields.content(OBJECT_IDENTIFIER)? != ID_SIGNED_DATA.as_bytes() {
        return Err(MalformedResponse::ContentType);
    }
    let mut explicit = fields.enter(context(0))?;
    fields.finish()?;
    let signed_data = explicit.enter(SEQUENCE)?;
    explicit.finish()?;
    read_signed_data(signed_data)
}

fn read_signed_data(mut fields: DerReader<'_>) -> Result<Token<'_>, MalformedResponse> {
    if fields.content(INTEGER)? != [3] {
        return Err(MalformedResponse::ContentType);
    }
    let digest_algorithms = fields.content(SET)?;
    let tst_info_der = read_encapsulated(fields.enter(SEQUENCE)?)?;
    // Empty in upstream's tokens when none were asked for, absent in ours.
    let certificates = read_certificates(fields.optional(context(0))?.unwrap_or_default())?;
    if fields.peek() == Some(context(1)) {
        return Err(MalformedResponse::Unsigned);
    }
    let mut signers = fields.enter(SET)?;
    fields.finish()?;
    let signer = read_signer_info(signers.enter(SEQUENCE)?, digest_algorithms)?;
    signers.finish().map_err(|NotDer| MalformedResponse::Signer)?;
    let tst_info = read_tst_info(DerReader::open(tst_info_der, SEQUENCE)?)?;
    Ok(Token { certificates, tst_info_der, tst_info, signer })
}

fn read_encapsulated(mut fields: DerReader<'_>) -> Result<&[u8], MalformedResponse> {
    if fields.content(OBJECT_IDENTIFIER)? != ID_CT_TST_INFO.as_bytes() {
        return Err(MalformedResponse::ContentType);
    }
    let mut explicit = fields.enter(context(0))?;
    fields.finish()?;
    let content = explicit.content(OCTET_STRING)?;
    explicit.finish()?;
    Ok(content)
}

/// Reads the certificates in any order: RFC 5652 does not ask for DER there, and OpenSSL
/// writes several of them unsorted.
fn read_certificates(content: &[u8]) -> Result<Vec<&[u8]>, MalformedResponse> {
    let mut rest = DerReader::new(content);
    let mut certificates = Vec::new();
    while rest.peek().is_some() {
        if certificates.len() == MAX_EMBEDDED {
            return Err(MalformedResponse::TooLong);
        }
        certificates.push(rest.element(SEQUENCE)?);
    }
    Ok(certificates)
}

fn read_signer_info<'a>(
    mut fields: DerReader<'a>,
    digest_algorithms: &[u8],
) -> Result<SignerInfo<'a>, MalformedResponse> {
    if fields.content(INTEGER)? != [1] || fields.peek() != Some(SEQUENCE) {
        return Err(MalformedResponse::Signer);
    }
    let mut signer_id = fields.enter(SEQUENCE)?;
    let (issuer, serial_number) = (signer_id.element(SEQUENCE)?, signer_id.content(INTEGER)?);
    signer_id.finish()?;
    let digest_algorithm = fields.element(SEQUENCE)?;
    // Not signed either: it may name the signer's algorithm and nothing else.
    if digest_algorithm != digest_algorithms {
        return Err(MalformedResponse::DigestAlgorithms);
    }
    let digest_algorithm = read_hash_algorithm(DerReader::open(digest_algorithm, SEQUENCE)?)?;
    let stored = fields.element(context(0)).map_err(|NotDer| MalformedResponse::Signer)?;
    let attributes = Attributes::read(DerReader::open(stored, context(0))?)?;
    let signature_algorithm = fields.element(SEQUENCE)?;
    let signature = fields.content(OCTET_STRING)?;
    if fields.peek() == Some(context(1)) {
        return Err(MalformedResponse::Unsigned);
    }
    fields.finish()?;
    Ok(SignerInfo {
        issuer,
        serial_number,
        digest_algorithm,
        signed_attributes: [&[SET], stored.get(1..).unwrap_or_default()].concat(),
        message_digest: attributes.message_digest,
        certificate_id: attributes.certificate_id,
        signature_algorithm,
        signature,
    })
}

/// The signed attributes that every token must have.
struct Attributes<'a> {
    message_digest: &'a [u8],
    certificate_id: CertificateId<'a>,
}

impl<'a> Attributes<'a> {
    /// Reads them; any others are signed and have no say.
    fn read(mut set: DerReader<'a>) -> Result<Self, MalformedResponse> {
        let (mut content_type, mut message_digest, mut certificate_id) = (None, None, None);
        let mut previous: &[u8] = &[];
        while set.peek().is_some() {
            let attribute = set.element(SEQUENCE)?;
            if attribute <= previous {
                return Err(MalformedResponse::UnsortedAttributes);
            }
            previous = attribute;
            let mut fields = DerReader::open(attribute, SEQUENCE)?;
            let oid = fields.content(OBJECT_IDENTIFIER)?;
            let values = fields.enter(SET)?;
            fields.finish()?;
            let duplicate = if oid == ID_CONTENT_TYPE.as_bytes() {
                content_type.replace(single(values, OBJECT_IDENTIFIER)?).is_some()
            } else if oid == ID_MESSAGE_DIGEST.as_bytes() {
                message_digest.replace(single(values, OCTET_STRING)?).is_some()
            } else if oid == ID_AA_SIGNING_CERTIFICATE_V2.as_bytes() {
                certificate_id.replace(single(values, SEQUENCE)?).is_some()
            } else {
                false
            };
            if duplicate {
                return Err(MalformedResponse::SignedAttributes);
            }
        }
        if content_type != Some(ID_CT_TST_INFO.as_bytes()) {
            return Err(MalformedResponse::SignedAttributes);
        }
        let certificate_id = certificate_id.ok_or(MalformedResponse::SignedAttributes)?;
        Ok(Self {
            message_digest: message_digest.ok_or(MalformedResponse::SignedAttributes)?,
            certificate_id: read_certificate_id(certificate_id)?,
        })
    }
}

/// The content of an attribute's only value.
fn single(mut values: DerReader<'_>, tag: u8) -> Result<&[u8], MalformedResponse> {
    let value = values.content(tag).map_err(|NotDer| MalformedResponse::SignedAttributes)?;
    values.finish().map_err(|NotDer| MalformedResponse::SignedAttributes)?;
    Ok(value)
}

/// Reads the first `ESSCertIDv2` of a `SigningCertificateV2`, RFC 5035 §3 and §4.
fn read_certificate_id(content: &[u8]) -> Result<CertificateId<'_>, MalformedResponse> {
    let mut first = DerReader::new(content).enter(SEQUENCE)?.enter(SEQUENCE)?;
    let algorithm = match first.optional(SEQUENCE)? {
        None => HashAlgorithm::Sha256,
        Some(identifier) => read_hash_algorithm(DerReader::new(identifier))?,
    };
    let hash = first.content(OCTET_STRING)?;
    let issuer_serial = first.optional(SEQUENCE)?.map(read_issuer_serial).transpose()?;
    first.finish()?;
    Ok(CertificateId { algorithm, hash, issuer_serial })
}

fn read_issuer_serial(content: &[u8]) -> Result<(&[u8], &[u8]), MalformedResponse> {
    let mut fields = DerReader::new(content);
    let mut names = fields.enter(SEQUENCE)?;
    let issuer = read_directory_name(names.content(context(4))?)?;
    names.finish()?;
    let serial_number = fields.content(INTEGER)?;
    fields.finish()?;
    Ok((issuer, serial_number))
}

/// The `Name` inside a `directoryName [4]`.
fn read_directory_name(content: &[u8]) -> Result<&[u8], MalformedResponse> {
    let mut explicit = DerReader::new(content);
    let name = explicit.element(SEQUENCE)?;
    explicit.finish()?;
    Ok(name)
}

fn read_tst_info(mut fields: DerReader<'_>) -> Result<TstInfo<'_>, MalformedResponse> {
    if fields.content(INTEGER)? != [1] {
        return Err(MalformedResponse::ContentType);
    }
    let policy = ObjectIdentifier::from_bytes(fields.content(OBJECT_IDENTIFIER)?)
        .map_err(|_| MalformedResponse::Der)?;
    let imprint = MessageImprint::from_content(fields.content(SEQUENCE)?)?;
    let serial_number = fields.content(INTEGER)?;
    if !is_minimal_integer(serial_number) {
        return Err(MalformedResponse::Der);
    }
    let gen_time =
        time::decode(fields.content(GENERALIZED_TIME)?).ok_or(MalformedResponse::GenTime)?;
    if let Some(accuracy) = fields.optional(SEQUENCE)? {
        check_accuracy(accuracy)?;
    }
    if fields.optional(BOOLEAN)?.is_some_and(|ordering| ordering != [0xFF]) {
        return Err(MalformedResponse::Der);
    }
    let nonce = fields.optional(INTEGER)?;
    if nonce.is_some_and(|nonce| !is_minimal_integer(nonce)) {
        return Err(MalformedResponse::Der);
    }
    let tsa = fields.optional(context(0))?.map(read_tsa_name).transpose()?;
    if let Some(extensions) = fields.optional(context(1))? {
        refuse_critical_extensions(extensions)?;
    }
    fields.finish()?;
    Ok(TstInfo { policy, imprint, serial_number, gen_time, nonce, tsa })
}

/// Reads seconds, millis and micros, all optional; what they say is signed and left to policy.
fn check_accuracy(content: &[u8]) -> Result<(), MalformedResponse> {
    let mut fields = DerReader::new(content);
    for tag in [INTEGER, context_primitive(0), context_primitive(1)] {
        if fields.optional(tag)?.is_some_and(|number| !is_minimal_integer(number)) {
            return Err(MalformedResponse::Der);
        }
    }
    fields.finish()?;
    Ok(())
}

fn read_tsa_name(content: &[u8]) -> Result<&[u8], MalformedResponse> {
    let mut explicit = DerReader::new(content);
    let directory_name = explicit.content(context(4))?;
    explicit.finish()?;
    read_directory_name(directory_name)
}

fn refuse_critical_extensions(content: &[u8]) -> Result<(), MalformedResponse> {
    let mut extensions = DerReader::new(content);
    while extensions.peek().is_some() {
        let mut extension = extensions.enter(SEQUENCE)?;
        extension.content(OBJECT_IDENTIFIER)?;
        if extension.optional(BOOLEAN)?.is_some() {
            return Err(MalformedResponse::CriticalExtension);
        }
        extension.content(OCTET_STRING)?;
        extension.finish()?;
    }
    Ok(())
}
