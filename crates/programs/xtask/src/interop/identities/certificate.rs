//! What a certificate says of its holder, read by a library that is not ours.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    interop::install::{Clients, Tool},
    process::output,
};

/// The names and Fulcio's extensions of a leaf.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) names: Vec<String>,
    /// By the last number of the OID.
    pub(super) extensions: BTreeMap<String, String>,
}

impl Holder {
    /// Of a bundle, or of the CMS message of a commit.
    pub(super) fn of(clients: &Clients, file: &Path) -> Result<Self> {
        let python = clients.path(Tool::Python)?.with_file_name("python");
        let script = include_str!("scripts/certificate.py");
        let said = output(Command::new(python).args(["-c", script]).arg(file))?;
        let said: Value = serde_json::from_str(&said)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names = said["names"].as_array().context("no names")?.iter().map(text).collect();
        let extensions = said["extensions"].as_object().context("no extensions")?;
        let extensions = extensions.iter().map(|(id, value)| (id.clone(), text(value))).collect();
        Ok(Self { names, extensions })
    }

    /// Checks the one name and some extensions.
    pub(super) fn expect(&self, name: &str, extensions: &[(&str, &str)]) -> Result<()> {
        if self.names != [name] {
            bail!("the certificate is of {:?}, not of `{name}`", self.names);
        }
        for (id, expected) in extensions {
            let found = self.extensions.get(*id);
            if found.map(String::as_str) != Some(*expected) {
                bail!("extension .{id} is {found:?}, not `{expected}`: {self:?}");
            }
        }
        Ok(())
    }
}
