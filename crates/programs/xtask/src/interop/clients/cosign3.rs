//! cosign 3: everything by a signing config and a trusted root, or by TUF alone.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{Claim, ExpectedSigner, Kind, Order, SigningMethod, Trust};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// The password of the key pairs, which protect nothing.
pub(super) const PASSWORD: &str = "interop";

/// cosign with the home that its way to trust needs.
pub(in crate::interop) fn cosign(scene: &Scene<'_>, trust: Trust) -> Result<Command> {
    let mut command = scene.command(Tool::Cosign3, &format!("cosign3-{}", trust.name()))?;
    command.env("COSIGN_PASSWORD", PASSWORD);
    Ok(command)
}

/// `cosign initialize`: from here on the client needs no file.
pub(in crate::interop) fn initialize(scene: &Scene<'_>) -> Result<()> {
    let mut command = cosign(scene, Trust::Tuf)?;
    command.args(["initialize", "--mirror", scene.url("trust")?]);
    output(command.arg("--root").arg(scene.trust_file("root.json")?)).map(drop)
}

pub(in crate::interop) fn sign(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = subject(scene, order)?;
    if order.trust == Trust::Files {
        command.arg("--signing-config").arg(scene.trust_file(order.protocol.signing_config())?);
        command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
    }
    output(command.arg("--bundle").arg(&order.bundle).arg(&scene.artifact)).map(drop)
}

/// The flags of cosign 2, which version 3 hides but still takes; they know Rekor v1 only.
pub(in crate::interop) fn sign_by_urls(scene: &Scene<'_>, order: &Order) -> Result<()> {
    let mut command = subject(scene, order)?;
    urls(scene, &mut command)?;
    if order.trust == Trust::Files {
        command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
    }
    output(command.arg("--bundle").arg(&order.bundle).arg(&scene.artifact)).map(drop)
}

/// Adds the service URLs in place of a signing config.
pub(in crate::interop) fn urls(scene: &Scene<'_>, command: &mut Command) -> Result<()> {
    command.args(["--use-signing-config=false", "--fulcio-url", scene.url("ca")?]);
    command.args(["--rekor-url", scene.url("rekor1")?]);
    command.args(["--timestamp-server-url", scene.url("tsa")?]);
    Ok(())
}

fn subject(scene: &Scene<'_>, order: &Order) -> Result<Command> {
    let mut command = cosign(scene, order.trust)?;
    match order.kind {
        Kind::Blob => command.arg("sign-blob"),
        // From a predicate cosign makes a statement of version 0.1, which sigstore-python refuses.
        Kind::Attestation => command.args(["attest-blob", "--statement"]).arg(&scene.statement),
    };
    sign_by(scene, &mut command, order.method)?;
    Ok(command)
}

/// Says by what to sign, without questions.
pub(in crate::interop) fn sign_by(
    scene: &Scene<'_>,
    command: &mut Command,
    method: SigningMethod,
) -> Result<()> {
    command.arg("--yes");
    match method {
        SigningMethod::Keyless => command.arg("--identity-token").arg(scene.token()?),
        SigningMethod::Key => command.arg("--key").arg(key_pair(scene)?),
    };
    Ok(())
}

pub(in crate::interop) fn verify(scene: &Scene<'_>, claim: &Claim<'_>) -> Result<()> {
    let mut command = cosign(scene, claim.trust)?;
    match claim.kind {
        Kind::Blob => command.arg("verify-blob"),
        Kind::Attestation => command.args(["verify-blob-attestation", "--type", "slsaprovenance1"]),
    };
    demand(scene, &mut command, claim.signer);
    if claim.trust == Trust::Files {
        command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
    }
    output(command.arg("--bundle").arg(claim.bundle).arg(claim.artifact)).map(drop)
}

/// Says whose signature is demanded.
pub(in crate::interop) fn demand(
    scene: &Scene<'_>,
    command: &mut Command,
    signer: ExpectedSigner<'_>,
) {
    match signer {
        ExpectedSigner::Identity(identity) => {
            command.args(["--certificate-identity", identity]);
            command.args(["--certificate-oidc-issuer", &scene.issuer]);
        }
        ExpectedSigner::Key(key) => {
            command.arg("--key").arg(key);
        }
    }
}

/// Makes every key pair now: later two runs could make one at the same time.
pub(in crate::interop) fn make_keys(scene: &Scene<'_>) -> Result<()> {
    plain_key(scene)?;
    key_pair(scene)?;
    other_public_key(scene).map(drop)
}

/// `cosign generate-key-pair`, once: the private key. The public one is beside it, ending in `.pub`.
pub(in crate::interop) fn key_pair(scene: &Scene<'_>) -> Result<PathBuf> {
    generated(scene, "keys")
}

/// The public key of a pair that signed nothing.
pub(in crate::interop) fn other_public_key(scene: &Scene<'_>) -> Result<PathBuf> {
    Ok(generated(scene, "other-keys")?.with_extension("pub"))
}

fn generated(scene: &Scene<'_>, directory: &str) -> Result<PathBuf> {
    let directory = scene.directory(directory)?;
    let key = directory.join("cosign.key");
    if !key.exists() {
        let mut command = cosign(scene, Trust::Files)?;
        output(command.current_dir(&directory).arg("generate-key-pair"))?;
    }
    Ok(key)
}

/// A private key without cosign's own encryption, for clients that do not read it, with its public
/// key beside it.
pub(in crate::interop) fn plain_key(scene: &Scene<'_>) -> Result<PathBuf> {
    let key = scene.directory("plain-key")?.join("plain.key");
    if !key.exists() {
        let openssl = |arguments: &[&str], input: Option<&Path>, to: &Path| {
            let mut command = Command::new("openssl");
            command.args(arguments);
            if let Some(input) = input {
                command.arg("-in").arg(input);
            }
            output(command.arg("-out").arg(to))
        };
        openssl(
            &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            None,
            &key,
        )?;
        openssl(&["pkey", "-pubout"], Some(&key), &key.with_extension("pub"))?;
    }
    Ok(key)
}
