//! The logs' HTTP faces.
//!
//! Routers come without the layers that all services share; `service::harden`
//! puts them around, speaking the face's own form of errors.

mod ct;
mod rekor2;
mod tiles;

pub use self::{
    ct::{ct_protocol, ct_router},
    rekor2::{
        FirstEntryError, OnDuplicate, Rekor2Options, ensure_first_entry, rekor2_protocol,
        rekor2_router,
    },
};
