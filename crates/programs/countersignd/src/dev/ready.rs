use std::{path::PathBuf, time::Duration};

use serde::Serialize;
use wire::inert;

use super::DevPorts;
use crate::{
    data_dir::{DataDir, write_json},
    endpoints::HOST,
    output,
};

/// `ready.json`: scripts read its members, so they stay, in this order.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    ca: String,
    ct: String,
    rekor1: String,
    rekor2: String,
    tsa: String,
    trust: String,
    oidc: String,
    metrics: String,
    trust_dir: PathBuf,
    pid: u32,
}

impl Ready {
    pub(super) fn new(ports: DevPorts, data_dir: &DataDir) -> Self {
        let url = |port| format!("http://{HOST}:{port}");
        Self {
            ca: url(ports.ca),
            ct: url(ports.ct),
            rekor1: url(ports.rekor1),
            rekor2: url(ports.rekor2),
            tsa: format!("{}/api/v1/timestamp", url(ports.tsa)),
            trust: url(ports.trust),
            oidc: url(ports.oidc),
            metrics: format!("{}/metrics", url(ports.metrics)),
            trust_dir: data_dir.trust_dir(),
            pid: std::process::id(),
        }
    }

    /// Writes the file, and says the same in words.
    pub(super) fn announce(&self, data_dir: &DataDir, elapsed: Duration) -> anyhow::Result<()> {
        write_json(&data_dir.ready_file(), self)?;
        output::print_lines(&(self.in_words(elapsed) + "\n"));
        Ok(())
    }

    fn in_words(&self, elapsed: Duration) -> String {
        let Self { ca, ct, rekor1, rekor2, tsa, trust, oidc, metrics, .. } = self;
        let trust_dir = self.trust_dir.display().to_string();
        let (trust_dir, pid, milliseconds) =
            (inert::escape(&trust_dir), self.pid, elapsed.as_millis());
        format!(
            "Countersign is ready for development, after {milliseconds} ms, as process {pid}.\n\
             \n  certificate authority   {ca}\
             \n  CT log                  {ct}\
             \n  Rekor v1 log            {rekor1}\
             \n  Rekor v2 log            {rekor2}\
             \n  timestamp authority     {tsa}\
             \n  identity provider       {oidc}\
             \n  metrics                 {metrics}\
             \n  trust files             {trust_dir}\
             \n  commands per client     {trust}/\n"
        )
    }
}
