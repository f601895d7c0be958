//! The structure of a `TimeStampResp`, read strictly: RFC 3161 §2.4.2 over RFC 5652 §5.
//!
//! Nothing is believed here; `verify` decides.

mod signer_info;
mod tst_info;

use std::fmt;

use thiserror::Error;

pub(crate) use signer_info::{CertificateId, SignerInfo};
pub(crate) use tst_info::TstInfo;

use crate::{
    FailInfo, ImprintError,
    der_reader::{
        BIT_STRING, DerReader, INTEGER, NotDer, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET,
        UTF8_STRING, context,
    },
    oid::{ID_CT_TST_INFO, ID_SIGNED_DATA},
};

/// Longest response read, in bytes: a token with a long RSA chain takes about 8 KiB.
const MAX_RESPONSE_LEN: usize = 64 * 1024;

/// Most certificates that a token may carry.
const MAX_EMBEDDED: usize = 8;

/// Longest part of a refusal's text that is kept, in characters.
const MAX_TEXT_LEN: usize = 512;

/// What an authority answers: a token, or a refusal.
pub(crate) enum Response<'a> {
    Granted(Box<Token<'a>>),
    Refused(Rejection),
}

/// An authority's refusal, in its own words. Not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `PKIStatus`: 2 rejection, 3 waiting, 4 and 5 revocation; 1 (granted with modifications)
    /// counts as a refusal too, as a token other than the one asked for is of no use.
    pub status: u8,
    /// Which failure, if named.
    pub fail_info: Option<FailInfo>,
    /// Text for people, if any.
    pub text: Option<String>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if let Some(fail_info) = self.fail_info {
            write!(f, ", {}", fail_info.name())?;
        }
        // Quoted and escaped: these are a stranger's words on somebody's terminal.
        self.text.as_ref().map_or(Ok(()), |text| write!(f, ": {text:?}"))
    }
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
    /// Others are allowed by CMS and written by no authority that follows RFC 3161.
    #[error("the token is not CMS signed data of version 3 around a TSTInfo of version 1")]
    ContentType,
    /// Nobody signs the list, so it may say nothing but what the signer says.
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
    let signer = SignerInfo::read(signers.enter(SEQUENCE)?, digest_algorithms)?;
    signers.finish().map_err(|NotDer| MalformedResponse::Signer)?;
    let tst_info = TstInfo::read(DerReader::open(tst_info_der, SEQUENCE)?)?;
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

/// The `Name` inside a `directoryName [4]`.
fn read_directory_name(content: &[u8]) -> Result<&[u8], MalformedResponse> {
    let mut explicit = DerReader::new(content);
    let name = explicit.element(SEQUENCE)?;
    explicit.finish()?;
    Ok(name)
}
