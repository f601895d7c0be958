//! sigstore-java as a library, with a small program over it. Neither a JDK nor Maven is installed for
//! it: they are large, and the client is one verifier of many.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::Program;
use crate::process::output;

/// The newest version 2 that Maven finds.
const POM: &str = "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">
<modelVersion>4.0.0</modelVersion>
<groupId>interop</groupId><artifactId>interop</artifactId><version>1</version>
<dependencies><dependency>
<groupId>dev.sigstore</groupId><artifactId>sigstore-java</artifactId><version>[2.0,3)</version>
</dependency></dependencies>
</project>
";

const SOURCE: &str = include_str!("../clients/Verify.java");

/// The directory with the compiled program; its libraries are in `lib`.
pub(super) fn install(directory: &Path) -> Result<Program> {
    for program in ["mvn", "javac", "java"] {
        if output(Command::new(program).arg("-version")).is_err() {
            bail!("it needs a JDK 11 or newer and Maven, and {program} is not here");
        }
    }
    let libraries = directory.join("lib");
    if version(&libraries).is_err() {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("pom.xml"), POM)?;
        let mut maven = Command::new("mvn");
        maven.current_dir(directory).args(["-q", "-B", "dependency:copy-dependencies"]);
        output(maven.arg("-DoutputDirectory=lib"))?;
    }
    fs::write(directory.join("Verify.java"), SOURCE)?;
    let mut compiler = Command::new("javac");
    output(compiler.current_dir(directory).args(["-cp", "lib/*", "Verify.java"]))?;
    let path: PathBuf = directory.to_owned();
    Ok(Program { version: version(&libraries)?, path })
}

fn version(libraries: &Path) -> Result<String> {
    fs::read_dir(libraries)?
        .flatten()
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("sigstore-java-")?.strip_suffix(".jar")?.to_owned())
        })
        .context("Maven brought no sigstore-java")
}
