//! Each client is told to trust the TUF repository, once.

use crate::interop::{
    clients::{cosign2, cosign3, countersign, gitsign, javascript, python},
    install::Tool,
    report::{self, Report},
    scene::Scene,
};

/// Initialises the clients of the core, and the others too in the full matrix.
pub(in crate::interop) fn initialize(scene: &Scene<'_>, report: &mut Report, core: bool) {
    report::part("trust by TUF");
    report.step("countersign: trust init --url --root", || countersign::initialize(scene));
    let mut step = |tool: Tool, name: &str, job: &dyn Fn() -> anyhow::Result<()>| match scene
        .clients
        .missing(tool)
    {
        Some(why) => report.skip(name, &why),
        None => {
            report.step(name, job);
        }
    };
    step(Tool::Cosign3, "cosign 3: initialize --mirror --root", &|| cosign3::initialize(scene));
    step(Tool::Python, "sigstore-python: trust-instance", &|| python::initialize(scene));
    step(Tool::JavaScriptCli, "@sigstore/cli: initialize --mirror --root", &|| {
        javascript::initialize(scene)
    });
    if !core {
        step(Tool::Cosign2, "cosign 2: initialize --mirror --root", &|| cosign2::initialize(scene));
        step(Tool::Gitsign, "gitsign: initialize --mirror --root", &|| gitsign::initialize(scene));
    }
}
