use super::ServiceUrl;

/// The services that a signing uses; what is absent is not used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Base URL of a Fulcio v2; keyless signing needs it.
    pub certificate_authority: Option<ServiceUrl>,
    /// Base URL of a Rekor v2; keyless signing needs it.
    pub transparency_log: Option<ServiceUrl>,
    /// Complete URLs of timestamp authorities, each of which stamps the signature; keyless
    /// signing needs one.
    pub timestamp_authorities: Vec<ServiceUrl>,
}
