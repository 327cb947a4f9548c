//! What callers send, read into types: checked against the very schema that the OpenAPI document shows, so that the two cannot
//! disagree, with every fault named in the caller's words.

mod schema;

pub(crate) use schema::check_against;
pub use schema::{NOT_AN_ID, check as check_schema, named_schema, refuse_blanks};

use axle_domain::merge::merge_patch;
use axle_domain::{Faults, Input};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// Numbers beyond this are not exact in JSON's usual reading, so they are left as they are.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The magnitudes that the table can hold besides 0, a little inside DynamoDB's limits of 1e-130 and 9.99e125.
const STORABLE: std::ops::RangeInclusive<f64> = 1e-129..=1e125;

/// Reads a value as a `T`.
///
/// # Errors
/// [`Error::Invalid`] with every fault, those of the type's own rules included.
pub fn read<T: DeserializeOwned + Input + ToSchema + 'static>(value: Value) -> Result<T> {
    let mut faults = Faults::new();
    schema::check::<T>(&value, &mut faults).map_err(Error::Internal)?;
    note_numbers(&value, &mut faults);
    if !faults.is_empty() {
        // Every fault in one answer: what is left without the faulty parts is judged by its own rules too.
        if let Ok(rest) = serde_json::from_value::<T>(without_faulty(value, &faults)) {
            rest.note_faults(&mut faults);
        }
        return Err(Error::Invalid(faults.into_vec()));
    }
    typed(value)
}

/// `current` changed by a merge patch (RFC 7396) that has been checked for itself.
///
/// # Errors
/// [`Error::Invalid`] if the parts that the patch touches lack something now, such as the other half of a new object. Parts that
/// it does not touch are not judged: they were valid when they were written.
pub fn patched<T: Serialize + DeserializeOwned + ToSchema + 'static>(current: &T, change: &Value) -> Result<T> {
    let current = serde_json::to_value(current).map_err(|e| Error::Internal(e.to_string()))?;
    let merged = merge_patch(current, change);
    let mut faults = Faults::new();
    schema::check::<T>(&merged, &mut faults).map_err(Error::Internal)?;
    let touched = |pointer: &str| {
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        change.pointer(pointer).is_some() || change.pointer(parent).is_some_and(Value::is_object) && !parent.is_empty()
    };
    let mut of_the_change = Faults::new();
    of_the_change.extend(faults.into_vec().into_iter().filter(|fault| touched(&fault.pointer)));
    of_the_change.check().map_err(Error::Invalid)?;
    typed(merged)
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| {
        // What the schema lets through and the type does not is a gap in the schema; the caller still gets a clear answer.
        tracing::error!(error = %e, of = std::any::type_name::<T>(), "a schema is wider than its type");
        Error::invalid("", e.to_string())
    })
}

/// Notes every number that the table cannot hold, wherever it stands: also in parts whose form is the caller's own.
fn note_numbers(value: &Value, faults: &mut Faults) {
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|n| n != 0.0 && !STORABLE.contains(&n.abs())) => {
            faults.add("", "has a number beyond 1e125, or nearer to 0 than 1e-129");
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                faults.at(format!("/{i}"), |faults| note_numbers(item, faults));
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                faults.at(format!("/{}", schema::escape(name)), |faults| note_numbers(item, faults));
            }
        }
        _ => {}
    }
}

/// The body without the fields that have faults. Entries of lists stay, as leaving them out would move the others.
fn without_faulty(mut value: Value, faults: &Faults) -> Value {
    for fault in faults.iter() {
        let Some((parent, name)) = fault.pointer.rsplit_once('/') else { continue };
        if let Some(Value::Object(fields)) = value.pointer_mut(parent) {
            fields.remove(&name.replace("~1", "/").replace("~0", "~"));
        }
    }
    value
}

/// Writes whole numbers as integers, at any depth: to JSON Schema `430.0` is the integer 430, and so it is here.
pub fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect(),
        other => other,
    }
}

fn whole(number: &Number) -> Option<Number> {
    let float = number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() <= EXACT)?;
    // Exact: it has no fraction and fits.
    #[allow(clippy::cast_possible_truncation)]
    Some(Number::from(float as i64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axle_domain::campaign::CampaignInput;
    use axle_domain::webhook::ReplayInput;
    use serde_json::json;

    use super::*;

    fn pointers<T>(result: Result<T>) -> Vec<String> {
        match result {
            Err(Error::Invalid(faults)) => faults.into_iter().map(|f| f.pointer).collect(),
            Err(e) => panic!("{e}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn ids_times_and_blanks_are_faults_with_a_place() {
        let bad = json!({"since": "yesterday", "until": "2026-01-31", "only": "all"});
        assert_eq!(pointers(read::<ReplayInput>(bad)), ["/since", "/until"]);
        let bad = json!({"name": " \u{a0}", "channels": ["email", "email"], "identity_id": "7", "icp": {"titles": ["", "CTO"]}});
        let mut found = pointers(read::<CampaignInput>(bad));
        found.sort();
        assert_eq!(found, ["/channels", "/icp/titles/0", "/identity_id", "/name"]);
    }

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        let step = |n: &str| {
            format!(r#"{{"name": "x", "channels": ["sms"], "messaging": {{"sequence": [{{"step": {n}, "channel": "sms"}}]}}}}"#)
        };
        for n in ["1", "1.0", "10e-1"] {
            let value = whole_numbers(serde_json::from_str(&step(n)).unwrap());
            assert_eq!(read::<CampaignInput>(value).unwrap().messaging.sequence[0].step, 1, "{n}");
        }
        assert_eq!(pointers(read::<CampaignInput>(serde_json::from_str(&step("1.5")).unwrap())), ["/messaging/sequence/0/step"]);
        assert_eq!(
            whole_numbers(json!([-0.0, 1e300, 0.5, 9_007_199_254_740_992.0])).to_string(),
            "[0,1e+300,0.5,9007199254740992]"
        );
    }

    #[test]
    fn numbers_are_those_that_the_table_holds() {
        use axle_domain::lead::LeadInput;
        for (number, good) in [(0.0, true), (-1.5, true), (1e125, true), (1e126, false), (-1e300, false), (1e-200, false)] {
            for part in ["custom", "consent"] {
                let lead = json!({"email": "a@example.com", part: {"a/b": [number]}});
                let expected = if good { vec![] } else { vec![format!("/{part}/a~1b/0")] };
                assert_eq!(pointers(read::<LeadInput>(lead)), expected, "{part} {number}");
            }
        }
    }

    #[test]
    fn a_patch_is_judged_where_it_touches() {
        let mut campaign = read::<CampaignInput>(json!({"name": "x", "channels": ["email"]})).unwrap();
        let window = json!({"messaging": {"sending_window": {"days": ["mon"]}}});
        let mut found = pointers(patched(&campaign, &window));
        found.sort();
        assert_eq!(
            found,
            ["/messaging/sending_window/from", "/messaging/sending_window/timezone", "/messaging/sending_window/to"]
        );
        // What was stored under older rules does not stand in the way of a change elsewhere.
        campaign.icp.titles = vec![String::new()];
        assert_eq!(patched(&campaign, &json!({"name": "y"})).unwrap().name, "y");
        assert_eq!(pointers(patched(&campaign, &json!({"icp": {"titles": [""]}}))), ["/icp/titles/0"]);
    }
}
