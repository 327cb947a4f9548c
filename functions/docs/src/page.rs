//! The reference page, written from the OpenAPI document once in an environment's life.

use std::fmt::Write;
use std::sync::LazyLock;

use serde_json::{Map, Value};

static HTML: LazyLock<String> = LazyLock::new(|| render(&serde_json::from_str(crate::OPENAPI).unwrap_or_default()));

pub fn html() -> &'static str {
    &HTML
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1b1f24}\
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6;border-radius:4px}code{padding:1px 4px}pre{padding:.8rem;overflow:auto}\
h2{border-bottom:1px solid #d0d7de;margin-top:3rem}h3{margin-top:2rem}table{border-collapse:collapse;width:100%}\
td,th{border:1px solid #d0d7de;padding:.3rem .6rem;text-align:left;vertical-align:top}nav a{display:block}\
.m{font-weight:700;text-transform:uppercase;margin-right:.5rem}.get{color:#0a6b2d}.post{color:#0b57d0}.patch,.put{color:#9a5b00}.delete{color:#b3261e}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with `code` marked as such.
fn prose(text: &str) -> String {
    let parts = text.split('`').map(escape).enumerate();
    parts.map(|(i, part)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part }).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn render(api: &Value) -> String {
    let (mut nav, mut body) = (String::new(), String::new());
    let mut tags: Vec<&str> = Vec::new();
    let operations: Vec<(&str, &str, &Value)> = each_operation(api).collect();
    for (_, _, operation) in &operations {
        let tag = operation["tags"][0].as_str().unwrap_or("Other");
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    for tag in tags {
        let _ = write!(nav, "<strong>{0}</strong>", escape(tag));
        let _ = write!(body, "<h2>{}</h2>", escape(tag));
        for (path, method, operation) in operations.iter().filter(|(_, _, o)| o["tags"][0].as_str().unwrap_or("Other") == tag) {
            let id = escape(text(operation, "operationId"));
            let _ = write!(nav, "<a href=\"#{id}\">{}</a>", escape(text(operation, "summary")));
            show_operation(&mut body, path, method, operation);
        }
    }
    show_events(&mut nav, &mut body, api);
    let _ = write!(body, "<h2>Schemas</h2>");
    for (name, schema) in api["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(body, "<h3 id=\"schema-{0}\">{0}</h3><p>{1}</p>", escape(name), prose(text(schema, "description")));
        show_properties(&mut body, schema);
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Axle API reference</title><style>{STYLE}</style><h1>Axle API <small>{}</small></h1><p>{}</p>\
         <p>The same as an OpenAPI 3.1 document: <a href=\"openapi.json\"><code>/openapi.json</code></a></p><nav>{nav}</nav>{body}</html>",
        escape(text(&api["info"], "version")),
        prose(text(&api["info"], "description")),
    )
}

/// What webhooks are told: a table of `data` for each event type.
fn show_events(nav: &mut String, body: &mut String, api: &Value) {
    let _ = write!(nav, "<strong>What webhooks are told</strong>");
    let _ = write!(
        body,
        "<h2>What webhooks are told</h2><p>A POST of <code>{{\"id\", \"type\", \"timestamp\", \"entity_id\", \"data\"}}</code>, signed. \
         What stands in <code>data</code>:</p>"
    );
    for (name, item) in api["webhooks"].as_object().into_iter().flatten() {
        let (id, event) = (escape(text(&item["post"], "operationId")), &item["post"]);
        let _ = write!(nav, "<a href=\"#{id}\">{}</a>", escape(name));
        let _ = write!(body, "<h3 id=\"{id}\"><code>{}</code></h3><p>{}</p>", escape(name), prose(text(event, "summary")));
        show_properties(body, &event["requestBody"]["content"]["application/json"]["schema"]["properties"]["data"]);
    }
}

fn each_operation(api: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    const ORDER: [&str; 5] = ["get", "post", "put", "patch", "delete"];
    api["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(move |(path, item)| ORDER.iter().filter_map(move |method| Some((path.as_str(), *method, item.get(*method)?))))
}

fn show_operation(out: &mut String, path: &str, method: &str, operation: &Value) {
    let id = escape(text(operation, "operationId"));
    let _ = write!(
        out,
        "<h3 id=\"{id}\">{}</h3><p><code><span class=\"m {method}\">{method}</span>{}</code></p>",
        escape(text(operation, "summary")),
        escape(path)
    );
    let _ = write!(out, "<p>{}</p><p>{}</p>", prose(text(operation, "description")), access(operation));
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        let _ = write!(out, "<table><tr><th>Parameter</th><th>In</th><th>Type</th><th>What it is</th></tr>");
        for p in parameters {
            let row = [
                format!("<code>{}</code>", escape(text(p, "name"))),
                escape(text(p, "in")),
                kind(&p["schema"]),
                prose(text(p, "description")),
            ];
            let _ = write!(out, "<tr><td>{}</td></tr>", row.join("</td><td>"));
        }
        let _ = write!(out, "</table>");
    }
    for (content_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ = write!(out, "<p>Body: <code>{}</code> {}</p>", escape(content_type), kind(&content["schema"]));
    }
    let _ = write!(out, "<table><tr><th>Answer</th><th>Body</th><th>When</th></tr>");
    for (status, response) in operation["responses"].as_object().unwrap_or(&Map::new()) {
        let body =
            response["content"].as_object().and_then(|c| c.values().next()).map(|c| kind(&c["schema"])).unwrap_or_default();
        let _ =
            write!(out, "<tr><td>{}</td><td>{body}</td><td>{}</td></tr>", escape(status), prose(text(response, "description")));
    }
    let _ = write!(out, "</table>");
}

fn access(operation: &Value) -> String {
    match operation["security"][0]["api_key"].as_array().map(Vec::as_slice) {
        None => "Public.".to_owned(),
        Some([]) => "Any credential.".to_owned(),
        Some(scopes) => {
            format!("Scope <code>{}</code>", scopes.iter().filter_map(Value::as_str).map(escape).collect::<Vec<_>>().join(" "))
        }
    }
}

fn show_properties(out: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        let _ = write!(out, "<p>{}</p>", kind(schema));
        return;
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = write!(out, "<table><tr><th>Field</th><th>Type</th><th>What it is</th></tr>");
    for (name, property) in properties {
        let mark = if required.contains(&name.as_str()) { "" } else { " (optional)" };
        let _ = write!(
            out,
            "<tr><td><code>{}</code>{mark}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            kind(property),
            prose(text(property, "description"))
        );
    }
    let _ = write!(out, "</table>");
}

/// A schema's type in few words, with links to named ones.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    if let Some(choices) = schema["enum"].as_array() {
        return choices
            .iter()
            .filter_map(Value::as_str)
            .map(|c| format!("<code>{}</code>", escape(c)))
            .collect::<Vec<_>>()
            .join(" | ");
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[choice].as_array() {
            return branches.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    let name = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    };
    match schema["format"].as_str() {
        _ if name == "array" => format!("list of {}", kind(&schema["items"])),
        Some(format) => format!("{} ({})", escape(&name), escape(format)),
        None => escape(&name),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_is_on_the_page_and_nothing_is_loaded_from_elsewhere() {
        let api: serde_json::Value = serde_json::from_str(crate::OPENAPI).unwrap_or_default();
        let ids: Vec<&str> = super::each_operation(&api).map(|(_, _, o)| super::text(o, "operationId")).collect();
        assert!(ids.len() > 3);
        for (name, event) in api["webhooks"].as_object().into_iter().flatten() {
            assert!(super::html().contains(&format!("id=\"{}\"", super::text(&event["post"], "operationId"))), "{name}");
        }
        for id in ids {
            assert!(super::html().contains(&format!("id=\"{id}\"")), "{id}");
        }
        for loading in ["<script", "<img", "<link", "src=", "href=\"http", "url("] {
            assert!(!super::html().contains(loading), "{loading}");
        }
    }
}
