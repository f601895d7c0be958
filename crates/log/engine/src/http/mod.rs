//! The logs' HTTP faces.
//!
//! Routers come without the layers that all services share; `service::harden`
//! puts them around, speaking the face's own form of errors.

mod ct;
mod first_entry;
mod new_entry;
mod rekor1;
mod rekor2;
mod tiles;

use self::new_entry::new_entry;
pub use self::{
    ct::{ct_protocol, ct_router},
    first_entry::{FirstEntryError, ensure_first_entry},
    rekor1::{Rekor1Options, rekor1_protocol, rekor1_router},
    rekor2::{Rekor2Options, rekor2_protocol, rekor2_router},
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
