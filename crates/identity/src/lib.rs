//! Verified OIDC claims to certificate identities.
