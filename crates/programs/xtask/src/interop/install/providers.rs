//! Real identity providers: a library of npm, a server of Maven, and a Kubernetes API server, which is
//! published as Go modules only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Program, need};
use crate::process::output;

/// The provider, and a browser that a script can drive.
const LIBRARIES: [&str; 2] = ["oidc-provider@^9.5", "playwright-core@^1.60"];

const SCRIPTS: [(&str, &str); 5] = [
    ("provider.mjs", include_str!("../identities/scripts/provider.mjs")),
    ("login.mjs", include_str!("../identities/scripts/login.mjs")),
    ("token.mjs", include_str!("../identities/scripts/token.mjs")),
    ("issuer.mjs", include_str!("../identities/scripts/issuer.mjs")),
    ("proxy.mjs", include_str!("../identities/scripts/proxy.mjs")),
];

/// The directory with `oidc-provider`, its libraries and our scripts over them.
pub(super) fn oidc_provider(directory: &Path) -> Result<Program> {
    let modules = directory.join("node_modules");
    if !modules.join("oidc-provider").exists() || !modules.join("playwright-core").exists() {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("package.json"), r#"{"private":true,"type":"module"}"#)?;
        if output(Command::new("npm").arg("--version")).is_err() {
            need(&["nodejs", "npm"])?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(directory).args(["install", "--no-audit", "--no-fund"]).args(LIBRARIES);
        output(&mut npm)?;
    }
    for (name, text) in SCRIPTS {
        fs::write(directory.join(name), text)?;
    }
    let package = fs::read(modules.join("oidc-provider/package.json"))?;
    let package: serde_json::Value = serde_json::from_slice(&package)?;
    let version = package["version"].as_str().context("oidc-provider names no version")?;
    Ok(Program { version: version.to_owned(), path: directory.to_owned() })
}

/// The one that was tried; its command line changes with its minor versions.
const KEYCLOAK: &str = "26.7.3";

/// The directory of the unpacked Keycloak.
pub(super) fn keycloak(directory: &Path) -> Result<Program> {
    let home = directory.join(format!("keycloak-{KEYCLOAK}"));
    if !home.join("bin/kc.sh").exists() {
        for program in ["mvn", "java"] {
            if output(Command::new(program).arg("-version")).is_err() {
                bail!("it needs Java 17 or newer and Maven, and {program} is not here");
            }
        }
        fs::create_dir_all(directory)?;
        let artifact = format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:zip");
        let mut maven = Command::new("mvn");
        maven.current_dir(directory).args(["-q", "-B", "dependency:copy", &artifact]);
        output(maven.arg("-DoutputDirectory=."))?;
        let archive = format!("keycloak-quarkus-dist-{KEYCLOAK}.zip");
        let mut unpack = Command::new("python3");
        output(unpack.current_dir(directory).args(["-m", "zipfile", "-e", &archive, "."]))?;
        fs::remove_file(directory.join(archive))?;
    }
    Ok(Program { path: home, version: KEYCLOAK.to_owned() })
}

/// Release of Kubernetes; its staging modules have the same numbers below version 0.
const KUBERNETES: &str = "1.36.3";

/// `kube-apiserver`, built once for each version. It takes six minutes of a processor and caches of
/// several gigabytes, which go when it is done.
pub(super) fn api_server(directory: &Path) -> Result<Program> {
    let path = directory.join(format!("kube-apiserver-{KUBERNETES}"));
    if !path.exists() {
        if output(Command::new("go").arg("version")).is_err() {
            bail!("it is published as Go modules only, and go is not here");
        }
        fs::create_dir_all(directory)?;
        let place = tempfile::tempdir_in(directory)?;
        let built = build_api_server(place.path());
        // Modules are unpacked without the right to delete them.
        let _ = go(place.path()).args(["clean", "-modcache"]).status();
        fs::rename(built?, &path)?;
    }
    Ok(Program { path, version: KUBERNETES.to_owned() })
}

fn go(place: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(place).env("GOCACHE", place.join("cache")).env("CGO_ENABLED", "0");
    go.env("GOMODCACHE", place.join("modules")).env("GOFLAGS", "-mod=mod");
    go
}

/// A module of our own which requires Kubernetes: its own replaces its staging modules by folders of
/// its repository, and only a main module may do that, so that it cannot be installed directly.
fn build_api_server(place: &Path) -> Result<PathBuf> {
    eprintln!("building kube-apiserver {KUBERNETES}: about six minutes");
    fs::write(place.join("go.mod"), "module interop\n\ngo 1.26\n")?;
    let module = format!("k8s.io/kubernetes@v{KUBERNETES}");
    let found = output(go(place).args(["mod", "download", "-json", &module]))?;
    let found: serde_json::Value = serde_json::from_str(&found)?;
    let its_own = found["GoMod"].as_str().context("go names no go.mod")?;
    output(go(place).args(["mod", "edit", "-require", &module]))?;
    let staged = KUBERNETES.strip_prefix("1.").context("Kubernetes 1")?;
    for name in staging(&fs::read_to_string(its_own)?) {
        let replace = format!("{name}={name}@v0.{staged}");
        output(go(place).args(["mod", "edit", "-replace", &replace]))?;
    }
    // Names the program's package, so that its requirements are found.
    fs::write(
        place.join("tools.go"),
        "//go:build tools\n\npackage interop\n\nimport _ \"k8s.io/kubernetes/cmd/kube-apiserver\"\n",
    )?;
    let flags = format!("-s -w -X k8s.io/component-base/version.gitVersion=v{KUBERNETES}");
    let mut build = go(place);
    build.args(["build", "-trimpath", "-ldflags", &flags, "-o", "kube-apiserver"]);
    output(build.arg("k8s.io/kubernetes/cmd/kube-apiserver"))?;
    Ok(place.join("kube-apiserver"))
}

/// The modules that a `go.mod` replaces by folders, each once.
fn staging(go_mod: &str) -> Vec<&str> {
    let mut names: Vec<&str> = go_mod
        .lines()
        .filter_map(|line| line.split_once(" => ./staging/src/"))
        .filter_map(|(name, _)| name.split_whitespace().last())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::staging;

    #[test]
    fn staging_modules_are_those_that_folders_replace() {
        let go_mod = "require (\n\tk8s.io/api v0.0.0\n\tk8s.io/klog/v2 v2.1.0\n)\n\nreplace (\n\
                      \tk8s.io/api => ./staging/src/k8s.io/api\n)\n\
                      replace k8s.io/kms => ./staging/src/k8s.io/kms\n";
        assert_eq!(staging(go_mod), ["k8s.io/api", "k8s.io/kms"]);
    }
}
