//! An enrichment API of the tenant's choice, described by configuration.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, OneOfBuilder, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

use super::{Fact, Field, Findings};
use crate::{Faults, Input, Micros};

/// Names of headers that are ours to set.
const OWN_HEADERS: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "content-type", "accept-encoding"];
/// What a path in an answer looks like: names and numbers behind a `$`.
const PATH: &str = r"^\$(\.[A-Za-z_][A-Za-z0-9_-]{0,63}|\[[0-9]{1,3}\]){0,12}$";
const NAME: &str = "^[a-z0-9][a-z0-9_-]{0,39}$";

/// What a tenant calls a provider: 1 to 40 lower-case letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderName(String);

/// A text is not a provider's name.
#[derive(Debug, thiserror::Error)]
#[error("must have 1 to 40 lower-case letters, digits, - and _, and begin with a letter or digit")]
pub struct NotAName;

impl FromStr for ProviderName {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = (1..=40).contains(&text.len())
            && text.bytes().all(|b| plain(b) || b == b'-' || b == b'_')
            && text.bytes().next().is_some_and(plain);
        if good { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl TryFrom<String> for ProviderName {
    type Error = NotAName;
    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<ProviderName> for String {
    fn from(name: ProviderName) -> Self {
        name.0
    }
}

impl std::fmt::Display for ProviderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ProviderName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl utoipa::PartialSchema for ProviderName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(NAME)).examples([Value::from("people-data")]).into()
    }
}

impl ToSchema for ProviderName {}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Post,
}

/// Where in an answer the value of each field stands: `$.data[0].employees`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mapping(pub BTreeMap<Field, String>);

impl utoipa::PartialSchema for Mapping {
    fn schema() -> RefOr<Schema> {
        let path = || ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATH)).examples([Value::from("$.data.name")]);
        let fields = Field::ALL.iter().fold(ObjectBuilder::new(), |object, field| object.property(field.as_str(), path()));
        fields
            .description(Some("Fields with the paths of their values in the answer: `$`, then `.name` or `[index]`."))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .min_properties(Some(1))
            .into()
    }
}

impl ToSchema for Mapping {
    fn name() -> std::borrow::Cow<'static, str> {
        "EnrichmentMapping".into()
    }
}

impl Mapping {
    /// The mapped values that an answer has.
    pub fn read(&self, answer: &Value, confidence: u8) -> Findings {
        let value = |path: &str| match at_path(answer, path)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            // A list of texts gives its first; an object is no value.
            Value::Array(entries) => entries.first()?.as_str().map(str::to_owned),
            _ => None,
        };
        let fact = |(field, path): (&Field, &String)| Fact::new(*field, &value(path)?, None, confidence);
        Findings { facts: self.0.iter().filter_map(fact).collect(), ..Findings::default() }
    }
}

/// The value at a path such as `$.data[0].name`.
fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.strip_prefix('$')?.split(['.', '[']).skip(1).try_fold(value, |value, part| match part.strip_suffix(']') {
        Some(index) => value.get(index.parse::<usize>().ok()?),
        None => value.get(part),
    })
}

/// An HTTP API that knows companies or people. `{domain}`, `{email}`, `{first_name}`, `{last_name}`, `{company_name}` and `{linkedin_url}`
/// stand for the lead's own, `{secret}` for the secret. A lead that lacks one of those that are named is not asked for.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderInput {
    /// https, with placeholders behind the host only.
    #[schema(example = "https://api.people-data.com/v1/company?domain={domain}", min_length = 8, max_length = 2000)]
    pub url: String,
    #[serde(default)]
    pub method: Method,
    /// Sent with each call; placeholders are allowed in values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"authorization": "Bearer {secret}"}))]
    pub headers: BTreeMap<String, String>,
    /// The JSON of a POST; placeholders are allowed in its texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub body: Option<Value>,
    /// What `{secret}` stands for. Kept sealed, never answered. Absent leaves the one that there is, null removes it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    pub secret: Option<Option<String>>,
    pub mapping: Mapping,
    /// What a call costs you, found or not found; in the deployment's currency.
    #[serde(default)]
    #[schema(value_type = Cost)]
    pub cost_per_call: Micros,
    /// How far its values can be relied upon, from 0 to 1.
    #[serde(default = "usual_confidence")]
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f64,
    /// The place in the waterfall: lower is earlier; `website` stands at 0.
    #[serde(default = "usual_position")]
    #[schema(minimum = 0, maximum = 1000)]
    pub position: u32,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Leaves out what may be confidential.
impl std::fmt::Debug for ProviderInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderInput").field("method", &self.method).field("mapping", &self.mapping).finish_non_exhaustive()
    }
}

/// The schema of what a call costs: at most 1000, and no less than nothing.
#[derive(Debug)]
pub struct Cost;

impl utoipa::PartialSchema for Cost {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[0-9]{1,3}(\.[0-9]{1,6})?$"));
        let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(999));
        let number = number.description(Some("With at most six decimal places."));
        OneOfBuilder::new().item(text.examples([Value::from("0.02")])).item(number).into()
    }
}

impl ToSchema for Cost {
    fn name() -> std::borrow::Cow<'static, str> {
        "CostPerCall".into()
    }
}

const fn usual_confidence() -> f64 {
    0.8
}

const fn usual_position() -> u32 {
    100
}

const fn yes() -> bool {
    true
}

/// Tells null from absent.
fn given<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(d).map(Some)
}

impl Input for ProviderInput {
    fn note_faults(&self, faults: &mut Faults) {
        let host_end = self.url.find("://").and_then(|at| self.url[at + 3..].find(['/', '?', '#']).map(|slash| at + 3 + slash));
        let host = &self.url[..host_end.unwrap_or(self.url.len())];
        if host.contains(['{', '}']) {
            faults.add("/url", "must not have placeholders in its host");
        }
        check_template(&self.url, "/url", faults);
        for (name, value) in &self.headers {
            let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            let token =
                !name.is_empty() && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !token || OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                faults.add(&pointer, "is not a header that can be set");
            }
            if value.len() > 1_000 || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                faults.add(&pointer, "is not a header's value: at most 1000 printable ASCII characters");
            }
            check_template(value, &pointer, faults);
        }
        if self.headers.len() > 20 {
            faults.add("/headers", "must have at most 20 entries");
        }
        if self.body.is_some() && self.method == Method::Get {
            faults.add("/body", "goes with a POST only");
        }
        if self.body.as_ref().is_some_and(|body| body.to_string().len() > 10_000) {
            faults.add("/body", "must have at most 10000 bytes");
        }
    }
}

const PLACEHOLDERS: [&str; 7] = ["domain", "email", "first_name", "last_name", "company_name", "linkedin_url", "secret"];

fn check_template(text: &str, pointer: &str, faults: &mut Faults) {
    let all = |name: &str| PLACEHOLDERS.contains(&name).then(String::new);
    if let Err(name) = fill_template(text, all, str::to_owned) {
        faults.add(pointer, format!("`{{{name}}}` is not a placeholder; known are {}", PLACEHOLDERS.join(", ")));
    }
}

/// What placeholders stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub domain: Option<String>,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub company_name: Option<String>,
    pub linkedin_url: Option<String>,
}

impl Subject {
    pub fn get(&self, name: &str) -> Option<String> {
        match name {
            "domain" => self.domain.clone(),
            "email" => self.email.clone(),
            "first_name" => self.first_name.clone(),
            "last_name" => self.last_name.clone(),
            "company_name" => self.company_name.clone(),
            "linkedin_url" => self.linkedin_url.clone(),
            _ => None,
        }
    }
}

/// The text with what each `{placeholder}` stands for. Braces around anything but a lower-case name are text (JSON has them).
///
/// # Errors
/// The name of the first placeholder that stands for nothing.
pub fn fill_template(
    text: &str,
    get: impl Fn(&str) -> Option<String>,
    encode: impl Fn(&str) -> String,
) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let name = rest[open + 1..].split('}').next().unwrap_or_default();
        let closed = rest[open + 1..].len() > name.len();
        if closed && !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            out.push_str(&encode(&get(name).ok_or_else(|| name.to_owned())?));
            rest = &rest[open + 1 + name.len() + 1..];
        } else {
            out.push('{');
            rest = &rest[open + 1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn faults(value: Value) -> Vec<String> {
        let mut faults = Faults::new();
        serde_json::from_value::<ProviderInput>(value).unwrap().note_faults(&mut faults);
        faults.into_vec().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn values_are_found_by_their_paths() {
        let answer = json!({"data": [{"name": "Acme", "employees": 120, "tags": ["a", "b"], "site": {"url": "https://acme.example"}}], "none": null});
        let mapping: Mapping = serde_json::from_value(json!({
            "company.name": "$.data[0].name", "company.size": "$.data[0].employees", "company.industry": "$.data[0].tags",
            "company.website": "$.data[0].site", "company.location": "$.none", "company.phone": "$.data[7].x", "person.title": "$",
        }))
        .unwrap();
        let found: Vec<(Field, String)> = mapping.read(&answer, 80).facts.into_iter().map(|f| (f.field, f.value)).collect();
        let text = |text: &str| text.to_owned();
        assert_eq!(
            found,
            [(Field::CompanyName, text("Acme")), (Field::CompanyIndustry, text("a")), (Field::CompanySize, text("120"))]
        );
        assert!(serde_json::from_value::<Mapping>(json!({"company.shoe_size": "$.x"})).is_err());
    }

    #[test]
    fn placeholders() {
        let get = |name: &str| (name == "domain").then(|| "a b&c".to_owned());
        let encode = |text: &str| text.replace(' ', "+").replace('&', "%26");
        assert_eq!(fill_template("x?d={domain}&y={}", get, encode).unwrap(), "x?d=a+b%26c&y={}");
        assert_eq!(fill_template("{email}", get, encode).unwrap_err(), "email");
        assert_eq!(fill_template(r#"{"a": {"b": 1"#, get, encode).unwrap(), r#"{"a": {"b": 1"#);
    }

    #[test]
    fn what_is_refused() {
        let good = json!({"url": "https://api.acme.example/x?d={domain}&k={secret}", "headers": {"X-Key": "{secret}"}, "mapping": {"company.name": "$.n"}});
        assert!(faults(good.clone()).is_empty());
        for (field, value, pointer) in [
            ("url", json!("https://{domain}/x"), "/url"),
            ("url", json!("https://api.acme.example/{secrets}"), "/url"),
            ("headers", json!({"Host": "x"}), "/headers/Host"),
            ("headers", json!({"a b": "x"}), "/headers/a b"),
            ("headers", json!({"x": "a\r\nb"}), "/headers/x"),
            ("body", json!({"a": 1}), "/body"),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert_eq!(faults(bad), [pointer]);
        }
        let secret = |json: Value| serde_json::from_value::<ProviderInput>(json).unwrap().secret;
        assert_eq!(secret(good.clone()), None);
        let mut null = good;
        null["secret"] = Value::Null;
        assert_eq!(secret(null), Some(None));
    }
}
