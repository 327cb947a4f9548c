//! JSON bodies checked against the very schema that the OpenAPI document shows, with every fault at once.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axle_domain::{EntityId, Fault, Faults};
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A type's schema, and what checks bodies against it.
struct Compiled {
    schema: Value,
    validator: Validator,
}

static COMPILED: LazyLock<Mutex<HashMap<TypeId, Arc<Compiled>>>> = LazyLock::new(Mutex::default);

/// The schema of a type as one self-contained document: references point into `components` of the same document.
pub fn named_schema<T: ToSchema>() -> Value {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let parts: serde_json::Map<String, Value> =
        parts.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect();
    let mut root = serde_json::to_value(T::schema()).unwrap_or_default();
    if let Value::Object(map) = &mut root {
        map.insert("components".to_owned(), json!({"schemas": parts}));
    }
    root
}

fn compiled<T: ToSchema + 'static>() -> Result<Arc<Compiled>, String> {
    let id = TypeId::of::<T>();
    if let Some(found) = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Ok(Arc::clone(found));
    }
    // Compiled outside the lock, at the type's first use: a cold start pays only for the bodies that it is sent.
    let schema = named_schema::<T>();
    let validator = jsonschema::validator_for(&schema).map_err(|e| e.to_string())?;
    let made = Arc::new(Compiled { schema, validator });
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&made));
    Ok(made)
}

/// Notes every place where `body` departs from the schema of `T`.
///
/// # Errors
/// The schema itself does not compile: a defect of the type.
pub fn check<T: ToSchema + 'static>(body: &Value, faults: &mut Faults) -> Result<(), String> {
    for error in compiled::<T>()?.validator.iter_errors(body) {
        let mut found = Vec::new();
        explain(&error, &mut found);
        faults.extend(found);
    }
    Ok(())
}

/// The places of texts that should be UUIDs by the schema of `T` and are none.
///
/// # Errors
/// Like [`check`].
pub(crate) fn malformed_ids<T: ToSchema + 'static>(body: &Value) -> Result<Vec<String>, String> {
    let compiled = compiled::<T>()?;
    let mut places = Vec::new();
    find_malformed(&compiled.schema, &compiled.schema["components"]["schemas"], body, "", &mut places);
    Ok(places)
}

fn find_malformed(schema: &Value, parts: &Value, value: &Value, at: &str, places: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        find_malformed(&parts[name], parts, value, at, places);
    }
    for branch in ["oneOf", "anyOf", "allOf"].iter().flat_map(|of| schema[*of].as_array()).flatten() {
        find_malformed(branch, parts, value, at, places);
    }
    match value {
        Value::String(text) if schema["format"] == "uuid" && text.parse::<EntityId>().is_err() => places.push(at.to_owned()),
        Value::Array(entries) => {
            for (i, entry) in entries.iter().enumerate() {
                find_malformed(&schema["items"], parts, entry, &format!("{at}/{i}"), places);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                find_malformed(&schema["properties"][name], parts, field, &format!("{at}/{}", escape(name)), places);
            }
        }
        _ => {}
    }
}

pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// One validation error in the words of someone who knows the field and not JSON Schema.
fn explain(error: &ValidationError<'_>, out: &mut Vec<Fault>) {
    let at = error.instance_path().as_str().to_owned();
    let mut fault = |detail: String| out.push(Fault::new(at.clone(), detail));
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            out.extend(
                unexpected.iter().map(|name| Fault::new(format!("{at}/{}", escape(name)), "is not a field of this object")),
            );
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            out.push(Fault::new(format!("{at}/{}", escape(name)), "is required"));
        }
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => explain_choice(error, context, out),
        Kind::Type { .. } if error.instance().is_null() => fault("must not be null".to_owned()),
        Kind::Enum { options } => fault(format!("must be one of {}", list(options))),
        Kind::MinLength { limit } if *limit == 1 => fault("must not be empty".to_owned()),
        Kind::MinLength { limit } => fault(format!("must have at least {limit} characters")),
        Kind::MaxLength { limit } => fault(format!("must have at most {limit} characters")),
        Kind::MinItems { limit } => fault(format!("must have at least {limit} entries")),
        Kind::MaxItems { limit } => fault(format!("must have at most {limit} entries")),
        Kind::Minimum { limit } => fault(format!("must be at least {limit}")),
        Kind::Maximum { limit } => fault(format!("must be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => fault(format!("must be greater than {limit}")),
        Kind::ExclusiveMaximum { limit } => fault(format!("must be less than {limit}")),
        Kind::Pattern { pattern } => fault(format!("does not have the form {pattern}")),
        Kind::UniqueItems => fault("names an entry twice".to_owned()),
        Kind::Type { kind } => fault(format!("must be {}", type_names(kind))),
        _ => fault(error.to_string()),
    }
}

/// Of the branches of a choice, the one for null says nothing to a caller who sent something; of the others the one with the
/// fewest faults is what was meant.
fn explain_choice(error: &ValidationError<'_>, branches: &[Vec<ValidationError<'static>>], out: &mut Vec<Fault>) {
    let only_null = |branch: &&Vec<ValidationError<'static>>| {
        !(branch.len() == 1 && matches!(branch[0].kind(), Kind::Type { kind } if type_names(kind) == "null"))
    };
    match branches.iter().filter(only_null).min_by_key(|b| b.len()) {
        Some(branch) if !branch.is_empty() => branch.iter().for_each(|e| explain(e, out)),
        _ => out.push(Fault::new(error.instance_path().as_str(), error.to_string())),
    }
}

fn list(options: &Value) -> String {
    let names = options.as_array().into_iter().flatten().filter(|o| !o.is_null());
    names.map(|o| o.as_str().map_or_else(|| o.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
}

fn type_names(kind: &jsonschema::error::TypeKind) -> String {
    use jsonschema::error::TypeKind;
    let names: Vec<String> = match kind {
        TypeKind::Single(one) => vec![one.to_string()],
        TypeKind::Multiple(many) => many.iter().map(|t| t.to_string()).filter(|t| t != "null").collect(),
    };
    let names: Vec<&str> = names.iter().map(|n| n.trim_matches('"')).collect();
    match names.as_slice() {
        ["null"] => "null".to_owned(),
        names => names
            .iter()
            .map(|n| match *n {
                "object" | "array" | "integer" => format!("an {n}"),
                "boolean" => "true or false".to_owned(),
                other => format!("a {other}"),
            })
            .collect::<Vec<_>>()
            .join(" or "),
    }
}
