/// One parser, or one rule.
pub(crate) struct Case {
    /// Panics when the input shows a fault.
    pub(crate) run: fn(&[u8]),
    /// Good inputs to begin with.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}
