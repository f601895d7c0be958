//! The development identity provider: discovery, keys and claims.
//!
//! One issuer per path: the plain one at `/`, and one for each CI system, with
//! that system's real claim set. Tokens are made by `countersignd token`, never
//! over HTTP, so that reaching the port is not enough to be somebody.

mod ci;
mod claims;
mod jobs;
mod jwt;
mod provider;

pub(crate) use ci::{AUDIENCE, Ci, issuers};
pub(crate) use claims::{ClaimOverride, TokenRequest};
pub(crate) use jwt::Minter;
pub(crate) use provider::{protocol, router};
