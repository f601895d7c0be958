use std::{sync::Arc, time::Duration};

use crypto::{KeyType, PublicKey};
use identity::{IssuerSet, UnverifiedClaims};
use moment::UnixSeconds;
use server::IdentityLimits;
use signing::{Clock, Sampled, Sampling, SigningKey};
use tokio::sync::Semaphore;
use wire::fulcio::{CertificateChain as PemChain, Configuration, IssuerConfiguration, TrustBundle};
use x509::{
    CertificateChain, IssuedCertificate, LeafProfile, Precertificate, UnsignedPrecertificate,
    positive_serial_number, to_pem,
};

use crate::{
    CaConfig, CaConfigError, CaParts, ClaimedKey, IssueError, IssueRequest,
    admission::{Admitted, Decision, Inquiry},
    audit::Trail,
    ct::{CtClient, CtError, CtTrouble},
    issuers::{IssuerHealth, IssuerRefresh, Issuers},
    record::Noted,
};

/// Most issuances under way at once: 2,500/s at a log that takes 1.6 s, as one with a
/// checkpoint interval does. Each holds some 20 KiB.
const MAX_IN_FLIGHT: usize = 4096;

/// How far the log's clock may run ahead of ours. Verifiers refuse an SCT
/// from the future (RFC 6962 §5.2), so a certificate with one would be good for nothing.
const MAX_LOG_AHEAD: Duration = Duration::from_mins(1);

/// How far it may be behind: it answers in seconds, so that one of the two clocks is wrong then.
const MAX_LOG_BEHIND: Duration = Duration::from_mins(1);

/// One precertificate in so many is verified before it leaves: the log verifies each, and its certificate is verified
/// here.
const VERIFY_EVERY: u32 = 256;

/// A certificate authority.
///
/// Holds no state that an issuance leaves behind: what was issued is in the log.
pub struct Ca {
    /// As metrics have it.
    pub(crate) name: String,
    issuers: Issuers,
    authority: Arc<Authority>,
    ct: CtClient,
    key: SigningKey,
    /// Of precertificates.
    sampling: Arc<Sampling>,
    clock: Arc<dyn Clock>,
    in_flight: Semaphore,
    trust_bundle: TrustBundle,
    configuration: Configuration,
    frozen: bool,
    limits: Arc<IdentityLimits>,
}

/// What every certificate has in common.
struct Authority {
    chain: CertificateChain,
    /// The chain as the answer carries it.
    chain_pem: Vec<String>,
    ct_public_key: PublicKey,
    lifetime: Duration,
    backdate: Duration,
}

/// A leaf and its issuers as PEM without final newline, leaf first, root last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedChain(pub Vec<String>);

impl Ca {
    /// Puts a certificate authority together; starts nothing and connects to nobody.
    ///
    /// # Errors
    /// [`CaConfigError`], each variant.
    pub fn new(config: CaConfig, parts: CaParts) -> Result<Self, CaConfigError> {
        config.check()?;
        check_keys(&parts)?;
        let issuers = IssuerSet::new(config.issuers)?;
        let ct = CtClient::new(&config.ct, &parts.chain, Arc::clone(&parts.clock))?;
        let key = SigningKey::new(parts.signer, parts.chain.public_key().clone(), parts.cpu);
        let authority = Authority {
            chain_pem: pem_chain(&parts.chain).map(|pem| pem.trim_end().to_owned()).collect(),
            chain: parts.chain,
            ct_public_key: parts.ct_public_key,
            lifetime: Duration::from_secs(config.lifetime_s),
            backdate: Duration::from_secs(config.backdate_s),
        };
        let service = format!("ca.{}", config.name);
        let limits = IdentityLimits::new(&service, &config.per_issuer, &config.per_subject);
        Ok(Self {
            limits: Arc::new(limits),
            trust_bundle: TrustBundle {
                chains: vec![PemChain { certificates: pem_chain(&authority.chain).collect() }],
            },
            configuration: configuration_of(&issuers),
            frozen: config.frozen,
            issuers: Issuers::new((&config.name, &issuers), &config.oidc, &parts.clock)?,
            authority: Arc::new(authority),
            ct,
            sampling: key.sampling(VERIFY_EVERY),
            key,
            clock: parts.clock,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            name: config.name,
        })
    }

    /// Issues a certificate for the holder of a token and a key.
    ///
    /// A certificate leaves only with the log's verified SCT inside; the log may keep a
    /// precertificate whose certificate never left.
    ///
    /// # Errors
    /// [`IssueError`], each variant but [`IssueError::Request`].
    pub async fn issue(&self, request: IssueRequest) -> Result<IssuedChain, IssueError> {
        self.issue_noting(request, &mut Noted::default()).await
    }

    /// [`Ca::issue`], noting on the way what a log line can say.
    pub(crate) async fn issue_noting(
        &self,
        request: IssueRequest,
        noted: &mut Noted,
    ) -> Result<IssuedChain, IssueError> {
        if self.frozen {
            return Err(IssueError::Frozen);
        }
        let _permit = self.in_flight.try_acquire().map_err(|_| IssueError::Overloaded)?;
        let token = UnverifiedClaims::parse(&request.token.ok_or(IssueError::NoToken)?)?;

        noted.facts = Some(token.facts());
        let (precertificate, trail) = self.admit(token, request.key, noted).await?;
        let logged = self.log(precertificate, trail).await;
        match &logged {
            Ok(_) => self.ct.note(Ok(())),
            Err(IssueError::CtUnavailable(error) | IssueError::CtBroken(error)) => {
                self.ct.note(Err(error));
            }
            Err(_) => {}
        }
        let certificate = logged?;
        Ok(self.authority.issued(&certificate))
    }

    /// What is wrong with the CT log, as of its last answer; `None` when nothing is known to be.
    #[must_use]
    pub fn ct_trouble(&self) -> Option<CtTrouble> {
        self.ct.trouble()
    }

    /// Asks the CT log who it is; to be called every half a minute.
    pub async fn tick_ct_log(&self) {
        self.ct.probe(&self.authority.ct_public_key).await;
    }

    /// Says whether certificates can be issued now, as far as the authority's own chain goes.
    ///
    /// # Errors
    /// [`IssueError::AuthorityNotValid`].
    pub fn readiness(&self) -> Result<(), IssueError> {
        // A frozen one needs no time.
        if self.frozen { Ok(()) } else { self.authority.check_validity(self.clock.now()) }
    }

    /// The key, for whoever watches it; `None` where it signs no more.
    #[must_use]
    pub fn key(&self) -> Option<&SigningKey> {
        (!self.frozen).then_some(&self.key)
    }

    /// Until when its chain is valid.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        self.authority.chain.not_after()
    }

    /// The chains that verifiers may trust, with final newlines.
    #[must_use]
    pub fn trust_bundle(&self) -> &TrustBundle {
        &self.trust_bundle
    }

    /// The issuers that are believed.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The audiences that are accepted of tokens of `iss`; none where nobody believes it.
    pub(crate) fn audiences_of(&self, iss: &str) -> Vec<String> {
        let mut audiences: Vec<String> = Vec::new();
        for issuer in self.issuers.candidates(iss) {
            for audience in issuer.config.audiences() {
                if !audiences.contains(audience) {
                    audiences.push(audience.clone());
                }
            }
        }
        audiences
    }

    /// What is known of each source of issuers' keys.
    #[must_use]
    pub fn issuer_health(&self) -> Vec<IssuerHealth> {
        self.issuers.health()
    }

    /// Whether tokens can be verified at all: keys of one source at least are known, or nobody was asked in vain yet.
    /// Whose a pattern's tokens are, they say themselves.
    #[must_use]
    pub fn knows_keys(&self) -> bool {
        let mut entries = self.configuration.issuers.iter();
        if entries.any(|entry| entry.wildcard_issuer_url.is_some()) {
            return true;
        }
        let health = self.issuers.health();
        let known = health.iter().any(|source| source.age.is_some());
        known || health.iter().all(|source| source.failure.is_none())
    }

    /// Fetches issuers' keys where it is due, and waits for them; to be called every few seconds.
    pub async fn tick_issuers(&self) {
        self.issuers.tick().await;
    }

    /// Takes over what `old` knows of keys of the same sources, of a CA that this one replaces without a new start: what
    /// was fetched, when, and what came of it.
    pub fn take_over_keys(&self, old: &Self) {
        self.issuers.take_over(&old.issuers);
    }

    /// Takes all sources of issuers' keys out of the metrics, of a CA that nothing replaces.
    pub fn withdraw_issuers(&self) {
        self.issuers.withdraw();
    }

    /// Shows all sources of issuers' keys as metrics, whose age grows by itself; changes are shown
    /// at once.
    pub fn show_issuers(&self) {
        self.issuers.show();
    }

    /// Fetches the keys of every issuer, or of the one at `url`, now; `forget` drops those that are
    /// known first. Empty when there is no such issuer.
    pub async fn refresh_issuers(&self, url: Option<&str>, forget: bool) -> Vec<IssuerRefresh> {
        self.issuers.refresh(url, forget).await
    }

    /// Decides about the request and makes the precertificate.
    async fn admit(
        &self,
        token: UnverifiedClaims,
        key: ClaimedKey,
        noted: &Noted,
    ) -> Result<(Precertificate, Trail), IssueError> {
        let inquiry = Inquiry::new(token, key, &self.issuers)?;
        let inquiry = match self.key.sign_new(self.decision(inquiry, noted)).await {
            Err(Undecided::NoKey(inquiry)) => inquiry.renew().await?,
            Err(Undecided::Refused(error)) => return Err(error),
            Ok(made) => return Ok(made),
        };
        self.key.sign_next(self.decision(inquiry, noted)).await.map_err(|undecided| match undecided
        {
            Undecided::NoKey(inquiry) => inquiry.no_key(),
            Undecided::Refused(error) => error,
        })
    }

    /// Decides with the keys that are known, and prepares the precertificate.
    fn decision(
        &self,
        inquiry: Inquiry,
        noted: &Noted,
    ) -> impl FnOnce() -> Result<(Sampled<UnsignedPrecertificate>, Trail), Undecided> + Send + 'static
    {
        let (authority, now) = (Arc::clone(&self.authority), self.clock.to_sign());
        let limits = Arc::clone(&self.limits);
        let (certificate, sampling) = (Arc::clone(&noted.certificate), Arc::clone(&self.sampling));
        move || {
            let now = now?;
            let admitted = match inquiry.decide(now)? {
                Decision::Admitted(admitted) => *admitted,
                Decision::NoKey(inquiry) => return Err(Undecided::NoKey(inquiry)),
            };
            // Verified, so that nobody uses up what is another's; before anything is signed.
            limits.take(&admitted.issuer, admitted.principal.san.as_str(), 0)?;
            let profile = authority.profile_of(admitted, now)?;
            let unsigned = UnsignedPrecertificate::new(&profile, &authority.chain)?;
            let trail = Trail::new(&profile);
            certificate.get_or_init(|| trail.certificate());
            Ok((Sampled::new(unsigned, &sampling), trail))
        }
    }

    /// Gets the SCT and makes the certificate. From here on the log may know the
    /// precertificate, whatever becomes of the request.
    async fn log(
        &self,
        precertificate: Precertificate,
        trail: Trail,
    ) -> Result<IssuedCertificate, IssueError> {
        let sct = self.ct.submit(self.ct.body(&precertificate)).await?;
        let now = self.clock.now_ms();
        if sct.timestamp > now.saturating_add(MAX_LOG_AHEAD) {
            return Err(CtError::Future.into());
        }
        if sct.timestamp.saturating_add(MAX_LOG_BEHIND) < now {
            return Err(CtError::Past.into());
        }
        let authority = Arc::clone(&self.authority);
        let prepare = move || {
            let unsigned = precertificate.with_sct(&sct, &authority.ct_public_key)?;
            Ok::<_, IssueError>((unsigned, trail))
        };
        let (certificate, _) = self.key.sign_next(prepare).await?;
        Ok(certificate)
    }
}

impl Authority {
    fn issued(&self, leaf: &IssuedCertificate) -> IssuedChain {
        let mut certificates = Vec::with_capacity(self.chain_pem.len() + 1);
        certificates.push(leaf.to_pem().trim_end().to_owned());
        certificates.extend_from_slice(&self.chain_pem);
        IssuedChain(certificates)
    }

    fn check_validity(&self, now: UnixSeconds) -> Result<(), IssueError> {
        if now < self.chain.not_before() || now >= self.chain.not_after() {
            return Err(IssueError::AuthorityNotValid);
        }
        Ok(())
    }

    /// Validity in whole seconds, cut to that of the chain.
    fn profile_of(&self, admitted: Admitted, now: UnixSeconds) -> Result<LeafProfile, IssueError> {
        self.check_validity(now)?;
        let not_before = now.saturating_sub(self.backdate).max(self.chain.not_before());
        let not_after = not_before.saturating_add(self.lifetime).min(self.chain.not_after());
        Ok(LeafProfile {
            subject_alternative_name: admitted.principal.san,
            extensions: admitted.principal.extensions,
            public_key: admitted.public_key,
            not_before,
            not_after,
            serial_number: positive_serial_number(crypto::random_bytes()),
        })
    }
}

/// Why there is no precertificate.
enum Undecided {
    /// The issuer's keys that are known do not have the token's.
    NoKey(Box<Inquiry>),
    Refused(IssueError),
}

impl<E: Into<IssueError>> From<E> for Undecided {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

fn check_keys(parts: &CaParts) -> Result<(), CaConfigError> {
    let signer_key = parts.signer.public_key();
    parts.chain.check_key(signer_key)?;
    if parts.signer.algorithm() != signer_key.default_algorithm() {
        return Err(CaConfigError::SignerAlgorithm);
    }
    match parts.ct_public_key.key_type() {
        KeyType::EcdsaP256 | KeyType::EcdsaP384 => Ok(()),
        _ => Err(CaConfigError::CtKey),
    }
}

fn pem_chain(chain: &CertificateChain) -> impl Iterator<Item = String> {
    chain.certificates().iter().map(|der| to_pem(der))
}

/// Fulcio's document has room for one audience; the first is the one to ask tokens for.
fn configuration_of(issuers: &IssuerSet) -> Configuration {
    let describe = |issuer: &identity::IssuerConfig| IssuerConfiguration {
        issuer_url: (!issuer.is_pattern()).then(|| issuer.url().to_owned()),
        wildcard_issuer_url: issuer.is_pattern().then(|| issuer.url().to_owned()),
        audience: issuer.audiences().first().cloned().unwrap_or_default(),
        challenge_claim: issuer.challenge_claim().to_owned(),
        spiffe_trust_domain: String::new(),
        issuer_type: issuer.kind().name().to_owned(),
        subject_domain: issuer.kind().subject_domain().map(ToString::to_string).unwrap_or_default(),
        skip_email_verification: matches!(
            issuer.kind(),
            identity::IssuerKind::Email { skip_verification: true }
        ),
    };
    Configuration { issuers: issuers.iter().map(describe).collect() }
}
