//! Every producer against every verifier, with the real programs and the real servers.
//!
//! `install` gets the programs, `clients` calls them, `scenarios` tells what is tried, `limits` explains
//! what a client cannot do with any server, `report` counts and prints. docs/clients.md is for users.

mod clients;
mod identities;
mod install;
mod limits;
mod report;
mod scenarios;
mod scene;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{options::Options, process::build_binaries, stack::Stack};
use report::Report;
use scenarios::{
    chains, clock, commits, images, login, matrix, old_forms, page, tenants, timestamps, trust,
};
use scene::Scene;

/// The parts of the full matrix, in the order of a run.
const PARTS: [&str; 9] =
    ["bundles", "old-forms", "images", "commits", "login", "timestamps", "clock", TENANTS, CHAINS];

/// The part with a deployment of two tenants, which has a stack of its own.
const TENANTS: &str = "tenants";

/// The part that needs no server.
const CHAINS: &str = "chains";

/// The part with real identity providers, which is run alone: it installs and builds them.
const IDENTITIES: &str = "identities";

/// `cargo xtask interop`: prints the table and a last line that counts its cells.
pub(crate) fn run(options: &Options) -> Result<()> {
    let known = |part: &&str| PARTS.contains(part) || *part == IDENTITIES;
    if let Some(part) = options.part.as_deref().filter(|part| !known(part)) {
        bail!("the matrix has no part `{part}`; it has {}, {IDENTITIES}", PARTS.join(", "));
    }
    let binaries = build_binaries(false)?;
    if options.part.as_deref() != Some(IDENTITIES) {
        clients::rust::build()?;
    }
    let begin = Instant::now();
    let clients = match options.part.as_deref() {
        Some(CHAINS) => install::install_these(&chains::TOOLS)?,
        Some(TENANTS) => install::install_these(&tenants::TOOLS)?,
        Some(IDENTITIES) => install::install_these(&identities::TOOLS)?,
        _ => install::install(options.core)?,
    };
    println!("clients ready after {:.1} minutes", begin.elapsed().as_secs_f64() / 60.0);
    clients.print();
    let directory = tempfile::Builder::new().prefix("countersign-interop-").tempdir()?;
    let mut report = Report::default();
    match options.part.as_deref() {
        Some(CHAINS) => {
            chains::agree(&clients, &binaries, &directory.path().join("chains"), &mut report)?;
            return verdict(&report);
        }
        Some(TENANTS) => {
            let place = (binaries.as_path(), directory.path());
            tenants::apart(&clients, place, &mut report)?;
            return verdict(&report);
        }
        Some(IDENTITIES) => {
            let place = (binaries.as_path(), directory.path());
            identities::tried(&clients, place, &mut report, options)?;
            return verdict(&report);
        }
        _ => {}
    }
    let stack = Stack::start(&binaries, &directory.path().join("data"), None)?;
    let scene = Scene::new(&stack, &clients, &directory.path().join("work"))?;
    trust::initialize(&scene, &mut report, options.core);
    page::opens(&scene, &mut report);
    if options.core {
        matrix::core(&scene, &mut report)?;
    } else {
        parts(&scene, &mut report, options.part.as_deref())?;
    }
    stack.stop()?;
    if !options.core && options.part.as_deref().is_none_or(|part| part == "clock") {
        clock::moved(&binaries, &clients, &directory.path().join("clock"), &mut report)?;
    }
    if options.part.is_none() {
        tenants::apart(&clients, (&binaries, directory.path()), &mut report)?;
    }
    if !options.core && options.part.is_none() {
        chains::agree(&clients, &binaries, &directory.path().join("chains"), &mut report)?;
    }
    verdict(&report)
}

fn verdict(report: &Report) -> Result<()> {
    if !report.finish() {
        bail!("a cell that must pass failed");
    }
    Ok(())
}

/// Every part on the one stack, or only the one that was asked for.
fn parts(scene: &Scene<'_>, report: &mut Report, only: Option<&str>) -> Result<()> {
    for part in PARTS.into_iter().filter(|part| only.is_none_or(|only| only == *part)) {
        match part {
            "bundles" => matrix::full(scene, report)?,
            "old-forms" => old_forms::signed(scene, report)?,
            "images" => images::sealed(scene, report)?,
            "commits" => commits::by_gitsign(scene, report)?,
            "login" => login::by_people(scene, report)?,
            "timestamps" => timestamps::by_openssl(scene, report),
            // Two have stacks of their own, one has none.
            _ => {}
        }
    }
    Ok(())
}
