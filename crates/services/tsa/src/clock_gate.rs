use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use tsp::ValidityPeriod;

/// Decides whether the clock's time may be stamped.
#[derive(Debug)]
pub(crate) struct ClockGate {
    validity: ValidityPeriod,
    max_step_back_s: u64,
    /// The latest time stamped by this process, Unix seconds.
    latest: AtomicU64,
}

impl ClockGate {
    pub(crate) const fn new(validity: ValidityPeriod, max_step_back_s: u64) -> Self {
        Self { validity, max_step_back_s, latest: AtomicU64::new(0) }
    }

    /// Lets `now` (Unix seconds) through as the time of a token, or says why not.
    ///
    /// After a large step back it stays shut until the clock has caught up or the process is
    /// started anew by somebody who knows: one of the two times was wrong.
    pub(crate) fn admit(&self, now: u64) -> Result<u64, NotReady> {
        self.check(now)?;
        self.latest.fetch_max(now, Ordering::Relaxed);
        Ok(now)
    }

    /// What [`ClockGate::admit`] would say, without an effect.
    pub(crate) fn check(&self, now: u64) -> Result<(), NotReady> {
        if !self.validity.contains(now) {
            return Err(NotReady::OutsideValidity);
        }
        let behind_s = self.latest.load(Ordering::Relaxed).saturating_sub(now);
        if behind_s > self.max_step_back_s {
            return Err(NotReady::ClockWentBack { behind_s });
        }
        Ok(())
    }
}

/// Why the authority stamps nothing at the moment.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotReady {
    /// The clock shows an earlier time than one that was already stamped.
    #[error("the clock is {behind_s} s behind the latest time stamped")]
    ClockWentBack {
        /// How far, in seconds.
        behind_s: u64,
    },
    /// Clients refuse such a token; a clock that is wrong is the likelier cause.
    #[error("the authority's certificate chain is not valid at this time")]
    OutsideValidity,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> ClockGate {
        ClockGate::new(ValidityPeriod { not_before: 1000, not_after: 2000 }, 1)
    }

    #[test]
    fn admits_the_first_and_last_second_of_the_chain_and_no_other() {
        assert_eq!(gate().admit(999), Err(NotReady::OutsideValidity));
        assert_eq!(gate().admit(1000), Ok(1000));
        assert_eq!(gate().admit(2000), Ok(2000));
        assert_eq!(gate().admit(2001), Err(NotReady::OutsideValidity));
    }

    #[test]
    fn admits_a_step_back_within_the_bound_and_stamps_the_clock_as_it_is() {
        let gate = gate();
        assert_eq!(gate.admit(1500), Ok(1500));
        assert_eq!(gate.admit(1499), Ok(1499));
        assert_eq!(gate.admit(1498), Err(NotReady::ClockWentBack { behind_s: 2 }));
    }

    #[test]
    fn opens_again_when_the_clock_has_caught_up() {
        let gate = gate();
        assert_eq!(gate.admit(1500), Ok(1500));
        assert!(gate.admit(1400).is_err());
        assert_eq!(gate.admit(1501), Ok(1501));
    }

    #[test]
    fn a_time_that_was_refused_does_not_move_the_gate() {
        let gate = gate();
        assert_eq!(gate.admit(1500), Ok(1500));
        assert!(gate.admit(9000).is_err());
        assert_eq!(gate.admit(1501), Ok(1501));
    }
}
