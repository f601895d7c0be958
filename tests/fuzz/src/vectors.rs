//! Seeds that others made.

use std::path::PathBuf;

/// Longest file used as a seed, in bytes: longer ones make the fuzzer slow, not clever.
const MAX_LEN: u64 = 14 * 1024;

/// The files of a folder, not of those in it, in the order of their names.
pub(crate) fn folder(path: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(::vectors::path(path)).unwrap().flatten();
    let short = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.len() <= MAX_LEN)
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(short).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Every bundle, with whatever lies beside them.
pub(crate) fn bundles() -> Vec<Vec<u8>> {
    ["cosign", "go", "js", "python"]
        .iter()
        .flat_map(|client| folder(&format!("bundles/{client}")))
        .filter(|content| content.starts_with(b"{"))
        .collect()
}
