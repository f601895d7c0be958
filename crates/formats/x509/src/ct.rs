//! Certificate Transparency (RFC 6962): what a log signs, stores and answers, and what verifiers rebuild.
//!
//! For a log: [`AcceptedChains`] and [`validate_chain`] give a [`Submission`], whose
//! [`LogEntry`] goes into an [`UnsignedSct`] and a [`merkle_tree_leaf`], and whose
//! [`Submission::extra_data`] goes beside it. For verifiers: [`verify_embedded_sct`].

mod embedded;
mod entry;
mod submission;

pub use embedded::{EmbeddedSctError, embedded_scts, single_embedded_sct, verify_embedded_sct};
pub use entry::{
    LogEntry, PreCertEntry, SignedTreeHead, UnsignedSct, UnsignedTreeHead, merkle_tree_leaf,
    pre_entry, signed_data, tree_head_signed_data,
};
pub use submission::{
    AcceptedChainError, AcceptedChains, MAX_SUBMITTED_CERTIFICATES, Submission, SubmissionError,
    validate_chain,
};

pub use crate::sct::{
    SHA256_WITH_ECDSA, decode_digitally_signed, decode_list as decode_sct_list,
    encode_digitally_signed, encode_list as encode_sct_list,
};
