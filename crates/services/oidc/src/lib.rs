//! The development identity provider: discovery, keys, claims, and where people log in.
//!
//! One issuer per path: the plain one at `/`, and one for each CI system, with
//! that system's real claim set. Tokens of jobs are made by `countersignd token`, never
//! over HTTP. People's are made so too, and over HTTP where [`Login`] is wanted: there
//! whoever reaches the port from this machine can be anybody.

mod ci;
mod claims;
mod jobs;
mod jwt;
mod login;
mod provider;

pub use ci::{AUDIENCE, Ci, issuers, plain_issuer};
pub use claims::{ClaimOverride, TokenRequest};
pub use jwt::{Minter, NotRsa};
pub use login::Login;
pub use provider::{protocol, router};
