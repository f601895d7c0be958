//! The Certificate Transparency log service: chains in, SCTs and signed tree heads out.
//!
//! RFC 6962 on an [`engine::Log`], which sequences and proves.
//!
//! It refuses to: take a chain of a CA that it does not serve, give out an SCT before its entry is in the log.
//!
//! - [`CtLog`]: the use cases.
//! - [`http`]: them as a router.
//! - [`CtRules`]: what fsck checks of the entries.

mod error;
mod fsck;
pub mod http;
mod service;
mod timestamps;
mod tree_head;

pub use self::{
    error::CtError,
    fsck::CtRules,
    service::{CtLog, Submitted},
};
