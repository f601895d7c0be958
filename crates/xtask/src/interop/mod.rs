//! Every producer against every verifier, with the real programs and the real servers.

mod clients;
mod install;

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    options::Options,
    process::{build_binaries, output},
    stack::Stack,
};
use clients::{Client, Kind, Scene};
use install::Clients;

const IDENTITY: &str = "alice@acme.internal";

/// `cargo xtask interop`: prints the table and a last line that counts its cells.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.core {
        println!(
            "the clients beyond the core (cosign 2, gitsign, Go, Java, Rust) are not wired up yet"
        );
    }
    let binaries = build_binaries(false)?;
    let begin = Instant::now();
    let clients = install::install()?;
    println!("clients ready after {:.1} minutes", begin.elapsed().as_secs_f64() / 60.0);
    for (name, version) in &clients.versions {
        println!("  {name} {version}");
    }
    let directory = tempfile::Builder::new().prefix("countersign-interop-").tempdir()?;
    let stack = Stack::start(&binaries, &directory.path().join("data"), None)?;
    let scene = prepare(&stack, &clients, directory.path())?;
    let matrix = Matrix::of(&scene);
    matrix.print();
    stack.stop()?;
    println!("{} passed, {} failed, 0 skipped", matrix.passed, matrix.failed);
    if matrix.failed > 0 {
        bail!("a cell that must pass failed");
    }
    Ok(())
}

fn prepare<'a>(stack: &'a Stack, clients: &'a Clients, work: &Path) -> Result<Scene<'a>> {
    let artifact = work.join("artifact.bin");
    fs::write(&artifact, b"what a build made\n")?;
    let checksum = output(Command::new("sha256sum").arg(&artifact))?;
    let digest = checksum.split_whitespace().next().context("sha256sum printed nothing")?;
    let predicate = json!({
        "buildDefinition": {"buildType": "https://example.com/build/v1", "externalParameters": {}},
        "runDetails": {"builder": {"id": "https://example.com/builder"}}
    });
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact.bin", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": predicate
    });
    let file = |name: &str, text: String| -> Result<_> {
        let path = work.join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    for home in ["cosign-home", "python-home"] {
        fs::create_dir_all(work.join(home))?;
    }
    Ok(Scene {
        stack,
        clients,
        work: work.to_owned(),
        artifact,
        predicate: file("predicate.json", predicate.to_string())?,
        statement: file("statement.json", statement.to_string())?,
        token: file("token.jwt", stack.token(&["--email", IDENTITY])?)?,
        identity: IDENTITY.to_owned(),
        issuer: stack.ready("oidc")?.to_owned(),
    })
}

/// One row: what a producer made, and what each verifier said.
struct Row {
    producer: Client,
    kind: Kind,
    signed: Result<f64>,
    verified: Vec<Result<f64>>,
}

struct Matrix {
    rows: Vec<Row>,
    passed: u32,
    failed: u32,
}

impl Matrix {
    fn of(scene: &Scene<'_>) -> Self {
        let mut matrix = Self { rows: Vec::new(), passed: 0, failed: 0 };
        for producer in Client::ALL {
            for kind in Kind::ALL {
                let row = matrix.row(scene, producer, kind);
                matrix.rows.push(row);
            }
        }
        matrix
    }

    fn row(&mut self, scene: &Scene<'_>, producer: Client, kind: Kind) -> Row {
        let bundle = scene.work.join(format!("{}-{}.sigstore.json", producer.name(), kind.name()));
        let signed = timed(|| scene.sign(producer, kind, &bundle));
        self.count(&format!("{} signs a {}", producer.name(), kind.name()), &signed);
        let mut verified = Vec::new();
        if signed.is_ok() {
            for verifier in Client::ALL {
                let cell = timed(|| check(scene, verifier, kind, &bundle));
                let name = format!(
                    "{} verifies the {} of {}",
                    verifier.name(),
                    kind.name(),
                    producer.name()
                );
                self.count(&name, &cell);
                verified.push(cell);
            }
        }
        Row { producer, kind, signed, verified }
    }

    fn count(&mut self, name: &str, cell: &Result<f64>) {
        match cell {
            Ok(_) => self.passed += 1,
            Err(error) => {
                self.failed += 1;
                println!("FAILED: {name}: {error:#}");
            }
        }
    }

    fn print(&self) {
        print!("{:<28}{:>8}", "seconds", "signs");
        for verifier in Client::ALL {
            print!("{:>17}", verifier.name());
        }
        println!();
        let show = |cell: &Result<f64>| {
            cell.as_ref().map_or_else(|_| "FAILED".to_owned(), |seconds| format!("{seconds:.2}"))
        };
        for row in &self.rows {
            let name = format!("{} {}", row.producer.name(), row.kind.name());
            print!("{name:<28}{:>8}", show(&row.signed));
            for cell in &row.verified {
                print!("{:>17}", show(cell));
            }
            println!();
        }
    }
}

/// The right identity must pass, and the wrong one must not: a verifier that accepts all proves nothing.
fn check(scene: &Scene<'_>, verifier: Client, kind: Kind, bundle: &Path) -> Result<()> {
    scene.verify(verifier, kind, bundle, &scene.identity)?;
    if scene.verify(verifier, kind, bundle, "mallory@acme.internal").is_ok() {
        bail!("it accepted another identity too");
    }
    Ok(())
}

fn timed(job: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begin = Instant::now();
    job()?;
    Ok(begin.elapsed().as_secs_f64())
}
