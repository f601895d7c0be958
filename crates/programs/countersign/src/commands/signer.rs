use crypto::LocalSigner;
use provenance::BuildEnvironment;
use url::Url;
use verify::Trust;
use wire::countersign::{SIGSTORE_AUDIENCE, may_ask_for};

use super::instance;
use crate::{
    Failure, World,
    cli::SignerArgs,
    keys,
    progress::Progress,
    services::{Endpoints, HttpClient, ServiceKind},
    signing::{self, Payload, SignedBundle, Signer, SigningRequest},
    token::{self, Token},
    trust::{LoadedTrust, TrustFileError, UrlOverrides},
};

/// Who signs, and with whose help, as the options say.
pub(super) struct PreparedSigner {
    who: Who,
    log_token: Option<Token>,
    endpoints: Endpoints,
    trust: Option<Trust>,
    http: HttpClient,
}

enum Who {
    Key(Box<LocalSigner>),
    Holder(Token),
}

impl PreparedSigner {
    /// Reads key, trust and token. Asks nobody but, for a token, the CI.
    pub(super) async fn new(args: &SignerArgs, world: &World) -> Result<Self, Failure> {
        if args.key.is_none() && !args.tlog_upload {
            return Err(Failure::usage("a keyless signature must be logged")
                .advise("leave --tlog-upload=false out, or sign with --key"));
        }
        let key = args.key.as_deref().map(keys::private_key).transpose()?;
        let (mut endpoints, loaded) = services_of(args, world, key.is_none()).await?;
        if key.is_none() {
            // Before a token is asked for, and before anybody is sent anything.
            endpoints.private_authority().map_err(|source| TrustFileError::Url {
                kind: ServiceKind::CertificateAuthority,
                source,
            })?;
        }
        let http = HttpClient::new()?;
        if !args.tlog_upload {
            endpoints.transparency_log = None;
        }
        let who = if let Some(key) = key {
            Who::Key(Box::new(key))
        } else {
            let audience = || audience_of(loaded.as_ref(), &endpoints);
            Who::Holder(token::obtain(args, audience, world).await?)
        };
        let log_token = log_token_of(args, &endpoints, &who, world).await?;
        Ok(Self { who, log_token, endpoints, trust: loaded.map(|loaded| loaded.trust), http })
    }

    /// The holder of an identity token, at the services of an instance that is known already.
    pub(super) fn keyless(
        token: Token,
        (trust, endpoints): (Trust, Endpoints),
    ) -> Result<Self, Failure> {
        let (who, trust) = (Who::Holder(token), Some(trust));
        Ok(Self { who, log_token: None, endpoints, trust, http: HttpClient::new()? })
    }

    /// Where the build runs: by the token's word when it has one, as the certificate will say the
    /// same; else by the environment's.
    pub(super) fn build_environment(&self, world: &World) -> Result<BuildEnvironment, Failure> {
        if let Who::Holder(token) = &self.who {
            let told =
                BuildEnvironment::from_token_claims(token.claims(), &token.server_url(world))
                    .map_err(|error| Failure::usage(error.to_string()))?;
            if let Some(environment) = told {
                return Ok(environment);
            }
        }
        environment_of(world)
    }

    /// Signs; the bundle has been verified.
    pub(super) async fn sign(
        &self,
        payload: Payload<'_>,
        world: &World,
    ) -> Result<SignedBundle, Failure> {
        let signer = match &self.who {
            Who::Key(key) => Signer::Key(key.as_ref()),
            Who::Holder(token) => Signer::Keyless(&token.identity),
        };
        if self.endpoints != Endpoints::default() {
            Progress::new(world).say("asking the services of the instance");
        }
        let request = SigningRequest {
            payload,
            signer,
            endpoints: &self.endpoints,
            log_token: self.log_token.as_ref().map(|token| &token.identity),
            trust: self.trust.as_ref(),
            http: &self.http,
            clock: world.clock,
        };
        Ok(signing::sign(&request).await?)
    }
}

/// The token for the log, where an option or a variable says that there is one.
async fn log_token_of(
    args: &SignerArgs,
    endpoints: &Endpoints,
    who: &Who,
    world: &World,
) -> Result<Option<Token>, Failure> {
    let Some(log) = &endpoints.transparency_log else {
        return if args.demands_log_token() {
            Err(Failure::usage("there is a token for a log, and none is used")
                .advise("leave --log-token and --log-audience out"))
        } else {
            Ok(None)
        };
    };
    if !args.demands_log_token() && args.log_token_source().is_none() {
        return Ok(None);
    }
    log.private()
        .map_err(|source| TrustFileError::Url { kind: ServiceKind::TransparencyLog, source })?;
    let token = token::obtain_for_log(args, world).await?;
    if let (Some(token), Who::Holder(holder)) = (&token, who)
        && token.identity.is(&holder.identity)
    {
        return Err(Failure::usage("the token for the log is the one for the CA").advise(
            "give one for the log's own audience: with this one the log could have certificates",
        ));
    }
    Ok(token)
}

/// The services to use and whom to trust. A key needs neither, unless an option, a variable or a
/// pin names them.
async fn services_of(
    args: &SignerArgs,
    world: &World,
    keyless: bool,
) -> Result<(Endpoints, Option<LoadedTrust>), Failure> {
    let services = &args.services;
    let text = |url: &Option<Url>| url.as_ref().map(Url::to_string);
    let overrides = UrlOverrides {
        certificate_authority: text(&services.fulcio),
        transparency_log: text(&services.rekor),
        timestamp_authority: services.timestamp.clone().map(whole_tsa_url),
    };
    let needed = keyless
        || args.signing_config.is_some()
        || overrides.transparency_log.is_some()
        || overrides.timestamp_authority.is_some();
    let loaded = instance::to_sign(&args.trust, args.signing_config.as_deref(), world).await?;
    match loaded {
        Some(loaded) => {
            let endpoints = loaded.endpoints(&overrides, world.now())?;
            Ok((endpoints, Some(loaded)))
        }
        None if needed => Err(TrustFileError::NoTrust.into()),
        None => Ok((Endpoints::default(), None)),
    }
}

/// The audience that tokens for the instance have. It is asked of the CI and the token sent to the CA,
/// so that an instance may not have it be somebody else's.
fn audience_of(loaded: Option<&LoadedTrust>, endpoints: &Endpoints) -> Result<String, Failure> {
    let named = loaded.map(LoadedTrust::audience).transpose()?.flatten();
    let audience = named.unwrap_or_else(|| SIGSTORE_AUDIENCE.to_owned());
    let authority = endpoints.certificate_authority.as_ref().map(ToString::to_string);
    if may_ask_for(&audience, authority.as_deref().unwrap_or_default()) {
        return Ok(audience);
    }
    let message = format!("countersign.json wants tokens to `{audience}`, which is not of its CA");
    Err(Failure::usage(message)
        .advise("if it is meant, give --oidc-audience; whoever gets the token can use it there"))
}

/// A timestamp authority is named by its whole URL; a bare host means the usual path.
fn whole_tsa_url(mut url: Url) -> String {
    if url.path() == "/" {
        url.set_path("/api/v1/timestamp");
    }
    url.into()
}

/// Where the build runs, by the environment's word.
pub(super) fn environment_of(world: &World) -> Result<BuildEnvironment, Failure> {
    BuildEnvironment::from_variables(&world.variables, crypto::random_bytes()).map_err(|error| {
        Failure::usage(error.to_string()).advise("run the command in the job whose build it states")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_the_url_of_a_timestamp_authority_only_when_it_has_no_path() {
        let whole = |text: &str| whole_tsa_url(Url::parse(text).unwrap());
        assert_eq!(whole("http://localhost:3004"), "http://localhost:3004/api/v1/timestamp");
        assert_eq!(whole("http://localhost:3004/x"), "http://localhost:3004/x");
    }
}
