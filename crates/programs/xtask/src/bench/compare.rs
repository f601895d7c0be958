//! Two commits, measured in turn: a machine that grows slower meanwhile is slower for both.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Bench, DATABASES};
use crate::{
    options::Options,
    paths,
    process::{self, output},
};

/// Turns of each side when nothing else is asked for.
const ROUNDS: u32 = 3;

/// Figures by name: of the commit, then of the working tree.
type Figures = BTreeMap<String, [Vec<f64>; 2]>;

/// Measures `commit` and the programs in `new` in turn, and prints medians and their ratio.
pub(super) fn run(bench: &Bench<'_>, commit: &str, new: &Path, options: &Options) -> Result<()> {
    let old = build(commit)?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let file = paths::target()?.join("bench-compare.jsonl");
    let mut figures = Figures::new();
    for _ in 0..rounds {
        for database in DATABASES {
            for (side, binaries) in [old.as_path(), new].into_iter().enumerate() {
                let _ = fs::remove_file(&file);
                bench.measure(binaries, database, Some(&file))?;
                collect(&fs::read_to_string(&file)?, side, &mut figures)?;
            }
        }
    }
    println!("\n{:<52}{:>12}{:>12}{:>8}", format!("medians of {rounds}"), commit, "here", "ratio");
    for (name, sides) in figures {
        let [old, new] = sides.map(median);
        println!("{name:<52}{old:>12.2}{new:>12.2}{:>8.2}", new / old);
    }
    Ok(())
}

/// Release builds of `commit`, in a work tree and a target directory of their own beside ours.
fn build(commit: &str) -> Result<PathBuf> {
    let directory = paths::target()?.join("bench-against");
    let (tree, target) = (directory.join("tree"), directory.join("target"));
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(paths::root());
        git
    };
    if tree.exists() {
        output(git().args(["worktree", "remove", "--force"]).arg(&tree))?;
    }
    output(git().args(["worktree", "add", "--force", "--detach"]).arg(&tree).arg(commit))
        .with_context(|| format!("cannot check out {commit}"))?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&tree).env("CARGO_TARGET_DIR", &target);
    cargo.args(["build", "--locked", "--release", "--bin", "countersignd", "--bin", "countersign"]);
    process::run(&mut cargo)?;
    output(git().args(["worktree", "remove", "--force"]).arg(&tree))?;
    Ok(target.join("release"))
}

/// Takes throughput and median latency from the loader's lines.
fn collect(lines: &str, side: usize, figures: &mut Figures) -> Result<()> {
    for line in lines.lines() {
        let measured: Value = serde_json::from_str(line)?;
        let text = |member: &str| measured[member].as_str().unwrap_or_default().to_owned();
        for member in ["per_second", "p50_ms", "server_cpu_us"] {
            let Some(figure) = measured[member].as_f64() else { continue };
            let name = format!("{}, {}, {member}", text("name"), text("database"));
            if let Some(side) = figures.entry(name).or_default().get_mut(side) {
                side.push(figure);
            }
        }
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
