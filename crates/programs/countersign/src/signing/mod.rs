//! From an artifact or statement to a bundle that was verified before anybody sees it.
//!
//! Keyless: an ephemeral P-256 key, a certificate for it, a signature, then log entry (Rekor v1 or
//! v2) and timestamps at once. By key: a signature, and log entry and timestamps where services are given.

mod certificate;
mod error;
mod evidence;
mod unsigned;

#[cfg(test)]
mod tests;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use crypto::{KeyType, LocalSigner, Signer as _};
use entry::rekor2::Verifier;
use moment::UnixSeconds;
use provenance::{GivenStatement, Statement};
use verify::{Conditions, ExpectedSigner, Trust, UnverifiedBundle, Verified};
use wire::bundle::{
    Bundle, BundleMediaType, PublicKeyIdentifier, VerificationContent, VerificationMaterial,
    X509Certificate,
};

use crate::services::{
    CertificateAuthority, Endpoints, HttpClient, IdentityToken, LogProtocol, ServiceKind,
    ServiceUrl, ask_protocol,
};
use certificate::Certified;
use evidence::{Evidence, Signed};
use unsigned::Unsigned;

pub use certificate::CertificateError;
pub use error::SigningError;

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// The bytes of an artifact, for a `messageSignature`.
    Artifact(&'a [u8]),
    /// An in-toto statement, for a `dsseEnvelope`.
    Statement(&'a Statement),
    /// The same, byte for byte as somebody else wrote it.
    Given(&'a GivenStatement),
}

/// Who signs.
#[derive(Clone, Copy)]
pub enum Signer<'a> {
    /// The holder of an identity token, with a key that lives as long as the call.
    Keyless(&'a IdentityToken),
    /// The holder of a key, such as [`LocalSigner::from_pkcs8_pem`] reads.
    Key(&'a dyn crypto::Signer),
}

/// Everything that a signing needs.
#[derive(Clone, Copy)]
pub struct SigningRequest<'a> {
    /// What.
    pub payload: Payload<'a>,
    /// Who.
    pub signer: Signer<'a>,
    /// With whose help; nobody's for a bare key.
    pub endpoints: &'a Endpoints,
    /// For the log alone, where its writers have one: never the CA's, whose holder can have certificates.
    pub log_token: Option<&'a IdentityToken>,
    /// By which their help is checked; needed as soon as there is an endpoint.
    pub trust: Option<&'a Trust>,
    /// To be shared by all signings of a process.
    pub http: &'a HttpClient,
    /// What time it is.
    pub clock: fn() -> UnixSeconds,
}

/// A bundle that verifies.
#[derive(Clone, Debug)]
pub struct SignedBundle {
    /// The bundle, v0.3.
    pub bundle: Bundle,
    /// Its JSON on one line: the very text that was verified.
    pub json: String,
    /// What it proves.
    pub verified: Verified,
}

/// Signs, and verifies the finished bundle before it gives it away.
///
/// Nothing of a failed signing remains but entries in logs that nobody refers to.
///
/// # Errors
/// [`SigningError`].
pub async fn sign(request: &SigningRequest<'_>) -> Result<SignedBundle, SigningError> {
    check_meaning(request)?;
    check_request(request)?;
    // Also refuses, before anybody is asked, a statement that nobody could verify.
    unsigned::artifact_of(request.payload)?;
    let log = log_of(request).await?;
    match request.signer {
        Signer::Keyless(token) => sign_keyless(request, token, log.as_ref()).await,
        Signer::Key(key) => {
            let hint = STANDARD.encode(key.public_key().spki_sha256());
            let material = VerificationContent::PublicKey(PublicKeyIdentifier { hint });
            let verifier = Verifier::from_public_key(key.public_key());
            let bundle = make_bundle(request, log.as_ref(), key, (material, &verifier)).await?;
            let expected = ExpectedSigner::Key { key: key.public_key(), trust: request.trust };
            finish(request, bundle, &expected)
        }
    }
}

async fn sign_keyless(
    request: &SigningRequest<'_>,
    token: &IdentityToken,
    log: Option<&(ServiceUrl, LogProtocol)>,
) -> Result<SignedBundle, SigningError> {
    let trust = request.trust.ok_or(SigningError::NoTrust)?;
    let key = LocalSigner::generate(KeyType::EcdsaP256, "ephemeral")?;
    let certified = certify(request, token, (&key, trust)).await?;
    let verifier = Verifier::from_certificate(certified.der())?;
    let leaf = X509Certificate { raw_bytes: certified.der().to_vec().into() };
    let material = VerificationContent::Certificate(leaf);
    let bundle = make_bundle(request, log, &key, (material, &verifier)).await?;
    let identity = certified.exact_identity();
    finish(request, bundle, &ExpectedSigner::Keyless { trust, identity: &identity })
}

/// Refuses to sign bytes that mean something else to whoever finds the signature elsewhere: a file,
/// or the name by which a CA is shown that we hold the key, that is an attestation once encoded.
fn check_meaning(request: &SigningRequest<'_>) -> Result<(), SigningError> {
    if let Payload::Artifact(bytes) = request.payload
        && wire::dsse::begins_like_pae(bytes)
    {
        return Err(SigningError::AttestationAsFile);
    }
    if let Signer::Keyless(token) = request.signer
        && wire::dsse::begins_like_pae(CertificateAuthority::challenge(token).as_bytes())
    {
        return Err(SigningError::AttestationAsName);
    }
    Ok(())
}

/// Refuses what could not end in a bundle, before anybody is asked for anything.
fn check_request(request: &SigningRequest<'_>) -> Result<(), SigningError> {
    let Endpoints { certificate_authority, transparency_log, timestamp_authorities } =
        request.endpoints;
    if let (Some(log), Some(_)) = (transparency_log, request.log_token) {
        log.private()?;
    }
    let evidence = transparency_log.is_some() || !timestamp_authorities.is_empty();
    match request.signer {
        _ if evidence && request.trust.is_none() => Err(SigningError::NoTrust),
        Signer::Keyless(_) => {
            for (kind, absent) in [
                (ServiceKind::CertificateAuthority, certificate_authority.is_none()),
                (ServiceKind::TransparencyLog, transparency_log.is_none()),
            ] {
                if absent {
                    return Err(SigningError::NoService(kind));
                }
            }
            request.endpoints.private_authority()?;
            Ok(())
        }
        Signer::Key(key) => {
            let pure = key.public_key().key_type() == KeyType::Ed25519;
            // A log has only digests to verify by, and pure Ed25519 signs none.
            if pure && transparency_log.is_some() {
                Err(SigningError::Ed25519Logged)
            } else {
                Ok(())
            }
        }
    }
}

/// The log, and what it speaks; asked where nobody else says so.
async fn log_of(
    request: &SigningRequest<'_>,
) -> Result<Option<(ServiceUrl, LogProtocol)>, SigningError> {
    let Endpoints { transparency_log, timestamp_authorities, .. } = request.endpoints;
    let Some(log) = transparency_log else { return Ok(None) };
    let protocol = match log.protocol {
        Some(known) => known,
        None => ask_protocol(request.http, &log.url).await?,
    };
    // A certificate lives for minutes: somebody must say when it signed.
    let timeless = protocol == LogProtocol::RekorV2 && timestamp_authorities.is_empty();
    if timeless && matches!(request.signer, Signer::Keyless(_)) {
        return Err(SigningError::NoService(ServiceKind::TimestampAuthority));
    }
    Ok(Some((log.url.clone(), protocol)))
}

async fn certify(
    request: &SigningRequest<'_>,
    token: &IdentityToken,
    (key, trust): (&LocalSigner, &Trust),
) -> Result<Certified, SigningError> {
    let url = request.endpoints.private_authority()?;
    let url = url.ok_or(SigningError::NoService(ServiceKind::CertificateAuthority))?;
    let authority = CertificateAuthority::new(request.http.clone(), url);
    let proof = key.sign(CertificateAuthority::challenge(token).as_bytes()).await?;
    let chain = authority.certificate(token, key.public_key(), proof).await?;
    // Before anything is logged or stamped under it.
    Ok(Certified::check(&chain, key.public_key(), trust)?)
}

/// Signs the payload, and gathers the evidence of it.
async fn make_bundle(
    request: &SigningRequest<'_>,
    log: Option<&(ServiceUrl, LogProtocol)>,
    key: &dyn crypto::Signer,
    (material, verifier): (VerificationContent, &Verifier),
) -> Result<Bundle, SigningError> {
    let unsigned = Unsigned::new(request.payload)?;
    let digest = crypto::digest(verifier.key_details().hash(), unsigned.bytes_to_sign());
    let signature = key.sign(unsigned.bytes_to_sign()).await?;
    let content = unsigned.with_signature(&signature, key.public_key())?;
    let signed = Signed { content: &content, signature: &signature, digest: &digest, verifier };
    let Evidence { log_entry, timestamps } = evidence::gather(request, log, &signed).await?;
    if let Some(entry) = &log_entry {
        let integrated = UnixSeconds(u64::try_from(entry.integrated_time).unwrap_or(0));
        reach(integrated, request.clock).await;
    }
    Ok(Bundle {
        media_type: BundleMediaType::V0_3,
        verification_material: VerificationMaterial {
            content: material,
            tlog_entries: log_entry.into_iter().collect(),
            timestamp_verification_data: timestamps,
        },
        content,
    })
}

/// Waits until our clock shows the second that the log signed: no verifier takes a time from the
/// future, and clocks differ by a little. More than a little is left to the verification.
async fn reach(integrated: UnixSeconds, clock: fn() -> UnixSeconds) {
    const MAX_SKEW: Duration = Duration::from_secs(3);
    let ahead = integrated.saturating_since(clock());
    if !ahead.is_zero() && ahead <= MAX_SKEW {
        tokio::time::sleep(ahead).await;
    }
}

/// Verifies the bundle as a stranger would, from its JSON.
fn finish(
    request: &SigningRequest<'_>,
    bundle: Bundle,
    expected: &ExpectedSigner<'_>,
) -> Result<SignedBundle, SigningError> {
    let artifact = unsigned::artifact_of(request.payload)?;
    let json = bundle.to_json();
    let now = (request.clock)();
    let verified = UnverifiedBundle::parse(json.as_bytes())
        .and_then(|parsed| verify::verify(&parsed, &artifact, expected, &Conditions::at(now)))
        .map_err(SigningError::SelfCheck)?;
    Ok(SignedBundle { bundle, json, verified })
}
