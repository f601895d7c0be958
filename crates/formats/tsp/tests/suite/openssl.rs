//! `openssl ts` asks and verifies; without the binary these tests say so and pass.

use std::{
    path::Path,
    process::{Command, Output},
};

use tsp::{FailInfo, TimestampRequest, rejection};

use crate::support::Authority;

/// Runs `openssl`, which `cargo xtask test` installs.
fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").current_dir(folder).args(arguments).output().unwrap()
}

fn pem(certificates: &[Vec<u8>]) -> String {
    use der::{Decode, EncodePem, pem::LineEnding};
    let parse = |der: &Vec<u8>| x509_cert::Certificate::from_der(der).unwrap();
    certificates.iter().map(|der| parse(der).to_pem(LineEnding::LF).unwrap()).collect()
}

/// Lets OpenSSL ask with `query`, answers, and lets it verify with `verify`.
fn asks_and_verifies(authority: &Authority, query: &[&str], verify: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    std::fs::write(path("data"), b"stamped").unwrap();
    std::fs::write(path("chain.pem"), pem(&authority.chain[..2])).unwrap();
    std::fs::write(path("root.pem"), pem(&authority.chain[2..])).unwrap();
    let ask = [&["ts", "-query", "-data", "data", "-out", "query"][..], query].concat();
    let asked = openssl(folder.path(), &ask);
    assert!(asked.status.success(), "{asked:?}");

    let query_der = std::fs::read(path("query")).unwrap();
    let request = TimestampRequest::from_der(&query_der).unwrap();
    assert_eq!(request.to_der(), query_der);
    std::fs::write(path("response"), authority.answer(&request)).unwrap();
    let check =
        ["ts", "-verify", "-in", "response", "-CAfile", "root.pem", "-untrusted", "chain.pem"];
    let output = openssl(folder.path(), &[&check[..], verify].concat());
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Verification: OK"), "{output:?}");
}

#[test]
fn openssl_verifies_tokens_for_each_of_its_queries() {
    let authority = Authority::p256();
    for query in [
        &["-sha256", "-cert"][..],
        &["-sha384", "-cert"],
        &["-sha512", "-cert", "-no_nonce"],
        &["-sha256", "-no_nonce"],
        &["-sha256", "-cert", "-tspolicy", "1.2.3.4.5"],
    ] {
        asks_and_verifies(&authority, query, &["-queryfile", "query"]);
        asks_and_verifies(&authority, query, &["-data", "data"]);
    }
}

#[test]
fn openssl_verifies_tokens_of_a_p384_key() {
    asks_and_verifies(&Authority::p384(), &["-sha256", "-cert"], &["-queryfile", "query"]);
}

const CONFIGURATION: &str = "\
[req]
distinguished_name = dn
prompt = no
[dn]
O = example
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[stamping]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[stamper]
serial = serial
crypto_device = builtin
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
";

/// Lets OpenSSL be the authority, with keys of one kind, and verifies its token by each hash.
fn is_verified(generation: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("data"), b"stamped").unwrap();
    std::fs::write(path("cnf"), CONFIGURATION).unwrap();
    std::fs::write(path("serial"), "01").unwrap();
    let run = |arguments: &[&str]| {
        let output = openssl(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    for name in ["root.key", "stamping.key"] {
        run(&[&["genpkey"], generation, &["-out", name]].concat());
    }
    run(&["ts", "-query", "-sha256", "-cert", "-data", "data", "-out", "query"]);
    let request = ["req", "-new", "-key", "stamping.key", "-config", "cnf", "-subj", "/CN=tsa"];
    run(&[&request[..], &["-out", "csr"]].concat());
    for hash in ["-sha256", "-sha384", "-sha512"] {
        let root =
            ["req", "-x509", "-new", "-key", "root.key", "-config", "cnf", "-days", "2", hash];
        run(&[&root[..], &["-extensions", "root", "-subj", "/CN=root", "-out", "root.pem"]]
            .concat());
        let leaf = ["x509", "-req", "-in", "csr", "-CA", "root.pem", "-CAkey", "root.key", hash];
        let out =
            ["-set_serial", "2", "-extfile", "cnf", "-extensions", "stamping", "-out", "tsa.pem"];
        run(&[&leaf[..], &out].concat());
        let reply =
            ["ts", "-reply", "-queryfile", "query", "-config", "cnf", "-section", "stamper"];
        let by = ["-signer", "tsa.pem", "-inkey", "stamping.key", hash, "-out", "reply"];
        run(&[&reply[..], &by].concat());
        let chain = ["tsa.pem", "root.pem"].map(|name| {
            use der::{DecodePem, Encode};
            let pem = std::fs::read(path(name)).unwrap();
            x509_cert::Certificate::from_pem(pem).unwrap().to_der().unwrap()
        });
        let reply = std::fs::read(path("reply")).unwrap();
        let verified = crate::support::verify_response_over(&reply, b"stamped", &chain);
        assert!(verified.is_ok(), "{generation:?} {hash}: {verified:?}");
        let other = crate::support::verify_response_over(&reply, b"another", &chain);
        assert!(matches!(other, Err(tsp::VerifyError::Imprint)), "{other:?}");
    }
}

// Before, tokens by P-256 with another hash than SHA-256 and the like, and their chains, were refused.
#[test]
fn takes_openssls_tokens_by_every_curve_and_hash() {
    for curve in ["P-256", "P-384", "P-521"] {
        let option = format!("ec_paramgen_curve:{curve}");
        is_verified(&["-algorithm", "EC", "-pkeyopt", &option]);
    }
}

// Before, RSA authorities were refused but for SHA-256.
#[test]
fn takes_openssls_tokens_by_rsa_and_every_hash() {
    is_verified(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    is_verified(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2560"]);
}

#[test]
fn openssl_reads_the_failure_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    for (fail_info, words) in [
        (FailInfo::BadAlg, "unrecognized or unsupported algorithm identifier"),
        (FailInfo::BadRequest, "transaction not permitted or supported"),
        (FailInfo::BadDataFormat, "the data submitted has the wrong format"),
        (FailInfo::TimeNotAvailable, "the TSA's time source is not available"),
        (FailInfo::UnacceptedPolicy, "the requested TSA policy is not supported by the TSA"),
        (FailInfo::UnacceptedExtension, "the requested extension is not supported by the TSA"),
        (FailInfo::AddInfoNotAvailable, "the additional information requested"),
        (FailInfo::SystemFailure, "the request cannot be handled due to system failure"),
    ] {
        std::fs::write(folder.path().join("response"), rejection(fail_info, "no")).unwrap();
        let show = ["ts", "-reply", "-in", "response", "-text"];
        let output = openssl(folder.path(), &show);
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("Status: Rejected."), "{output:?}");
        assert!(shown.contains(words), "{fail_info:?}: {output:?}");
        assert!(shown.contains("Status description: no"), "{output:?}");
    }
}
