//! Chains that `openssl`, which `cargo xtask test` installs, signs by every kind of key and hash.

use std::{path::Path, process::Command};

use x509::{CertificateError, LeafView, PathError, from_pem, verify_leaf_chain};

const CONFIGURATION: &str = "\
[req]
distinguished_name = dn
prompt = no
[dn]
O = example
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[issuing]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
extendedKeyUsage = codeSigning
[signer]
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = email:a@example.com
";

const CURVES: [&str; 3] = ["P-256", "P-384", "P-521"];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const PSS: &[&str] = &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
const HASHES: [&str; 3] = ["sha256", "sha384", "sha512"];

/// Leaf, issuing CA and root.
type Chain = [Vec<u8>; 3];

/// Three keys of one kind, and the chains that they sign.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(generation: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.0.path().join("cnf"), CONFIGURATION).unwrap();
        for name in ["root", "issuing", "signer"] {
            let key = format!("{name}.key");
            folder.openssl(&[&["genpkey"], generation, &["-out", &key]].concat());
        }
        folder
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").current_dir(&self.0).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn chain(&self, hash: &str, options: &[&str]) -> Chain {
        let signing = [&[hash][..], options].concat();
        let root =
            ["req", "-x509", "-new", "-key", "root.key", "-config", "cnf", "-subj", "/CN=root"];
        let out = ["-extensions", "root", "-days", "2", "-out", "root.pem"];
        self.openssl(&[&root[..], &out, &signing].concat());
        for (name, issuer) in [("issuing", "root"), ("signer", "issuing")] {
            let (key, csr, pem) =
                (&format!("{name}.key"), &format!("{name}.csr"), &format!("{name}.pem"));
            let subject = &format!("/CN={name}");
            self.openssl(&[
                "req", "-new", "-key", key, "-config", "cnf", "-subj", subject, "-out", csr,
            ]);
            let (ca, ca_key) = (&format!("{issuer}.pem"), &format!("{issuer}.key"));
            let by = ["x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-set_serial", "2"];
            let out = ["-extfile", "cnf", "-extensions", name, "-days", "1", "-out", pem];
            self.openssl(&[&by[..], &out, &signing].concat());
        }
        ["signer", "issuing", "root"].map(|name| read(&self.0.path().join(format!("{name}.pem"))))
    }
}

fn read(path: &Path) -> Vec<u8> {
    from_pem(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0)
}

fn verified([leaf, issuing, root]: &Chain) -> Result<(), PathError> {
    let at = LeafView::from_der(leaf).unwrap().not_before();
    verify_leaf_chain(leaf, &[issuing], &[root], at).map(drop)
}

/// Both ways in which a signature of a certificate is verified: path building, and one link alone.
#[track_caller]
fn taken(chain: &Chain, name: &str) {
    verified(chain).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let accepted = x509::AcceptedChains::from_der([&chain[1..]]);
    let accepted = accepted.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    x509::validate_chain(chain, &accepted).unwrap_or_else(|error| panic!("{name}: {error:?}"));
}

// Before, links by P-256 with SHA-384, P-384 with SHA-512 and the like were refused.
#[test]
fn takes_chains_by_every_curve_and_hash() {
    for curve in CURVES {
        let option = format!("ec_paramgen_curve:{curve}");
        let folder = Folder::new(&["-algorithm", "EC", "-pkeyopt", &option]);
        for hash in HASHES {
            taken(&folder.chain(&format!("-{hash}"), &[]), &format!("{curve} {hash}"));
        }
    }
}

// Before, links by RSA with SHA-384, with SHA-512 and with PSS were refused.
#[test]
fn takes_chains_by_rsa_with_every_hash_and_padding() {
    let folder = Folder::new(RSA);
    for (hash, padding) in HASHES.into_iter().flat_map(|hash| [(hash, &[][..]), (hash, PSS)]) {
        taken(&folder.chain(&format!("-{hash}"), padding), &format!("RSA {hash} {padding:?}"));
    }
}

#[test]
fn takes_chains_by_ed25519() {
    let folder = Folder::new(&["-algorithm", "ED25519"]);
    taken(&folder.chain("-sha512", &[]), "Ed25519");
}

#[test]
fn refuses_chains_by_sha1() {
    let curve = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..];
    for generation in [curve, RSA] {
        let folder = Folder::new(generation);
        let chain = folder.chain("-sha1", &[]);
        let error = verified(&chain).unwrap_err();
        assert!(matches!(error, PathError::Path(_)), "{error:?}");
        let error = x509::AcceptedChains::from_der([&chain[1..]]).unwrap_err();
        let x509::AcceptedChainError::Certificate { position: 0, source } = error else {
            panic!("{error:?}");
        };
        assert!(matches!(source, CertificateError::SignatureAlgorithm(_)), "{source:?}");
    }
}
