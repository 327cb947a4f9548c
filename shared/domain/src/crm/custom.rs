//! Fields of a tenant's own: defined once, checked wherever a record carries them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::address::parse_url;
use crate::text::{Entry, text_enum};
use crate::{Faults, Input};

/// Definitions that each kind of record can have.
pub const MAX_FIELDS: usize = 100;
/// Bytes of a field's name: what a record's `custom` allows.
const MAX_NAME: usize = 100;
/// Choices of a select.
const MAX_OPTIONS: usize = 200;

/// What kind of record a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomObject {
    Company,
    Contact,
    Lead,
}

text_enum!(CustomObject, Company = "company", Contact = "contact", Lead = "lead");

/// What values a field can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomType {
    Text,
    Number,
    Boolean,
    /// `2026-01-31`
    Date,
    /// One of the options.
    Select,
    /// A list of options, each once.
    Multiselect,
    /// An http or https URL.
    Url,
}

text_enum!(
    CustomType,
    Text = "text",
    Number = "number",
    Boolean = "boolean",
    Date = "date",
    Select = "select",
    Multiselect = "multiselect",
    Url = "url"
);

/// A field's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"object": "company", "name": "tier", "type": "select", "options": ["gold", "silver"], "required": false}))]
pub struct CustomFieldInput {
    /// Fixed, like name and type: values that were saved must stay what they are.
    pub object: CustomObject,
    /// The name under `custom`; one definition an object and name.
    #[schema(min_length = 1, max_length = 100, example = "tier")]
    pub name: String,
    #[serde(rename = "type")]
    pub kind: CustomType,
    /// What a select or multiselect can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Entry<300>>>, max_items = 200)]
    pub options: Option<Vec<String>>,
    /// New records must have a value. Records from before are asked for one when their `custom` is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

/// What can be changed of a definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CustomFieldSettings {
    /// Values that were saved stay, also those that are no option any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Entry<300>>>, max_items = 200)]
    pub options: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

impl Input for CustomFieldInput {
    fn note_faults(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, 1, MAX_NAME);
        if self.name.len() > MAX_NAME {
            faults.add("/name", format!("must have at most {MAX_NAME} bytes"));
        }
        let options = self.options.as_deref().unwrap_or_default();
        let chooses = matches!(self.kind, CustomType::Select | CustomType::Multiselect);
        if chooses && options.is_empty() {
            faults.add("/options", "must name what can be chosen");
        } else if !chooses && !options.is_empty() {
            faults.add("/options", "are for the types select and multiselect");
        }
        faults.count("/options", options.len(), MAX_OPTIONS);
        for (i, option) in options.iter().enumerate() {
            faults.text(&format!("/options/{i}"), option, 1, super::TEXT_MAX);
            if options[..i].contains(option) {
                faults.add(format!("/options/{i}"), "names an option twice");
            }
        }
    }
}

/// The definitions of one kind of record.
#[derive(Clone, Debug, Default)]
pub struct CustomRules(Vec<CustomFieldInput>);

impl CustomRules {
    pub fn new(definitions: impl IntoIterator<Item = CustomFieldInput>) -> Self {
        Self(definitions.into_iter().collect())
    }

    /// Notes every value under `/custom` that its definition does not allow, and (with `complete`) every required one that is
    /// missing. Values without a definition are free.
    pub fn check(&self, custom: &BTreeMap<String, Value>, complete: bool, faults: &mut Faults) {
        for field in &self.0 {
            let pointer = format!("/custom/{}", field.name.replace('~', "~0").replace('/', "~1"));
            match custom.get(&field.name) {
                Some(value) => {
                    if let Err(detail) = field.judge(value) {
                        faults.add(&pointer, detail);
                    }
                }
                None if complete && field.required == Some(true) => faults.add(&pointer, "is required"),
                None => {}
            }
        }
    }
}

impl CustomFieldInput {
    fn judge(&self, value: &Value) -> Result<(), String> {
        let one_of = || format!("must be one of {}", self.options.as_deref().unwrap_or_default().join(", "));
        let offered = |text: &str| self.options.iter().flatten().any(|option| option == text);
        let ok = match self.kind {
            CustomType::Text => value.is_string(),
            CustomType::Number => value.is_number(),
            CustomType::Boolean => value.is_boolean(),
            CustomType::Date => value.as_str().is_some_and(is_date),
            CustomType::Url => value.as_str().is_some_and(|text| text.contains("://") && parse_url(text).is_ok()),
            CustomType::Select => return if value.as_str().is_some_and(offered) { Ok(()) } else { Err(one_of()) },
            CustomType::Multiselect => {
                let Some(chosen) = value.as_array() else { return Err("must be an array of options".to_owned()) };
                if !chosen.iter().all(|entry| entry.as_str().is_some_and(offered)) {
                    return Err(format!("each entry {}", one_of()));
                }
                let once = chosen.iter().enumerate().all(|(i, entry)| !chosen[..i].contains(entry));
                return if once { Ok(()) } else { Err("names an option twice".to_owned()) };
            }
        };
        if ok { Ok(()) } else { Err(format!("must be a {}", self.kind.expectation())) }
    }
}

impl CustomType {
    const fn expectation(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Boolean => "boolean: true or false",
            Self::Date => "date, such as 2026-01-31",
            Self::Url => "http or https URL",
            Self::Text | Self::Select | Self::Multiselect => "text",
        }
    }
}

/// Four digits of a year, two of a month, two of a day that the month has.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// A null clears a value; there is nothing to clear in a new record.
pub(super) fn without_nulls(custom: Option<BTreeMap<String, Value>>) -> BTreeMap<String, Value> {
    let mut custom = custom.unwrap_or_default();
    custom.retain(|_, value| !value.is_null());
    custom
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(name: &str, kind: CustomType, options: &[&str]) -> CustomFieldInput {
        let options = (!options.is_empty()).then(|| options.iter().map(|o| (*o).to_owned()).collect());
        CustomFieldInput { object: CustomObject::Company, name: name.to_owned(), kind, options, required: None }
    }

    #[test]
    fn values_of_each_type() {
        use CustomType::*;
        for (kind, good, bad) in [
            (Text, vec![json!(""), json!("x")], vec![json!(1), json!(["x"])]),
            (Number, vec![json!(1), json!(-2.5)], vec![json!("1")]),
            (Boolean, vec![json!(true)], vec![json!("true"), json!(0)]),
            (Date, vec![json!("2024-02-29")], vec![json!("2023-02-29"), json!("2024-2-9"), json!("20240229"), json!(2024)]),
            (Url, vec![json!("https://example.com/x")], vec![json!("example.com"), json!("ftp://example.com"), json!("x y")]),
            (Select, vec![json!("a")], vec![json!("c"), json!(["a"])]),
            (Multiselect, vec![json!([]), json!(["b", "a"])], vec![json!("a"), json!(["a", "a"]), json!(["a", "c"])]),
        ] {
            let options: &[&str] = if matches!(kind, Select | Multiselect) { &["a", "b"] } else { &[] };
            let field = field("f", kind, options);
            assert!(good.iter().all(|value| field.judge(value).is_ok()), "{kind} {good:?}");
            assert!(bad.iter().all(|value| field.judge(value).is_err()), "{kind} {bad:?}");
        }
    }

    #[test]
    fn required_ones_and_free_ones() {
        let rules = CustomRules::new([CustomFieldInput { required: Some(true), ..field("a/b", CustomType::Number, &[]) }]);
        let check = |custom: Value, complete| {
            let custom = serde_json::from_value(custom).unwrap_or_default();
            let mut faults = Faults::new();
            rules.check(&custom, complete, &mut faults);
            faults.into_vec().into_iter().map(|f| f.pointer).collect::<Vec<_>>()
        };
        assert_eq!(check(json!({"other": [1]}), true), ["/custom/a~1b"]);
        assert!(check(json!({"other": [1]}), false).is_empty() && check(json!({"a/b": 1}), true).is_empty());
        assert_eq!(check(json!({"a/b": "1"}), false), ["/custom/a~1b"]);
    }

    #[test]
    fn definitions() {
        let faults = |field: CustomFieldInput| {
            let mut faults = Faults::new();
            field.note_faults(&mut faults);
            faults.into_vec().into_iter().map(|f| f.pointer).collect::<Vec<_>>()
        };
        assert_eq!(faults(field("", CustomType::Select, &[])), ["/name", "/options"]);
        assert_eq!(faults(field("a", CustomType::Text, &["x"])), ["/options"]);
        assert_eq!(faults(field("a", CustomType::Select, &["x", "x"])), ["/options/1"]);
        assert!(faults(field("a", CustomType::Select, &["x", "y"])).is_empty());
    }
}
