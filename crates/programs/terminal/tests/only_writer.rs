//! Nothing else of the programs writes to the terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources has failed")]

use std::{fs, path::Path};

/// Files below `directory` that hold one of `words`.
fn files_with(directory: &Path, words: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_with(&path, words, found);
        } else if words.iter().any(|word| fs::read_to_string(&path).unwrap().contains(word)) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}

#[test]
fn nothing_else_of_the_programs_writes_to_the_terminal() {
    for (program, writers) in [
        // Asks whether standard error is a terminal.
        ("countersign", &["output.rs"][..]),
        ("countersignd", &["event_lines.rs"]),
    ] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(program).join("src");
        let mut found = Vec::new();
        let words = ["print!(", "println!(", "dbg!(", "stdout()", "stderr()"];
        files_with(&source, &words, &mut found);
        found.retain(|name| name != "tests.rs");
        assert_eq!(found, writers, "{program}");
    }
}
