use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use moment::UnixSeconds;
use signing::{Clock, ClockFault};
use thiserror::Error;
use tsp::ValidityPeriod;

/// Decides whether the clock's time may be stamped.
#[derive(Debug)]
pub(crate) struct ClockGate {
    validity: ValidityPeriod,
    max_step_back: Duration,
    /// The latest time stamped by this process, Unix seconds.
    latest: AtomicU64,
}

impl ClockGate {
    pub(crate) const fn new(validity: ValidityPeriod, max_step_back: Duration) -> Self {
        Self { validity, max_step_back, latest: AtomicU64::new(0) }
    }

    /// Lets the clock's time through as that of a token, or says why not.
    ///
    /// After a large step back it stays shut until the clock has caught up or the process is
    /// started anew by somebody who knows: one of the two times was wrong.
    pub(crate) fn admit(&self, clock: &dyn Clock) -> Result<UnixSeconds, NotReady> {
        self.admit_time(clock.to_sign()?)
    }

    fn admit_time(&self, now: UnixSeconds) -> Result<UnixSeconds, NotReady> {
        self.check_time(now)?;
        self.latest.fetch_max(now.0, Ordering::Relaxed);
        Ok(now)
    }

    /// What [`ClockGate::admit`] would say, without an effect.
    pub(crate) fn check(&self, clock: &dyn Clock) -> Result<(), NotReady> {
        self.check_time(clock.to_sign()?)
    }

    /// The end of the chain.
    pub(crate) const fn not_after(&self) -> UnixSeconds {
        self.validity.not_after
    }

    fn check_time(&self, now: UnixSeconds) -> Result<(), NotReady> {
        if !self.validity.contains(now) {
            return Err(NotReady::OutsideValidity);
        }
        let latest = UnixSeconds(self.latest.load(Ordering::Relaxed));
        let behind = latest.saturating_since(now);
        if behind > self.max_step_back {
            return Err(NotReady::ClockWentBack { behind });
        }
        Ok(())
    }
}

/// Why the authority stamps nothing at the moment.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotReady {
    /// The clock shows an earlier time than one that was already stamped.
    #[error(
        "the clock is {} s behind the latest time stamped: set it right, or wait; if it was ahead then, start the service anew",
        .behind.as_secs()
    )]
    ClockWentBack {
        /// How far.
        behind: Duration,
    },
    /// The clock jumped, or came back from a jump.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// Clients refuse such a token; a clock that is wrong is the likelier cause.
    #[error("the authority's certificate chain is not valid at this time")]
    OutsideValidity,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> ClockGate {
        let (not_before, not_after) = (UnixSeconds(1000), UnixSeconds(2000));
        ClockGate::new(ValidityPeriod { not_before, not_after }, Duration::from_secs(1))
    }

    #[test]
    fn admits_the_first_and_last_second_of_the_chain_and_no_other() {
        assert_eq!(gate().admit_time(UnixSeconds(999)), Err(NotReady::OutsideValidity));
        assert_eq!(gate().admit_time(UnixSeconds(1000)), Ok(UnixSeconds(1000)));
        assert_eq!(gate().admit_time(UnixSeconds(2000)), Ok(UnixSeconds(2000)));
        assert_eq!(gate().admit_time(UnixSeconds(2001)), Err(NotReady::OutsideValidity));
    }

    #[test]
    fn admits_a_step_back_within_the_bound_and_stamps_the_clock_as_it_is() {
        let gate = gate();
        assert_eq!(gate.admit_time(UnixSeconds(1500)), Ok(UnixSeconds(1500)));
        assert_eq!(gate.admit_time(UnixSeconds(1499)), Ok(UnixSeconds(1499)));
        assert_eq!(
            gate.admit_time(UnixSeconds(1498)),
            Err(NotReady::ClockWentBack { behind: Duration::from_secs(2) })
        );
    }

    #[test]
    fn opens_again_when_the_clock_has_caught_up() {
        let gate = gate();
        assert_eq!(gate.admit_time(UnixSeconds(1500)), Ok(UnixSeconds(1500)));
        assert!(gate.admit_time(UnixSeconds(1400)).is_err());
        assert_eq!(gate.admit_time(UnixSeconds(1501)), Ok(UnixSeconds(1501)));
    }

    #[test]
    fn a_time_that_was_refused_does_not_move_the_gate() {
        let gate = gate();
        assert_eq!(gate.admit_time(UnixSeconds(1500)), Ok(UnixSeconds(1500)));
        assert!(gate.admit_time(UnixSeconds(9000)).is_err());
        assert_eq!(gate.admit_time(UnixSeconds(1501)), Ok(UnixSeconds(1501)));
    }
}
