//! The certificate authority service: OIDC identities to short-lived certificates.
