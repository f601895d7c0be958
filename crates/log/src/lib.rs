//! The transparency log service: one engine, Rekor v2 and CT faces.
