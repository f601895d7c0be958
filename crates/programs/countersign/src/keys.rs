use std::path::Path;

use crypto::{KeyError, LocalSigner, PublicKey};
use verify::PinnedCertificate;

use crate::{Failure, files};

/// Reads the private key of `--key`.
pub(crate) fn private_key(path: &Path) -> Result<LocalSigner, Failure> {
    let pem = files::read_text(path, "private key")?;
    LocalSigner::from_pkcs8_pem(&pem, path.display().to_string()).map_err(|error| {
        let failure =
            Failure::usage(format!("private key {} is not usable: {error}", path.display()));
        match error {
            KeyError::UnexpectedPemLabel(label) if label == "PUBLIC KEY" => {
                failure.advise("signing needs the private half of the key")
            }
            KeyError::UnexpectedPemLabel(_) => failure
                .advise("convert it: openssl pkcs8 -topk8 -nocrypt -in KEY -out KEY.pkcs8.pem"),
            _ => failure.advise("give an unencrypted PKCS#8 PEM of an EC, RSA or Ed25519 key"),
        }
    })
}

/// Reads the public key of `--key`.
pub(crate) fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    let pem = files::read_text(path, "public key")?;
    PublicKey::from_pem(&pem).map_err(|error| {
        let advice = match &error {
            KeyError::UnexpectedPemLabel(label) if label == "CERTIFICATE" => {
                "give a certificate as --cert, with its --cert-chain"
            }
            _ => "give a PEM `PUBLIC KEY`",
        };
        Failure::usage(format!("public key {} is not usable: {error}", path.display()))
            .advise(advice)
    })
}

/// Reads the certificate of `--cert` and `--cert-chain`.
pub(crate) fn pinned_certificate(cert: &Path, chain: &Path) -> Result<PinnedCertificate, Failure> {
    let certificate = files::read_text(cert, "certificate")?;
    let chain_text = files::read_text(chain, "certificate chain")?;
    PinnedCertificate::from_pem(&certificate, &chain_text).map_err(|error| {
        Failure::usage(format!(
            "{} and {} are not usable: {error}",
            cert.display(),
            chain.display()
        ))
        .advise("give the signing certificate, and its chain with the root last, as PEM")
    })
}
