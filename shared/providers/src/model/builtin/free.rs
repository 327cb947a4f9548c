//! Prompts of the tenant's own. Rules cannot follow an instruction; they put what is known into the form that is asked for.

use std::cell::Cell;

use axle_domain::prompt::{FreeTask, MAX_ANSWER_BYTES};
use axle_domain::text::fold;
use serde_json::{Map, Number, Value};

use super::{cut, plain};

/// Longest text without a schema.
const MAX_TEXT: usize = 2_000;
/// How deep schemas are followed.
const MAX_DEPTH: usize = 16;
/// What a value counts besides its text.
const VALUE: usize = 16;

pub(super) fn answer(task: &FreeTask) -> Value {
    let known = Known::of(task);
    match &task.output_schema {
        Some(schema) => known.fit(schema, "", 0).unwrap_or_default(),
        None => Value::String(known.text()),
    }
}

struct Known {
    /// By folded name.
    fields: Vec<(String, String)>,
    lines: Vec<String>,
    /// The lines as one text.
    all: String,
    /// Bytes that the answer may still come to: a schema of a few lines can ask for a hundred of a hundred of a hundred things.
    left: Cell<usize>,
}

impl Known {
    fn of(task: &FreeTask) -> Self {
        let person = task.person.iter().flat_map(|person| person.fields());
        let fields: Vec<(String, String)> = person.map(|(name, value)| (name_of(name), plain(value))).collect();
        let facts = task.facts.iter().map(|fact| plain(&fact.text));
        let texts = task.texts.iter().map(|text| plain(&text.text));
        let lines: Vec<String> = facts.chain(texts).filter(|line| !line.is_empty()).collect();
        Self { fields, all: lines.join(" "), lines, left: Cell::new(MAX_ANSWER_BYTES) }
    }

    /// Everything that is known, a line each.
    fn text(&self) -> String {
        let fields = self.fields.iter().map(|(name, value)| format!("{name}: {value}"));
        let text = fields.chain(self.lines.iter().cloned()).collect::<Vec<_>>().join("\n");
        if text.is_empty() { "Nothing is known.".to_owned() } else { cut(&text, MAX_TEXT) }
    }

    /// Counts bytes; none once there are too many, and whatever they were for ends there.
    fn count(&self, bytes: usize) -> Option<()> {
        let left = self.left.get().checked_sub(bytes.saturating_add(VALUE));
        self.left.set(left.unwrap_or(0));
        left.map(drop)
    }

    /// The least value that fits, with what is known where a name says that it belongs there. None if the answer is full: what is not
    /// complete then is found not to fit.
    fn fit(&self, schema: &Value, name: &str, depth: usize) -> Option<Value> {
        if let Some(value) = schema.get("const").or_else(|| schema.get("default")).or_else(|| schema.pointer("/enum/0")) {
            self.count(value.to_string().len())?;
            return Some(value.clone());
        }
        self.count(0)?;
        if depth > MAX_DEPTH {
            return Some(Value::Null);
        }
        if let Some(choice) = schema.pointer("/anyOf/0").or_else(|| schema.pointer("/oneOf/0")) {
            return self.fit(choice, name, depth + 1);
        }
        let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
        Some(match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or_default().min(100);
                let item = schema.get("items").unwrap_or(&Value::Null);
                (0..least).map_while(|_| self.fit(item, name, depth + 1)).collect()
            }
            Some("string") => self.string(schema, name)?,
            Some("integer" | "number") => number(schema, kind == Some("integer")),
            Some("boolean") => Value::Bool(false),
            Some("null") => Value::Null,
            _ if schema.get("properties").is_some() => self.object(schema, depth),
            _ => self.string(schema, name)?,
        })
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flatten().map_while(|(name, inner)| {
            self.count(name.len())?;
            Some((name.clone(), self.fit(inner, name, depth + 1)?))
        });
        let mut object: Map<String, Value> = fields.collect();
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) && self.count(name.len()).is_some() {
                object.insert(name.to_owned(), Value::String(String::new()));
            }
        }
        Value::Object(object)
    }

    fn string(&self, schema: &Value, name: &str) -> Option<Value> {
        let length = |bound: &str| schema.get(bound).and_then(Value::as_u64).map(|length| length.min(10_000) as usize);
        let wanted = name_of(name);
        let known = self.fields.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value.as_str());
        let text = Some(known.unwrap_or(&self.all)).filter(|text| !text.is_empty()).unwrap_or("unknown");
        let mut text: String = cut(text, length("maxLength").unwrap_or(MAX_TEXT).max(1))
            .chars()
            .take(length("maxLength").unwrap_or(MAX_TEXT))
            .collect();
        let missing = length("minLength").unwrap_or_default().saturating_sub(text.chars().count());
        text.extend(std::iter::repeat_n('.', missing));
        self.count(text.len())?;
        Some(Value::String(text))
    }
}

/// The nearest number to 0 that the bounds allow.
fn number(schema: &Value, whole: bool) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let step = if whole { 1.0 } else { 0.5 };
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|low| low + step));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high - step));
    let value = 0f64.max(low.unwrap_or(f64::NEG_INFINITY)).min(high.unwrap_or(f64::INFINITY));
    if whole { Value::from(value.ceil() as i64) } else { Number::from_f64(value).map_or(Value::from(0), Value::Number) }
}

/// `companyName`, `company_name` and `company name` are one.
fn name_of(name: &str) -> String {
    fold(name).replace(['_', '-'], " ")
}
