//! The storage port of the transparency log and its contract test suite.
