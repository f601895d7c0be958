//! Trust material: trusted roots, signing configurations and key files.
