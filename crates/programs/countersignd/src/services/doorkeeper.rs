//! Who may write to a Rekor log: CAs and issuers of this deployment, which a log itself knows nothing of.

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use anyhow::Context;
use ca::{IssueError, OidcConfig, TokenVerifier};
use crypto::PublicKey;
use futures::future::{BoxFuture, join_all};
use identity::{IssuerConfig, VerificationError};
use moment::UnixSeconds;
use rekor::{Doorkeeper, Signer, WriterRefusal};
use server::{IdentityLimits, Limited};
use signing::Clock;
use wire::inert;
use x509::{LeafView, verify_leaf_chain};

use super::Shared;
use crate::{
    data_dir::ISSUER_KEYS,
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
    limits: IdentityLimits,
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
    let keys_dir = deployment.places.logs.join(ISSUER_KEYS).join(&log.service.name);
    let believe = |entries: &Vec<IssuerConfig>| {
        let work = (Arc::clone(&shared.clock), shared.cpu_of(log.service.kind, &log.service.name));
        // One for each: what is in it and of nobody any more is removed.
        let url = entries.first().map(IssuerConfig::url).unwrap_or_default();
        let keys_dir = Some(keys_dir.join(hex::encode(crypto::sha256(url.as_bytes()))));
        let settings = OidcConfig { keys_dir, ..OidcConfig::default() };
        TokenVerifier::new(&log.service.place(), entries.clone(), &settings, work)
    };
    let tokens = named.issuers.iter().map(believe).collect::<Result<Vec<_>, _>>();
    let tokens = tokens.with_context(|| format!("`writers` of {}", log.service.table()))?;
    let listed = Arc::new(Listed { tokens, clock: Arc::clone(&shared.clock), ..listed });
    if listed.takes_tokens() {
        let (fresh, shutdown) = (Arc::downgrade(&listed), logs.shutdown.clone());
        logs.tasks.spawn(async move { shutdown.run_until_cancelled(keep_keys(fresh)).await });
    }
    Ok(rekor::Writers::Listed(listed))
}

/// Until the list is another one. The first token fetches what it needs: when a process starts, an issuer of its own does
/// not answer yet, and is not asked again at once.
async fn keep_keys(of: Weak<Listed>) {
    tokio::time::sleep(TICK).await;
    while let Some(listed) = of.upgrade() {
        join_all(listed.tokens.iter().map(TokenVerifier::tick)).await;
        drop(listed);
        tokio::time::sleep(TICK).await;
    }
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
            limits: IdentityLimits::new(
                &log.service.place(),
                &named.per_issuer,
                &named.per_subject,
            ),
            clock: Arc::new(signing::SystemClock),
        })
    }

    async fn verify(&self, token: &str, length: u64) -> Result<(), WriterRefusal> {
        for tokens in &self.tokens {
            match tokens.verify(token).await {
                Err(IssueError::UnknownIssuer) => {}
                Ok(bearer) => {
                    let (issuer, subject) = (&bearer.issuer, &bearer.subject);
                    tracing::debug!(log.name = %self.log, writer.issuer = %inert::escape(issuer),
                        writer.subject = %inert::escape(subject), "a token lets somebody write");
                    return self.limits.take(issuer, subject, length).map_err(limited);
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

    /// What the certificate says, if it is of one of the CAs, and of now.
    fn ours(&self, der: &[u8]) -> Option<LeafView> {
        let leaf = LeafView::from_der(der).ok()?;
        let now = self.clock.now();
        let (begin, end) = (leaf.not_before(), leaf.not_after());
        if now.saturating_add(EARLY) < begin || end.saturating_add(LATE) < now {
            return None;
        }
        let at = UnixSeconds(now.0.clamp(begin.0, end.0.max(begin.0)));
        let is_ours = self.chains.iter().any(|chain| {
            let Some((root, above)) = chain.split_last() else { return false };
            verify_leaf_chain(der, above, &[root], at).is_ok()
        });
        is_ours.then_some(leaf)
    }

    /// Counts a write on what the certificate's issuer and subject may write.
    fn count(&self, leaf: &LeafView, length: u64) -> Result<(), WriterRefusal> {
        if !self.limits.is_some() {
            return Ok(());
        }
        let subject = leaf.subject_alternative_name().map_err(|_| WriterRefusal::Signer)?;
        let issuer = leaf.extensions().issuer.as_deref().unwrap_or_default();
        self.limits.take(issuer, subject.as_str(), length).map_err(limited)
    }
}

impl Doorkeeper for Listed {
    fn takes_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    fn takes_signers(&self) -> bool {
        !self.chains.is_empty() || !self.keys.is_empty()
    }

    fn bearer<'a>(
        &'a self,
        token: &'a str,
        length: u64,
    ) -> BoxFuture<'a, Result<(), WriterRefusal>> {
        Box::pin(self.verify(token, length))
    }

    fn admits(&self, signer: &Signer, length: u64) -> Result<(), WriterRefusal> {
        // The key has verified the signature, whatever certificate it came in.
        if self.keys.contains(signer.key()) {
            return Ok(());
        }
        let leaf = signer.certificate().and_then(|der| self.ours(der));
        self.count(&leaf.ok_or(WriterRefusal::Signer)?, length)
    }
}

fn limited(Limited { retry_after_s, .. }: Limited) -> WriterRefusal {
    WriterRefusal::Limited { retry_after_s }
}

/// A public key in a file.
fn key(file: &Path) -> anyhow::Result<PublicKey> {
    let text = server::bounded::read_text(file, MAX_KEY_LEN);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    PublicKey::from_pem(&text).with_context(|| format!("{} holds no public key", file.display()))
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, KeyUsagePurpose,
    };
    use signing::FixedClock;
    use time::OffsetDateTime;

    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn params(name: &str, (begin, end): (u64, u64)) -> CertificateParams {
        let time = |at: u64| OffsetDateTime::from_unix_timestamp(at.try_into().unwrap()).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (time(begin), time(end));
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// A chain, and a certificate of it that is valid for ten minutes from `NOW` on.
    fn chain() -> (Vec<Vec<u8>>, Vec<u8>) {
        let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
        let years = (NOW - 1_000_000, NOW + 1_000_000_000);
        let authority = |name, constraints| {
            let mut params = params(name, years);
            params.is_ca = IsCa::Ca(constraints);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params
        };
        let root = authority("root", BasicConstraints::Unconstrained);
        let issuing = authority("CA", BasicConstraints::Constrained(0));
        let mut leaf = params("leaf", (NOW, NOW + 600));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let root_der = root.self_signed(&keys[0]).unwrap().der().to_vec();
        let by_root = Issuer::from_params(&root, &keys[0]);
        let issuing_der = issuing.signed_by(&keys[1], &by_root).unwrap().der().to_vec();
        let by_issuing = Issuer::from_params(&issuing, &keys[1]);
        let leaf = leaf.signed_by(&keys[2], &by_issuing).unwrap().der().to_vec();
        (vec![issuing_der, root_der], leaf)
    }

    fn listed(chain: Vec<Vec<u8>>, now: u64) -> Listed {
        Listed {
            log: "test".to_owned(),
            chains: vec![chain],
            keys: Vec::new(),
            tokens: Vec::new(),
            audience: String::new(),
            limits: IdentityLimits::default(),
            clock: Arc::new(FixedClock::at(now)),
        }
    }

    #[test]
    fn a_certificate_of_a_ca_that_only_has_its_names_is_a_strangers() {
        let ((chain, own), (_, foreign)) = (chain(), self::chain());
        let listed = listed(chain, NOW + 1);
        assert!(listed.ours(&own).is_some());
        assert!(listed.ours(&foreign).is_none());
        assert!(listed.ours(b"nothing").is_none());
    }

    #[test]
    fn a_certificate_lets_in_until_an_hour_after_its_end_and_no_longer() {
        let (chain, own) = chain();
        for (now, expected) in [
            (NOW - 301, false),
            (NOW - 300, true),
            (NOW + 600, true),
            (NOW + 600 + 3600, true),
            (NOW + 600 + 3601, false),
        ] {
            let found = listed(chain.clone(), now).ours(&own).is_some();
            assert_eq!(found, expected, "{}", now.cast_signed() - NOW.cast_signed());
        }
    }
}
