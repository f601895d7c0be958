//! Who may write to a Rekor log: CAs and issuers of this deployment, which a log itself knows nothing of.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use ca::{IssueError, OidcConfig, TokenVerifier};
use crypto::PublicKey;
use futures::future::{BoxFuture, join_all};
use identity::VerificationError;
use moment::UnixSeconds;
use rekor::{Doorkeeper, Signer, WriterRefusal};
use signing::Clock;
use wire::inert;
use x509::{LeafView, verify_leaf_chain};

use super::Shared;
use crate::{
    deployment::{self, Deployment, ListedWriters, Writers},
    logs::Logs,
};

/// How long after its end a certificate still lets its entry in: a job that signs in its last minute sends it later.
/// Not for ever, for then who finds an old bundle could write it again and again, each time spelled otherwise.
const LATE: Duration = Duration::from_hours(1);

/// How far the clock that issued it may be ahead.
const EARLY: Duration = Duration::from_mins(5);

/// Longest file of a key, in bytes.
const MAX_KEY_LEN: usize = 16 << 10;

/// How often it is looked whether keys of issuers are due.
const TICK: Duration = Duration::from_secs(30);

/// Seconds after which it is worth to ask again where nobody knows better.
const RETRY_AFTER_S: u64 = 60;

/// Whom an operator lets write to a log.
pub(crate) struct Listed {
    log: String,
    chains: Vec<Vec<Vec<u8>>>,
    keys: Vec<PublicKey>,
    tokens: Vec<TokenVerifier>,
    audience: String,
    clock: Arc<dyn Clock>,
}

/// Who may write to `log`, with a task among those of `logs` that keeps issuers' keys fresh.
pub(crate) fn writers(
    shared: &Shared,
    deployment: &Deployment,
    logs: &Logs,
    log: &deployment::Log,
) -> anyhow::Result<rekor::Writers> {
    let Writers::Listed(named) = &log.options.writers else { return Ok(rekor::Writers::Anybody) };
    let listed = Listed::load(deployment, log, named)?;
    let believe = |entries: &Vec<_>| {
        let work = (Arc::clone(&shared.clock), shared.cpu_of(log.service.kind));
        TokenVerifier::new(&log.service.place(), entries.clone(), &OidcConfig::default(), work)
    };
    let tokens = named.issuers.iter().map(believe).collect::<Result<Vec<_>, _>>();
    let tokens = tokens.with_context(|| format!("`writers` of {}", log.service.table()))?;
    let listed = Arc::new(Listed { tokens, clock: Arc::clone(&shared.clock), ..listed });
    if listed.takes_tokens() {
        let (fresh, shutdown) = (Arc::clone(&listed), logs.shutdown.clone());
        logs.tasks.spawn(async move { shutdown.run_until_cancelled(fresh.keep_keys()).await });
    }
    Ok(rekor::Writers::Listed(listed))
}

/// Whether all files that `writers` of `log` name are there and can be read.
pub(crate) fn check_writers(deployment: &Deployment, log: &deployment::Log) -> anyhow::Result<()> {
    match &log.options.writers {
        Writers::Open => Ok(()),
        Writers::Listed(named) => Listed::load(deployment, log, named).map(drop),
    }
}

impl Listed {
    fn load(
        deployment: &Deployment,
        log: &deployment::Log,
        named: &ListedWriters,
    ) -> anyhow::Result<Self> {
        let place = || format!("`writers` of {}", log.service.table());
        let chain = |name: &String| {
            let ca = deployment.authorities.iter().find(|one| one.service.name == *name);
            ca.with_context(|| format!("no CA `{name}`"))?.chain.load()
        };
        let chains = named.authorities.iter().map(chain).collect::<anyhow::Result<_>>();
        let keys = named.keys.iter().map(|file| key(file)).collect::<anyhow::Result<_>>();
        Ok(Self {
            log: log.service.name.clone(),
            chains: chains.with_context(place)?,
            keys: keys.with_context(place)?,
            tokens: Vec::new(),
            audience: named.audience.clone(),
            clock: Arc::new(signing::SystemClock),
        })
    }

    async fn keep_keys(&self) {
        loop {
            join_all(self.tokens.iter().map(TokenVerifier::tick)).await;
            tokio::time::sleep(TICK).await;
        }
    }

    async fn verify(&self, token: &str) -> Result<(), WriterRefusal> {
        for tokens in &self.tokens {
            match tokens.verify(token).await {
                Err(IssueError::UnknownIssuer) => {}
                Ok(bearer) => {
                    let (issuer, subject) = (&bearer.issuer, &bearer.subject);
                    tracing::debug!(log.name = %self.log, writer.issuer = %inert::escape(issuer),
                        writer.subject = %inert::escape(subject), "a token lets somebody write");
                    return Ok(());
                }
                Err(error) => return Err(self.refusal(&error)),
            }
        }
        Err(self.refusal(&IssueError::UnknownIssuer))
    }

    fn refusal(&self, error: &IssueError) -> WriterRefusal {
        let audience = match error {
            IssueError::Verification(VerificationError::Audience) => {
                format!(", and must be for `{}`", self.audience)
            }
            _ => String::new(),
        };
        let why = format!("{error}{audience}");
        tracing::info!(log.name = %self.log, error = %inert::escape(&why), "refused a token of a writer");
        if error.code().http_status() < 500 {
            return WriterRefusal::Token(why);
        }
        let retry_after_s = error.retry_after_s().unwrap_or(RETRY_AFTER_S);
        WriterRefusal::Unverified { why, retry_after_s }
    }

    /// Whether the certificate is of one of the CAs, and of now.
    fn is_ours(&self, der: &[u8]) -> bool {
        let Ok(leaf) = LeafView::from_der(der) else { return false };
        let now = self.clock.now();
        let (begin, end) = (leaf.not_before(), leaf.not_after());
        if now.saturating_add(EARLY) < begin || end.saturating_add(LATE) < now {
            return false;
        }
        let at = UnixSeconds(now.0.clamp(begin.0, end.0.max(begin.0)));
        self.chains.iter().any(|chain| {
            let Some((root, above)) = chain.split_last() else { return false };
            verify_leaf_chain(der, above, &[root], at).is_ok()
        })
    }
}

impl Doorkeeper for Listed {
    fn takes_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    fn takes_signers(&self) -> bool {
        !self.chains.is_empty() || !self.keys.is_empty()
    }

    fn bearer<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), WriterRefusal>> {
        Box::pin(self.verify(token))
    }

    fn knows(&self, signer: &Signer) -> bool {
        // The key has verified the signature, whatever certificate it came in.
        self.keys.contains(signer.key())
            || signer.certificate().is_some_and(|der| self.is_ours(der))
    }
}

/// A public key in a file.
fn key(file: &Path) -> anyhow::Result<PublicKey> {
    let text = server::bounded::read_text(file, MAX_KEY_LEN);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    PublicKey::from_pem(&text).with_context(|| format!("{} holds no public key", file.display()))
}
