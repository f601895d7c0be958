//! RFC 3161 timestamp requests and tokens in strict DER.
