//! The Fulcio certificate profile: extensions, SANs, precertificates and SCTs.
