//! Tokens for another service than the CA: who its bearer is, by issuers that the CA believes too.

use std::sync::Arc;

use identity::{IssuerConfig, IssuerSet, Principal, UnverifiedClaims};
use signing::{Clock, CpuPool, Lane};

use crate::{CaConfigError, IssueError, OidcConfig, admission::Bearer, issuers::Issuers};

/// Verifies bearers of tokens for a service that certifies nobody.
///
/// Each issuer of it is to be made by [`IssuerConfig::for_service`]: a token for the CA counts nothing here, and
/// one for here nothing at the CA.
pub struct TokenVerifier {
    issuers: Issuers,
    clock: Arc<dyn Clock>,
    cpu: CpuPool,
}

/// Whom a token names: as a certificate for it would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBearer {
    /// `iss`.
    pub issuer: String,
    /// The name that a certificate would have.
    pub subject: String,
}

impl TokenVerifier {
    /// Believes `issuers`; `name` is what metrics call the service.
    ///
    /// # Errors
    /// [`CaConfigError`], where two issuers contradict each other or no HTTP client can be made.
    pub fn new(
        name: &str,
        issuers: Vec<IssuerConfig>,
        oidc: &OidcConfig,
        (clock, cpu): (Arc<dyn Clock>, CpuPool),
    ) -> Result<Self, CaConfigError> {
        let issuers = Issuers::new((name, &IssuerSet::new(issuers)?), oidc, &clock)?;
        Ok(Self { issuers, clock, cpu })
    }

    /// Whose the token is. Asks its issuer for keys where those at hand do not verify it, at a limited rate.
    ///
    /// # Errors
    /// [`IssueError`], those of tokens and of their issuers.
    pub async fn verify(&self, token: &str) -> Result<TokenBearer, IssueError> {
        let token = UnverifiedClaims::parse(token)?;
        let issuer = token.issuer().to_owned();
        let bearer = Bearer::new(token, &self.issuers)?;
        let mut lane = Lane::New;
        let principal = match self.principal(bearer, &mut lane).await? {
            Ok(principal) => principal,
            Err(bearer) => {
                let renewed = bearer.renew().await?;
                self.principal(renewed, &mut lane).await?.map_err(|bearer| bearer.no_key())?
            }
        };
        Ok(TokenBearer { issuer, subject: principal.san.to_string() })
    }

    /// Fetches issuers' keys where it is due; to be called every few seconds.
    pub async fn tick(&self) {
        self.issuers.tick().await;
    }

    /// Whom the token names, or the question back where no key at hand verifies it.
    async fn principal(
        &self,
        mut bearer: Bearer,
        lane: &mut Lane,
    ) -> Result<Result<Principal, Box<Bearer>>, IssueError> {
        let now = self.clock.now();
        let job = move || match bearer.principal(now) {
            Ok(Some(principal)) => Ok(Ok(principal)),
            Ok(None) => Ok(Err(Box::new(bearer))),
            Err(error) => Err(error),
        };
        self.cpu.run_in(lane, job).await?
    }
}
