//! JSON shapes of the Fulcio, Rekor and Sigstore bundle formats.
