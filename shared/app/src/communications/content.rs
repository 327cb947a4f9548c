//! What a message says, made ready for its recipient.

use axle_domain::communication::{Category, CommunicationInput, MessageChannel};
use axle_domain::mail::{Content, Links};
use axle_store::communications::{CommunicationRecord, ContentRecord};

use crate::context::App;
use crate::error::Result;

/// The content as it will be sent: an e-mail's links are counted, its opening is seen and the way out is shown, as far as each is
/// wanted or due. `language`: what the way out is shown in, English if `None`.
pub(super) async fn prepare(
    app: &App,
    record: &CommunicationRecord,
    input: CommunicationInput,
    language: Option<&str>,
) -> Result<ContentRecord> {
    let CommunicationInput { text, html, headers, track, .. } = input;
    let (entity_id, communication_id) = (record.entity_id, record.id);
    if record.channel != MessageChannel::Email {
        return Ok(ContentRecord { entity_id, communication_id, text, html, headers, links: Vec::new() });
    }
    let links = Links {
        key: app.link_key().await?,
        base_url: &app.config().base_url,
        entity: entity_id,
        message: communication_id,
        opens: track.opens,
        clicks: track.clicks,
        unsubscribe: record.category == Category::Marketing,
        language,
    };
    let ready = axle_domain::mail::prepare(&Content { text: text.as_deref(), html: html.as_deref() }, &links);
    Ok(ContentRecord { entity_id, communication_id, text: Some(ready.text), html: ready.html, headers, links: ready.links })
}
