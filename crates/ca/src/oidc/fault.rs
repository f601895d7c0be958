//! Whether an issuer that gives no keys is away or misconfigured.
//!
//! One passes by itself, the other waits for the operator: told as 503, it keeps signers trying for ever.

use std::{error::Error, io};

use super::{KeysError, SourceError};
use crate::FetchError;

impl KeysError {
    /// Whether trying again gives the same, until somebody changes a configuration: ours or theirs.
    #[must_use]
    pub fn is_misconfiguration(&self) -> bool {
        matches!(self, Self::Unavailable(source) if source.is_misconfiguration())
    }
}

impl SourceError {
    /// Whether trying again gives the same, until somebody changes a configuration: ours or theirs.
    #[must_use]
    pub fn is_misconfiguration(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_misconfiguration(),
            _ => true,
        }
    }
}

impl FetchError {
    /// Whether the answer will be the same next time: a refusal, or a TLS certificate that is not trusted.
    fn is_misconfiguration(&self) -> bool {
        match self {
            // Too early, too many, and what a proxy says while its server restarts.
            Self::Status(status) => !matches!(status, 408 | 425 | 429 | 500..),
            Self::TooLong(_) => true,
            Self::Transport(error) => is_tls(error),
        }
    }
}

/// Whether the peer spoke, and its TLS was refused: the TLS library tells that as invalid data, which
/// the layers above wrap as they please.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let Some(io) = error.downcast_ref::<io::Error>() else { continue };
        if io.kind() == io::ErrorKind::InvalidData {
            return true;
        }
        // The source of a wrapped error is the source of what it wraps.
        if let Some(wrapped) = io.get_ref() {
            next = Some(wrapped);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_misconfigured_issuer_is_told_from_one_that_is_away() {
        let of =
            |source: SourceError| KeysError::Unavailable(Arc::new(source)).is_misconfiguration();
        for status in [301, 401, 403, 404] {
            assert!(of(FetchError::Status(status).into()), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(!of(FetchError::Status(status).into()), "{status}");
        }
        assert!(of(SourceError::OtherIssuer) && of(SourceError::NoKeys));
        assert!(of(SourceError::NotADocument) && of(SourceError::ForeignJwksUri));
        assert!(of(FetchError::TooLong(1).into()));
        for passing in [KeysError::UnknownKey, KeysError::NotYetAgain, KeysError::TooManyWaiting] {
            assert!(!passing.is_misconfiguration(), "{passing}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_away_and_a_certificate_of_nobody_is_misconfigured() {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failed = client.get(format!("https://{closed}")).send().await.unwrap_err();
        assert!(!FetchError::transport(failed).is_misconfiguration());
        // Bytes that are no TLS, as of a port that speaks plain HTTP.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut peer, _) = listener.accept().await.unwrap();
            let _ = peer.read(&mut [0; 1024]).await;
            peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let failed = client.get(format!("https://{address}")).send().await.unwrap_err();
        assert!(FetchError::transport(failed).is_misconfiguration());
        server.await.unwrap();
    }
}
