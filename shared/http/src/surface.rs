//! The public surfaces, told apart by path. They differ in how they write errors.

use axle_app::{Error, input};
use axle_domain::Fault;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// RFC 9457 problem details.
    Outreach,
    Crm,
    Assistant,
    Agents,
}

impl Surface {
    pub fn of(path: &str) -> Self {
        let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if under("/api/crm") {
            Self::Crm
        } else if under("/api/v1") {
            Self::Assistant
        } else if under("/v1") {
            Self::Agents
        } else {
            Self::Outreach
        }
    }

    /// The CRM answers an id that is no UUID with 400, wherever it stands. Elsewhere it is a fault like any other.
    pub fn judge(self, error: Error) -> Error {
        let Error::Invalid(faults) = &error else { return error };
        let places: Vec<_> = faults.iter().filter(|f| f.detail == input::NOT_AN_ID).map(|f| f.pointer.as_str()).collect();
        if self != Self::Crm || places.is_empty() {
            return error;
        }
        Error::Malformed(format!("{} {}", places.join(", "), input::NOT_AN_ID))
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Outreach => "application/problem+json",
            _ => "application/json",
        }
    }

    /// The body of an error.
    pub fn error_body(self, error: &Error, status: u16, path: &str, request_id: &str, now: axle_domain::Time) -> Value {
        let (slug, title) = name(status);
        let detail = error.to_string();
        let faults: &[Fault] = if let Error::Invalid(faults) = error { faults } else { &[] };
        match self {
            Self::Outreach => {
                let mut body = json!({
                    "type": format!("urn:axle:error:{slug}"), "title": title, "status": status, "detail": detail,
                    "instance": path, "request_id": request_id,
                });
                if !faults.is_empty() {
                    body["errors"] = json!(faults);
                }
                body
            }
            Self::Crm if faults.is_empty() => json!({"error": detail}),
            Self::Crm => json!({"error": detail, "details": faults}),
            Self::Assistant => json!({
                "success": false, "data": null, "error": {"code": slug, "message": detail, "details": faults},
                "meta": {"request_id": request_id, "timestamp": now},
            }),
            Self::Agents => json!({"status": "error", "error": {"code": slug, "message": detail, "details": faults}}),
        }
    }
}

/// A stable code and a title for a status.
fn name(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("bad-request", "Bad request"),
        401 => ("unauthenticated", "Unauthenticated"),
        403 => ("forbidden", "Forbidden"),
        404 => ("not-found", "Not found"),
        405 => ("method-not-allowed", "Method not allowed"),
        409 => ("conflict", "Conflict"),
        412 => ("precondition-failed", "Precondition failed"),
        413 => ("too-large", "Content too large"),
        415 => ("unsupported-media-type", "Unsupported media type"),
        422 => ("invalid", "Unprocessable content"),
        429 => ("rate-limited", "Too many requests"),
        503 => ("unavailable", "Service unavailable"),
        _ => ("internal", "Internal server error"),
    }
}
