use crypto::HashAlgorithm;

use super::{MalformedResponse, read_directory_name};
use crate::{
    der_reader::{
        DerReader, INTEGER, NotDer, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, context,
    },
    imprint::read_hash_algorithm,
    oid::{ID_AA_SIGNING_CERTIFICATE_V2, ID_CONTENT_TYPE, ID_CT_TST_INFO, ID_MESSAGE_DIGEST},
};

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

impl<'a> SignerInfo<'a> {
    /// Reads it; `digest_algorithms` is the content of the SET of them in `SignedData`.
    pub(super) fn read(
        mut fields: DerReader<'a>,
        digest_algorithms: &[u8],
    ) -> Result<Self, MalformedResponse> {
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
        Ok(Self {
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
}

/// A certificate by who issued it and its number.
pub(crate) struct IssuerSerial<'a> {
    /// DER of the `Name`.
    pub(crate) issuer: &'a [u8],
    /// Content of the INTEGER.
    pub(crate) serial_number: &'a [u8],
}

/// The first `ESSCertIDv2`: which certificate the signer says it used.
pub(crate) struct CertificateId<'a> {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) hash: &'a [u8],
    pub(crate) issuer_serial: Option<IssuerSerial<'a>>,
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
            let (oid, values) = read_attribute(attribute)?;
            let earlier = if oid == ID_CONTENT_TYPE.as_bytes() {
                content_type.replace(single(values, OBJECT_IDENTIFIER)?)
            } else if oid == ID_MESSAGE_DIGEST.as_bytes() {
                message_digest.replace(single(values, OCTET_STRING)?)
            } else if oid == ID_AA_SIGNING_CERTIFICATE_V2.as_bytes() {
                certificate_id.replace(single(values, SEQUENCE)?)
            } else {
                None
            };
            if earlier.is_some() {
                return Err(MalformedResponse::SignedAttributes);
            }
        }
        let (Some(content_type), Some(message_digest), Some(certificate_id)) =
            (content_type, message_digest, certificate_id)
        else {
            return Err(MalformedResponse::SignedAttributes);
        };
        if content_type != ID_CT_TST_INFO.as_bytes() {
            return Err(MalformedResponse::SignedAttributes);
        }
        Ok(Self { message_digest, certificate_id: read_certificate_id(certificate_id)? })
    }
}

/// Splits an attribute into its type and its values.
fn read_attribute(attribute: &[u8]) -> Result<(&[u8], DerReader<'_>), NotDer> {
    let mut fields = DerReader::open(attribute, SEQUENCE)?;
    let (oid, values) = (fields.content(OBJECT_IDENTIFIER)?, fields.enter(SET)?);
    fields.finish()?;
    Ok((oid, values))
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

fn read_issuer_serial(content: &[u8]) -> Result<IssuerSerial<'_>, MalformedResponse> {
    let mut fields = DerReader::new(content);
    let mut names = fields.enter(SEQUENCE)?;
    let issuer = read_directory_name(names.content(context(4))?)?;
    names.finish()?;
    let serial_number = fields.content(INTEGER)?;
    fields.finish()?;
    Ok(IssuerSerial { issuer, serial_number })
}
