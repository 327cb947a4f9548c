//! JSON that users write and we keep: how much of it, how deep, and whether it is a schema.

use jsonschema::{PatternOptions, ValidationOptions};
use serde_json::Value;

use crate::Faults;

/// A schema or another piece of JSON that is kept, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 20_000;
const MAX_DEPTH: usize = 30;
/// Patterns in one schema: each is compiled anew with it.
const MAX_PATTERNS: usize = 20;
/// Bytes that a compiled pattern may take, and what it may keep while it looks. A short one such as `(.{1000}){1000}` would take gigabytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Notes JSON that is too large or too deep to be kept.
pub fn check_json(pointer: &str, value: &Value, faults: &mut Faults) {
    let size = value.to_string().len();
    if size > MAX_SCHEMA_BYTES {
        faults.add(pointer, format!("must have at most {MAX_SCHEMA_BYTES} bytes, not {size}"));
    } else if depth(value) > MAX_DEPTH {
        faults.add(pointer, format!("as a whole must have at most {MAX_DEPTH} levels"));
    }
}

/// Notes what keeps a user's own schema from being one. References to other documents are not followed, so they are faults.
pub fn check_schema(pointer: &str, schema: &Value, faults: &mut Faults) {
    let mut form = Faults::new();
    check_json(pointer, schema, &mut form);
    if form.is_empty() {
        let patterns = patterns(schema);
        if patterns > MAX_PATTERNS {
            form.add(pointer, format!("must have at most {MAX_PATTERNS} patterns, not {patterns}"));
        } else if let Err(e) = schema_options().build(schema) {
            form.add(pointer, format!("is not a JSON Schema: {e}"));
        }
    }
    faults.extend(form.into_vec());
}

/// How schemas of users are compiled: with patterns that take linear time and little memory.
pub fn schema_options() -> ValidationOptions<'static> {
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options().with_pattern_options(patterns)
}

/// At least as many as there are.
fn patterns(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(patterns).sum(),
        Value::Object(fields) => {
            let own = |name: &str, value: &Value| match (name, value) {
                ("pattern", Value::String(_)) => 1,
                ("patternProperties", Value::Object(each)) => each.len(),
                _ => 0,
            };
            fields.iter().map(|(name, value)| own(name, value) + patterns(value)).sum()
        }
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(schema: &Value) -> usize {
        let mut faults = Faults::new();
        check_schema("/s", schema, &mut faults);
        faults.into_vec().len()
    }

    #[test]
    fn patterns_are_few_small_and_linear() {
        let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
        let many =
            |n: usize| json!({"properties": (0..n).map(|i| (i.to_string(), text("^a+$"))).collect::<serde_json::Map<_, _>>()});
        let named = |n: usize| json!({"patternProperties": (0..n).map(|i| (format!("^{i}"), json!({}))).collect::<serde_json::Map<_, _>>()});
        for good in [text("^[A-Z]{2}[0-9]{1,10}$"), many(20), named(20), json!({"properties": {"pattern": {"type": "string"}}})] {
            assert_eq!(faults(&good), 0, "{good}");
        }
        for bad in [text("(.{1000}){1000}"), text("^(?=a)b"), many(21), named(21), json!({"type": 3})] {
            assert_eq!(faults(&bad), 1, "{bad}");
        }
    }
}
