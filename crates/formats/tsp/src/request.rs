use thiserror::Error;

use crate::{
    FailInfo, ImprintError, MessageImprint, Nonce, NonceError, PolicyError, PolicyOid,
    der_reader::{
        BOOLEAN, DerReader, INTEGER, NotDer, OBJECT_IDENTIFIER, SEQUENCE, context,
        is_minimal_integer,
    },
    der_writer::{element, put, small_integer},
};

/// The only version there is.
const VERSION: u8 = 1;

/// DER of TRUE; FALSE is the default of `certReq` and may not be written.
const TRUE: u8 = 0xFF;

/// A request for a timestamp (`TimeStampReq`, RFC 3161 §2.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRequest {
    imprint: MessageImprint,
    /// As received, since the token repeats whether the algorithm had NULL parameters.
    imprint_der: Vec<u8>,
    policy: Option<PolicyOid>,
    nonce: Option<Nonce>,
    certificates: bool,
}

impl TimestampRequest {
    /// Asks for a timestamp of `imprint`, under the authority's own policy, without nonce and
    /// without certificates.
    #[must_use]
    pub fn new(imprint: MessageImprint) -> Self {
        let imprint_der = imprint.to_der();
        Self { imprint, imprint_der, policy: None, nonce: None, certificates: false }
    }

    /// Asks that the token repeats `nonce`.
    #[must_use]
    pub fn with_nonce(mut self, nonce: Nonce) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Asks for a token under this policy and no other.
    #[must_use]
    pub fn with_policy(mut self, policy: PolicyOid) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Says whether the token shall carry the authority's certificate (`certReq`).
    #[must_use]
    pub fn with_certificates(mut self, certificates: bool) -> Self {
        self.certificates = certificates;
        self
    }

    /// Reads a request: strict DER, version 1, no extension, nothing after it.
    ///
    /// # Errors
    /// [`RequestError`], each with the `failInfo` that answers it.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let mut fields = DerReader::open(der, SEQUENCE)?;
        read_version(fields.content(INTEGER)?)?;
        let imprint_der = fields.element(SEQUENCE)?;
        let policy = fields.optional(OBJECT_IDENTIFIER)?;
        let nonce = fields.optional(INTEGER)?;
        let certificates = match fields.optional(BOOLEAN)? {
            None => false,
            Some([TRUE]) => true,
            Some(_) => return Err(RequestError::Malformed),
        };
        let extensions = fields.optional(context(0))?;
        fields.finish()?;
        // The shape is right from here on; what is wrong below has a refusal of its own.
        let imprint = DerReader::new(imprint_der).content(SEQUENCE)?;
        let imprint = MessageImprint::from_content(imprint)?;
        let policy = policy.map(PolicyOid::from_content).transpose()?;
        let nonce = nonce.map(Nonce::from_content).transpose()?;
        if extensions.is_some() {
            return Err(RequestError::Extensions);
        }
        Ok(Self { imprint, imprint_der: imprint_der.to_vec(), policy, nonce, certificates })
    }

    /// DER of the request, to be sent as `application/timestamp-query`.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let mut optional = Vec::new();
        if let Some(policy) = &self.policy {
            put(&mut optional, OBJECT_IDENTIFIER, policy.as_bytes());
        }
        if let Some(nonce) = &self.nonce {
            put(&mut optional, INTEGER, nonce.as_bytes());
        }
        if self.certificates {
            put(&mut optional, BOOLEAN, &[TRUE]);
        }
        element(SEQUENCE, &[&small_integer(VERSION), &self.imprint_der, &optional])
    }

    /// What shall be stamped.
    #[must_use]
    pub const fn imprint(&self) -> &MessageImprint {
        &self.imprint
    }

    /// The policy that the client demands.
    #[must_use]
    pub const fn policy(&self) -> Option<&PolicyOid> {
        self.policy.as_ref()
    }

    /// The number that the token must repeat.
    #[must_use]
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// Whether the token shall carry the authority's certificate.
    #[must_use]
    pub const fn certificates(&self) -> bool {
        self.certificates
    }

    pub(crate) fn imprint_der(&self) -> &[u8] {
        &self.imprint_der
    }
}

fn read_version(content: &[u8]) -> Result<(), RequestError> {
    if !is_minimal_integer(content) {
        return Err(RequestError::Malformed);
    }
    if content != [VERSION] {
        return Err(RequestError::Version);
    }
    Ok(())
}

/// Why a request gets no token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// Not strict DER of a `TimeStampReq`.
    #[error("the request is not valid DER")]
    Malformed,
    /// Another version than 1.
    #[error("the request's version is not 1")]
    Version,
    /// The imprint cannot be stamped.
    #[error(transparent)]
    Imprint(#[from] ImprintError),
    /// The nonce is too long or not DER.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The policy is too long or not an object identifier.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A policy under which this authority issues nothing.
    #[error("policy {0} is not accepted")]
    UnacceptedPolicy(PolicyOid),
    /// The request has extensions; none is understood, critical or not.
    #[error("no request extension is accepted")]
    Extensions,
}

impl RequestError {
    /// The bit by which RFC 3161 §2.4.2 names this refusal.
    #[must_use]
    pub const fn fail_info(&self) -> FailInfo {
        match self {
            Self::Imprint(ImprintError::Algorithm) => FailInfo::BadAlg,
            Self::Version | Self::Nonce(NonceError::TooLong) => FailInfo::BadRequest,
            Self::Policy(PolicyError::TooLong) | Self::UnacceptedPolicy(_) => {
                FailInfo::UnacceptedPolicy
            }
            Self::Extensions => FailInfo::UnacceptedExtension,
            Self::Malformed
            | Self::Imprint(ImprintError::Malformed | ImprintError::DigestLength { .. })
            | Self::Nonce(NonceError::NotMinimal)
            | Self::Policy(PolicyError::Malformed) => FailInfo::BadDataFormat,
        }
    }
}

impl From<NotDer> for RequestError {
    fn from(NotDer: NotDer) -> Self {
        Self::Malformed
    }
}
