//! The one binary of all targets: `countersign-fuzz --target=NAME [--seeds=DIR] [libFuzzer's arguments]`.
//!
//! `cargo xtask test fuzz` builds and runs it.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: countersign_fuzz::prepare(),
    |input: &[u8]| countersign_fuzz::run(input)
);
