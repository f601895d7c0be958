//! The path to a signature: the key, the threads on which it is used, the time that is signed.
//!
//! Below the services and the log, which share it: it knows no HTTP, no protocol, no storage.
//! It refuses to: sign or verify on a runtime thread, give out what did not verify, or let a signature
//! be made that no record was written for.
//!
//! - [`SigningKey`], [`Record`], [`KeyUse`]: one key and all that it signs.
//! - [`CpuPool`]: threads for signing and verifying, off the runtime.
//! - [`Clock`]: [`SystemClock`], [`OffsetClock`], [`FixedClock`].

mod clock;
mod cpu;
mod sign;

pub use clock::{Clock, FixedClock, OffsetClock, SystemClock};
pub use cpu::{CpuPool, Lane, Overloaded};
pub use sign::{KeyUse, Phase, Record, SignError, SigningKey};
