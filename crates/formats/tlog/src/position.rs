//! Where a leaf is, and how many there are: two numbers that differ by one and mean different things.

use std::{fmt, ops::Range};

/// The position of a leaf, 0-based (RFC 9162 §2.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct LeafIndex(pub u64);

/// How many leaves a tree has (RFC 6962 §3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TreeSize(pub u64);

impl LeafIndex {
    /// The index after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The range that holds it alone.
    #[must_use]
    pub const fn alone(self) -> Range<Self> {
        self..self.next()
    }
}

impl TreeSize {
    /// Whether a tree of this size has a leaf at `index`.
    #[must_use]
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }

    /// The index that the next leaf gets: the end of those that the tree has.
    #[must_use]
    pub const fn end(self) -> LeafIndex {
        LeafIndex(self.0)
    }
}

macro_rules! number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

number!(LeafIndex, TreeSize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_contains_the_indexes_below_its_size() {
        assert!(!TreeSize(0).contains(LeafIndex(0)));
        assert!(TreeSize(3).contains(LeafIndex(2)));
        assert!(!TreeSize(3).contains(TreeSize(3).end()));
    }

    #[test]
    fn the_last_number_has_no_next_index() {
        assert_eq!(LeafIndex(u64::MAX).next(), LeafIndex(u64::MAX));
        assert_eq!(LeafIndex(7).alone(), LeafIndex(7)..LeafIndex(8));
    }

    #[test]
    fn is_written_as_the_number() {
        assert_eq!(format!("{} of {}", LeafIndex(7), TreeSize(8)), "7 of 8");
    }
}
