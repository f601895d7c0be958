//! Rekor v1 and v2 over HTTP.
//!
//! Routers come without the layers that all services share; `server::harden`
//! puts them around, speaking the protocol's own form of errors.

mod submit;
mod tiles;
mod v1;
mod v2;

pub use self::{
    v1::{rekor1_protocol, rekor1_router},
    v2::{rekor2_protocol, rekor2_router},
};
