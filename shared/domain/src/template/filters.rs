//! The filters that templates may use. Those that make texts take texts, and their room: a list as a text is quoted, and quoted again
//! twice as long.

use std::fmt::Write as _;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters};

use super::Room;

/// All of them. Those that are not made below are minijinja's own: what they answer is never longer than what they are given.
pub(super) const KNOWN: &[&str] = &[
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "e",
    "escape",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "lower",
    "max",
    "min",
    "replace",
    "round",
    "safe",
    "title",
    "trim",
    "upper",
];
/// Those that answer a number or fail.
pub(super) const NUMERIC: &[&str] = &["abs", "count", "float", "int", "length", "round"];

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A value that is a text, or is written as a short one.
fn text(state: &State, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => match state.env().undefined_behavior() {
            UndefinedBehavior::Strict | UndefinedBehavior::SemiStrict => Err(Error::from(ErrorKind::UndefinedError)),
            _ => Ok(String::new()),
        },
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Bool | ValueKind::Number | ValueKind::None => Ok(value.to_string()),
        _ => Err(refused("a list or an object is no text; name one of its fields, or use `join`")),
    }
}

fn kept(room: &Room, text: String, safe: bool) -> Result<Value, Error> {
    room.take(text.len())?;
    Ok(if safe { Value::from_safe_string(text) } else { Value::from(text) })
}

/// What a filter makes of a text.
type Change = fn(&str) -> String;

pub(super) fn put(env: &mut Environment<'static>, room: &Room) {
    for name in ["range", "dict", "debug", "namespace"] {
        env.remove_global(name);
    }
    let changes: [(&'static str, Change); 5] = [
        ("upper", str::to_uppercase),
        ("lower", str::to_lowercase),
        ("title", titled),
        ("capitalize", capitalized),
        ("trim", |text| text.trim().to_owned()),
    ];
    for (name, change) in changes {
        let room = room.clone();
        env.add_filter(name, move |state: &State, value: &Value| kept(&room, change(&text(state, value)?), value.is_safe()));
    }
    let own = room.clone();
    env.add_filter("safe", move |state: &State, value: &Value| kept(&own, text(state, value)?, true));
    for name in ["escape", "e"] {
        let room = room.clone();
        env.add_filter(name, move |state: &mut State, value: &Value| {
            if value.is_safe() {
                return Ok(value.clone());
            }
            let plain = Value::from(text(state, value)?);
            let escaped = filters::escape(state, &plain)?;
            room.take(escaped.as_str().map_or(0, str::len))?;
            Ok(escaped)
        });
    }
    let own = room.clone();
    env.add_filter("replace", move |state: &State, value: &Value, from: &Value, to: &Value| {
        replaced(&own, &text(state, value)?, &text(state, from)?, &text(state, to)?)
    });
    let own = room.clone();
    env.add_filter("join", move |state: &State, value: &Value, with: Rest<Value>| {
        let with = with.first().map(|with| text(state, with)).transpose()?.unwrap_or_default();
        joined(&own, state, value, &with)
    });
}

fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        let _ = if begins { write!(out, "{}", c.to_uppercase()) } else { write!(out, "{}", c.to_lowercase()) };
        begins = c.is_whitespace() || "-({[<".contains(c);
    }
    out
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

fn replaced(room: &Room, text: &str, from: &str, to: &str) -> Result<Value, Error> {
    // The room is taken before the text is made: that is the point.
    room.take(text.len().saturating_add(text.matches(from).count().saturating_mul(to.len())))?;
    Ok(Value::from(text.replace(from, to)))
}

fn joined(room: &Room, state: &State, value: &Value, with: &str) -> Result<Value, Error> {
    let mut out = String::new();
    if !value.is_undefined() {
        for (i, item) in value.try_iter()?.enumerate() {
            let item = text(state, &item)?;
            let with = if i == 0 { "" } else { with };
            room.take(with.len() + item.len())?;
            out.push_str(with);
            out.push_str(&item);
        }
    } else {
        text(state, value)?;
    }
    Ok(Value::from(out))
}
