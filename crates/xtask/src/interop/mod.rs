//! Every producer against every verifier, with the real programs and the real servers.
//!
//! `install` gets the programs, `clients` calls them, `scenarios` tells what is tried, `limits` explains
//! what a client cannot do with any server, `report` counts and prints. docs/clients.md is for users.

mod clients;
mod install;
mod limits;
mod report;
mod scenarios;
mod scene;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{options::Options, process::build_binaries, stack::Stack};
use report::Report;
use scenarios::{clock, commits, images, matrix, old_forms, page, timestamps, trust};
use scene::Scene;

/// `cargo xtask interop`: prints the table and a last line that counts its cells.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binaries = build_binaries(false)?;
    let begin = Instant::now();
    let clients = install::install(options.core)?;
    println!("clients ready after {:.1} minutes", begin.elapsed().as_secs_f64() / 60.0);
    clients.print();
    let directory = tempfile::Builder::new().prefix("countersign-interop-").tempdir()?;
    let stack = Stack::start(&binaries, &directory.path().join("data"), None)?;
    let scene = Scene::new(&stack, &clients, &directory.path().join("work"))?;
    let mut report = Report::default();
    trust::initialize(&scene, &mut report, options.core);
    page::opens(&scene, &mut report);
    if options.core {
        matrix::core(&scene, &mut report)?;
        stack.stop()?;
    } else {
        let asked = |part: &str| options.part.as_deref().is_none_or(|only| only == part);
        if asked("bundles") {
            matrix::full(&scene, &mut report)?;
        }
        if asked("old-forms") {
            old_forms::signed(&scene, &mut report)?;
        }
        if asked("images") {
            images::sealed(&scene, &mut report)?;
        }
        if asked("commits") {
            commits::by_gitsign(&scene, &mut report)?;
        }
        if asked("timestamps") {
            timestamps::by_openssl(&scene, &mut report);
        }
        stack.stop()?;
        if asked("clock") {
            clock::moved(&binaries, &clients, &directory.path().join("clock"), &mut report)?;
        }
    }
    if !report.finish() {
        bail!("a cell that must pass failed");
    }
    Ok(())
}
