use const_oid::{AssociatedOid, ObjectIdentifier};
use crypto::{AuthorityKey, SignatureAlgorithm};
use der::Decode;
use moment::UnixSeconds;
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
};

use crate::{
    ChainError, ValidityPeriod,
    der_reader::{DerReader, INTEGER, NotDer, SEQUENCE, context},
};

/// Longest certificate read, in bytes: an RSA-4096 one with every extension takes 2 KiB.
const MAX_CERTIFICATE_LEN: usize = 16 * 1024;

/// The extensions whose meaning is checked here; any other critical one is refused, RFC 5280 §4.2.
const UNDERSTOOD: [ObjectIdentifier; 3] =
    [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID];

/// A certificate with those of its parts that timestamps depend on, as their exact bytes.
#[derive(Clone, Debug)]
pub(crate) struct TsaCertificate {
    pub(crate) der: Vec<u8>,
    /// DER of the `Name`.
    pub(crate) issuer: Vec<u8>,
    /// DER of the `Name`.
    pub(crate) subject: Vec<u8>,
    /// Content octets of the INTEGER.
    pub(crate) serial_number: Vec<u8>,
    pub(crate) validity: ValidityPeriod,
    pub(crate) public_key: AuthorityKey,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<Usages>,
    tbs: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature_oid: ObjectIdentifier,
    signature: Vec<u8>,
}

/// The extended key usage extension.
#[derive(Clone, Debug)]
pub(crate) struct Usages {
    pub(crate) critical: bool,
    pub(crate) purposes: Vec<ObjectIdentifier>,
}

impl TsaCertificate {
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, ChainError> {
        if der.len() > MAX_CERTIFICATE_LEN {
            return Err(ChainError::TooLong);
        }
        let parsed = Certificate::from_der(der).map_err(|_| ChainError::Malformed)?;
        let raw = RawParts::of(der).map_err(|NotDer| ChainError::Malformed)?;
        let tbs = parsed.tbs_certificate();
        refuse_unknown_critical_extensions(&parsed)?;
        let validity = tbs.validity();
        Ok(Self {
            der: der.to_vec(),
            issuer: raw.issuer.to_vec(),
            subject: raw.subject.to_vec(),
            serial_number: raw.serial_number.to_vec(),
            validity: ValidityPeriod {
                not_before: UnixSeconds::from_epoch(validity.not_before.to_unix_duration()),
                not_after: UnixSeconds::from_epoch(validity.not_after.to_unix_duration()),
            },
            public_key: AuthorityKey::from_spki_der(raw.public_key).map_err(ChainError::Key)?,
            basic_constraints: extension(&parsed)?.map(|(_, constraints)| constraints),
            key_usage: extension(&parsed)?.map(|(_, usage)| usage),
            extended_key_usage: extension::<ExtendedKeyUsage>(&parsed)?
                .map(|(critical, usage)| Usages { critical, purposes: usage.0 }),
            tbs: raw.tbs.to_vec(),
            signature_algorithm: raw.signature_algorithm.to_vec(),
            signature_oid: parsed.signature_algorithm().oid,
            signature: parsed.signature().as_bytes().ok_or(ChainError::Malformed)?.to_vec(),
        })
    }

    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca)
    }

    /// Checks that `issuer`'s key signed this certificate.
    pub(crate) fn check_signed_by(&self, issuer: &AuthorityKey) -> Result<(), ChainError> {
        let identifier = &self.signature_algorithm;
        let algorithm = SignatureAlgorithm::of_certificate(identifier, issuer.family())
            .ok_or(ChainError::SignatureAlgorithm(self.signature_oid))?;
        issuer.verify_with(algorithm, &self.tbs, &self.signature).map_err(|_| ChainError::Signature)
    }
}

/// The slices of a certificate that must be compared or hashed byte for byte, RFC 5280 §4.1.
struct RawParts<'a> {
    tbs: &'a [u8],
    signature_algorithm: &'a [u8],
    serial_number: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    public_key: &'a [u8],
}

impl<'a> RawParts<'a> {
    fn of(der: &'a [u8]) -> Result<Self, NotDer> {
        let mut certificate = DerReader::open(der, SEQUENCE)?;
        let tbs = certificate.element(SEQUENCE)?;
        let signature_algorithm = certificate.element(SEQUENCE)?;
        let mut fields = DerReader::open(tbs, SEQUENCE)?;
        fields.optional(context(0))?;
        let serial_number = fields.content(INTEGER)?;
        if fields.element(SEQUENCE)? != signature_algorithm {
            return Err(NotDer);
        }
        let issuer = fields.element(SEQUENCE)?;
        fields.element(SEQUENCE)?;
        let subject = fields.element(SEQUENCE)?;
        let public_key = fields.element(SEQUENCE)?;
        Ok(Self { tbs, signature_algorithm, serial_number, issuer, subject, public_key })
    }
}

fn refuse_unknown_critical_extensions(certificate: &Certificate) -> Result<(), ChainError> {
    let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    match extensions
        .filter(|extension| extension.critical)
        .map(|extension| extension.extn_id)
        .find(|id| !UNDERSTOOD.contains(id))
    {
        Some(id) => Err(ChainError::CriticalExtension(id.to_string())),
        None => Ok(()),
    }
}

fn extension<'a, T>(certificate: &'a Certificate) -> Result<Option<(bool, T)>, ChainError>
where
    T: Decode<'a> + AssociatedOid,
{
    certificate.tbs_certificate().get_extension().map_err(|_| ChainError::Malformed)
}

/// DER of the `AlgorithmIdentifier` of the two algorithms that the token profile signs with.
pub(crate) fn profile_signature_algorithm(algorithm: SignatureAlgorithm) -> Option<Vec<u8>> {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 | SignatureAlgorithm::EcdsaP384Sha384 => {
            algorithm.identifiers_der().into_iter().next()
        }
        _ => None,
    }
}
