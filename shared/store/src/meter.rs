//! What requests cost, from DynamoDB's own `ReturnConsumedCapacity`: tests assert budgets, `make costs` prints prices.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units spent by one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    pub operation: &'static str,
    pub units: f64,
    pub write: bool,
}

/// Collects what is spent while it is attached to a table.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Vec<Spent>>>);

impl Meter {
    pub(crate) fn note<'a>(&self, operation: &'static str, write: bool, spent: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        let units = spent.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Spent { operation, units, write });
    }

    /// Everything since the last call.
    pub fn take(&self) -> Vec<Spent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Read and write units since the last call.
    pub fn take_units(&self) -> (f64, f64) {
        let spent = self.take();
        let sum = |write: bool| spent.iter().filter(|s| s.write == write).map(|s| s.units).sum();
        (sum(false), sum(true))
    }
}
