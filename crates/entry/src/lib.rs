//! Rekor entry kinds: parsed, verified and made canonical.
