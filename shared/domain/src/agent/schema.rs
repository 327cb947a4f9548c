//! JSON that users write and we keep: how much of it, how deep, and whether it is a schema.

use serde_json::Value;

use crate::Faults;

/// A schema or another piece of JSON that is kept, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 20_000;
const MAX_DEPTH: usize = 30;

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
    if form.is_empty()
        && let Err(e) = jsonschema::options().build(schema)
    {
        form.add(pointer, format!("is not a JSON Schema: {e}"));
    }
    faults.extend(form.into_vec());
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
