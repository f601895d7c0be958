use identity::{IssuerConfig, IssuerConfigError, KeyLocation};
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
    location: KeyLocation,
}

impl KeySource {
    pub(crate) fn new(issuer: &IssuerConfig, clients: &mut Clients) -> Result<Self, CaConfigError> {
        let location = issuer.keys().clone();
        let asked = match (location.jwks_uri(), location.discovery_url()) {
            (Some(url), _) | (None, Some(url)) => url.clone(),
            // All of a pattern have its scheme, and its host as far as that matters here.
            (None, None) => Url::parse(&issuer.url().replace('*', "x"))
                .map_err(|_| IssuerConfigError::Url(issuer.url().to_owned()))?,
        };
        Ok(Self { client: clients.get(&asked)?, issuer: issuer.url().to_owned(), location })
    }

    /// The source of one issuer, where this one is of a pattern.
    pub(crate) fn of(&self, iss: &str) -> Result<Self, SourceError> {
        let url = Url::parse(iss).map_err(|_| SourceError::NotADocument)?;
        // What the pattern pins is a name; should a parser ever see an address in it, nobody is asked.
        if url.domain().is_none() && !identity::is_loopback(&url) {
            return Err(SourceError::ForeignJwksUri);
        }
        let location = self.location.clone();
        Ok(Self { client: self.client.clone(), issuer: iss.to_owned(), location })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Fetches the keys as they are published now: discovery first, unless they are configured.
    pub(crate) async fn fetch(&self) -> Result<KeySet, SourceError> {
        let jwks_uri = match self.location.jwks_uri() {
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
        let metadata_url = self.metadata_url()?;
        let document = fetch::get(&self.client, &metadata_url, MAX_DOCUMENT_LEN).await?;
        let metadata: Metadata =
            wire::json::from_slice(&document).map_err(|_| SourceError::NotADocument)?;
        if metadata.issuer != self.issuer {
            return Err(SourceError::OtherIssuer);
        }
        // Keys from elsewhere would let a foreign host speak for the issuer; who wants that
        // configures `jwks_hosts` or `jwks_uri`.
        let jwks_uri = metadata.jwks_uri;
        if jwks_uri.origin() == metadata_url.origin() || self.location.lists_host_of(&jwks_uri) {
            Ok(jwks_uri)
        } else {
            Err(SourceError::ForeignJwksUri)
        }
    }

    fn metadata_url(&self) -> Result<Url, SourceError> {
        if let Some(url) = self.location.discovery_url() {
            return Ok(url.clone());
        }
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
