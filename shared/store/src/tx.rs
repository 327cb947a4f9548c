//! One write that says everything: state, guards, events, the idempotency record. All of it or nothing.

use std::time::Duration;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update as SdkUpdate,
};
use axle_domain::event::Event;
use uuid::Uuid;

use crate::error::{Error, Result, sdk};
use crate::events::EventRecord;
use crate::item::{Item, Record, to_item};
use crate::key::Key;
use crate::table::{Table, Update};
use crate::tally::Tally;

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The condition of the write with this label did not hold; what stands there instead, if anything does.
    #[error("the condition of `{label}` does not hold")]
    Condition { label: &'static str, existing: Option<Item> },
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(Clone)]
struct Write {
    label: &'static str,
    op: Op,
}

#[derive(Clone)]
enum Op {
    Put { item: Item, condition: Option<String>, values: Vec<(String, AttributeValue)> },
    Delete { key: Key, condition: Option<String>, names: Vec<(String, String)>, values: Vec<(String, AttributeValue)> },
    Update { key: Key, update: Update },
    Check { key: Key, condition: String, values: Vec<(String, AttributeValue)> },
}

/// A transaction being put together. At most 100 writes (DynamoDB's limit), each to another item.
#[must_use = "a transaction does nothing until it is committed"]
pub struct Tx<'a> {
    table: &'a Table,
    writes: Vec<Write>,
    /// What is added to numbers, by the item that has them: an item can be written once in a transaction.
    pub(crate) tallies: Vec<Tally>,
    problem: Option<Error>,
}

/// Attempts against conflicts with other transactions and throttling.
const ATTEMPTS: u32 = 8;

pub(crate) fn backoff(attempt: u32) -> Duration {
    let [byte]: [u8; 1] = axle_domain::id::entropy();
    let base = 10_u64 << attempt.min(6);
    Duration::from_millis(base / 2 + base * u64::from(byte) / 255)
}

const VERSION_IS: &str = "version = :version";

fn version_value(version: u64) -> Vec<(String, AttributeValue)> {
    vec![(":version".to_owned(), AttributeValue::N(version.to_string()))]
}

impl<'a> Tx<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        Self { table, writes: Vec::new(), tallies: Vec::new(), problem: None }
    }

    fn put<T: Record>(
        &mut self,
        label: &'static str,
        record: &T,
        version: u64,
        condition: Option<&str>,
        values: Vec<(String, AttributeValue)>,
    ) {
        match to_item(record, version) {
            Ok(item) => {
                let op = Op::Put { item, condition: condition.map(str::to_owned), values };
                self.writes.push(Write { label, op });
            }
            Err(e) => self.problem = Some(e),
        }
    }

    /// Puts a record where nothing may stand yet.
    pub fn create<T: Record>(&mut self, label: &'static str, record: &T) {
        self.put(label, record, 1, Some("attribute_not_exists(pk)"), Vec::new());
    }

    /// Replaces the record that was read at `version`.
    pub fn replace<T: Record>(&mut self, label: &'static str, record: &T, version: u64) {
        self.put(label, record, version + 1, Some(VERSION_IS), version_value(version));
    }

    /// Puts a record over whatever stands there.
    pub fn overwrite<T: Record>(&mut self, label: &'static str, record: &T) {
        self.put(label, record, 1, None, Vec::new());
    }

    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.tallies.is_empty() && self.problem.is_none()
    }

    /// Puts a record where nothing stands or what stands there meets `condition`.
    pub(crate) fn put_if<T: Record>(
        &mut self,
        label: &'static str,
        record: &T,
        condition: &str,
        values: Vec<(String, AttributeValue)>,
    ) {
        self.put(label, record, 1, Some(condition), values);
    }

    /// Puts a record at a version, whatever stands there.
    pub(crate) fn put_at<T: Record>(&mut self, label: &'static str, record: &T, version: u64) {
        self.put(label, record, version, None, Vec::new());
    }

    /// Requires that an item still is at `version`, or still absent, and leaves it alone. Two write units a KB, like a write.
    pub(crate) fn check(&mut self, label: &'static str, key: Key, version: Option<u64>) {
        let (condition, values) = match version {
            Some(version) => (VERSION_IS, version_value(version)),
            None => ("attribute_not_exists(pk)", Vec::new()),
        };
        self.writes.push(Write { label, op: Op::Check { key, condition: condition.to_owned(), values } });
    }

    /// Deletes the record that was read at `version`.
    pub fn delete(&mut self, label: &'static str, key: Key, version: u64) {
        let op = Op::Delete { key, condition: Some(VERSION_IS.to_owned()), names: Vec::new(), values: version_value(version) };
        self.writes.push(Write { label, op });
    }

    /// Deletes whatever stands there.
    pub fn remove(&mut self, label: &'static str, key: Key) {
        self.writes.push(Write { label, op: Op::Delete { key, condition: None, names: Vec::new(), values: Vec::new() } });
    }

    /// Deletes what stands there if `condition`, which speaks of `#owner` and `:owner`, holds.
    pub(crate) fn delete_if(&mut self, label: &'static str, key: Key, condition: &str, owner: &str) {
        let values = vec![(":owner".to_owned(), AttributeValue::S(owner.to_owned()))];
        let names = vec![("#owner".to_owned(), "owner".to_owned())];
        self.writes.push(Write { label, op: Op::Delete { key, condition: Some(condition.to_owned()), names, values } });
    }

    pub(crate) fn update(&mut self, label: &'static str, key: Key, update: Update) {
        self.writes.push(Write { label, op: Op::Update { key, update } });
    }

    /// Says what happened.
    pub fn emit(&mut self, event: &Event, retention_days: i64) {
        match EventRecord::new(event, retention_days) {
            Ok(record) => self.create("event", &record),
            Err(e) => self.problem = Some(e),
        }
    }

    /// Writes all of it.
    ///
    /// All attempts are one request to DynamoDB, which knows it by its token for ten minutes: if an earlier one was written and only its
    /// answer was lost, the next one succeeds and writes nothing, where it would otherwise fail on its own writes.
    ///
    /// # Errors
    /// [`CommitError::Condition`] for the first write whose condition does not hold; conflicts and throttling are tried again
    /// before they become [`Error::Unavailable`].
    pub async fn commit(mut self) -> Result<(), CommitError> {
        self.write_tallies();
        if let Some(problem) = self.problem {
            return Err(problem.into());
        }
        let writes: Result<Vec<_>> = self.writes.iter().map(|w| self.sdk_write(w)).collect();
        let (writes, token) = (writes?, Uuid::from_bytes(axle_domain::id::entropy()).to_string());
        let mut attempt = 0;
        loop {
            match self.attempt(&writes, &token).await? {
                Attempt::Done => return Ok(()),
                Attempt::Failed { index, existing } => {
                    let label = self.writes.get(index).map_or("unknown", |w| w.label);
                    return Err(CommitError::Condition { label, existing });
                }
                Attempt::Passing(reason) if attempt + 1 >= ATTEMPTS => return Err(Error::Unavailable(reason).into()),
                Attempt::Passing(_) => {}
            }
            attempt += 1;
            tokio::time::sleep(backoff(attempt)).await;
        }
    }

    /// Writes all of it if every condition holds; says whether they did. For whoever looks again, or leaves it, when somebody else was
    /// there first, whatever it was that changed.
    ///
    /// # Errors
    /// As [`Tx::commit`], but for conditions that do not hold.
    pub async fn try_commit(self) -> Result<bool, Error> {
        match self.commit().await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition { .. }) => Ok(false),
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// Writes a single put or delete as a plain request: half the price of a transaction. A transaction is known by its token, so an
    /// answer that got lost does no harm; a plain request has none, and when the SDK repeats it, it can meet its own first write. So this
    /// is for writes that recognise themselves in what stands there, or whose callers look again when somebody else was there first.
    pub(crate) async fn commit_alone(mut self) -> Result<(), CommitError> {
        self.write_tallies();
        if let Some(problem) = self.problem {
            return Err(problem.into());
        }
        let Some(Write { label, op }) = self.writes.pop().filter(|_| self.writes.is_empty()) else {
            return Err(Error::Fault("not a single write".to_owned()).into());
        };
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let (client, table, capacity) = (&self.table.client, &self.table.name, self.table.capacity());
        let failed = |existing| Err(CommitError::Condition { label, existing });
        match op {
            Op::Put { item, condition, values } => {
                let put = client.put_item().table_name(table).set_item(Some(item)).set_condition_expression(condition);
                let put = put.set_expression_attribute_values((!values.is_empty()).then(|| values.into_iter().collect()));
                match put.return_values_on_condition_check_failure(old).set_return_consumed_capacity(capacity).send().await {
                    Ok(out) => self.table.note("PutItem", &out.consumed_capacity),
                    Err(e) => match e.as_service_error() {
                        Some(PutItemError::ConditionalCheckFailedException(x)) => return failed(x.item.clone()),
                        _ => return Err(sdk(e).into()),
                    },
                }
            }
            Op::Delete { key, condition, names, values } => {
                let delete =
                    client.delete_item().table_name(table).set_key(Some(key.attributes())).set_condition_expression(condition);
                let delete = delete.set_expression_attribute_values((!values.is_empty()).then(|| values.into_iter().collect()));
                let delete = delete.set_expression_attribute_names((!names.is_empty()).then(|| names.into_iter().collect()));
                match delete.return_values_on_condition_check_failure(old).set_return_consumed_capacity(capacity).send().await {
                    Ok(out) => self.table.note("DeleteItem", &out.consumed_capacity),
                    Err(e) => match e.as_service_error() {
                        Some(DeleteItemError::ConditionalCheckFailedException(x)) => return failed(x.item.clone()),
                        _ => return Err(sdk(e).into()),
                    },
                }
            }
            _ => return Err(Error::Fault("only puts and deletes go alone".to_owned()).into()),
        }
        Ok(())
    }

    async fn attempt(&self, writes: &[TransactWriteItem], token: &str) -> Result<Attempt> {
        let request = self.table.client.transact_write_items().set_transact_items(Some(writes.to_vec()));
        let request = request.client_request_token(token);
        match request.set_return_consumed_capacity(self.table.capacity()).send().await {
            Ok(out) => {
                if let Some(meter) = &self.table.meter {
                    meter.note("TransactWriteItems", true, out.consumed_capacity());
                }
                Ok(Attempt::Done)
            }
            Err(e) => match e.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    read_reasons(cancelled.cancellation_reasons())
                }
                _ => match sdk(e) {
                    Error::Unavailable(reason) => Ok(Attempt::Passing(reason)),
                    fault => Err(fault),
                },
            },
        }
    }

    fn sdk_write(&self, write: &Write) -> Result<TransactWriteItem> {
        let table = &self.table.name;
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let bad = |e: aws_sdk_dynamodb::error::BuildError| Error::Fault(e.to_string());
        let some = |values: &[(String, AttributeValue)]| (!values.is_empty()).then(|| values.iter().cloned().collect());
        let item = TransactWriteItem::builder();
        Ok(match &write.op {
            Op::Put { item: attributes, condition, values } => {
                let put = Put::builder().table_name(table).set_item(Some(attributes.clone()));
                let put = put.set_condition_expression(condition.clone()).return_values_on_condition_check_failure(old);
                item.put(put.set_expression_attribute_values(some(values)).build().map_err(bad)?)
            }
            Op::Delete { key, condition, names, values } => {
                let delete = Delete::builder().table_name(table).set_key(Some(key.attributes()));
                let delete = delete.set_expression_attribute_names((!names.is_empty()).then(|| names.iter().cloned().collect()));
                let delete = delete.set_condition_expression(condition.clone()).return_values_on_condition_check_failure(old);
                item.delete(delete.set_expression_attribute_values(some(values)).build().map_err(bad)?)
            }
            Op::Update { key, update } => {
                let u = SdkUpdate::builder().table_name(table).set_key(Some(key.attributes()));
                let u = u.update_expression(&update.expression).set_condition_expression(update.condition.clone());
                let u = u.set_expression_attribute_names((!update.names.is_empty()).then(|| update.names.clone()));
                let u = u.set_expression_attribute_values((!update.values.is_empty()).then(|| update.values.clone()));
                item.update(u.return_values_on_condition_check_failure(old).build().map_err(bad)?)
            }
            Op::Check { key, condition, values } => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key.attributes()));
                let check = check.condition_expression(condition).set_expression_attribute_values(some(values));
                item.condition_check(check.build().map_err(bad)?)
            }
        }
        .build())
    }
}

enum Attempt {
    Done,
    Failed {
        index: usize,
        existing: Option<Item>,
    },
    /// Another transaction was at the same items, or the table throttles.
    Passing(String),
}

/// Reasons after which the same transaction may succeed later.
const PASSING: &[&str] = &["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];

/// A failed condition is final even when other reasons are passing: trying again would fail on it. So is what no later attempt changes,
/// an item that is too large for instance; that is a fault of ours.
fn read_reasons(reasons: &[CancellationReason]) -> Result<Attempt> {
    if let Some(index) = reasons.iter().position(|r| r.code() == Some("ConditionalCheckFailed")) {
        return Ok(Attempt::Failed { index, existing: reasons[index].item().cloned() });
    }
    let given: Vec<&CancellationReason> = reasons.iter().filter(|r| r.code().is_some_and(|code| code != "None")).collect();
    let codes = given.iter().filter_map(|r| r.code()).collect::<Vec<_>>().join(", ");
    match given.iter().find(|r| r.code().is_some_and(|code| !PASSING.contains(&code))) {
        Some(fault) => Err(Error::Fault(format!("{codes}: {}", fault.message().unwrap_or_default()))),
        None => Ok(Attempt::Passing(codes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    #[test]
    fn only_conflicts_and_throttling_pass() {
        for passing in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert!(matches!(read_reasons(&reasons(&["None", passing])), Ok(Attempt::Passing(_))), "{passing}");
        }
        for lasting in ["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"] {
            let found = read_reasons(&reasons(&["TransactionConflict", lasting]));
            assert!(matches!(found, Err(Error::Fault(_))), "{lasting}");
        }
        let failed = read_reasons(&reasons(&["ValidationError", "ConditionalCheckFailed"]));
        assert!(matches!(failed, Ok(Attempt::Failed { index: 1, .. })));
    }
}
