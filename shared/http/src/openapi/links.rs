//! Links from what makes a thing to what can be done with it: from `POST /things` to every operation under `/things/{id}`. They come
//! from the paths, so that no new route can forget them.

use serde_json::{Value, json};

use super::inputs::resolve;

/// One link: from where, under which status, to which operation, with what in its path.
pub(super) struct Link {
    path: String,
    status: String,
    operation: String,
    parameters: Value,
}

/// Links to all operations that need nothing in their path but what the POST had there and the `id` of what it made, or what
/// the parameter is named after.
pub(super) fn to_what_was_made(paths: &Value, schemas: &Value) -> Vec<Link> {
    let mut links = Vec::new();
    let each = || paths.as_object().into_iter().flatten();
    for (path, item) in each() {
        let made = item["post"]["responses"].as_object().into_iter().flatten();
        for (status, response) in made.filter(|(status, _)| status.starts_with('2')) {
            let schema = &response["content"]["application/json"]["schema"];
            for (below, item) in each() {
                let Some(parameter) = only_parameter(below, path) else { continue };
                let Some(property) = ["id", parameter].into_iter().find(|name| has(name, schema, schemas)) else { continue };
                let parameters = parameters(path, parameter, property);
                for operation in item.as_object().into_iter().flatten().filter_map(|(_, o)| o["operationId"].as_str()) {
                    let (path, status, operation) = (path.clone(), status.clone(), operation.to_owned());
                    links.push(Link { path, status, operation, parameters: parameters.clone() });
                }
            }
        }
    }
    links
}

/// Those that the base path has, as the request had them, and the one that the answer gives.
fn parameters(base: &str, parameter: &str, property: &str) -> Value {
    let of_base = base.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: serde_json::Map<_, _> = of_base.map(|name| (name.to_owned(), json!(format!("$request.path.{name}")))).collect();
    all.insert(parameter.to_owned(), json!(format!("$response.body#/{property}")));
    Value::Object(all)
}

pub(super) fn add(paths: &mut Value, links: Vec<Link>) {
    for Link { path, status, operation, parameters } in links {
        paths[&path]["post"]["responses"][&status]["links"][&operation] =
            json!({"operationId": operation, "parameters": parameters});
    }
}

/// The name of the parameter, if it is all that `path` has more than `base` and perhaps words behind it.
fn only_parameter<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    let (parameter, rest) = path.strip_prefix(base)?.strip_prefix("/{")?.split_once('}')?;
    (!rest.contains('{')).then_some(parameter)
}

fn has(property: &str, schema: &Value, schemas: &Value) -> bool {
    let schema = resolve(schema, schemas);
    let parts = schema["allOf"].as_array().into_iter().flatten();
    schema["properties"][property].is_object() || parts.into_iter().any(|part| has(property, part, schemas))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{only_parameter, parameters};

    #[test]
    fn what_is_under_a_path() {
        for (path, base, parameter) in [
            ("/leads/{id}", "/leads", Some("id")),
            ("/webhooks/{id}/rotate-secret", "/webhooks", Some("id")),
            ("/api/crm/contacts/{contactId}/company-memberships/{membershipId}", "/api/crm/contacts", None),
            ("/leads/import/{id}", "/leads", None),
            ("/leadsmith/{id}", "/leads", None),
            ("/leads", "/leads", None),
        ] {
            assert_eq!(only_parameter(path, base), parameter, "{path}");
        }
        let memberships = "/api/crm/contacts/{contactId}/company-memberships";
        assert_eq!(only_parameter(&format!("{memberships}/{{membershipId}}"), memberships), Some("membershipId"));
        let all = json!({"contactId": "$request.path.contactId", "membershipId": "$response.body#/id"});
        assert_eq!(parameters(memberships, "membershipId", "id"), all);
    }
}
