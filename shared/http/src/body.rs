//! Request bodies.

use std::borrow::Cow;
use std::marker::PhantomData;

use axle_app::{Error, input};
use axle_domain::{Faults, Input};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::BODY_MAX;
use crate::error::ApiError;
use crate::surface::Surface;

/// The bytes of a body within the limit, with its headers.
#[derive(Debug)]
pub struct RawBody {
    pub bytes: Bytes,
    pub headers: HeaderMap,
}

pub(crate) fn too_large() -> Error {
    Error::TooLarge(format!("a body can have at most {BODY_MAX} bytes; larger files go through POST /leads/import/uploads"))
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, BODY_MAX).await.map_err(|_| ApiError(too_large()))?;
        Ok(Self { bytes, headers: parts.headers })
    }
}

impl RawBody {
    pub fn content_type(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON. An absent body is an empty object: the document says of every body whether it may be absent by whether
    /// its schema accepts that.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`], [`Error::Malformed`]
    pub fn json(&self) -> Result<Value, Error> {
        let essence = self.content_type().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if self.bytes.iter().all(u8::is_ascii_whitespace) && essence != "text/csv" {
            return Ok(json!({}));
        }
        if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
            return Err(Error::UnsupportedMediaType("the body must be JSON, with content-type application/json".to_owned()));
        }
        let read = serde_json::from_slice(&self.bytes).map(input::whole_numbers);
        read.map_err(|e| Error::Malformed(format!("the body is not JSON: {e}")))
    }
}

/// For operations that take no fields: refuses any.
///
/// # Errors
/// [`Error::Invalid`] naming each field.
pub fn no_fields(body: &Value) -> Result<(), Error> {
    let Some(fields) = body.as_object() else { return Err(Error::invalid("", "must be an object")) };
    let mut faults = Faults::new();
    for name in fields.keys() {
        faults.add(format!("/{}", name.replace('~', "~0").replace('/', "~1")), "is not a field of this object");
    }
    faults.check().map_err(Error::Invalid)
}

/// A JSON body of type `T`, checked against the schema that the OpenAPI document shows for it.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Input + ToSchema + 'static> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let surface = Surface::of(request.uri().path());
        let raw = RawBody::from_request(request, state).await?;
        Ok(Self(input::read(raw.json()?).map_err(|e| surface.judge(e))?))
    }
}

/// A merge patch (RFC 7396) of a `T`: absent leaves, null clears, a value sets, nested objects merge.
#[derive(Debug)]
pub struct Patch<T> {
    pub change: Value,
    of: PhantomData<fn() -> T>,
}

impl<S: Send + Sync, T: ToSchema + 'static> FromRequest<S> for Patch<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let surface = Surface::of(request.uri().path());
        let raw = RawBody::from_request(request, state).await?;
        let change = raw.json()?;
        let mut faults = Faults::new();
        input::check_schema::<PatchOf<T>>(&change, &mut faults).map_err(Error::Internal)?;
        faults.check().map_err(|faults| surface.judge(Error::Invalid(faults)))?;
        Ok(Self { change, of: PhantomData })
    }
}

/// The schema of a merge patch of `T`, at every depth: nothing is required, and what `T` does not require can be cleared by null.
#[derive(Debug)]
pub struct PatchOf<T>(PhantomData<fn() -> T>);

impl<T: ToSchema> PartialSchema for PatchOf<T> {
    fn schema() -> RefOr<Schema> {
        let mut root = input::named_schema::<T>();
        let parts = root.as_object_mut().and_then(|o| o.remove("components")).unwrap_or_default();
        let relaxed = relax(&root, &parts["schemas"]);
        // A schema without a type has no form that the OpenAPI types can read; the tests of the document notice.
        serde_json::from_value(relaxed).unwrap_or_else(|_| utoipa::openapi::Object::new().into())
    }
}

impl<T: ToSchema> ToSchema for PatchOf<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Patch", T::name().trim_end_matches("Input")).into()
    }
}

/// Makes an object schema a patch of it. References to objects are written out, as a part of them is not them; other
/// references would need their targets in the document, so they are written out as well.
fn relax(schema: &Value, parts: &Value) -> Value {
    let schema = resolve(schema, parts);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return relax_map(inline(&schema, parts)) };
    let mut out = schema.clone();
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    let relaxed = properties.iter().map(|(name, property)| {
        let mut change = relax(&without_null(property), parts);
        if let Some(map) = change.as_object_mut() {
            // What an absent field of a new thing becomes; in a patch it stays what it is.
            map.remove("default");
        }
        (name.clone(), if required(name) { change } else { nullable(change) })
    });
    let relaxed: serde_json::Map<String, Value> = relaxed.collect();
    if let Some(map) = out.as_object_mut() {
        for of_the_whole in ["required", "minProperties"] {
            map.remove(of_the_whole);
        }
        map.insert("properties".to_owned(), Value::Object(relaxed));
    }
    out
}

/// Of a map, every entry can be cleared.
fn relax_map(mut schema: Value) -> Value {
    if let Some(entry) = schema.get_mut("additionalProperties").filter(|entry| entry.get("type").is_some()) {
        *entry = nullable(entry.take());
    }
    schema
}

fn resolve(schema: &Value, parts: &Value) -> Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
    name.and_then(|name| parts.get(name)).map_or_else(|| schema.clone(), |target| resolve(target, parts))
}

/// Writes out every reference below.
fn inline(schema: &Value, parts: &Value) -> Value {
    match resolve(schema, parts) {
        Value::Object(map) => {
            map.iter().map(|(k, v)| (k.clone(), inline_member(k, v, parts))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(|v| inline(v, parts)).collect(),
        other => other,
    }
}

fn inline_member(name: &str, value: &Value, parts: &Value) -> Value {
    match (name, value.as_object().map(serde_json::Map::is_empty)) {
        // The OpenAPI types read "anything" in this form only.
        ("additionalProperties", Some(true)) => Value::Bool(true),
        _ => inline(value, parts),
    }
}

/// The schema without its null alternative.
fn without_null(schema: &Value) -> Value {
    let branches = schema.get("oneOf").and_then(Value::as_array);
    match branches.map(|b| b.iter().filter(|s| s["type"] != "null").collect::<Vec<_>>()).as_deref() {
        Some([one]) => (*one).clone(),
        _ => schema.clone(),
    }
}

fn nullable(mut schema: Value) -> Value {
    match schema.get("type") {
        Some(Value::String(kind)) if schema.get("enum").is_none() => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        Some(Value::Array(kinds)) if !kinds.iter().any(|kind| kind == "null") && schema.get("enum").is_none() => {
            let kinds: Vec<Value> = kinds.iter().cloned().chain([json!("null")]).collect();
            schema["type"] = kinds.into();
            schema
        }
        Some(Value::Array(_)) => schema,
        _ => json!({"oneOf": [{"type": "null"}, schema]}),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axle_domain::campaign::CampaignInput;
    use axle_domain::lead::LeadInput;

    use super::*;

    fn faults<T: ToSchema + 'static>(value: Value) -> Vec<String> {
        let mut faults = Faults::new();
        input::check_schema::<T>(&value, &mut faults).unwrap();
        faults.into_vec().into_iter().map(|f| format!("{} {}", f.pointer, f.detail)).collect()
    }

    #[test]
    fn a_patch_of_anything_keeps_what_the_whole_forbids() {
        use axle_domain::agent::AgentInput;
        let found =
            faults::<PatchOf<AgentInput>>(json!({"nmae": 1, "transaction_price": null, "monitoring": {"any": [1, "thing"]}}));
        assert_eq!(found, ["/nmae is not a field of this object"]);
    }

    #[test]
    fn a_patch_clears_parts_of_an_address() {
        use axle_domain::crm::CompanyInput;
        let found = faults::<PatchOf<CompanyInput>>(json!({"address": {"city": null, "street": "Oak Road", "floor": 3}}));
        assert_eq!(found, ["/address/floor must be a string"]);
        assert_eq!(
            faults::<PatchOf<CompanyInput>>(json!({"address": {"": "x"}})),
            ["/address has a field whose name is empty or too long"]
        );
    }

    #[test]
    fn all_faults_of_a_body_with_their_places() {
        let none: [&str; 0] = [];
        assert_eq!(faults::<CampaignInput>(json!({"name": "x", "channels": ["email"]})), none);
        let mut found = faults::<CampaignInput>(json!({
            "nmae": "x", "channels": ["fax"], "icp": {"company_size": {"min": "ten"}, "titles": "CTO"},
            "messaging": {"sequence": [{"step": 1}], "track": {"open": true}}, "identity_id": 5,
        }));
        found.sort();
        assert_eq!(
            found,
            [
                "/channels/0 must be one of email, sms, linkedin, webhook",
                "/icp/company_size/min must be an integer",
                "/icp/titles must be an array",
                "/identity_id must be a string",
                "/messaging/sequence/0/channel is required",
                "/messaging/track/open is not a field of this object",
                "/name is required",
                "/nmae is not a field of this object",
            ]
        );
    }

    #[test]
    fn patches_may_be_partial_and_null_at_every_depth() {
        let none: [&str; 0] = [];
        assert_eq!(faults::<PatchOf<CampaignInput>>(json!({})), none);
        assert_eq!(
            faults::<PatchOf<CampaignInput>>(
                json!({"name": "x", "icp": {"titles": null}, "agents": null, "messaging": {"track": {"opens": false}}})
            ),
            none
        );
        assert_eq!(faults::<PatchOf<LeadInput>>(json!({"company": {"name": null}, "email": null})), none);
        assert_eq!(faults::<PatchOf<LeadInput>>(json!({"company": {"nam": "x"}, "emial": null})).len(), 2);
        let required = json!({"name": null, "channels": null, "messaging": {"sending_window": {"days": null}}});
        assert_eq!(
            faults::<PatchOf<CampaignInput>>(required),
            ["/channels must not be null", "/messaging/sending_window/days must not be null", "/name must not be null"]
        );
        assert_eq!(
            faults::<PatchOf<CampaignInput>>(json!({"channels": ["fax"]})),
            ["/channels/0 must be one of email, sms, linkedin, webhook"]
        );
    }
}
