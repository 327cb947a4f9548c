//! The table itself: single-item reads and writes, batch reads.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use axle_domain::Time;

use crate::crm::search::{Searching, SegmentCache};
use crate::error::{Error, Result, sdk};
use crate::item::{Item, Record, Versioned, from_item, to_item};
use crate::key::Key;
use crate::meter::Meter;
use crate::tx::Tx;

/// A handle on the table; cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) meter: Option<Meter>,
    pub(crate) searching: Searching,
    pub(crate) segments: Arc<SegmentCache>,
}

/// What became of a put that requires the item's absence.
#[derive(Debug)]
pub enum PutOutcome {
    Created,
    /// Something stands there already.
    Exists(Item),
}

/// DynamoDB's limit for `BatchGetItem`.
const BATCH_GET: usize = 100;

impl Table {
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        let (meter, searching, segments) = (None, Searching::default(), Arc::default());
        Self { client, name: name.into(), meter, searching, segments }
    }

    /// The same table, with segments of another measure.
    #[must_use]
    pub fn searching(mut self, searching: Searching) -> Self {
        self.searching = searching;
        self
    }

    /// The same table, noting what each request costs.
    #[must_use]
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    pub(crate) fn capacity(&self) -> Option<ReturnConsumedCapacity> {
        self.meter.is_some().then_some(ReturnConsumedCapacity::Total)
    }

    pub(crate) fn note<'a>(
        &self,
        write: &'static str,
        spent: impl IntoIterator<Item = &'a aws_sdk_dynamodb::types::ConsumedCapacity>,
    ) {
        if let Some(meter) = &self.meter {
            meter.note(write, true, spent);
        }
    }

    /// A transaction that is empty as yet.
    pub fn tx(&self) -> Tx<'_> {
        Tx::new(self)
    }

    /// One item, strongly consistent (1 read unit per 4 KB).
    pub async fn get<T: Record>(&self, key: &Key, now: Time) -> Result<Option<Versioned<T>>> {
        match self.get_raw(key).await? {
            Some(item) => from_item(item, Some(now)),
            None => Ok(None),
        }
    }

    pub(crate) async fn get_raw(&self, key: &Key) -> Result<Option<Item>> {
        self.read_raw(key, true).await
    }

    /// One item; eventually consistent at half the price.
    pub(crate) async fn read_raw(&self, key: &Key, consistent: bool) -> Result<Option<Item>> {
        let request = self.client.get_item().table_name(&self.name).set_key(Some(key.attributes())).consistent_read(consistent);
        let out = request.set_return_consumed_capacity(self.capacity()).send().await.map_err(sdk)?;
        if let Some(meter) = &self.meter {
            meter.note("GetItem", false, &out.consumed_capacity);
        }
        Ok(out.item)
    }

    /// Puts a record where nothing may stand yet.
    pub async fn put_new<T: Record>(&self, record: &T) -> Result<PutOutcome> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(to_item(record, 1)?))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .set_return_consumed_capacity(self.capacity());
        match request.send().await {
            Ok(out) => {
                if let Some(meter) = &self.meter {
                    meter.note("PutItem", true, &out.consumed_capacity);
                }
                Ok(PutOutcome::Created)
            }
            Err(e) => match e.as_service_error() {
                Some(s) if s.is_conditional_check_failed_exception() => {
                    let old = e.into_service_error();
                    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(old) = old else {
                        return Err(Error::Fault("a condition failed without its exception".to_owned()));
                    };
                    Ok(PutOutcome::Exists(old.item.unwrap_or_default()))
                }
                _ => Err(sdk(e)),
            },
        }
    }

    /// One update expression on one item; `Ok(None)` when its condition does not hold.
    pub(crate) async fn update(&self, key: &Key, update: Update) -> Result<Option<Item>> {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(update.expression)
            .set_condition_expression(update.condition)
            .set_expression_attribute_names((!update.names.is_empty()).then_some(update.names))
            .set_expression_attribute_values((!update.values.is_empty()).then_some(update.values))
            .return_values(ReturnValue::AllNew)
            .set_return_consumed_capacity(self.capacity());
        match request.send().await {
            Ok(out) => {
                if let Some(meter) = &self.meter {
                    meter.note("UpdateItem", true, &out.consumed_capacity);
                }
                Ok(Some(out.attributes.unwrap_or_default()))
            }
            Err(e) if e.as_service_error().is_some_and(|s| s.is_conditional_check_failed_exception()) => Ok(None),
            Err(e) => Err(sdk(e)),
        }
    }

    /// Items by key, eventually consistent, in the order of `keys`; missing and expired ones are left out.
    pub async fn get_many<T: Record>(&self, keys: &[Key], now: Time) -> Result<Vec<Versioned<T>>> {
        self.read_many(keys, now, false).await
    }

    /// [`get_many`](Self::get_many), strongly consistent, at twice the price.
    pub async fn get_many_now<T: Record>(&self, keys: &[Key], now: Time) -> Result<Vec<Versioned<T>>> {
        self.read_many(keys, now, true).await
    }

    async fn read_many<T: Record>(&self, keys: &[Key], now: Time, consistent: bool) -> Result<Vec<Versioned<T>>> {
        let reads = keys.chunks(BATCH_GET).map(|chunk| self.batch_get(chunk, None, consistent));
        let found = futures_util::future::try_join_all(reads).await?;
        let mut by_key: HashMap<(String, String), Item> = HashMap::new();
        for item in found.into_iter().flatten() {
            if let (Some(pk), Some(sk)) = (crate::item::text(&item, "pk"), crate::item::text(&item, "sk")) {
                by_key.insert((pk.to_owned(), sk.to_owned()), item);
            }
        }
        let mut out = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(item) = by_key.remove(&(key.pk.clone(), key.sk.clone()))
                && let Some(record) = from_item(item, Some(now))?
            {
                out.push(record);
            }
        }
        Ok(out)
    }

    /// At most 100 distinct keys; asks again for what the table left unprocessed.
    pub(crate) async fn batch_get(&self, keys: &[Key], projection: Option<&str>, consistent: bool) -> Result<Vec<Item>> {
        let mut pending: Vec<Item> = keys.iter().map(Key::attributes).collect();
        let mut items = Vec::with_capacity(keys.len());
        for attempt in 0..8_u32 {
            if pending.is_empty() {
                return Ok(items);
            }
            if attempt > 0 {
                tokio::time::sleep(crate::tx::backoff(attempt)).await;
            }
            let wanted = KeysAndAttributes::builder().set_keys(Some(std::mem::take(&mut pending)));
            let wanted = wanted.consistent_read(consistent);
            let wanted = wanted.set_projection_expression(projection.map(str::to_owned)).build();
            let wanted = wanted.map_err(|e| Error::Fault(e.to_string()))?;
            let request = self.client.batch_get_item().request_items(&self.name, wanted);
            let out = request.set_return_consumed_capacity(self.capacity()).send().await.map_err(sdk)?;
            if let Some(meter) = &self.meter {
                meter.note("BatchGetItem", false, out.consumed_capacity());
            }
            items.extend(out.responses.unwrap_or_default().into_values().flatten());
            let left = out.unprocessed_keys.unwrap_or_default();
            pending = left.into_values().flat_map(|k| k.keys).collect();
        }
        Err(Error::Unavailable("keys stay unprocessed".to_owned()))
    }
}

/// An update expression with its names, values and condition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    pub(crate) expression: String,
    pub(crate) condition: Option<String>,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Update {
    pub(crate) fn new(expression: impl Into<String>) -> Self {
        Self { expression: expression.into(), ..Self::default() }
    }
    pub(crate) fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }
    pub(crate) fn name(mut self, placeholder: &str, name: &str) -> Self {
        self.names.insert(placeholder.to_owned(), name.to_owned());
        self
    }
    pub(crate) fn text(mut self, placeholder: &str, value: impl ToString) -> Self {
        self.values.insert(placeholder.to_owned(), AttributeValue::S(value.to_string()));
        self
    }
    pub(crate) fn number(mut self, placeholder: &str, value: impl ToString) -> Self {
        self.values.insert(placeholder.to_owned(), AttributeValue::N(value.to_string()));
        self
    }
    pub(crate) fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }
}
