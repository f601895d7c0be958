use crate::{Deployment, TrustFile, deployment::current};

/// The page at `/`: the files, and for each client the commands that use them.
pub(crate) fn render(deployment: &Deployment, files: &[TrustFile]) -> String {
    let links = files.iter().map(|file| format!("<li><a href=\"{0}\">{0}</a>\n", file.name));
    let links = links.collect::<Vec<_>>().concat();
    let sections = commands(deployment)
        .map(|(client, text)| format!("<h2>{client}</h2>\n<pre>{}</pre>\n", escape(&text)))
        .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Trust of {operator}</title>\n\
         <style>body{{max-width:60em;margin:2em auto;padding:0 1em;font-family:sans-serif}}\
         pre{{background:#eee;padding:1em;overflow-x:auto}}</style></head><body>\n\
         <h1>Trust of {operator}</h1>\n\
         <p>These files tell Sigstore clients which services of this deployment to use for signing, \
         and which keys to trust for verifying. They are only as trustworthy as the way they reach you: \
         fetch them once over a connection you trust, and keep them.</p>\n\
         <ul>\n{links}</ul>\n{sections}\
         <h2>What is not here</h2>\n\
         <p>There is no TUF repository and no Rekor v1 log. Clients that need either \
         (cosign 2, gitsign, policy-controller) cannot use this deployment yet.</p>\n\
         </body></html>\n",
        operator = escape(&deployment.operator),
    )
}

fn commands(deployment: &Deployment) -> [(&'static str, String); 5] {
    let trust = &deployment.trust_url;
    let oidc = &deployment.oidc_url;
    let tsa = current(&deployment.timestamp_authorities, |tsa| tsa.valid_for);
    let tsa = tsa.map_or("", |tsa| tsa.url.as_str());
    let ca = current(&deployment.certificate_authorities, |ca| ca.valid_for);
    let ca = ca.map_or("", |ca| ca.url.as_str());
    let rekor = current(&deployment.rekor2_logs, |log| log.valid_for);
    let rekor = rekor.map_or("", |log| log.base_url.as_str());
    let tsa_base = tsa.strip_suffix("/api/v1/timestamp").unwrap_or(tsa);
    [
        (
            "First: the files and a token",
            format!(
                "curl -fsSO {trust}/trusted_root.json -O {trust}/signing_config.v0.2.json \\\n  \
                 -O {trust}/client_trust_config.json\n\
                 # In development; elsewhere use the token of your identity provider or CI.\n\
                 countersignd token --data-dir .countersign --email alice@example.com > token.jwt"
            ),
        ),
        (
            "countersign",
            format!(
                "export COUNTERSIGN_TRUST_CONFIG=$PWD/client_trust_config.json\n\
                 countersign sign --identity-token @token.jwt FILE\n\
                 countersign verify --certificate-identity alice@example.com \\\n  \
                 --certificate-oidc-issuer {oidc} FILE"
            ),
        ),
        (
            "cosign 3",
            format!(
                "cosign sign-blob --yes --identity-token token.jwt --trusted-root trusted_root.json \\\n  \
                 --signing-config signing_config.v0.2.json --bundle FILE.sigstore.json FILE\n\
                 cosign verify-blob --trusted-root trusted_root.json --bundle FILE.sigstore.json \\\n  \
                 --certificate-identity alice@example.com --certificate-oidc-issuer {oidc} FILE"
            ),
        ),
        (
            "sigstore-python",
            format!(
                "sigstore --trust-config client_trust_config.json sign \\\n  \
                 --identity-token \"$(cat token.jwt)\" FILE\n\
                 sigstore --trust-config client_trust_config.json verify identity \\\n  \
                 --cert-identity alice@example.com --cert-oidc-issuer {oidc} FILE"
            ),
        ),
        (
            "sigstore-js (library @sigstore/sign)",
            format!(
                "new FulcioSigner({{ fulcioBaseURL: '{ca}', identityProvider }})\n\
                 new TSAWitness({{ tsaBaseURL: '{tsa_base}' }})\n\
                 new RekorWitness({{ rekorBaseURL: '{rekor}', majorApiVersion: 2 }})"
            ),
        ),
    ]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
