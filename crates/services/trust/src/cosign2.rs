//! `cosign2.env`: what cosign 2 and gitsign read in place of a trusted root.

use std::path::Path;

use crate::{
    Deployment, TrustError,
    deployment::{current, current_or_last},
    shell::quoted,
};

/// A file for `. cosign2.env` in any POSIX shell: one `NAME=value` a line, then their export.
///
/// It holds no secret. URLs of timestamp authorities are left out: cosign 2 then also
/// demands a file for the timestamp, and gitsign a chain.
pub(crate) fn environment(deployment: &Deployment) -> Result<String, TrustError> {
    let file = |name: &str| match &deployment.trust_dir {
        Some(directory) => absolute(directory, name),
        // Expanded when the file is read: the directory where it was downloaded.
        None => Ok(format!("\"$PWD\"/{name}")),
    };
    let ca = current(&deployment.certificate_authorities);
    // One that has ended refuses: without a URL cosign 2 would send to the public log.
    let rekor1 = current_or_last(&deployment.rekor1_logs);
    let ca = quoted(ca.map_or("", |ca| ca.url.as_str()));
    let rekor1 = quoted(rekor1.map_or("", |log| log.base_url.as_str()));
    let oidc = quoted(&deployment.oidc_url);
    let variables = [
        ("SIGSTORE_ROOT_FILE", file("fulcio_chain.pem")?),
        ("SIGSTORE_REKOR_PUBLIC_KEY", file("rekor1.pub")?),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", file("ctlog.pub")?),
        ("SIGSTORE_TSA_CERTIFICATE_FILE", file("tsa_chain.pem")?),
        ("COSIGN_FULCIO_URL", ca.clone()),
        ("COSIGN_REKOR_URL", rekor1.clone()),
        ("COSIGN_OIDC_ISSUER", oidc.clone()),
        ("GITSIGN_FULCIO_URL", ca),
        ("GITSIGN_REKOR_URL", rekor1),
        ("GITSIGN_OIDC_ISSUER", oidc),
    ];
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let lines = variables.iter().map(|(name, value)| format!("{name}={value}\n"));
    let header = "# For cosign 2 and gitsign: `. ./cosign2.env`. Not for cosign 3, \
                  which with these refuses its own bundles.\n";
    Ok(format!("{header}{}export {}\n", lines.collect::<String>(), names.join(" ")))
}

fn absolute(directory: &Path, name: &str) -> Result<String, TrustError> {
    let path = directory.join(name);
    path.to_str().map(quoted).ok_or(TrustError::Path)
}
