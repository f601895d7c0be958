//! The timestamp authority, asked by a client that knows nothing of Sigstore.

use anyhow::bail;

use crate::interop::{
    clients::openssl,
    install::Tool,
    report::{self, Report},
    scene::Scene,
};

/// Query, reply, verification, and a reply for another file.
pub(in crate::interop) fn by_openssl(scene: &Scene<'_>, report: &mut Report) {
    report::part("timestamps");
    for tool in [Tool::OpenSsl, Tool::Curl] {
        if let Some(why) = scene.clients.missing(tool) {
            report.skip("openssl ts", &why);
            return;
        }
    }
    let reply = scene.work.join("artifact.tsr");
    if !report.step("openssl ts -query, answered", || openssl::stamp(scene, &reply)) {
        return;
    }
    report.step("openssl ts -verify", || openssl::verify(scene, &reply, &scene.artifact));
    report.step("openssl ts -verify refuses another file", || {
        if openssl::verify(scene, &reply, &scene.stranger).is_ok() {
            bail!("it accepted another artifact");
        }
        Ok(())
    });
}
