//! A transaction that was written is a success, also when the table's answer got lost on its way back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use axle_domain::slo::{Objective, SloState};
use axle_domain::{EntityId, Time};
use axle_store::slos::SloRecord;
use axle_store::{CommitError, Table};
use axle_testkit::TestTable;
use serde_json::Value;

/// Loses the first answers, and remembers the token of every request.
#[derive(Clone, Debug)]
struct Lossy {
    left: Arc<AtomicU32>,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Intercept for Lossy {
    fn name(&self) -> &'static str {
        "lossy"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body: Value = serde_json::from_slice(context.request().body().bytes().unwrap())?;
        self.tokens.lock().unwrap().push(body["ClientRequestToken"].as_str().unwrap_or_default().to_owned());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            *context.response_mut().status_mut() = 500.try_into()?;
        }
        Ok(())
    }
}

fn slo(name: &str) -> SloRecord {
    let (entity_id, now) = (EntityId::new_at(Time::from_millis(0)), Time::from_millis(0));
    SloRecord {
        entity_id,
        id: SloRecord::id_of(entity_id, name),
        name: name.to_owned(),
        objective: Objective::AgentSuccessRate,
        threshold: 99.0,
        window_minutes: 60,
        status: SloState::NoData,
        value: None,
        evaluated_at: None,
        breached_since: None,
        check_at: now,
        created_at: now,
        updated_at: now,
    }
}

#[tokio::test]
async fn a_transaction_that_was_written_meets_itself_as_a_success() {
    let there = TestTable::start().await;
    let lossy = Lossy { left: Arc::new(AtomicU32::new(2)), tokens: Arc::default() };
    // The client library's own repetitions have one token anyway.
    let config = there.client().config().to_builder().interceptor(lossy.clone()).retry_config(RetryConfig::disabled()).build();
    let table = Table::new(Client::from_conf(config), TestTable::NAME);

    let record = slo("runs");
    let mut tx = table.tx();
    tx.create("slo", &record);
    tx.create("other", &slo("deliveries"));
    tx.commit().await.unwrap();
    assert_eq!(there.items().len(), 2);
    let tokens = std::mem::take(&mut *lossy.tokens.lock().unwrap());
    assert_eq!(tokens.len(), 3);
    assert!(!tokens[0].is_empty() && tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");

    // Another transaction is another request: the same writes are refused now.
    let mut tx = table.tx();
    tx.create("slo", &record);
    assert!(matches!(tx.commit().await, Err(CommitError::Condition { label: "slo", .. })));
    assert_ne!(lossy.tokens.lock().unwrap()[0], tokens[0]);
}
