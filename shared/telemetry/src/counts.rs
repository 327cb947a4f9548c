//! What the handling of one message came to, in numbers.

use crate::Metric;

/// Values for some metrics. Those of all messages of a batch are put together in the invocation's line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts(pub(crate) Vec<(Metric, f64)>);

impl Counts {
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a value, zero too.
    #[must_use]
    pub fn with(mut self, metric: Metric, value: u64) -> Self {
        // Exact up to 2^53.
        self.0.push((metric, value as f64));
        self
    }

    /// Adds a value unless it is zero.
    #[must_use]
    pub fn with_any(self, metric: Metric, value: u64) -> Self {
        if value == 0 { self } else { self.with(metric, value) }
    }
}
