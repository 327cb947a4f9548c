//! From an event to its deliveries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axle_domain::EntityId;
use axle_domain::event::{Event, EventType};
use axle_domain::trace::{SpanId, name};
use axle_domain::webhook::EndpointStatus;
use axle_store::deliveries::DeliveryRecord;
use axle_store::traces::TraceLink;
use axle_store::webhooks::WebhookRecord;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::context::App;
use crate::error::{Error, Result};

/// Deliveries of one event that are written at a time.
const SIDE_BY_SIDE: usize = 16;

type Endpoints = Arc<[WebhookRecord]>;

/// Dispatches the events of one batch.
///
/// A tenant's endpoints are read once a batch. Nothing is kept from one batch to the next: an endpoint hears of everything that
/// happens after it was created, and that holds because the endpoints are read after the batch's events have happened.
pub struct Dispatcher {
    app: Arc<App>,
    endpoints: Mutex<HashMap<EntityId, Arc<OnceCell<Endpoints>>>>,
}

impl Dispatcher {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, endpoints: Mutex::default() }
    }

    /// Makes a delivery to each endpoint that wants the event, and answers how many want it. Doing it again makes no other
    /// deliveries: their ids follow from the event's and the endpoint's.
    ///
    /// Costs 3 write units a delivery, and for each tenant in the batch the reading of its endpoints.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when not all could be written; some may be.
    pub async fn dispatch(&self, event: &Event) -> Result<usize> {
        let endpoints = self.endpoints_of(event.entity_id).await?;
        let wanting: Vec<&WebhookRecord> = endpoints.iter().filter(|endpoint| wants(endpoint, event)).collect();
        let (table, now) = (self.app.table().await, self.app.now());
        let deliveries = wanting.iter().map(|endpoint| {
            let delivery = DeliveryRecord::new(event, endpoint.id, now);
            let link = TraceLink::of_delivery(&delivery, cause(event));
            async move {
                table.put_new(&delivery).await?;
                match link {
                    Some(link) => table.trace_delivery(&link).await,
                    None => Ok(()),
                }
            }
        });
        stream::iter(deliveries).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        Ok(wanting.len())
    }

    async fn endpoints_of(&self, entity: EntityId) -> Result<Endpoints> {
        let cell = {
            let mut known = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(entity).or_default())
        };
        let read = async || {
            let all = self.app.table().await.webhooks(entity, true).await?;
            Ok::<_, Error>(all.into_iter().map(|endpoint| endpoint.value).collect())
        };
        cell.get_or_try_init(read).await.cloned()
    }
}

/// The step of its trace that an event tells of, as far as that is known.
fn cause(event: &Event) -> Option<SpanId> {
    let step = match event.event_type {
        EventType::CommunicationSent | EventType::CommunicationFailed => name::SEND,
        _ => name::QUEUE,
    };
    let trace = event.trace_id.filter(|_| event.subject.kind == "communication")?;
    Some(SpanId::of(trace, step, &event.subject.id))
}

fn wants(endpoint: &WebhookRecord, event: &Event) -> bool {
    // Telling an endpoint of its own trouble could go on for ever.
    let about_itself = event.event_type.as_str().starts_with("webhook.") && event.subject.id == endpoint.id.to_string();
    endpoint.status == EndpointStatus::Enabled
        && endpoint.created_at <= event.occurred_at
        && endpoint.filter().matches(event.event_type.as_str())
        && !about_itself
}
