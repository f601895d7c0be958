//! Budgets of bytes that are held for others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts what is held for somebody, within what is held for a larger circle: of a connection
/// within its peer's, of a peer within its listener's, of a listener within the process's.
///
/// A semaphore would have one number and nobody above it; here nobody waits, so two numbers and a chain are enough.
#[derive(Debug)]
pub(crate) struct Meter {
    taken: AtomicUsize,
    most: usize,
    above: Option<Arc<Self>>,
}

/// What something is taken for. The last quarter of every budget is a reserve that large things do not get, so that
/// small ones pass beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
}

impl Size {
    /// Up to here it is small: requests and answers of nearly everybody, as a canonical entry has at most as much.
    pub(crate) const SMALL: usize = 64 * 1024;

    pub(crate) fn of(bytes: usize) -> Self {
        if bytes <= Self::SMALL { Self::Small } else { Self::Large }
    }
}

impl Meter {
    pub(crate) const fn new(most: usize) -> Self {
        Self { taken: AtomicUsize::new(0), most, above: None }
    }

    /// A budget that is a part of this one.
    pub(crate) fn within(self: &Arc<Self>, most: usize) -> Arc<Self> {
        Arc::new(Self { above: Some(Arc::clone(self)), ..Self::new(most) })
    }

    /// Takes `bytes`, where all circles have room.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize, size: Size) -> Option<Taken> {
        let mut taken = Taken { meter: Arc::clone(self), bytes: 0 };
        taken.grow(bytes, size).then_some(taken)
    }

    /// What is taken now.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Adds `bytes` to `own` of the same holder. Who is alone is not refused, however much it is: what one answer has
    /// is limited elsewhere.
    fn add(&self, bytes: usize, own: usize, size: Size) -> bool {
        let most = match size {
            Size::Small => self.most,
            Size::Large => self.most - self.most / 4,
        };
        let fits = |taken: usize| {
            let sum = taken.checked_add(bytes)?;
            (sum <= most || taken <= own).then_some(sum)
        };
        if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let above = self.above.as_ref().is_none_or(|above| above.add(bytes, own, size));
        if !above {
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
        above
    }

    /// Adds what is there already, so that others are refused for it.
    fn count(&self, bytes: usize) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        if let Some(above) = &self.above {
            above.count(bytes);
        }
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(above) = &self.above {
            above.give_back(bytes);
        }
    }
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    meter: Arc<Meter>,
    bytes: usize,
}

impl Taken {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, or leaves it as it is.
    pub(crate) fn grow(&mut self, bytes: usize, size: Size) -> bool {
        let grown = self.meter.add(bytes, self.bytes, size);
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// More that is held beside it, though there may be no room: it is counted for what comes after it.
    pub(crate) fn beside(&self, bytes: usize) -> Self {
        self.meter.count(bytes);
        Self { meter: Arc::clone(&self.meter), bytes }
    }

    /// Keeps no more than `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        self.meter.give_back(rest);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn large_things_leave_a_quarter_to_small_ones() {
        let meter = Arc::new(Meter::new(100));
        let large = meter.take(75, Size::Large).unwrap();
        assert!(meter.take(1, Size::Large).is_none());
        let small = meter.take(25, Size::Small).unwrap();
        assert!(meter.take(1, Size::Small).is_none());
        drop((large, small));
        assert_eq!(meter.taken(), 0);
    }

    #[test]
    fn who_is_alone_is_not_refused_and_who_comes_second_is() {
        let meter = Arc::new(Meter::new(100));
        let mut huge = meter.take(8, Size::Small).unwrap();
        assert!(huge.grow(1000, Size::Large));
        assert!(meter.take(1, Size::Small).is_none());
    }

    #[test]
    fn one_circle_without_room_refuses_for_all() {
        let process = Arc::new(Meter::new(100));
        let (one, other) = (process.within(80), process.within(80));
        let held = one.take(80, Size::Small).unwrap();
        assert!(one.take(1, Size::Small).is_none());
        assert!(other.take(21, Size::Small).is_none());
        assert_eq!((other.taken(), process.taken()), (0, 80));
        let rest = other.take(20, Size::Small).unwrap();
        drop((held, rest));
        assert_eq!((one.taken(), other.taken(), process.taken()), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_given_back(steps in prop::collection::vec((0usize..60, any::<bool>()), 0..20)) {
            let process = Arc::new(Meter::new(100));
            let peer = process.within(70);
            let mut held = Vec::new();
            for (bytes, large) in steps {
                let size = if large { Size::Large } else { Size::Small };
                held.extend(peer.take(bytes, size));
                prop_assert!(peer.taken() <= 70 && process.taken() == peer.taken());
                if bytes % 3 == 0 {
                    held.pop();
                }
            }
            drop(held);
            prop_assert_eq!(process.taken(), 0);
        }
    }
}
