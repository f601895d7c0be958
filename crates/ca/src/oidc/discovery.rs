use identity::{IssuerConfig, IssuerConfigError};
use reqwest::Client;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use super::jwks::KeySet;
use crate::{
    CaConfigError, FetchError,
    fetch::{self, Clients},
};

/// Longest document of an issuer, in bytes. Entra's JWK Set, with certificates, has 20 KiB.
const MAX_DOCUMENT_LEN: usize = 1024 * 1024;

/// Where an issuer's keys come from.
pub(crate) struct KeySource {
    client: Client,
    issuer: String,
    issuer_url: Url,
    /// Configured in place of discovery.
    jwks_uri: Option<Url>,
}

impl KeySource {
    pub(crate) fn new(issuer: &IssuerConfig, clients: &mut Clients) -> Result<Self, CaConfigError> {
        let issuer_url = Url::parse(issuer.url())
            .map_err(|_| IssuerConfigError::Url(issuer.url().to_owned()))?;
        let jwks_uri = issuer.jwks_uri().cloned();
        let client = clients.get(jwks_uri.as_ref().unwrap_or(&issuer_url))?;
        Ok(Self { client, issuer: issuer.url().to_owned(), issuer_url, jwks_uri })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Fetches the keys as they are published now: discovery first, unless they are configured.
    pub(crate) async fn fetch(&self) -> Result<KeySet, SourceError> {
        let jwks_uri = match &self.jwks_uri {
            Some(configured) => configured.clone(),
            None => self.discover().await?,
        };
        let document = fetch::get(&self.client, &jwks_uri, MAX_DOCUMENT_LEN).await?;
        KeySet::parse(&document).ok_or(SourceError::NoKeys)
    }

    /// Reads the provider's metadata (OpenID Connect Discovery 1.0 §4). Only two members are
    /// read: issuers of workload tokens leave out many that the standard demands.
    async fn discover(&self) -> Result<Url, SourceError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: Url,
        }
        let document = fetch::get(&self.client, &self.metadata_url()?, MAX_DOCUMENT_LEN).await?;
        let metadata: Metadata =
            wire::json::from_slice(&document).map_err(|_| SourceError::NotADocument)?;
        if metadata.issuer != self.issuer {
            return Err(SourceError::OtherIssuer);
        }
        // Keys from elsewhere would let a foreign host speak for the issuer; who wants that
        // configures `jwks_uri`.
        if metadata.jwks_uri.origin() == self.issuer_url.origin() {
            Ok(metadata.jwks_uri)
        } else {
            Err(SourceError::ForeignJwksUri)
        }
    }

    fn metadata_url(&self) -> Result<Url, SourceError> {
        let base = self.issuer.trim_end_matches('/');
        Url::parse(&format!("{base}/.well-known/openid-configuration"))
            .map_err(|_| SourceError::NotADocument)
    }
}

/// Why an issuer's keys could not be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A document could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The metadata is not JSON with `issuer` and `jwks_uri`.
    #[error("the issuer's metadata is not a discovery document")]
    NotADocument,
    /// The metadata is of another issuer.
    #[error("the issuer's metadata names another issuer")]
    OtherIssuer,
    /// The keys would come from another origin.
    #[error("the issuer's metadata places its keys on another host")]
    ForeignJwksUri,
    /// No JWK Set, no usable key in it, or too many.
    #[error("the issuer publishes no usable keys")]
    NoKeys,
}
