use crypto::PublicKey;
use thiserror::Error;
use tsp::TsaChain;
use wire::trust::{CertificateAuthority, TimeRange, TransparencyLogInstance, TrustedRoot};

/// Longest trusted root read, in bytes: the public instance's has 7 KiB.
pub const MAX_TRUSTED_ROOT_LEN: usize = 1024 * 1024;

/// Most logs or authorities of one kind: decades of yearly rotation.
const MAX_INSTANCES: usize = 64;

/// Whom a verifier trusts: the usable parts of a trusted root.
///
/// An instance whose key or chain this program cannot use is left out, since the file may be
/// newer than the program; that never widens trust.
#[derive(Debug)]
pub struct Trust {
    root: TrustedRoot,
    logs: Vec<TrustedLog>,
    ct_logs: Vec<TrustedLog>,
    authorities: Vec<TrustedCa>,
    timestamp_authorities: Vec<TrustedTsa>,
}

impl Trust {
    /// Reads a trusted root from JSON.
    ///
    /// # Errors
    /// [`TrustError::TooLong`], [`TrustError::Json`], and those of [`Trust::from_root`].
    pub fn from_json(json: &[u8]) -> Result<Self, TrustError> {
        if json.len() > MAX_TRUSTED_ROOT_LEN {
            return Err(TrustError::TooLong);
        }
        Self::from_root(wire::json::from_slice(json)?)
    }

    /// Takes a trusted root that was read.
    ///
    /// # Errors
    /// [`TrustError::TooManyInstances`], [`TrustError::NoStart`], [`TrustError::LogTwice`].
    pub fn from_root(root: TrustedRoot) -> Result<Self, TrustError> {
        let counts = [root.tlogs.len(), root.ctlogs.len(), root.certificate_authorities.len()];
        if counts.into_iter().chain([root.timestamp_authorities.len()]).any(|n| n > MAX_INSTANCES) {
            return Err(TrustError::TooManyInstances);
        }
        Ok(Self {
            logs: trusted_logs(&root.tlogs)?,
            ct_logs: trusted_logs(&root.ctlogs)?,
            authorities: root.certificate_authorities.iter().map(TrustedCa::new).collect(),
            timestamp_authorities: root
                .timestamp_authorities
                .iter()
                .filter_map(TrustedTsa::new)
                .collect(),
            root,
        })
    }

    /// The trusted root as it was read.
    #[must_use]
    pub fn root(&self) -> &TrustedRoot {
        &self.root
    }

    pub(crate) fn log(&self, id: &[u8]) -> Option<&TrustedLog> {
        self.logs.iter().find(|log| log.id == id)
    }

    pub(crate) fn ct_log(&self, id: &[u8]) -> Option<&TrustedLog> {
        self.ct_logs.iter().find(|log| log.id == id)
    }

    pub(crate) fn authorities(&self) -> &[TrustedCa] {
        &self.authorities
    }

    pub(crate) fn timestamp_authorities(&self) -> &[TrustedTsa] {
        &self.timestamp_authorities
    }
}

/// A log of a trusted root.
#[derive(Debug)]
pub(crate) struct TrustedLog {
    /// What log entries and SCTs name it by.
    pub(crate) id: [u8; 32],
    /// Host of its URL: the name of its key in notes, and a v2 log's origin.
    pub(crate) host: String,
    pub(crate) key: PublicKey,
    pub(crate) window: Window,
}

fn trusted_logs(instances: &[TransparencyLogInstance]) -> Result<Vec<TrustedLog>, TrustError> {
    let mut logs: Vec<TrustedLog> = Vec::new();
    for instance in instances {
        let window = instance.public_key.valid_for.and_then(Window::new);
        let window = window.ok_or_else(|| TrustError::NoStart(instance.base_url.clone()))?;
        let id: Result<[u8; 32], _> = instance.log_id.key_id.as_slice().try_into();
        let key = PublicKey::from_spki_der(instance.public_key.raw_bytes.as_slice());
        let (Ok(id), Ok(key), Some(host)) = (id, key, host_of(&instance.base_url)) else {
            continue;
        };
        if logs.iter().any(|log| log.id == id) {
            return Err(TrustError::LogTwice(instance.base_url.clone()));
        }
        logs.push(TrustedLog { id, host: host.to_owned(), key, window });
    }
    Ok(logs)
}

/// A CA of a trusted root.
#[derive(Debug)]
pub(crate) struct TrustedCa {
    /// DER, lowest CA first, root last.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) window: Option<Window>,
}

impl TrustedCa {
    fn new(authority: &CertificateAuthority) -> Self {
        Self { chain: chain_of(authority), window: authority.valid_for.and_then(Window::new) }
    }
}

/// A timestamp authority of a trusted root.
#[derive(Debug)]
pub(crate) struct TrustedTsa {
    /// DER, the signing certificate first; known to be a usable chain.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) window: Option<Window>,
}

impl TrustedTsa {
    fn new(authority: &CertificateAuthority) -> Option<Self> {
        let chain = chain_of(authority);
        TsaChain::from_ders(&chain).ok()?;
        Some(Self { chain, window: authority.valid_for.and_then(Window::new) })
    }
}

fn chain_of(authority: &CertificateAuthority) -> Vec<Vec<u8>> {
    let certificates = &authority.cert_chain.certificates;
    certificates.iter().map(|certificate| certificate.raw_bytes.0.clone()).collect()
}

/// When something is to be trusted; unix seconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    start: i64,
    end: Option<i64>,
}

impl Window {
    fn new(range: TimeRange) -> Option<Self> {
        let end = range.end.map(wire::Timestamp::unix_seconds);
        Some(Self { start: range.start?.unix_seconds(), end })
    }

    pub(crate) fn contains(&self, at: u64) -> bool {
        i64::try_from(at).is_ok_and(|at| self.start <= at && self.end.is_none_or(|end| at <= end))
    }
}

/// Host of a URL, without user, port and path.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    (!host.is_empty()).then_some(host)
}

/// Why a trusted root cannot be used at all.
#[derive(Debug, Error)]
pub enum TrustError {
    /// More than [`MAX_TRUSTED_ROOT_LEN`] bytes.
    #[error("the trusted root is longer than {MAX_TRUSTED_ROOT_LEN} bytes")]
    TooLong,
    /// Not JSON of a trusted root.
    #[error("not a Sigstore trusted root: {0}")]
    Json(#[from] serde_json::Error),
    /// More logs or authorities than any deployment has.
    #[error("the trusted root lists too many logs or authorities")]
    TooManyInstances,
    /// A log without the start of its validity, which the format demands.
    #[error("the trusted root does not say from when log `{0}` is valid")]
    NoStart(String),
    /// Two logs with one id, of which only one could be meant.
    #[error("the trusted root lists log `{0}` twice")]
    LogTwice(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn root_with_log(valid_for: &serde_json::Value) -> Vec<u8> {
        let key = crypto::LocalSigner::generate(crypto::KeyType::Ed25519, "log").unwrap();
        let key = crypto::Signer::public_key(&key).clone();
        let log = json!({
            "baseUrl": "http://localhost:3003", "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": wire::Base64(key.spki_der().to_vec()),
                "keyDetails": "PKIX_ED25519", "validFor": valid_for},
            "logId": {"keyId": wire::Base64(vec![7; 32])}
        });
        json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [log]})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn takes_host_and_window_of_a_log_with_both_ends() {
        let range = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z"});
        let trust = Trust::from_json(&root_with_log(&range)).unwrap();
        let log = trust.log(&[7; 32]).unwrap();
        assert_eq!(log.host, "localhost");
        let start = 1_767_225_600;
        let inside = [start - 1, start, start + 10, start + 11].map(|at| log.window.contains(at));
        assert_eq!(inside, [false, true, true, false]);
        assert!(trust.log(&[8; 32]).is_none());
    }

    #[test]
    fn rejects_a_log_that_does_not_say_from_when_it_is_valid() {
        for range in [json!(null), json!({}), json!({"end": "2026-01-01T00:00:00Z"})] {
            let error = Trust::from_json(&root_with_log(&range)).unwrap_err();
            assert!(matches!(error, TrustError::NoStart(url) if url == "http://localhost:3003"));
        }
    }

    #[test]
    fn rejects_a_log_that_is_listed_twice() {
        let range = json!({"start": "2026-01-01T00:00:00Z"});
        let mut root: serde_json::Value = serde_json::from_slice(&root_with_log(&range)).unwrap();
        let log = root["tlogs"][0].clone();
        root["tlogs"].as_array_mut().unwrap().push(log);
        let error = Trust::from_json(root.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, TrustError::LogTwice(_)));
    }

    #[test]
    fn rejects_what_is_no_trusted_root() {
        assert!(matches!(Trust::from_json(b"{}"), Err(TrustError::Json(_))));
        let long = vec![b' '; MAX_TRUSTED_ROOT_LEN + 1];
        assert!(matches!(Trust::from_json(&long), Err(TrustError::TooLong)));
    }

    #[test]
    fn finds_the_host_of_a_url() {
        for (url, host) in [
            ("http://localhost:3003", Some("localhost")),
            ("https://log.example/path?x", Some("log.example")),
            ("http://127.0.0.2:3003/", Some("127.0.0.2")),
            ("http://[::1]:3003", Some("[::1]")),
            ("https://user@host", Some("host")),
            ("localhost", None),
            ("http://", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
