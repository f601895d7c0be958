//! Files that other implementations made.

use std::fs;

/// Name and content of every file in a folder of the vectors, in the order of their names.
pub(crate) fn folder(path: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    vectors::files(path).into_iter().map(|path| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
    })
}
