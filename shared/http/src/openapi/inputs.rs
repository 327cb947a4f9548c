//! What is the same for all inputs: whether a body may be absent, and that nothing outside of JSON is null or blank.

use serde_json::{Map, Value, json};

pub(super) fn describe(operation: &mut Value, schemas: &Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter(|p| p["in"] == "query") {
        query(&mut parameter["schema"]);
    }
    let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut) else { return };
    if let Some(form) = content.get_mut("multipart/form-data") {
        form["schema"] = without_nulls(resolve(&form["schema"], schemas));
    }
    // An absent body is read as an object without fields.
    let json_only = content.len() == 1;
    if let Some(body) = content.get("application/json").filter(|_| json_only) {
        let may_be_absent = accepts_no_fields(resolve(&body["schema"], schemas));
        operation["requestBody"]["required"] = json!(!may_be_absent);
    }
}

/// A blank parameter is a fault, unless its schema says that any text is good (`minLength` 0).
fn query(schema: &mut Value) {
    let plain = ["enum", "format", "pattern", "minLength"].iter().all(|key| schema[*key].is_null());
    if schema["type"] == "string" && plain {
        schema["minLength"] = json!(1);
    }
    axle_app::input::refuse_blanks(schema);
}

pub(super) fn resolve<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    name.map_or(schema, |name| resolve(&schemas[name], schemas))
}

fn accepts_no_fields(schema: &Value) -> bool {
    let object = schema["type"] == "object" || schema["properties"].is_object();
    let nothing_needed = schema["required"].as_array().is_none_or(Vec::is_empty);
    object && nothing_needed && schema["minProperties"].as_u64().unwrap_or(0) == 0
}

/// The schema of a form: its parts are texts, so none of them can be null.
fn without_nulls(schema: &Value) -> Value {
    let part = |schema: &Value| match (&schema["type"], &schema["oneOf"]) {
        (Value::Array(types), _) => {
            let mut part = schema.clone();
            part["type"] = types.iter().find(|t| *t != "null").cloned().unwrap_or_default();
            part
        }
        (_, Value::Array(branches)) => branches.iter().find(|b| b["type"] != "null").cloned().unwrap_or_default(),
        _ => schema.clone(),
    };
    let mut form = schema.clone();
    if let Some(parts) = form.get_mut("properties").and_then(Value::as_object_mut) {
        *parts = parts.iter().map(|(name, schema)| (name.clone(), part(schema))).collect::<Map<_, _>>();
    }
    form["additionalProperties"] = json!(false);
    form
}
