//! Signing and verifying images of a registry: `sign`, `attest`, `verify`, `verify-attestation`.

use std::process::Command;

use anyhow::Result;

use super::{ExpectedSigner, Kind, Protocol, SigningMethod, Trust, cosign2, cosign3};
use crate::{
    interop::{install::Tool, scene::Scene},
    process::output,
};

/// How signatures lie in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::interop) enum Form {
    /// Bundles, as referrers of the image.
    Bundles,
    /// The tags `sha256-HEX.sig` and `.att`, the form of cosign 1 and 2.
    Tags,
}

/// Who signs an image, and how.
#[derive(Clone, Copy, Debug)]
pub(in crate::interop) struct Sealing {
    pub(in crate::interop) tool: Tool,
    pub(in crate::interop) kind: Kind,
    pub(in crate::interop) trust: Trust,
    pub(in crate::interop) protocol: Protocol,
    pub(in crate::interop) method: SigningMethod,
    pub(in crate::interop) form: Form,
}

/// Signs or attests `image`.
pub(in crate::interop) fn sign(scene: &Scene<'_>, sealing: Sealing, image: &str) -> Result<()> {
    let mut command = cosign(scene, sealing.tool, sealing.trust)?;
    match sealing.kind {
        Kind::Blob => command.arg("sign"),
        Kind::Attestation => command
            .args(["attest", "--type", "slsaprovenance1", "--predicate"])
            .arg(&scene.predicate),
    };
    cosign3::sign_by(scene, &mut command, sealing.method)?;
    match (sealing.tool, sealing.form) {
        (Tool::Cosign2, form) => {
            cosign2::urls(scene, &mut command)?;
            command.args(["--timestamp-server-url", scene.url("tsa")?]);
            if form == Form::Bundles {
                command.arg("--new-bundle-format");
            }
        }
        (_, Form::Tags) => {
            cosign3::urls(scene, &mut command)?;
            command.arg("--new-bundle-format=false");
        }
        (_, Form::Bundles) if sealing.trust == Trust::Files => {
            let signing_config = scene.trust_file(sealing.protocol.signing_config())?;
            command.arg("--signing-config").arg(signing_config);
            command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
        }
        (_, Form::Bundles) => {}
    }
    output(command.arg(image)).map(drop)
}

/// Judges the signature or attestation of `image`.
pub(in crate::interop) fn verify(
    scene: &Scene<'_>,
    (tool, trust): (Tool, Trust),
    sealing: Sealing,
    (image, signer): (&str, ExpectedSigner<'_>),
) -> Result<()> {
    if tool == Tool::GoImages {
        return verify_by_go(scene, trust, (image, signer));
    }
    let mut command = cosign(scene, tool, trust)?;
    match sealing.kind {
        Kind::Blob => command.arg("verify"),
        Kind::Attestation => command.args(["verify-attestation", "--type", "slsaprovenance1"]),
    };
    cosign3::demand(scene, &mut command, signer);
    match (tool, trust, sealing.form) {
        (Tool::Cosign2, _, Form::Tags) => {
            command.args(["--rekor-url", scene.url("rekor1")?]);
        }
        (Tool::Cosign2, Trust::Tuf, Form::Bundles) => {
            command.arg("--new-bundle-format");
        }
        (Tool::Cosign2, Trust::Files, Form::Bundles) => {
            command.arg("--new-bundle-format");
            command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
        }
        (_, Trust::Files, _) => {
            command.arg("--trusted-root").arg(scene.trust_file("trusted_root.json")?);
        }
        (_, Trust::Tuf, _) => {}
    }
    output(command.arg(image)).map(drop)
}

fn cosign(scene: &Scene<'_>, tool: Tool, trust: Trust) -> Result<Command> {
    match tool {
        Tool::Cosign2 => cosign2::cosign(scene, trust),
        _ => cosign3::cosign(scene, trust),
    }
}

/// sigstore-go's `oci-image-verification`.
fn verify_by_go(
    scene: &Scene<'_>,
    trust: Trust,
    (image, signer): (&str, ExpectedSigner<'_>),
) -> Result<()> {
    let mut command = scene.command(Tool::GoImages, &format!("go-images-{}", trust.name()))?;
    command.args(["-ociImage", image, "-trustedrootJSONpath"]);
    command.arg(scene.trust_file("trusted_root.json")?);
    match signer {
        ExpectedSigner::Identity(identity) => {
            command.args(["-expectedSAN", identity, "-expectedIssuer", &scene.issuer])
        }
        ExpectedSigner::Key(key) => command.arg("-ignore-sct").arg("-publicKey").arg(key),
    };
    output(&mut command).map(drop)
}
