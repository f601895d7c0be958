//! TLS roots of providers inside a company: each its own, which no system knows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::site::Site;
use crate::{interop::install::Tool, process::output};

/// A root, and a server's certificate below it.
pub(super) struct Tls {
    pub(super) root: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Tls {
    /// For servers on loopback.
    pub(super) fn new(site: &Site<'_>, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let openssl = |arguments: &[&str]| {
            let mut command = Command::new(site.clients.path(Tool::OpenSsl)?);
            output(command.current_dir(directory).args(arguments)).map(drop)
        };
        for name in ["root", "tls"] {
            let key = format!("{name}.key");
            openssl(&[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                &key,
            ])?;
        }
        openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "root.key",
            "-subj",
            "/CN=root of this test",
            "-days",
            "2",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-out",
            "root.pem",
        ])?;
        openssl(&["req", "-new", "-key", "tls.key", "-subj", "/CN=localhost", "-out", "tls.csr"])?;
        fs::write(
            directory.join("tls.ext"),
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n\
             keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n",
        )?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            "tls.csr",
            "-CA",
            "root.pem",
            "-CAkey",
            "root.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "tls.ext",
            "-out",
            "tls.pem",
        ])?;
        let file = |name: &str| directory.join(name);
        Ok(Self { root: file("root.pem"), certificate: file("tls.pem"), key: file("tls.key") })
    }
}
