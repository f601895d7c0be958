//! Signed entry timestamps: made once, verified, kept.
