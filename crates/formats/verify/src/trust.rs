use std::fmt;

use crypto::PublicKey;
use moment::UnixSeconds;
use thiserror::Error;
use tsp::TsaChain;
use wire::trust::{CertificateAuthority, TimeRange, TransparencyLogInstance, TrustedRoot};
use x509::AuthorityView;

use crate::{Cause, Check, VerifyError, check::in_full};

/// Longest trusted root read, in bytes: the public instance's has 7 KiB.
pub const MAX_TRUSTED_ROOT_LEN: usize = 1024 * 1024;

/// Most logs or authorities of one kind: decades of yearly rotation.
const MAX_INSTANCES: usize = 64;

/// Whom a verifier trusts: the usable parts of a trusted root.
///
/// An instance whose key or chain this program cannot use does not count, since the file may be
/// newer than the program: that never widens trust, and whoever would have needed it is told.
#[derive(Debug)]
pub struct Trust {
    root: TrustedRoot,
    logs: Vec<TrustedLog>,
    ct_logs: Vec<TrustedLog>,
    authorities: Vec<TrustedCa>,
    timestamp_authorities: Vec<TrustedTsa>,
    unusable: Vec<Unusable>,
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
    /// [`TrustError::TooManyInstances`], [`TrustError::NoStart`], [`TrustError::EndsBeforeStart`],
    /// [`TrustError::LogTwice`].
    pub fn from_root(root: TrustedRoot) -> Result<Self, TrustError> {
        let counts = [root.tlogs.len(), root.ctlogs.len(), root.certificate_authorities.len()];
        if counts.into_iter().chain([root.timestamp_authorities.len()]).any(|n| n > MAX_INSTANCES) {
            return Err(TrustError::TooManyInstances);
        }
        let mut trust = Self {
            logs: Vec::new(),
            ct_logs: Vec::new(),
            authorities: Vec::new(),
            timestamp_authorities: Vec::new(),
            unusable: Vec::new(),
            root,
        };
        trust.logs = trust.usable_logs(InstanceKind::Log)?;
        trust.ct_logs = trust.usable_logs(InstanceKind::CtLog)?;
        for ca in &trust.root.certificate_authorities {
            let kind = InstanceKind::CertificateAuthority;
            let window = Window::new(ca.valid_for, kind, &ca.uri)?;
            match TrustedCa::new(ca, window) {
                Ok(usable) => trust.authorities.push(usable),
                Err(reason) => trust.unusable.push(Unusable::new(kind, &ca.uri, reason)),
            }
        }
        for tsa in &trust.root.timestamp_authorities {
            let kind = InstanceKind::TimestampAuthority;
            let window = Window::new(tsa.valid_for, kind, &tsa.uri)?;
            match TsaChain::from_ders(&chain_of(tsa)) {
                Ok(chain) => trust.timestamp_authorities.push(TrustedTsa { chain, window }),
                Err(reason) => trust.unusable.push(Unusable::new(kind, &tsa.uri, in_full(&reason))),
            }
        }
        Ok(trust)
    }

    /// The trusted root as it was read.
    #[must_use]
    pub fn root(&self) -> &TrustedRoot {
        &self.root
    }

    /// What the trusted root lists and this program cannot use.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// The error that nothing of `kind` fits, which names what cannot be used beside it: that may
    /// be what was needed.
    pub(crate) fn lacks(
        &self,
        kind: InstanceKind,
        check: Check,
        reason: impl Into<String>,
    ) -> VerifyError {
        let mut reason = reason.into();
        for unusable in self.unusable.iter().filter(|unusable| unusable.kind == kind) {
            reason = format!("{reason}; the trusted root lists {unusable}");
        }
        let usable = match kind {
            InstanceKind::Log => self.logs.len(),
            InstanceKind::CtLog => self.ct_logs.len(),
            InstanceKind::CertificateAuthority => self.authorities.len(),
            InstanceKind::TimestampAuthority => self.timestamp_authorities.len(),
        };
        let cause = if usable == 0 { Cause::NoUsableTrust } else { Cause::OtherInstance };
        check.failed_by(cause, reason)
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

    fn usable_logs(&mut self, kind: InstanceKind) -> Result<Vec<TrustedLog>, TrustError> {
        let instances =
            if kind == InstanceKind::Log { &self.root.tlogs } else { &self.root.ctlogs };
        let mut logs: Vec<TrustedLog> = Vec::new();
        for instance in instances {
            let url = &instance.base_url;
            let window = Window::new(instance.public_key.valid_for, kind, url)?;
            match TrustedLog::new(instance, kind, window) {
                Ok(log) if logs.iter().any(|known| known.id == log.id) => {
                    return Err(TrustError::LogTwice(kind, url.clone()));
                }
                Ok(log) => logs.push(log),
                Err(reason) => self.unusable.push(Unusable::new(kind, url, reason)),
            }
        }
        Ok(logs)
    }
}

/// The kinds of instances in a trusted root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// A transparency log (Rekor).
    Log,
    /// A Certificate Transparency log.
    CtLog,
    /// A CA.
    CertificateAuthority,
    /// A timestamp authority.
    TimestampAuthority,
}

impl fmt::Display for InstanceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::CtLog => "CT log",
            Self::CertificateAuthority => "CA",
            Self::TimestampAuthority => "timestamp authority",
        })
    }
}

/// An instance of a trusted root that this program cannot use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What it would be.
    pub kind: InstanceKind,
    /// Its URL, as the trusted root gives it; may be empty.
    pub url: String,
    /// Why it cannot be used.
    pub reason: String,
}

impl Unusable {
    fn new(kind: InstanceKind, url: &str, reason: impl Into<String>) -> Self {
        Self { kind, url: url.to_owned(), reason: reason.into() }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, url, reason } = self;
        write!(f, "{kind} `{url}`, which cannot be used: {reason}")
    }
}

/// A log of a trusted root.
#[derive(Debug)]
pub(crate) struct TrustedLog {
    /// What log entries and SCTs name it by.
    pub(crate) id: [u8; 32],
    /// Host of its URL: the name of its key in notes, and a v2 log's origin. Empty where the
    /// trusted root names none, as some do for CT logs.
    pub(crate) host: String,
    pub(crate) key: PublicKey,
    pub(crate) window: Window,
}

impl TrustedLog {
    fn new(
        instance: &TransparencyLogInstance,
        kind: InstanceKind,
        window: Window,
    ) -> Result<Self, String> {
        let id = instance.log_id.key_id.as_slice();
        let id: [u8; 32] =
            id.try_into().map_err(|_| format!("its id has {} bytes, not 32", id.len()))?;
        let key = PublicKey::from_spki_der(instance.public_key.raw_bytes.as_slice())
            .map_err(|error| error.to_string())?;
        // RFC 6962 §3.2. Ids of other logs are made in more than one way.
        if kind == InstanceKind::CtLog && id != key.spki_sha256() {
            return Err("its id is not that of its key".to_owned());
        }
        let host = host_of(&instance.base_url).unwrap_or_default().to_owned();
        Ok(Self { id, host, key, window })
    }
}

/// A CA of a trusted root.
#[derive(Debug)]
pub(crate) struct TrustedCa {
    /// DER, the issuing CA first, root last; each is issued by the next. A self-signed CA that
    /// issues stands alone.
    pub(crate) chain: Vec<Vec<u8>>,
    views: Vec<AuthorityView>,
    pub(crate) window: Window,
}

impl TrustedCa {
    fn new(authority: &CertificateAuthority, window: Window) -> Result<Self, String> {
        let chain = chain_of(authority);
        let views = chain.iter().map(|der| AuthorityView::from_der(der));
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|error| in_full(&error))?;
        if views.is_empty() {
            return Err("its chain has no certificate".to_owned());
        }
        for (below, pair) in views.windows(2).enumerate() {
            if let [certificate, issuer] = pair {
                certificate.check_issued_by(issuer).map_err(|error| {
                    let place = below + 1;
                    format!(
                        "certificate {place} of its chain is not issued by the next, as the \
                        issuing CA comes first and the root last: {error}"
                    )
                })?;
            }
        }
        if let Some(below) =
            views.iter().enumerate().position(|(i, view)| !matches!(view.may_issue(i), Ok(true)))
        {
            return Err(format!("certificate {} of its chain may not issue", below + 1));
        }
        Ok(Self { chain, views, window })
    }

    /// The only one that may issue leaves.
    pub(crate) fn issuing(&self) -> Option<&AuthorityView> {
        self.views.first()
    }

    /// Whether what a bundle brings beside its leaf is a beginning of this chain. A CA whose
    /// certificate was issued anew has bundles with its old one: the same name and key, by the same
    /// CA above.
    pub(crate) fn begins_with(&self, brought: &[&[u8]]) -> bool {
        brought.len() <= self.chain.len()
            && brought.iter().enumerate().all(|(position, der)| {
                self.chain.get(position).is_some_and(|own| own == der)
                    || self.is_reissued(position, der)
            })
    }

    fn is_reissued(&self, position: usize, der: &[u8]) -> bool {
        let Ok(brought) = AuthorityView::from_der(der) else { return false };
        // The root is its own issuer.
        let above = self.views.get(position + 1).or_else(|| self.views.get(position));
        self.views.get(position).is_some_and(|own| own.is_same_ca(&brought))
            && above.is_some_and(|above| brought.check_issued_by(above).is_ok())
    }
}

/// A timestamp authority of a trusted root.
#[derive(Debug)]
pub(crate) struct TrustedTsa {
    pub(crate) chain: TsaChain,
    pub(crate) window: Window,
}

fn chain_of(authority: &CertificateAuthority) -> Vec<Vec<u8>> {
    let certificates = &authority.cert_chain.certificates;
    certificates.iter().map(|certificate| certificate.raw_bytes.0.clone()).collect()
}

/// When something is to be trusted, both ends included.
///
/// Unix seconds with a sign: what a trusted root says may lie before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    start: i64,
    end: Option<i64>,
}

impl Window {
    /// A window without a start would hold from the beginning of time, and one that ends before it
    /// begins is a slip: neither is what its author meant.
    fn new(range: Option<TimeRange>, kind: InstanceKind, url: &str) -> Result<Self, TrustError> {
        let url = || url.to_owned();
        let range = range.unwrap_or_default();
        let start = range.start.ok_or_else(|| TrustError::NoStart(kind, url()))?.unix_seconds();
        let end = range.end.map(wire::Timestamp::unix_seconds);
        if end.is_some_and(|end| end < start) {
            return Err(TrustError::EndsBeforeStart(kind, url()));
        }
        Ok(Self { start, end })
    }

    pub(crate) fn contains(&self, at: UnixSeconds) -> bool {
        i64::try_from(at.0).is_ok_and(|at| self.start <= at && self.end.is_none_or(|end| at <= end))
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
    /// Found before anything is parsed.
    #[error("the trusted root is longer than {MAX_TRUSTED_ROOT_LEN} bytes")]
    TooLong,
    /// Nothing of it is used then: what was not understood may be what ended.
    #[error("not a Sigstore trusted root: {0}")]
    Json(#[from] serde_json::Error),
    /// More logs or authorities than any deployment has.
    #[error("the trusted root lists too many logs or authorities")]
    TooManyInstances,
    /// An instance without the start of its validity, which the format demands.
    #[error(
        "the trusted root does not say from when {0} `{1}` is valid: `validFor.start` is absent"
    )]
    NoStart(InstanceKind, String),
    /// An instance whose validity ends before it begins.
    #[error("the trusted root says that {0} `{1}` is valid until a time before its start")]
    EndsBeforeStart(InstanceKind, String),
    /// Two logs with one id, of which only one could be meant.
    #[error("the trusted root lists {0} `{1}` twice")]
    LogTwice(InstanceKind, String),
}

#[cfg(test)]
mod tests;
