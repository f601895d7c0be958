//! Offline verification of Sigstore bundles.
