//! Rekor v1 and v2 over HTTP.
//!
//! Routers come without the layers that all services share; `service::harden`
//! puts them around, speaking the protocol's own form of errors.

mod tiles;
mod v1;
mod v2;

pub use self::{
    v1::{Rekor1Options, rekor1_protocol, rekor1_router},
    v2::{Rekor2Options, rekor2_protocol, rekor2_router},
};

/// How a repeated entry is answered by Rekor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// 201 with the stored entry and a proof of it.
    #[default]
    Idempotent,
    /// 409 as upstream has it: `Location` in v1, `x-log-index` in v2.
    Conflict,
}
