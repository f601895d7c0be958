//! Asks a verifier about one chain.

use std::path::Path;

use anyhow::Result;

use super::{
    Bench,
    make::ARTIFACT,
    plan::{Purpose, Row},
};
use crate::{interop::install::Tool, process::output};

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verifier {
    Countersign,
    Cosign3,
    OpenSsl,
}

impl Verifier {
    pub(super) const ALL: [Self; 3] = [Self::Countersign, Self::Cosign3, Self::OpenSsl];

    /// Short, for the head of a column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Countersign => "ours",
            Self::Cosign3 => "cosign 3",
            Self::OpenSsl => "openssl",
        }
    }
}

/// Fails with what the verifier said when it refuses the chain in `directory`.
pub(super) fn verdict(
    bench: &Bench<'_>,
    verifier: Verifier,
    row: &Row,
    directory: &Path,
) -> Result<()> {
    let artifact = bench.work.join(ARTIFACT);
    let mut command = match verifier {
        Verifier::Countersign => {
            let mut command = bench.isolated(&bench.countersign, directory)?;
            command.arg("verify").arg(artifact).args(["--bundle", "bundle.json"]);
            command.args(match row.purpose {
                Purpose::Ca | Purpose::CaOfPolicy => {
                    ["--cert", "signer.pem", "--cert-chain", "chain.pem"]
                }
                Purpose::Tsa => ["--key", "../signer.pub", "--trusted-root", "trusted_root.json"],
            });
            command
        }
        Verifier::Cosign3 => {
            let mut command = bench.isolated(bench.clients.path(Tool::Cosign3)?, directory)?;
            command.args(["verify-blob", "--insecure-ignore-tlog"]);
            match row.purpose {
                Purpose::Ca | Purpose::CaOfPolicy => command.args([
                    "--new-bundle-format=false",
                    "--insecure-ignore-sct",
                    "--certificate",
                    "signer.pem",
                    "--certificate-chain",
                    "chain.pem",
                    "--certificate-identity",
                    "alice@acme.internal",
                    "--certificate-oidc-issuer-regexp",
                    ".*",
                    "--signature",
                    "../signature.bin",
                ]),
                Purpose::Tsa => command.args([
                    "--key",
                    "../signer.pub",
                    "--bundle",
                    "bundle.json",
                    "--trusted-root",
                    "trusted_root.json",
                    "--use-signed-timestamps",
                ]),
            };
            command.arg(artifact);
            command
        }
        Verifier::OpenSsl => {
            let mut command = bench.openssl(directory)?;
            // Without a level it takes SHA-1 and short keys: 2 is 112 bits, what everybody demands.
            match row.purpose {
                Purpose::Ca | Purpose::CaOfPolicy => command.args([
                    "verify",
                    "-x509_strict",
                    "-auth_level",
                    "2",
                    "-CAfile",
                    "root.pem",
                    "-untrusted",
                    "chain.pem",
                    "signer.pem",
                ]),
                Purpose::Tsa => command.args([
                    "ts",
                    "-verify",
                    "-data",
                    "../signature.bin",
                    "-in",
                    "reply.tsr",
                    "-CAfile",
                    "root.pem",
                    "-auth_level",
                    "2",
                ]),
            };
            command
        }
    };
    output(&mut command).map(drop)
}
