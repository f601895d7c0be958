use super::{PrivateUrl, ServiceUrl, ServiceUrlError};

/// The services that a signing uses; what is absent is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Base URL of a Fulcio v2; keyless signing needs it, and refuses one that is not private.
    pub certificate_authority: Option<ServiceUrl>,
    /// A Rekor; keyless signing needs it.
    pub transparency_log: Option<LogEndpoint>,
    /// Complete URLs of timestamp authorities, each of which stamps the signature; keyless
    /// signing needs one where the log signs no time (Rekor v2).
    pub timestamp_authorities: Vec<ServiceUrl>,
}

impl Endpoints {
    /// The CA, when a token may be sent there.
    ///
    /// # Errors
    /// [`ServiceUrlError::Plain`].
    pub fn private_authority(&self) -> Result<Option<PrivateUrl>, ServiceUrlError> {
        self.certificate_authority.clone().map(PrivateUrl::try_from).transpose()
    }
}

impl LogEndpoint {
    /// The log, when a token may be sent there.
    ///
    /// # Errors
    /// [`ServiceUrlError::Plain`].
    pub fn private(&self) -> Result<PrivateUrl, ServiceUrlError> {
        PrivateUrl::try_from(self.url.clone())
    }
}

/// A log and what it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEndpoint {
    /// Base URL.
    pub url: ServiceUrl,
    /// `None` when nothing that is trusted says so: the log itself is asked then, whose word
    /// only decides what is sent.
    pub protocol: Option<LogProtocol>,
}

/// A protocol of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogProtocol {
    /// `/api/v1`: signs the time of each entry.
    RekorV1,
    /// `/api/v2`: signs none.
    RekorV2,
}
