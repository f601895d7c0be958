use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use crypto::{Signer, SignerError, Unsigned, random_bytes};
use futures::{FutureExt, future::BoxFuture};
use service::{Clock, CpuPool};
use tokio::runtime::Handle;
use tracing::{debug, info};
use tsp::{
    PolicyOid, RequestError, SerialNumber, TimestampRequest, TimestampResponse, TokenProfile,
    TsaChain, UnsignedToken,
};

use crate::{
    ConfigError, NotReady, TsaConfig,
    clock_gate::ClockGate,
    http::{CertificateChain, RequestForm},
    refusal::Refusal,
};

/// A timestamp authority with one key.
pub struct Tsa {
    signer: Arc<dyn Signer>,
    profile: Arc<TokenProfile>,
    policy: PolicyOid,
    accepted_policies: Vec<PolicyOid>,
    verify_every: u64,
    prepared: AtomicU64,
    gate: ClockGate,
    clock: Arc<dyn Clock>,
    cpu: CpuPool,
    certificate_chain: CertificateChain,
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
        Ok(Self {
            signer: config.signer,
            profile: Arc::new(profile),
            policy: config.policy,
            accepted_policies: config.accepted_policies,
            verify_every: u64::from(config.verify_every.max(1)),
            prepared: AtomicU64::new(0),
            gate: ClockGate::new(chain.validity(), config.max_clock_step_back_s),
            clock,
            cpu,
            certificate_chain: CertificateChain::new(chain.ders()),
        })
    }

    /// Says whether tokens can be issued now.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn readiness(&self) -> Result<(), NotReady> {
        self.gate.check(self.clock.now())
    }

    pub(crate) const fn certificate_chain(&self) -> &CertificateChain {
        &self.certificate_chain
    }

    /// Reads a request and answers it with a token.
    ///
    /// With a key in this process everything happens in one job on the pool. A signer that has
    /// to wait, for an HSM or a KMS, is awaited here instead, and its thread goes on.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        form: RequestForm,
        body: Bytes,
    ) -> Result<TimestampResponse, Refusal> {
        let (tsa, runtime) = (Arc::clone(self), Handle::current());
        let begun = self.cpu.run(move || {
            // A remote signer may open sockets and timers when it is first polled.
            let _context = runtime.enter();
            tsa.begin(form, &body)
        });
        let issued = match begun.await?? {
            Begun::Issued(issued) => issued,
            Begun::Waiting(signing) => {
                let (tsa, signed) = (Arc::clone(self), signing.await);
                self.cpu.run_next(move || tsa.finish(signed)).await??
            }
        };
        let IssuedToken { response, serial, gen_time } = issued;
        info!(target: "audit", { tsa.serial = %serial, tsa.gen_time = gen_time }, "issued a timestamp");
        Ok(response)
    }

    fn begin(self: &Arc<Self>, form: RequestForm, body: &[u8]) -> Result<Begun, Refusal> {
        let prepared = self.prepare(&form.read(body)?)?;
        let mut signing = Arc::clone(self).sign(prepared).boxed();
        match (&mut signing).now_or_never() {
            Some(signed) => Ok(Begun::Issued(self.finish(signed)?)),
            None => Ok(Begun::Waiting(signing)),
        }
    }

    fn prepare(&self, request: &TimestampRequest) -> Result<PreparedToken, Refusal> {
        let policy = *request.policy().unwrap_or(&self.policy);
        if policy != self.policy && !self.accepted_policies.contains(&policy) {
            return Err(RequestError::UnacceptedPolicy(policy).into());
        }
        let serial = SerialNumber::from_random(random_bytes());
        let gen_time = self.gate.admit(self.clock.now())?;
        let token = self.profile.prepare(request, &policy, gen_time, serial)?;
        Ok(PreparedToken { token, serial, gen_time })
    }

    async fn sign(self: Arc<Self>, prepared: PreparedToken) -> SignedToken {
        debug!(target: "audit", { tsa.serial = %prepared.serial }, "signing a timestamp");
        let signature = self.signer.sign(prepared.token.bytes_to_sign()).await;
        SignedToken { prepared, signature }
    }

    fn finish(&self, signed: SignedToken) -> Result<IssuedToken, Refusal> {
        let SignedToken { prepared: PreparedToken { token, serial, gen_time }, signature } = signed;
        let count = self.prepared.fetch_add(1, Ordering::Relaxed);
        let token =
            if count.is_multiple_of(self.verify_every) { token } else { token.unverified() };
        let response = token.with_signature(&signature?, self.signer.public_key())?;
        Ok(IssuedToken { response, serial, gen_time })
    }
}

struct PreparedToken {
    token: UnsignedToken,
    serial: SerialNumber,
    gen_time: u64,
}

struct SignedToken {
    prepared: PreparedToken,
    signature: Result<Vec<u8>, SignerError>,
}

struct IssuedToken {
    response: TimestampResponse,
    serial: SerialNumber,
    gen_time: u64,
}

/// How far a request came in its first job on the pool.
enum Begun {
    Issued(IssuedToken),
    Waiting(BoxFuture<'static, SignedToken>),
}
