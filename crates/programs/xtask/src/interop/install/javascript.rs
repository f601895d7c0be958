//! The libraries and the command line of sigstore-js, and a node that is new enough for them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Program, need, path_variable};
use crate::process::output;

/// What npm installs; `@sigstore/sign` 5 wants Node 22.22 or newer.
const LIBRARIES: [&str; 5] = [
    "@sigstore/cli@>=0.8 <1",
    "@sigstore/sign@^5.1.0",
    "@sigstore/verify@^4.1.3",
    "@sigstore/bundle@^5.0.1",
    "@sigstore/protobuf-specs",
];

/// Our two programs over the libraries; they must lie where `node_modules` is.
const SCRIPTS: [(&str, &str); 2] = [
    ("sign.mjs", include_str!("../clients/sign.mjs")),
    ("verify.mjs", include_str!("../clients/verify.mjs")),
];

/// node with the libraries, and the command line.
pub(super) fn install(directory: &Path) -> Result<(Program, Program)> {
    let modules = directory.join("node_modules");
    let (node, cli) = (modules.join(".bin/node"), modules.join(".bin/sigstore"));
    if !node.exists() || !cli.exists() || !modules.join("@sigstore/verify").exists() {
        install_modules(directory)?;
    }
    for (name, text) in SCRIPTS {
        fs::write(directory.join(name), text)?;
    }
    let version = |library: &str| version(&modules.join("@sigstore").join(library));
    let said = format!("sign {}, verify {}", version("sign")?, version("verify")?);
    let cli = Program { path: cli, version: version("cli")? };
    Ok((Program { path: node, version: said }, cli))
}

fn install_modules(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("package.json"), r#"{"private":true,"type":"module"}"#)?;
    if output(Command::new("npm").arg("--version")).is_err() {
        need(&["nodejs", "npm"])?;
    }
    let npm = |packages: &[&str]| {
        let mut npm = Command::new("npm");
        npm.current_dir(directory).args(["install", "--no-audit", "--no-fund"]).args(packages);
        npm
    };
    output(&mut npm(&["node@24"]))?;
    // npm chooses versions that suit the node it runs on: it must run on the new one.
    let path = format!("{}:{}", directory.join("node_modules/.bin").display(), path_variable());
    output(npm(&LIBRARIES).env("PATH", path))?;
    Ok(())
}

fn version(package: &Path) -> Result<String> {
    let file: PathBuf = package.join("package.json");
    let package: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    package["version"]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("{} names no version", file.display()))
}
