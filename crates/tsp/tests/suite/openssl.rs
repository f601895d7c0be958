//! `openssl ts` asks and verifies; without the binary these tests say so and pass.

use std::{
    path::Path,
    process::{Command, Output},
};

use tsp::{FailInfo, TimestampRequest, rejection};

use crate::support::Authority;

fn openssl(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().ok();
    if output.is_none() {
        println!("skipped, openssl not present");
    }
    output
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
    let Some(asked) = openssl(folder.path(), &ask) else { return };
    assert!(asked.status.success(), "{asked:?}");

    let query_der = std::fs::read(path("query")).unwrap();
    let request = TimestampRequest::from_der(&query_der).unwrap();
    assert_eq!(request.to_der(), query_der);
    std::fs::write(path("response"), authority.answer(&request)).unwrap();
    let check =
        ["ts", "-verify", "-in", "response", "-CAfile", "root.pem", "-untrusted", "chain.pem"];
    let output = openssl(folder.path(), &[&check[..], verify].concat()).unwrap();
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
        let Some(output) = openssl(folder.path(), &show) else { return };
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("Status: Rejected."), "{output:?}");
        assert!(shown.contains(words), "{fail_info:?}: {output:?}");
        assert!(shown.contains("Status description: no"), "{output:?}");
    }
}
