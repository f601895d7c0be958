//! in-toto statements, DSSE, SLSA provenance and verification policy.
