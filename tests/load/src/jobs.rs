//! What is asked of the services.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use crypto::{HashAlgorithm, KeyType, LocalSigner, Signer};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command};

use crate::{
    Stack,
    drive::{Measurement, percentile},
};

/// Makes the n-th request body.
type MakeBody = dyn Fn(u64) -> Result<Vec<u8>> + Send + Sync;

/// A kind of request to be repeated.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) body: Arc<MakeBody>,
}

/// Distinct client keys that certificate requests go through in turn.
const CLIENT_KEYS: usize = 512;

impl Job {
    pub(crate) fn new(
        url: &str,
        path: &str,
        status: StatusCode,
        body: Arc<MakeBody>,
    ) -> Result<Self> {
        let (authority, prefix) = split(url)?;
        let path = format!("{prefix}{path}");
        Ok(Self { authority, path, content_type: "application/json", status, body })
    }

    /// Rekor v2 entries: a fresh digest and signature each, all with one real certificate.
    pub(crate) async fn log(stack: &Stack) -> Result<Self> {
        let signer = LocalSigner::generate(KeyType::EcdsaP256, "load")?;
        let certificate = STANDARD.encode(certificate(stack, &signer).await?);
        Self::rekor2(stack, signer, &certificate)
    }

    /// Rekor v2 entries by this certificate, DER in base64.
    pub(crate) fn rekor2(stack: &Stack, signer: LocalSigner, certificate: &str) -> Result<Self> {
        let (seed, certificate) = (crypto::random_bytes::<16>(), certificate.to_owned());
        let body = move |n: u64| {
            let message = [seed.as_slice(), &n.to_be_bytes()].concat();
            let digest = STANDARD.encode(crypto::digest(HashAlgorithm::Sha256, &message));
            let signature = STANDARD.encode(signer.sign_now(&message)?);
            Ok(format!(
                r#"{{"hashedRekordRequestV002":{{"digest":"{digest}","signature":{{"content":"{signature}","verifier":{{"x509Certificate":{{"rawBytes":"{certificate}"}},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}}}}}"#
            )
            .into_bytes())
        };
        Self::new(stack.url("rekor2")?, "/api/v2/log/entries", StatusCode::CREATED, Arc::new(body))
    }

    /// Rekor v1 entries, made as those of v2.
    pub(crate) async fn log_v1(stack: &Stack) -> Result<Self> {
        let signer = LocalSigner::generate(KeyType::EcdsaP256, "load")?;
        let certificate = pem::Pem::new("CERTIFICATE", certificate(stack, &signer).await?);
        let unix = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let certificate = STANDARD.encode(pem::encode_config(&certificate, unix));
        let seed = crypto::random_bytes::<16>();
        let body = move |n: u64| {
            let message = [seed.as_slice(), &n.to_be_bytes()].concat();
            let digest = hex::encode(crypto::sha256(&message));
            let signature = STANDARD.encode(signer.sign_now(&message)?);
            Ok(format!(
                r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"{digest}"}}}},"signature":{{"content":"{signature}","publicKey":{{"content":"{certificate}"}}}}}}}}"#
            )
            .into_bytes())
        };
        Self::new(stack.url("rekor1")?, "/api/v1/log/entries", StatusCode::CREATED, Arc::new(body))
    }

    /// Certificates with an SCT, for keys in turn and one token.
    pub(crate) fn ca(stack: &Stack) -> Result<Self> {
        let token = stack.token()?;
        let bodies = (0..CLIENT_KEYS)
            .map(|_| {
                let signer = LocalSigner::generate(KeyType::EcdsaP256, "load")?;
                certificate_request(&token, &signer)
            })
            .collect::<Result<Vec<_>>>()?;
        let body = move |n: u64| {
            let position = usize::try_from(n)? % bodies.len();
            bodies.get(position).cloned().context("no request")
        };
        Self::new(stack.url("ca")?, "/api/v2/signingCert", StatusCode::OK, Arc::new(body))
    }

    /// Timestamps of fresh digests, as cosign asks for them.
    pub(crate) fn tsa(stack: &Stack) -> Result<Self> {
        let seed = crypto::random_bytes::<16>();
        let body = move |n: u64| {
            let digest = crypto::sha256(&[seed.as_slice(), &n.to_be_bytes()].concat());
            let imprint = tsp::MessageImprint::new(HashAlgorithm::Sha256, &digest)?;
            Ok(tsp::TimestampRequest::new(imprint).to_der())
        };
        let mut job = Self::new(stack.url("tsa")?, "", StatusCode::OK, Arc::new(body))?;
        job.content_type = "application/timestamp-query";
        Ok(job)
    }
}

/// Whole runs of `countersign verify`, one after the other.
pub(crate) async fn client(stack: &Stack) -> Result<Vec<Measurement>> {
    const RUNS: u32 = 100;
    let directory = stack.data_dir.join("load-client");
    std::fs::create_dir_all(&directory)?;
    let artifact = directory.join("artifact");
    std::fs::write(&artifact, b"to be verified")?;
    let token = directory.join("token");
    std::fs::write(&token, stack.token()?)?;
    let countersign = || {
        let mut command = Command::new(stack.binaries.join("countersign"));
        command.env(
            "COUNTERSIGN_TRUST_CONFIG",
            format!("{}/client_trust_config.json", stack.url("trust_dir").unwrap_or_default()),
        );
        command.stdout(Stdio::null()).stdin(Stdio::null());
        command
    };
    let identity_token = format!("@{}", token.display());
    let mut sign = countersign();
    sign.arg("sign").arg(&artifact).args(["--identity-token", &identity_token]);
    if !sign.status().await?.success() {
        bail!("countersign sign failed");
    }
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut verify = countersign();
        verify.arg("verify").arg(&artifact);
        verify.args(["--certificate-identity", "load@acme.internal"]);
        verify.args(["--certificate-oidc-issuer", stack.url("oidc")?]);
        let begin = Instant::now();
        if !verify.status().await?.success() {
            bail!("countersign verify failed");
        }
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    Ok(vec![Measurement {
        name: "verify, whole process",
        per_second: f64::from(RUNS) / total.as_secs_f64(),
        errors: 0,
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        max: percentile(&times, 100),
        server_us: 0.0,
        database_us: None,
        resident_kib: 0,
    }])
}

fn certificate_request(token: &str, signer: &LocalSigner) -> Result<Vec<u8>> {
    let proof = signer.sign_now(b"load@acme.internal")?;
    let request = json!({
        "credentials": {"oidcIdentityToken": token},
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": signer.public_key().to_pem()},
            "proofOfPossession": STANDARD.encode(proof),
        },
    });
    Ok(request.to_string().into_bytes())
}

/// A real certificate of the stack's CA, as DER.
async fn certificate(stack: &Stack, signer: &LocalSigner) -> Result<Vec<u8>> {
    let (authority, _) = split(stack.url("ca")?)?;
    let stream = TcpStream::connect(&authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = certificate_request(&stack.token()?, signer)?;
    let request = Request::post("/api/v2/signingCert")
        .header("host", &authority)
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    let answer: Value = serde_json::from_slice(&answer)?;
    let leaf = answer["signedCertificateEmbeddedSct"]["chain"]["certificates"][0]
        .as_str()
        .with_context(|| format!("no certificate: {answer}"))?;
    Ok(pem::parse(leaf)?.into_contents())
}

/// Authority and path of an `http` URL.
fn split(url: &str) -> Result<(String, &str)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("not an http URL: {url}"))?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    Ok((authority.to_owned(), path))
}
