//! What a message says, made ready for its recipient.

use axle_domain::communication::CommunicationInput;
use axle_store::communications::{CommunicationRecord, ContentRecord};

use crate::context::App;
use crate::error::Result;

/// The content as it will be sent.
pub(super) async fn prepare(_app: &App, record: &CommunicationRecord, input: CommunicationInput) -> Result<ContentRecord> {
    let CommunicationInput { text, html, headers, .. } = input;
    Ok(ContentRecord { entity_id: record.entity_id, communication_id: record.id, text, html, headers, links: Vec::new() })
}
