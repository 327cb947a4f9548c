//! The form of an answer: what is asked for, and whether the answer has it.

use axle_domain::Fault;
use axle_domain::agent::schema_options;
use axle_domain::prompt::MAX_ANSWER_BYTES;
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

/// Most faults that are told, and characters of one.
const MAX_FAULTS: usize = 10;
const MAX_DETAIL: usize = 200;
/// Under this name an answer stands that is no object: providers take schemas of objects only.
const WRAP: &str = "answer";

/// A schema that compiles.
#[derive(Debug)]
pub(super) struct Shape {
    validator: Validator,
    wrapped: Value,
    is_wrapped: bool,
}

impl Shape {
    /// Nothing is fetched: a reference out of the schema does not compile.
    pub(super) fn new(schema: &Value) -> Result<Self, String> {
        let validator = schema_options().build(schema).map_err(|error| cut(&error.to_string()))?;
        let is_wrapped = schema.get("type").and_then(Value::as_str) != Some("object");
        let wrapped = if is_wrapped {
            let mut inner = schema.clone();
            move_references(&mut inner);
            json!({"type": "object", "properties": {WRAP: inner}, "required": [WRAP], "additionalProperties": false})
        } else {
            schema.clone()
        };
        Ok(Self { validator, wrapped, is_wrapped })
    }

    /// The schema that a provider is given: always one of an object.
    pub(super) fn wrapped(&self) -> &Value {
        &self.wrapped
    }

    /// Whether OpenAI's strict mode takes the schema: every object closed, every property required.
    pub(super) fn is_strict(&self) -> bool {
        is_strict(&self.wrapped)
    }

    /// The answer, or what is wrong with it. The words repeat nothing of the answer, so that they may stand among instructions.
    pub(super) fn check(&self, mut answer: Value) -> Result<Value, Vec<Fault>> {
        if self.is_wrapped {
            // Models that are told in words may leave the wrapping out.
            let inner = answer.as_object_mut().filter(|fields| fields.len() == 1).and_then(|fields| fields.remove(WRAP));
            answer = inner.unwrap_or(answer);
        }
        if answer.to_string().len() > MAX_ANSWER_BYTES {
            return Err(vec![Fault::new("", format!("must have at most {MAX_ANSWER_BYTES} bytes"))]);
        }
        let faults: Vec<Fault> = self.validator.iter_errors(&answer).take(MAX_FAULTS).map(|error| explain(&error)).collect();
        if faults.is_empty() { Ok(answer) } else { Err(faults) }
    }

    /// The JSON that a text holds, checked.
    pub(super) fn check_text(&self, text: &str) -> Result<Value, Vec<Fault>> {
        match json_in(text) {
            Some(value) => self.check(value),
            None => Err(vec![Fault::new("", "is not JSON")]),
        }
    }
}

/// The value that a text is, also between the fences of a code block or after an introduction.
fn json_in(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let inner = |open: char, close: char| {
        let (from, to) = (text.find(open)?, text.rfind(close)?);
        serde_json::from_str(text.get(from..=to)?).ok()
    };
    let object_first = text.find('{').unwrap_or(usize::MAX) < text.find('[').unwrap_or(usize::MAX);
    if object_first { inner('{', '}') } else { inner('[', ']').or_else(|| inner('{', '}')) }
}

/// References into a schema that now stands inside another.
fn move_references(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref")
                && let Some(path) = reference.strip_prefix('#').filter(|path| path.is_empty() || path.starts_with('/'))
            {
                *reference = format!("#/properties/{WRAP}{path}");
            }
            fields.values_mut().for_each(move_references);
        }
        Value::Array(items) => items.iter_mut().for_each(move_references),
        _ => {}
    }
}

fn is_strict(schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else { return false };
    // Keywords that strict mode is documented to take; anything else might be refused.
    const KNOWN: &[&str] = &[
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "description",
        "title",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "pattern",
        "minLength",
        "maxLength",
    ];
    if schema.keys().any(|keyword| !KNOWN.contains(&keyword.as_str())) || !schema.contains_key("type") {
        return false;
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let closed = schema.get("type").and_then(Value::as_str) != Some("object")
        || schema.get("additionalProperties") == Some(&Value::Bool(false))
            && properties.keys().all(|name| required.contains(&name.as_str()));
    closed && properties.values().all(is_strict) && schema.get("items").is_none_or(is_strict)
}

fn explain(error: &ValidationError<'_>) -> Fault {
    let detail = match error.kind() {
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => "has fields that it must not have".to_owned(),
        _ => cut(&error.masked().to_string()),
    };
    // The path of an answer may be the answer's own words where the schema leaves names open.
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    let pointer: String = error.instance_path().as_str().chars().filter(plain).take(MAX_DETAIL).collect();
    Fault::new(pointer, detail)
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_DETAIL).collect()
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
