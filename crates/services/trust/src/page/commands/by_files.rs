//! What clients take as files, which nobody verifies for them.

use super::{Client, Words, command};

impl Words<'_> {
    /// Only here does anything use a file that no client has verified.
    pub(super) fn by_files(&self) -> Client {
        let Self { trust, oidc, .. } = self;
        let fetch = format!(
            "curl -fsS -O {trust}/trusted_root.json \\\n  -O {trust}/trusted_root.jsonl \\\n  \
             -O {trust}/signing_config.v0.2.json \\\n  -O {trust}/client_trust_config.json \\\n  \
             -O {trust}/countersign.json \\\n  -O {trust}/tsa_chain.pem"
        );
        let root = "--trusted-root trusted_root.json ";
        let (sign, verify) =
            self.cosign(&format!("\\\n  {root}--signing-config signing_config.v0.2.json "), root);
        let python = format!(
            "sigstore --trust-config client_trust_config.json verify identity \\\n  \
             --cert-identity alice@example.com \\\n  --cert-oidc-issuer {oidc} FILE"
        );
        let mut commands = vec![command("fetch", "Files", fetch)];
        commands.extend(self.rekor1.as_ref().map(|_| {
            let environment = format!(
                "curl -fsS -O {trust}/cosign2.env \\\n  \
                 -O {trust}/fulcio_chain.pem -O {trust}/rekor1.pub \\\n  \
                 -O {trust}/ctlog.pub -O {trust}/tsa_chain.pem\n. ./cosign2.env"
            );
            command("environment", "cosign 2 and gitsign, once per shell", environment)
        }));
        commands.extend([
            command("cosign3", "cosign 3", format!("{sign}\n{verify}")),
            command("sigstore-python", "sigstore-python", python),
        ]);
        Client {
            id: "by-files",
            name: "Without TUF",
            note: "For clients that take files and follow no mirror. <strong>Nothing verifies these \
                   files</strong>: they are as good as the way by which they came, and become old. Take \
                   them from the deployment's own machine, or compare them with its operator.",
            commands,
        }
    }
}
