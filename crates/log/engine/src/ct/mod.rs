//! Certificate Transparency on a log: chains in, SCTs and signed tree heads out. RFC 6962.

mod error;
mod service;
mod tree_head;

pub(crate) use self::service::identity_of_leaf;
pub use self::{
    error::CtError,
    service::{CtLog, Submitted},
};
