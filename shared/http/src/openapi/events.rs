//! What endpoints are told: every event type, with the form of its body, under the document's `webhooks`.

use axle_domain::event::EventType;
use axle_domain::text::pascal_case;
use serde_json::{Map, Value, json};

/// One entry an event type, from the registry. The five fields around `data` are those of every event.
pub(super) fn told() -> Value {
    EventType::ALL.iter().map(|kind| (kind.as_str().to_owned(), json!({"post": delivery(*kind)}))).collect::<Map<_, _>>().into()
}

fn delivery(kind: EventType) -> Value {
    let header = |name: &str, text: &str| json!({"name": name, "in": "header", "required": true, "schema": {"type": "string"}, "description": text});
    let (data, sample) = (kind.data_schema(), kind.data_sample());
    json!({
        "summary": kind.description(),
        "operationId": format!("on{}", pascal_case(kind.as_str())),
        "tags": ["Events"],
        "parameters": [
            header("webhook-id", "The event's id, the same at every attempt: what has it was told before."),
            header("webhook-timestamp", "Seconds since 1970, of this attempt."),
            header("webhook-signature", "`v1,` and the base64 of the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`, for each live secret."),
        ],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "additionalProperties": false, "required": ["id", "type", "timestamp", "entity_id", "data"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "type": {"type": "string", "enum": [kind.as_str()]},
                "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
                "entity_id": {"type": "string", "format": "uuid", "description": "The tenant."},
                "data": data,
            },
        }, "example": {
            "id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77", "type": kind.as_str(), "timestamp": "2026-01-31T09:30:00.000Z",
            "entity_id": "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77", "data": sample,
        }}}},
        "responses": {
            "2XX": {"description": "Taken."},
            "410": {"description": "Wants no more events: the endpoint is disabled."},
            "default": {"description": "To be tried again; `429` and `503` may say when, in `Retry-After`."},
        },
    })
}
