use crypto::PublicKey;
use provenance::Forge;
use url::Url;
use verify::{ExpectedSigner, IdentityPolicy, Matcher, PinnedCertificate, Trust};

use super::instance;
use crate::{
    Failure, World,
    cli::{EvidenceArgs, ExpectedKeyArgs, IdentityArgs, ServiceArgs, TrustArgs},
    keys,
    services::ServiceUrl,
    trust::{LoadedTrust, TrustFileError},
};

/// Who must have signed, by the options; owns what [`ExpectedSigner`] borrows.
pub(super) enum Demand {
    Keyless { loaded: Box<LoadedTrust>, identity: IdentityPolicy },
    Key { key: PublicKey, trust: Option<Trust> },
    Certificate { certificate: Box<PinnedCertificate>, trust: Option<Trust> },
}

impl Demand {
    /// Takes `--key` or `--cert`; `None` when neither is given.
    pub(super) fn of_key_or_certificate(
        args: &ExpectedKeyArgs,
        (trust, only): (&TrustArgs, &ServiceArgs),
        world: &World,
    ) -> Result<Option<Self>, Failure> {
        if let Some(path) = &args.key {
            if args.cert_chain.is_some() {
                return Err(Failure::usage("--cert-chain is of --cert, and --key was given"));
            }
            let key = keys::public_key(path)?;
            return Ok(Some(Self::Key { key, trust: trust_of(trust, only, world)? }));
        }
        let (cert, chain) = match (&args.cert, &args.cert_chain) {
            (Some(cert), Some(chain)) => (cert, chain),
            (None, None) => return Ok(None),
            // The command line demands both, but not beside --key or --keyless.
            _ => return Err(Failure::usage("--cert and --cert-chain go together")),
        };
        let certificate = Box::new(keys::pinned_certificate(cert, chain)?);
        let trust = trust_of(trust, only, world)?;
        Ok(Some(Self::Certificate { certificate, trust }))
    }

    /// Takes the identity options, and the trust that they need.
    pub(super) fn of_identity(
        args: &IdentityArgs,
        (trust, only): (&TrustArgs, &ServiceArgs),
        world: &World,
    ) -> Result<Self, Failure> {
        let identity = identity_of(args)?;
        let mut loaded = instance::to_verify(trust, world)?.ok_or(TrustFileError::NoTrust)?;
        loaded.trust = narrowed(loaded.trust, only)?;
        Ok(Self::Keyless { loaded: Box::new(loaded), identity })
    }

    pub(super) fn expected_signer(&self) -> ExpectedSigner<'_> {
        match self {
            Self::Keyless { loaded, identity } => {
                ExpectedSigner::Keyless { trust: &loaded.trust, identity }
            }
            Self::Key { key, trust } => ExpectedSigner::Key { key, trust: trust.as_ref() },
            Self::Certificate { certificate, trust } => {
                ExpectedSigner::Certificate { certificate, trust: trust.as_ref() }
            }
        }
    }

    /// The forge that names of repositories without a host mean, by the trust configuration.
    pub(super) fn forge(&self) -> Result<Option<Forge>, Failure> {
        match self {
            Self::Keyless { loaded, .. } => Ok(loaded.forge()?),
            Self::Key { .. } | Self::Certificate { .. } => Ok(None),
        }
    }

    /// What the user should know of the identity that was demanded, where that was `named` by a
    /// repository or owner, or not at all.
    pub(super) fn note(&self, named: bool) -> Option<&'static str> {
        let Self::Keyless { identity, .. } = self else { return None };
        match (&identity.subject, &identity.issuer) {
            (None, None) if !named => {
                Some("no identity was demanded: any identity of the trusted CAs is accepted")
            }
            (None, Some(_)) if !named => {
                Some("no identity was demanded: any identity of that issuer is accepted")
            }
            (Some(subject), _) if !subject.is_anchored() => Some(
                "the pattern of the identity may be found anywhere in it: anchor it by ^ and $",
            ),
            (_, Some(issuer)) if !issuer.is_anchored() => {
                Some("the pattern of the issuer may be found anywhere in it: anchor it by ^ and $")
            }
            _ => None,
        }
    }
}

/// Refuses a name for the key where none is demanded.
pub(super) fn refuse_idle_hint(
    evidence: &EvidenceArgs,
    demand: Option<&Demand>,
) -> Result<(), Failure> {
    let keyless = matches!(demand, Some(Demand::Keyless { .. }));
    if keyless && evidence.key_hint.is_some() {
        return Err(Failure::usage("--key-hint names a key, and an identity is demanded"));
    }
    Ok(())
}

/// An identity is somebody's only with its issuer: any provider may know an `alice@acme.example`.
fn identity_of(args: &IdentityArgs) -> Result<IdentityPolicy, Failure> {
    let subject = matcher(
        args.subject.as_deref(),
        ("--certificate-identity-regexp", args.subject_regexp.as_deref()),
    )?;
    let issuer = matcher(
        args.issuer.as_deref(),
        ("--certificate-oidc-issuer-regexp", args.issuer_regexp.as_deref()),
    )?;
    if subject.is_some() && issuer.is_none() {
        return Err(Failure::usage(
            "an identity was demanded without its issuer, and another one may know the same name",
        )
        .advise("give --certificate-oidc-issuer or --certificate-oidc-issuer-regexp"));
    }
    Ok(IdentityPolicy { subject, issuer })
}

fn matcher(
    exact: Option<&str>,
    (option, pattern): (&str, Option<&str>),
) -> Result<Option<Matcher>, Failure> {
    if let Some(exact) = exact {
        return Ok(Some(Matcher::Exact(exact.to_owned())));
    }
    pattern
        .map(|pattern| {
            Matcher::pattern(pattern)
                .map_err(|error| Failure::usage(format!("{option} `{pattern}` is {error}")))
        })
        .transpose()
}

/// The trust that the options name, else what is pinned; URLs of `only` narrow it to those services.
fn trust_of(args: &TrustArgs, only: &ServiceArgs, world: &World) -> Result<Option<Trust>, Failure> {
    let loaded = instance::to_verify(args, world)?;
    loaded.map(|loaded| narrowed(loaded.trust, only)).transpose()
}

/// What of `trust` is at the URLs that were given: URLs never create trust.
fn narrowed(trust: Trust, only: &ServiceArgs) -> Result<Trust, Failure> {
    let urls = [&only.rekor, &only.fulcio, &only.timestamp];
    if urls.iter().all(|url| url.is_none()) {
        return Ok(trust);
    }
    let mut root = trust.root().clone();
    if let Some(url) = &only.rekor {
        root.tlogs.retain(|log| same_service(&log.base_url, url));
        require(!root.tlogs.is_empty(), "log", url)?;
    }
    if let Some(url) = &only.fulcio {
        root.certificate_authorities.retain(|ca| same_service(&ca.uri, url));
        require(!root.certificate_authorities.is_empty(), "CA", url)?;
    }
    if let Some(url) = &only.timestamp {
        root.timestamp_authorities.retain(|tsa| same_service(&tsa.uri, url));
        require(!root.timestamp_authorities.is_empty(), "timestamp authority", url)?;
    }
    Trust::from_root(root)
        .map_err(|error| Failure::usage(format!("the trusted root cannot be used: {error}")))
}

/// Whether two URLs are of one service: scheme, host and port.
fn same_service(known: &str, url: &Url) -> bool {
    Url::parse(known).is_ok_and(|known| known.origin() == url.origin())
}

fn require(known: bool, what: &str, url: &Url) -> Result<(), Failure> {
    if known {
        return Ok(());
    }
    // Without the credentials that it may hold.
    let url = ServiceUrl::parse(url.as_str()).map_or(String::new(), |url| url.to_string());
    Err(Failure::usage(format!("the trusted root knows no {what} at {url}"))
        .advise("leave the URL out, or give the trusted root of that instance"))
}
