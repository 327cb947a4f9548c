//! The OpenAPI document: the operations of every group, and what is the same for all of them.

mod events;
mod inputs;
mod links;

use axle_app::input::refuse_blanks;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use crate::rules::STATELESS;
use crate::surface::Surface;

/// One document from the groups' parts.
pub fn document(groups: impl IntoIterator<Item = OpenApi>, version: &str) -> Value {
    let mut whole = OpenApi::default();
    for group in groups {
        whole.merge(group);
    }
    finish(serde_json::to_value(whole).unwrap_or_default(), version)
}

/// Adds what every operation shares, so that no operation can forget it: security, error answers, headers.
pub fn finish(mut api: Value, version: &str) -> Value {
    api["openapi"] = json!("3.1.0");
    api["info"] = json!({
        "title": "Axle", "version": version,
        "description": "The back office for outbound sales: campaigns, leads, events and webhooks over one domain.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    api["servers"] = json!([{"url": "/"}]);
    api["components"]["securitySchemes"] = json!({
        "api_key": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer ak_...`"},
    });
    api["components"]["schemas"]["Problem"] = problem_schema();
    api["components"]["schemas"]["CrmError"] = crm_error_schema();
    api["components"]["schemas"]["AgentsError"] = agents_error_schema();
    api["components"]["headers"] = headers();
    refuse_blanks(&mut api["components"]["schemas"]);
    let schemas = api["components"]["schemas"].clone();
    let links = links::to_what_was_made(&api["paths"], &schemas);
    if let Some(paths) = api["paths"].as_object_mut() {
        for (path, item) in paths.iter_mut() {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                if operation.is_object() && method != "parameters" {
                    inputs::describe(operation, &schemas);
                    complete(path, method, operation);
                }
            }
        }
    }
    links::add(&mut api["paths"], links);
    api["webhooks"] = events::told();
    api
}

fn problem_schema() -> Value {
    json!({
        "type": "object", "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail", "instance", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri", "examples": ["urn:axle:error:invalid"]},
            "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
            "instance": {"type": "string"}, "request_id": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "required": ["pointer", "detail"], "properties": {
                "pointer": {"type": "string", "description": "RFC 6901 JSON pointer into the body, or `?name` for a query parameter."},
                "detail": {"type": "string"}}}},
        },
    })
}

fn crm_error_schema() -> Value {
    json!({
        "type": "object", "description": "What is wrong, on the CRM surface.", "required": ["error"],
        "properties": {
            "error": {"type": "string", "examples": ["entityId is required, in the query or in the JSON body"]},
            "details": {"type": "array", "description": "Every fault of a 422.",
                "items": {"type": "object", "required": ["pointer", "detail"], "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901 JSON pointer into the body, or `?name` for a query parameter."},
                    "detail": {"type": "string"}}}},
        },
    })
}

fn agents_error_schema() -> Value {
    json!({
        "type": "object", "description": "What is wrong, on the surface of agents.", "required": ["status", "error"],
        "properties": {
            "status": {"type": "string", "enum": ["error"]},
            "error": {"type": "object", "required": ["code", "message", "details"], "properties": {
                "code": {"type": "string", "examples": ["invalid"]}, "message": {"type": "string"},
                "details": {"type": "array", "description": "Every fault of a 422.",
                    "items": {"type": "object", "required": ["pointer", "detail"], "properties": {
                        "pointer": {"type": "string", "description": "RFC 6901 JSON pointer into the body, or `?name` for a query parameter."},
                        "detail": {"type": "string"}}}}}},
        },
    })
}

fn error_schema(surface: Surface) -> &'static str {
    match surface {
        Surface::Crm => "#/components/schemas/CrmError",
        Surface::Agents => "#/components/schemas/AgentsError",
        _ => "#/components/schemas/Problem",
    }
}

/// The entity that every call of the CRM names. It may stand in the JSON body instead, where there is one.
fn name_entity(operation: &mut Value) {
    let in_body = operation["requestBody"]["content"]["application/json"].is_object();
    push(
        operation,
        "parameters",
        json!({
            "name": "entityId", "in": "query", "required": !in_body, "schema": {"type": "string", "format": "uuid"},
            "description": "The entity of the credential. Where the operation takes a JSON body, `entityId` may stand in that instead.",
        }),
    );
}

fn headers() -> Value {
    let int = |text: &str| json!({"description": text, "schema": {"type": "integer"}});
    let string = |text: &str| json!({"description": text, "schema": {"type": "string"}});
    json!({
        "X-Request-Id": string("Echoed if sent; else made here."),
        "X-RateLimit-Limit": int("Requests a window."),
        "X-RateLimit-Remaining": int("Requests left in the window."),
        "X-RateLimit-Reset": int("Unix seconds at which the window ends."),
        "RateLimit-Policy": string("The policy in force, as in the IETF draft."),
        "RateLimit": string("What is left of it, as in the IETF draft."),
    })
}

const RATE_HEADERS: [&str; 6] =
    ["X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit"];

fn complete(path: &str, method: &str, operation: &mut Value) {
    let public = operation["security"].as_array().is_some_and(|s| s.iter().all(|r| r.as_object().is_some_and(|o| o.is_empty())));
    let counted = operation[STATELESS] != json!(true);
    let surface = Surface::of(path);
    if surface == Surface::Crm {
        name_entity(operation);
    }
    let mut errors = Vec::new();
    // It is there to say what to do instead: it looks nothing up and changes nothing.
    let refuses = operation["responses"].as_object().is_some_and(|answers| answers.keys().all(|status| status == "405"));
    if refuses {
        let content = &mut operation["responses"]["405"]["content"];
        *content = json!({surface.content_type(): {"schema": {"$ref": error_schema(surface)}}});
    }
    if surface == Surface::Crm {
        errors.push(("400", "Cannot be read: malformed JSON, no `entityId` or a malformed id."));
        errors.push(("403", "The credential lacks the scope, or is of another entity than `entityId`."));
    }
    errors.extend([("500", "Something went wrong on our side."), ("503", "A dependency is down; see Retry-After.")]);
    if !public {
        errors.extend([("401", "The credential is missing or not good."), ("403", "The credential lacks the scope.")]);
    }
    if counted {
        errors.push(("429", "The rate limit is reached; see Retry-After."));
    }
    if path.contains('{') && !refuses {
        errors.push(("404", "No such thing in this tenant."));
    }
    let has_query = operation["parameters"].as_array().is_some_and(|p| p.iter().any(|p| p["in"] == "query"));
    if refuses {
        // Nor does it read what it is sent.
    } else if has_query || !operation["requestBody"].is_null() {
        errors.push(("422", "Readable, but not valid: every fault is listed."));
        errors.push(("400", "Cannot be read: malformed JSON or cursor."));
    } else if !public {
        errors.push(("422", "A query parameter that the operation does not have, or an Idempotency-Key used with another body."));
    }
    if !operation["requestBody"].is_null() {
        errors.extend([("413", "The body is too large."), ("415", "The content type is not supported.")]);
    }
    if method == "post" && !public {
        errors.extend([
            ("409", "Contradicts what is there, or the first request with this Idempotency-Key is still running."),
            ("400", "Malformed."),
        ]);
        push(
            operation,
            "parameters",
            json!({
                "name": "Idempotency-Key", "in": "header", "required": false,
                "description": "Makes the request safe to repeat: the first 2xx answer is kept for 24 h and given again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            }),
        );
    }
    let changes = !refuses && (matches!(method, "patch" | "delete") && path.contains('{') || method == "put");
    if changes {
        errors.push(("409", "Contradicts what is there."));
    }
    // What a PUT makes or replaces has a version where its answer shows one.
    if changes && (method != "put" || operation["responses"]["200"]["headers"]["ETag"].is_object()) {
        errors.push(("412", "If-Match names another version."));
        push(
            operation,
            "parameters",
            json!({
                "name": "If-Match", "in": "header", "required": false, "schema": {"type": "string"},
                "description": "The ETag of the version that the change is based on.",
            }),
        );
    }
    for (status, text) in errors {
        let slot = &mut operation["responses"][status];
        if slot.is_null() {
            *slot =
                json!({"description": text, "content": {surface.content_type(): {"schema": {"$ref": error_schema(surface)}}}});
        }
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(|r| r.values_mut()) {
        let names = if counted { &RATE_HEADERS[..] } else { &RATE_HEADERS[..1] };
        for name in names {
            response["headers"][*name] = json!({"$ref": format!("#/components/headers/{name}")});
        }
    }
}

fn push(operation: &mut Value, list: &str, entry: Value) {
    match operation[list].as_array_mut() {
        Some(entries) if entries.iter().any(|e| e["name"] == entry["name"]) => {}
        Some(entries) => entries.push(entry),
        None => operation[list] = json!([entry]),
    }
}
