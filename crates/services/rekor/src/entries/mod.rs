//! What both protocols share: how an entry is verified, what the log stores of it, its first one, repeated ones.

mod first;
mod new;
mod verify;

pub use self::first::{FirstEntryError, ensure_first_entry};
pub(crate) use self::{
    new::new_entry,
    verify::{MAX_CHEAP_LEN, Unverified},
};

/// How a repeated entry is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// 201 with the stored entry and a proof of it.
    #[default]
    Idempotent,
    /// 409 as upstream has it: `Location` in v1, `x-log-index` in v2.
    Conflict,
}
