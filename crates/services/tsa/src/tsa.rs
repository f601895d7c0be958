use std::sync::Arc;

use bytes::Bytes;
use crypto::random_bytes;
use moment::UnixSeconds;
use signing::{Clock, CpuPool, Sampled, Sampling, SigningKey};
use tsp::{
    PolicyOid, RequestError, SerialNumber, TimestampRequest, TimestampResponse, TokenProfile,
    TsaChain, UnsignedToken,
};

use crate::{
    ConfigError, NotReady, TsaConfig,
    clock_gate::ClockGate,
    http::{CertificateChain, RequestForm},
    refusal::Refusal,
    token::Issuance,
};

/// A timestamp authority with one key.
pub struct Tsa {
    key: SigningKey,
    profile: Arc<TokenProfile>,
    policy: PolicyOid,
    accepted_policies: Vec<PolicyOid>,
    sampling: Arc<Sampling>,
    gate: ClockGate,
    clock: Arc<dyn Clock>,
    certificate_chain: CertificateChain,
    frozen: bool,
}

impl Tsa {
    /// Checks chain and key, and encodes what all tokens share.
    ///
    /// An expired chain is no reason not to start: then every request is refused, and
    /// [`Tsa::readiness`] says why.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(
        config: TsaConfig,
        clock: Arc<dyn Clock>,
        cpu: CpuPool,
    ) -> Result<Self, ConfigError> {
        let chain = TsaChain::from_ders(&config.chain)?;
        chain.require_issuable(config.signer.public_key(), config.intermediate_usage)?;
        let profile = TokenProfile::new(&chain).map_err(ConfigError::Key)?;
        if config.signer.algorithm() != profile.algorithm() {
            return Err(ConfigError::Algorithm);
        }
        let public_key = config.signer.public_key().clone();
        let key = SigningKey::new(config.signer, public_key, cpu);
        Ok(Self {
            sampling: key.sampling(config.verify_every),
            key,
            profile: Arc::new(profile),
            policy: config.policy,
            accepted_policies: config.accepted_policies,
            gate: ClockGate::new(chain.validity(), config.max_clock_step_back),
            clock,
            certificate_chain: CertificateChain::new(chain.ders()),
            frozen: config.frozen,
        })
    }

    /// Says whether tokens can be issued now.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn readiness(&self) -> Result<(), NotReady> {
        // A frozen one needs no time.
        if self.frozen { Ok(()) } else { self.gate.check(self.clock.as_ref()) }
    }

    /// The key, for whoever watches it; `None` where it signs no more.
    #[must_use]
    pub fn key(&self) -> Option<&SigningKey> {
        (!self.frozen).then_some(&self.key)
    }

    /// Until when its chain is valid.
    #[must_use]
    pub const fn not_after(&self) -> UnixSeconds {
        self.gate.not_after()
    }

    pub(crate) const fn certificate_chain(&self) -> &CertificateChain {
        &self.certificate_chain
    }

    /// Reads a request and answers it with a token.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        form: RequestForm,
        body: Bytes,
    ) -> Result<TimestampResponse, Refusal> {
        if self.frozen {
            return Err(Refusal::Frozen);
        }
        let tsa = Arc::clone(self);
        let prepare = move || tsa.prepare(&form.read(&body)?);
        let (response, _) = self.key.sign_new(prepare).await?;
        Ok(response)
    }

    fn prepare(
        &self,
        request: &TimestampRequest,
    ) -> Result<(Sampled<UnsignedToken>, Issuance), Refusal> {
        let policy = *request.policy().unwrap_or(&self.policy);
        if policy != self.policy && !self.accepted_policies.contains(&policy) {
            return Err(RequestError::UnacceptedPolicy(policy).into());
        }
        let serial = SerialNumber::from_random(random_bytes());
        let gen_time = self.gate.admit(self.clock.as_ref())?;
        let token = self.profile.prepare(request, &policy, gen_time, serial)?;
        let prepared = Sampled::new(token, &self.sampling);
        Ok((prepared, Issuance { serial, gen_time }))
    }
}
