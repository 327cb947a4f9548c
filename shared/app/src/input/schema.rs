//! JSON bodies checked against the very schema that the OpenAPI document shows, with every fault at once.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axle_domain::{Fault, Faults};
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};
use utoipa::ToSchema;

static VALIDATORS: LazyLock<Mutex<HashMap<TypeId, Arc<Validator>>>> = LazyLock::new(Mutex::default);

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
    refuse_blanks(&mut root);
    root
}

/// A text that must not be empty must not be blank either: says so in every schema below that has a `minLength` and no form of
/// its own. Bodies and document go through this, so no route can forget it.
pub fn refuse_blanks(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let text = match map.get("type") {
                Some(Value::String(one)) => one == "string",
                Some(Value::Array(many)) => many.iter().any(|t| t == "string"),
                _ => false,
            };
            let formless = !["pattern", "format", "enum"].iter().any(|form| map.contains_key(*form));
            if text && formless && map.get("minLength").and_then(Value::as_u64).is_some_and(|min| min > 0) {
                map.insert("pattern".to_owned(), Value::from(NOT_BLANK));
            }
            map.values_mut().for_each(refuse_blanks);
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_blanks),
        _ => {}
    }
}

const NOT_BLANK: &str = r"\S";

/// The words of the fault of an id that is none, for surfaces that answer it otherwise than a fault.
pub const NOT_AN_ID: &str = "must be a UUID";

/// What a text of a format must be.
struct Format {
    name: &'static str,
    is_one: fn(&str) -> bool,
    words: &'static str,
}

/// The formats that are judged, by the parsers of the types that have them, so that what passes here can be read. Other formats
/// (`uri`, `email`) only describe, and the rules of their fields judge.
const FORMATS: [Format; 3] = [
    Format { name: "uuid", is_one: |text| text.parse::<axle_domain::EntityId>().is_ok(), words: NOT_AN_ID },
    Format {
        name: "date-time",
        is_one: |text| text.parse::<axle_domain::Time>().is_ok(),
        words: "must be an RFC 3339 time with an offset, such as 2026-01-31T09:30:00Z",
    },
    Format {
        name: "date",
        is_one: |text| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        words: "must be a date, such as 2026-01-31",
    },
];

fn compile(schema: &Value) -> Result<Validator, String> {
    let mut options = jsonschema::options().should_validate_formats(true);
    for name in ["uri", "uri-reference", "email", "hostname", "ipv4", "ipv6", "time", "duration", "regex"] {
        options = options.with_format(name, |_| true);
    }
    for Format { name, is_one, .. } in FORMATS {
        options = options.with_format(name, is_one);
    }
    options.build(schema).map_err(|e| e.to_string())
}

fn validator<T: ToSchema + 'static>() -> Result<Arc<Validator>, String> {
    let id = TypeId::of::<T>();
    if let Some(found) = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Ok(Arc::clone(found));
    }
    // Compiled outside the lock, at the type's first use: a cold start pays only for the bodies that it is sent.
    let made = Arc::new(compile(&named_schema::<T>())?);
    VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&made));
    Ok(made)
}

/// Notes every place where `body` departs from the schema of `T`.
///
/// # Errors
/// The schema itself does not compile: a defect of the type.
pub fn check<T: ToSchema + 'static>(body: &Value, faults: &mut Faults) -> Result<(), String> {
    let validator = validator::<T>()?;
    for error in validator.iter_errors(body) {
        let mut found = Vec::new();
        explain(&error, &mut found);
        faults.extend(found);
    }
    Ok(())
}

/// Notes every place under `base` where `value` departs from a user's own schema.
///
/// # Errors
/// It is no schema.
pub(crate) fn check_against(schema: &Value, value: &Value, base: &str, faults: &mut Faults) -> Result<(), String> {
    for error in compile(schema)?.iter_errors(value) {
        let mut found = Vec::new();
        explain(&error, &mut found);
        faults.extend(found.into_iter().map(|fault| Fault::new(format!("{base}{}", fault.pointer), fault.detail)));
    }
    Ok(())
}

pub(super) fn escape(name: &str) -> String {
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
        Kind::MinProperties { limit: 1 } => fault("must have a field".to_owned()),
        Kind::Format { format } => {
            let known = FORMATS.iter().find(|known| known.name == format);
            fault(known.map_or_else(|| format!("is not a {format}"), |known| known.words.to_owned()));
        }
        Kind::MaxProperties { limit } => fault(format!("must have at most {limit} entries")),
        Kind::PropertyNames { .. } => fault("has a field whose name is empty or too long".to_owned()),
        Kind::MinItems { limit: 1 } => fault("must not be empty".to_owned()),
        Kind::MinItems { limit } => fault(format!("must have at least {limit} entries")),
        Kind::MaxItems { limit } => fault(format!("must have at most {limit} entries")),
        Kind::Minimum { limit } => fault(format!("must be at least {limit}")),
        Kind::Maximum { limit } => fault(format!("must be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => fault(format!("must be greater than {limit}")),
        Kind::ExclusiveMaximum { limit } => fault(format!("must be less than {limit}")),
        Kind::Pattern { pattern } if pattern == NOT_BLANK => fault("must not be empty".to_owned()),
        Kind::Pattern { pattern } => fault(format!("does not have the form {pattern}")),
        // What may have no fields at all.
        Kind::FalseSchema => fault("must have no fields".to_owned()),
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
    // Where the branches are told apart by a word that only one of them has, that one is meant.
    let another = |fault: &ValidationError<'static>| matches!(fault.kind(), Kind::Enum { options } if options.as_array().is_some_and(|o| o.len() == 1));
    let chosen = branches.iter().filter(only_null).min_by_key(|b| (b.iter().any(another), b.len()));
    if chosen.is_some_and(|branch| branch.iter().any(another)) {
        // None has the word: all of theirs are what it can be.
        let faults = branches.iter().flatten().filter(|fault| another(fault));
        let words =
            faults.clone().filter_map(|fault| if let Kind::Enum { options } = fault.kind() { Some(list(options)) } else { None });
        let places: std::collections::BTreeSet<String> = faults.map(|fault| fault.instance_path().as_str().to_owned()).collect();
        if let [place] = &places.into_iter().collect::<Vec<_>>()[..] {
            let mut words: Vec<String> = words.collect();
            words.dedup();
            out.push(Fault::new(place.clone(), format!("must be one of {}", words.join(", "))));
            return;
        }
    }
    match chosen {
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
