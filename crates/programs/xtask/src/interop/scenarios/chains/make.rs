//! Makes chains, signatures, tokens and bundles with the `openssl` command.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Bench,
    plan::{Key, Purpose, Row},
};
use crate::process::output;

/// What is signed.
pub(super) const ARTIFACT: &str = "artifact.bin";

/// Extensions of every certificate, and the authority that `openssl ts -reply` is.
const CONFIGURATION: &str = "\
[req]
distinguished_name = dn
prompt = no
[dn]
O = chains
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[policy]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[issuing]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
extendedKeyUsage = codeSigning
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[signer]
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = email:alice@acme.internal
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[stamping]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = stamper
[stamper]
serial = serial
crypto_device = builtin
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
";

/// What all rows share: the artifact, the signer's key, its signature, and the configuration.
///
/// The signer has RSA 2048, which every client verifies in one way, by SHA-256.
pub(super) fn shared(bench: &Bench<'_>) -> Result<()> {
    fs::write(bench.work.join("chains.cnf"), CONFIGURATION)?;
    fs::write(bench.work.join(ARTIFACT), "what a build made\n")?;
    let key = key(bench, Key::Rsa(2048), "signer")?;
    let openssl =
        |arguments: &[&str]| output(bench.openssl(&bench.work)?.args(arguments)).map(drop);
    let key = key.to_string_lossy().into_owned();
    openssl(&["pkey", "-in", &key, "-pubout", "-out", "signer.pub"])?;
    openssl(&["pkey", "-in", &key, "-pubout", "-outform", "DER", "-out", "signer.der"])?;
    openssl(&["dgst", "-sha256", "-sign", &key, "-out", "signature.bin", ARTIFACT])?;
    openssl(&["dgst", "-sha256", "-binary", "-out", "digest.bin", ARTIFACT])?;
    openssl(&["dgst", "-sha256", "-binary", "-out", "hint.bin", "signer.der"])
}

/// The chain of a row with what a verifier needs, in a directory of its own.
pub(super) fn row(bench: &Bench<'_>, row: &Row) -> Result<PathBuf> {
    let name: String = row.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let directory = bench.work.join(name);
    fs::create_dir_all(&directory)?;
    let certify = Certify { bench, row, directory: &directory };
    certify.root()?;
    match row.purpose {
        Purpose::Ca | Purpose::CaOfPolicy => {
            let authorities: &[&str] = match row.purpose {
                Purpose::CaOfPolicy => &["root", "policy", "issuing"],
                _ => &["root", "issuing"],
            };
            for (above, name) in authorities.iter().zip(&authorities[1..]) {
                let keys = (key(bench, row.key, name)?, key(bench, row.key, above)?);
                certify.below((name, &keys.0), (above, &keys.1))?;
            }
            let issuing = key(bench, row.key, "issuing")?;
            let signer = key(bench, Key::Rsa(2048), "signer")?;
            certify.below(("signer", &signer), ("issuing", &issuing))?;
            let mut chain = String::new();
            for name in authorities.iter().rev() {
                chain += &fs::read_to_string(directory.join(format!("{name}.pem")))?;
            }
            fs::write(directory.join("chain.pem"), chain)?;
            let bundle =
                bundle(bench, &json!({"publicKey": {"hint": base64(bench, "hint.bin")?}}))?;
            fs::write(directory.join("bundle.json"), bundle.to_string())?;
        }
        Purpose::Tsa => {
            let stamping = key(bench, row.key, "stamping")?;
            certify.below(("stamping", &stamping), ("root", &key(bench, row.key, "root")?))?;
            stamp(bench, row, &directory, &stamping)?;
        }
    }
    Ok(directory)
}

/// A private key, made once: those of 4096 bits take seconds.
fn key(bench: &Bench<'_>, kind: Key, role: &str) -> Result<PathBuf> {
    let path = bench.work.join(format!("{}-{role}.key", kind.file()));
    if !path.exists() {
        let mut command = bench.openssl(&bench.work)?;
        output(command.arg("genpkey").args(kind.generation()).arg("-out").arg(&path))?;
    }
    Ok(path)
}

/// Makes the certificates of one row.
struct Certify<'a> {
    bench: &'a Bench<'a>,
    row: &'a Row,
    directory: &'a Path,
}

impl Certify<'_> {
    fn root(&self) -> Result<()> {
        let key = key(self.bench, self.row.key, "root")?;
        let mut command = self.bench.openssl(self.directory)?;
        command.args(["req", "-x509", "-new", "-key"]).arg(key);
        command.args(["-subj", "/O=chains/CN=root", "-days", "30", "-extensions", "root"]);
        command.args(["-set_serial", "1", "-config", "../chains.cnf", "-out", "root.pem"]);
        self.finish(command)
    }

    /// Certifies a key, under the extensions of the same name.
    fn below(&self, (name, key): (&str, &Path), (issuer, issuer_key): (&str, &Path)) -> Result<()> {
        let mut request = self.bench.openssl(self.directory)?;
        request.args(["req", "-new", "-key"]).arg(key).args(["-config", "../chains.cnf"]);
        request.args(["-subj", &format!("/O=chains/CN={name}")]);
        output(request.args(["-out", &format!("{name}.csr")]))?;
        let mut command = self.bench.openssl(self.directory)?;
        command.args(["x509", "-req", "-days", "20", "-set_serial", "2"]);
        command.args(["-in", &format!("{name}.csr"), "-CA", &format!("{issuer}.pem")]);
        command.arg("-CAkey").arg(issuer_key).args(["-extfile", "../chains.cnf"]);
        command.args(["-extensions", name, "-out", &format!("{name}.pem")]);
        self.finish(command)
    }

    /// Signs with the row's algorithm.
    fn finish(&self, mut command: std::process::Command) -> Result<()> {
        command.arg(format!("-{}", self.row.hash)).args(self.row.key.signing_options());
        output(&mut command).map(drop)
    }
}

/// A token over the signature, the bundle that holds it, and the trusted root that names the authority.
fn stamp(bench: &Bench<'_>, row: &Row, directory: &Path, stamping: &Path) -> Result<()> {
    let openssl = |arguments: &[&str]| output(bench.openssl(directory)?.args(arguments)).map(drop);
    fs::write(directory.join("serial"), "01\n")?;
    openssl(&[
        "ts",
        "-query",
        "-sha256",
        "-cert",
        "-data",
        "../signature.bin",
        "-out",
        "query.tsq",
    ])?;
    let key = stamping.to_string_lossy();
    // A token by SHA-1 no openssl of today makes; its chain is what is weak.
    let digest = if row.hash == "sha1" { "-sha256".to_owned() } else { format!("-{}", row.hash) };
    openssl(&[
        "ts",
        "-reply",
        "-queryfile",
        "query.tsq",
        "-config",
        "../chains.cnf",
        "-section",
        "stamper",
        "-signer",
        "stamping.pem",
        "-inkey",
        &key,
        &digest,
        "-out",
        "reply.tsr",
    ])?;
    let reply = base64_of(bench, &directory.join("reply.tsr"))?;
    let material = json!({
        "publicKey": {"hint": base64(bench, "hint.bin")?},
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": reply}]}
    });
    fs::write(directory.join("bundle.json"), bundle(bench, &material)?.to_string())?;
    let certificates = ["stamping", "root"].map(|name| {
        let pem = fs::read_to_string(directory.join(format!("{name}.pem")))?;
        let body = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        anyhow::Ok(json!({"rawBytes": body}))
    });
    let certificates = certificates.into_iter().collect::<Result<Vec<Value>>>()?;
    let root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "timestampAuthorities": [{
            "subject": {"organization": "chains", "commonName": "stamping"},
            "uri": "https://tsa.chains.example",
            "certChain": {"certificates": certificates},
            "validFor": {"start": "2020-01-01T00:00:00Z"}
        }]
    });
    Ok(fs::write(directory.join("trusted_root.json"), root.to_string())?)
}

/// A bundle of the shared signature.
fn bundle(bench: &Bench<'_>, material: &Value) -> Result<Value> {
    Ok(json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": base64(bench, "digest.bin")?},
            "signature": base64(bench, "signature.bin")?
        }
    }))
}

fn base64(bench: &Bench<'_>, file: &str) -> Result<String> {
    base64_of(bench, &bench.work.join(file))
}

fn base64_of(bench: &Bench<'_>, file: &Path) -> Result<String> {
    let mut command = bench.openssl(&bench.work)?;
    let text = output(command.args(["base64", "-A", "-in"]).arg(file)).context("base64")?;
    Ok(text.trim().to_owned())
}
