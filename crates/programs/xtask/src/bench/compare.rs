//! Two commits, measured in turn: a machine that grows slower meanwhile is slower for both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{Bench, DATABASES, figures::Figures};
use crate::{
    options::Options,
    paths,
    process::{self, output},
};

/// Turns of each side when nothing else is asked for.
const ROUNDS: u32 = 3;

/// What is told of each measurement.
const MEMBERS: [&str; 3] = ["per_second", "p50_ms", "server_cpu_us"];

/// Measures `commit` and the programs in `new` in turn, and prints medians and their ratio.
pub(super) fn run(bench: &Bench<'_>, commit: &str, new: &Path, options: &Options) -> Result<()> {
    let old = build(commit)?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let file = paths::target()?.join("bench-compare.jsonl");
    let mut figures = Figures::default();
    for _ in 0..rounds {
        for database in DATABASES {
            for (side, binaries) in [old.as_path(), new].into_iter().enumerate() {
                let _ = fs::remove_file(&file);
                bench.measure(binaries, database, Some(&file))?;
                figures.collect(&fs::read_to_string(&file)?, side, &MEMBERS)?;
            }
        }
    }
    figures.print(&format!("medians of {rounds}"), [commit, "here"]);
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
