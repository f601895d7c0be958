use std::{path::PathBuf, time::Duration};

use identity::{IssuerConfig, IssuerConfigError, KeyLocation};
use reqwest::Client;
use serde::Deserialize;
use thiserror::Error;
use url::Url;
use wire::host::is_loopback;

use super::{
    files::{bearer_token, read_file, read_in_background},
    jwks::{KeySet, KeySetFault},
};
use crate::{
    CaConfigError, FetchError, FetchKind,
    fetch::{self, Clients},
};

/// Longest document of an issuer, in bytes. Entra's JWK Set, with certificates, has 20 KiB.
pub(super) const MAX_DOCUMENT_LEN: usize = 1024 * 1024;

/// Where an issuer's keys come from.
#[derive(Clone)]
pub(crate) struct KeySource {
    /// `None` when one is made for each fetch, with the roots of that moment.
    client: Option<Client>,
    /// What is asked is on this machine.
    loopback: bool,
    timeout: Duration,
    issuer: String,
    /// The `url` or `url_pattern` that it is of.
    entry: String,
    location: KeyLocation,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0 §4), as far as it is read: issuers
/// of workload tokens leave out many members that the standard demands.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) jwks_uri: Url,
    pub(super) id_token_signing_alg_values_supported: Option<Vec<String>>,
    pub(super) authorization_endpoint: Option<String>,
}

impl KeySource {
    pub(crate) fn new(
        issuer: &IssuerConfig,
        timeout: Duration,
        clients: &mut Clients,
    ) -> Result<Self, CaConfigError> {
        let location = issuer.keys().clone();
        let asked = match (location.jwks_uri(), location.discovery_url()) {
            (Some(url), _) | (None, Some(url)) => url.clone(),
            // All of a pattern have its scheme, and its host as far as that matters here.
            (None, None) => Url::parse(&issuer.url().replace('*', "x"))
                .map_err(|_| IssuerConfigError::Url(issuer.url().to_owned()))?,
        };
        let nobody_is_asked = location.keys_file().is_some();
        let client = match location.tls_roots_file() {
            None if !nobody_is_asked => Some(clients.get(&asked)?),
            _ => None,
        };
        let entry = issuer.url().to_owned();
        let loopback = asked.host_str().is_some_and(is_loopback);
        Ok(Self { client, loopback, timeout, issuer: entry.clone(), entry, location })
    }

    /// The source of one issuer, where this one is of a pattern.
    pub(crate) fn of(&self, iss: &str) -> Result<Self, SourceError> {
        let url = Url::parse(iss).map_err(|_| SourceError::NotADocument)?;
        // What the pattern pins is a name; should a parser ever see an address in it, nobody is asked.
        if url.domain().is_none() && !url.host_str().is_some_and(is_loopback) {
            return Err(SourceError::ForeignJwksUri(wire::inert::escape(iss).into_owned()));
        }
        Ok(Self { issuer: iss.to_owned(), ..self.clone() })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn entry(&self) -> &str {
        &self.entry
    }

    pub(crate) fn location(&self) -> &KeyLocation {
        &self.location
    }

    /// Which source it is, for people.
    pub(crate) fn describe(&self) -> String {
        match (self.location.keys_file(), self.location.jwks_uri(), self.metadata_url()) {
            (Some(file), ..) => format!("file {}", file.display()),
            (None, Some(url), _) => url.to_string(),
            (None, None, Ok(url)) => url.to_string(),
            (None, None, Err(_)) => self.issuer.clone(),
        }
    }

    /// What the keys depend on beside the provider: other settings or other roots of TLS make it
    /// another source, whose keys are not believed. The roots are read now.
    pub(crate) fn fingerprint(&self) -> Result<[u8; 32], SourceError> {
        let roots = match self.location.tls_roots_file() {
            Some(file) => crypto::sha256(&read_file(file)?),
            None => [0; 32],
        };
        let settings = format!("{}\n{:?}\n", self.issuer, self.location);
        Ok(crypto::sha256(&[settings.as_bytes(), &roots].concat()))
    }

    /// Fetches the keys as they are published now: discovery first, unless they are configured.
    pub(crate) async fn fetch(&self) -> Result<KeySet, SourceError> {
        if let Some(file) = self.location.keys_file() {
            let content = read_in_background(file).await?;
            return KeySet::parse_file(&content)
                .ok_or_else(|| SourceError::KeysFile(file.to_owned()));
        }
        let access = self.access().await?;
        let jwks_uri = match self.location.jwks_uri() {
            Some(configured) => configured.clone(),
            None => self.placed_at(&access.metadata(self).await?)?,
        };
        let document = access.get(&jwks_uri).await?;
        Ok(KeySet::parse(&document)?)
    }

    /// What the provider says of itself; `None` where it is not asked for that.
    pub(super) async fn metadata(&self) -> Result<Option<Metadata>, SourceError> {
        if self.location.is_fixed() {
            return Ok(None);
        }
        self.access().await?.metadata(self).await.map(Some)
    }

    /// Where the metadata place the keys, if they may.
    fn placed_at(&self, metadata: &Metadata) -> Result<Url, SourceError> {
        let jwks_uri = &metadata.jwks_uri;
        if !jwks_uri.username().is_empty() || jwks_uri.password().is_some() {
            // It would be sent in place of the configured token.
            return Err(SourceError::JwksUriWithUser);
        }
        // Keys from elsewhere would let a foreign host speak for the issuer; who wants that
        // configures `jwks_hosts` or `jwks_uri`.
        let own = jwks_uri.origin() == self.metadata_url()?.origin();
        if own || self.location.lists_host_of(jwks_uri) {
            return Ok(jwks_uri.clone());
        }
        if jwks_uri.scheme() != "https" && jwks_uri.scheme() != self.metadata_url()?.scheme() {
            return Err(SourceError::JwksUriScheme(quoted(jwks_uri.scheme())));
        }
        let host = jwks_uri.host_str().unwrap_or_default();
        let port = jwks_uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        Err(SourceError::ForeignJwksUri(format!("{}{port}", quoted(host))))
    }

    fn metadata_url(&self) -> Result<Url, SourceError> {
        if let Some(url) = self.location.discovery_url() {
            return Ok(url.clone());
        }
        let base = self.issuer.trim_end_matches('/');
        Url::parse(&format!("{base}/.well-known/openid-configuration"))
            .map_err(|_| SourceError::NotADocument)
    }

    /// What is needed to ask, with the files as they are now: both are renewed by others.
    async fn access(&self) -> Result<Access, SourceError> {
        let client = match (&self.client, self.location.tls_roots_file()) {
            (Some(client), _) => client.clone(),
            (None, None) => return Err(SourceError::NotADocument),
            (None, Some(file)) => {
                let roots = read_in_background(file).await?;
                fetch::client_with_roots(self.timeout, &roots, self.loopback)
                    .map_err(|_| SourceError::TlsRootsFile(file.to_owned()))?
            }
        };
        let bearer_token = match self.location.bearer_token_file() {
            None => None,
            Some(file) => {
                let token = bearer_token(&read_in_background(file).await?, file)?;
                Some((token, file.to_owned()))
            }
        };
        Ok(Access { client, bearer_token })
    }
}

/// A client, and what it may show. It goes nowhere but to URLs that are configured or listed:
/// redirects are not followed.
struct Access {
    client: Client,
    /// With the file that it was read from.
    bearer_token: Option<(String, PathBuf)>,
}

impl Access {
    async fn get(&self, url: &Url) -> Result<bytes::Bytes, SourceError> {
        let token = self.bearer_token.as_ref().map(|(token, _)| token.as_str());
        let answer = fetch::get_as(&self.client, url, token, MAX_DOCUMENT_LEN).await;
        answer.map_err(|error| match (&self.bearer_token, error) {
            (Some((_, path)), FetchError::Status(status @ (401 | 403))) => {
                SourceError::TokenRefused { path: path.clone(), status }
            }
            (_, error) => error.into(),
        })
    }

    async fn metadata(&self, source: &KeySource) -> Result<Metadata, SourceError> {
        let document = self.get(&source.metadata_url()?).await?;
        let metadata: Metadata =
            wire::json::from_slice(&document).map_err(|_| SourceError::NotADocument)?;
        if metadata.issuer == source.issuer {
            Ok(metadata)
        } else {
            Err(SourceError::OtherIssuer(quoted(&metadata.issuer)))
        }
    }
}

/// Longest text of a provider's that is repeated, in characters.
const MAX_QUOTED: usize = 200;

/// The beginning of a provider's text, so that it can stand in a line.
pub(super) fn quoted(text: &str) -> String {
    let beginning = text.chars().take(MAX_QUOTED).collect::<String>();
    wire::inert::escape(&beginning).into_owned()
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
    /// Discovery §4.3: else one issuer could give the keys of another.
    #[error("the issuer's metadata names another issuer, `{0}`")]
    OtherIssuer(String),
    /// The keys would come from another origin.
    #[error("the issuer's metadata places its keys on another host, `{0}`")]
    ForeignJwksUri(String),
    /// The keys would come without TLS, or from no server at all.
    #[error("the issuer's metadata places its keys at `{0}:`, and not at https")]
    JwksUriScheme(String),
    /// Whoever writes the metadata would choose what the provider is shown.
    #[error("the issuer's metadata places its keys at a URL with a user")]
    JwksUriWithUser,
    /// What is published cannot be used.
    #[error(transparent)]
    NoKeys(#[from] KeySetFault),
    /// A key set with an empty `keys`: it is sound, and says that no key counts.
    #[error("the issuer publishes no keys: its set is empty")]
    Withdrawn,
    /// A file that is not there, or may not be read.
    #[error(
        "{} cannot be read: {} (named by `keys_file`, `tls_roots_file` or `bearer_token_file`)",
        .path.display(), fetch::words_of_file_error(*reason)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::ErrorKind,
    },
    /// A certificate, or the file of a private key, is the usual mistake.
    #[error("{} holds neither a JWK Set nor up to 8 PEM public keys", .0.display())]
    KeysFile(PathBuf),
    /// An empty list would trust no server at all.
    #[error("{} holds no PEM certificates", .0.display())]
    TlsRootsFile(PathBuf),
    /// Empty, or not what can stand in a header.
    #[error("{} holds no token", .0.display())]
    BearerTokenFile(PathBuf),
    /// The provider does not let who shows this token read it.
    #[error("the answer has status {status} to the token of {}", .path.display())]
    TokenRefused {
        /// The file of the token.
        path: PathBuf,
        /// 401 or 403.
        status: u16,
    },
}

impl SourceError {
    /// Whether it lasts until somebody changes something here or there. What a provider that is
    /// being restarted may answer for a while is not of this kind.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Fetch(error) => matches!(
                error.kind(),
                FetchKind::UntrustedCertificate
                    | FetchKind::ExpiredCertificate
                    | FetchKind::WrongName
                    | FetchKind::ClientCertificate
                    | FetchKind::Unauthorized
                    | FetchKind::Redirect
            ),
            Self::NotADocument | Self::NoKeys(_) | Self::Withdrawn => false,
            _ => true,
        }
    }

    /// What ends it when it [lasts](Self::is_permanent), to follow "until".
    #[must_use]
    pub fn ends_when(&self) -> &'static str {
        match self {
            Self::Unreadable { .. }
            | Self::KeysFile(_)
            | Self::TlsRootsFile(_)
            | Self::BearerTokenFile(_) => "the file is what it should be",
            Self::TokenRefused { .. } => {
                "the file holds a token that is valid, or the provider lets this one read"
            }
            Self::Fetch(error) if error.kind() == FetchKind::ExpiredCertificate => {
                "the provider renews its certificate, or clocks agree"
            }
            Self::Fetch(_)
            | Self::OtherIssuer(_)
            | Self::ForeignJwksUri(_)
            | Self::NotADocument
            | Self::NoKeys(_)
            | Self::Withdrawn => "a setting is changed",
            Self::JwksUriScheme(_) | Self::JwksUriWithUser => {
                "the provider's metadata are mended, or a setting is changed"
            }
        }
    }

    /// A word for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.kind().name(),
            Self::NotADocument => "not_a_document",
            Self::OtherIssuer(_) => "other_issuer",
            Self::ForeignJwksUri(_) => "foreign_jwks_uri",
            Self::JwksUriScheme(_) => "jwks_uri_scheme",
            Self::JwksUriWithUser => "jwks_uri_user",
            Self::NoKeys(_) | Self::Withdrawn => "no_keys",
            Self::Unreadable { .. }
            | Self::KeysFile(_)
            | Self::TlsRootsFile(_)
            | Self::BearerTokenFile(_) => "file",
            Self::TokenRefused { .. } => "unauthorized",
        }
    }

    /// What to change.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Fetch(error) => return error.kind().advice(),
            Self::NotADocument => {
                "set `discovery_url` to the document, or `jwks_uri` to the keys themselves"
            }
            Self::OtherIssuer(_) => "set `url` to the issuer as it names itself, letter by letter",
            Self::ForeignJwksUri(_) => "list that host in `jwks_hosts` if it is the provider's own",
            Self::JwksUriScheme(_) => {
                "the provider must know that it is behind TLS: let the proxy tell it \
                 (X-Forwarded-Proto; Keycloak: `proxy-headers` and `hostname`), or set `jwks_uri`"
            }
            Self::JwksUriWithUser => {
                "the provider must name it without a user, or set `jwks_uri`, with \
                 `bearer_token_file` where it demands to know who asks"
            }
            Self::NoKeys(fault) => fault.advice(),
            Self::Withdrawn => "the provider must publish a key, or its entry be removed",
            Self::Unreadable { .. } => "put the file there, readable for the CA's user",
            Self::KeysFile(_) => "`keys_file` must hold a JWK Set, or PEM `PUBLIC KEY` blocks",
            Self::TlsRootsFile(_) => "`tls_roots_file` must hold PEM certificates of roots",
            Self::BearerTokenFile(_) => "`bearer_token_file` must hold the token and nothing else",
            Self::TokenRefused { .. } => {
                "`bearer_token_file` must hold a token that has not expired and may read it, or \
                 everybody be allowed to"
            }
        })
    }
}
