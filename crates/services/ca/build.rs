//! Makes Rust of the protocol texts in `crates/formats/wire/proto`, without a `protoc`.

#![expect(clippy::disallowed_methods, reason = "cargo tells build scripts their folders that way")]

use std::{error::Error, path::PathBuf};

/// What the service speaks, beside the text that each file imports.
const PROTOCOLS: [&str; 3] = ["fulcio_v2.proto", "health_v1.proto", "rpc_status.proto"];

/// Messages whose text form could put a token into a log line; the service has one by hand.
const SECRET: &[&str] = &["dev.sigstore.fulcio.v2.Credentials"];

fn main() -> Result<(), Box<dyn Error>> {
    let texts =
        PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../formats/wire/proto");
    println!("cargo:rerun-if-changed={}", texts.display());
    let descriptors = protox::compile(PROTOCOLS, [&texts])?;
    // The server's side for the service, the caller's for its tests.
    let generated = PathBuf::from(std::env::var("OUT_DIR")?);
    for (side, server, without_debug) in [("server", true, SECRET), ("client", false, &[])] {
        let directory = generated.join(side);
        std::fs::create_dir_all(&directory)?;
        tonic_prost_build::configure()
            .build_server(server)
            .build_client(!server)
            .build_transport(false)
            .compile_well_known_types(true)
            .skip_debug(without_debug)
            .emit_rerun_if_changed(false)
            .out_dir(&directory)
            .include_file("mod.rs")
            .compile_fds(descriptors.clone())?;
    }
    Ok(())
}
