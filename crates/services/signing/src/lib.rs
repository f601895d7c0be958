//! The path to a signature: the key, the threads on which it is used, the time that is signed.
//!
//! Below the services and the log, which share it: it knows no HTTP, no protocol, no storage.
//! It refuses to: sign or verify on a runtime thread, give out what did not verify, or let a signature
//! be made that no record was written for.
//!
//! - [`SigningKey`], [`Record`], [`KeyUse`]: one key and all that it signs.
//! - [`CpuPool`]: threads for signing and verifying, off the runtime.
//! - [`Clock`]: [`SystemClock`], [`WatchedClock`], [`OffsetClock`], [`FixedClock`]; [`ClockFault`] is why
//!   its time may not be signed.
//! - [`KeyTrouble`]: what is known of a key from its last uses.

mod clock;
mod cpu;
mod key_health;
mod sampled;
mod sign;
mod watch;

pub use clock::{Clock, FixedClock, OffsetClock, SystemClock};
pub use cpu::{CpuPool, Lane, Overloaded};
pub use key_health::KeyTrouble;
pub use sampled::{Sampled, Sampling};
pub use sign::{KeyUse, Phase, Record, SignError, SigningKey};
pub use watch::{ClockFault, MAX_CLOCK_JUMP, WatchedClock};
