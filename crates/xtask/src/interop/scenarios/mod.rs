//! What is tried: each file one story that a user of the clients would tell.

pub(super) mod clock;
pub(super) mod commits;
pub(super) mod images;
pub(super) mod matrix;
pub(super) mod old_forms;
pub(super) mod page;
pub(super) mod timestamps;
pub(super) mod trust;
