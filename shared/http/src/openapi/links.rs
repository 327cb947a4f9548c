//! Links from what makes a thing to what can be done with it: from `POST /things` to every operation under `/things/{id}`. They come
//! from the paths, so that no new route can forget them.

use serde_json::{Value, json};

use super::inputs::resolve;

/// One link: from where, under which status, to which operation, with what in its path.
pub(super) struct Link {
    path: String,
    status: String,
    operation: String,
    parameter: String,
}

/// Links to all operations that need nothing in their path but the `id` of what a POST made.
pub(super) fn to_what_was_made(paths: &Value, schemas: &Value) -> Vec<Link> {
    let mut links = Vec::new();
    let each = || paths.as_object().into_iter().flatten();
    for (path, item) in each().filter(|(path, _)| !path.contains('{')) {
        let made = item["post"]["responses"].as_object().into_iter().flatten();
        let with_id = |response: &Value| has_id(&response["content"]["application/json"]["schema"], schemas);
        let Some((status, _)) = made.into_iter().find(|(status, response)| status.starts_with('2') && with_id(response)) else {
            continue;
        };
        for (below, item) in each() {
            let Some(parameter) = only_parameter(below, path) else { continue };
            for operation in item.as_object().into_iter().flatten().filter_map(|(_, o)| o["operationId"].as_str()) {
                let (path, status, operation) = (path.clone(), status.clone(), operation.to_owned());
                links.push(Link { path, status, operation, parameter: parameter.to_owned() });
            }
        }
    }
    links
}

pub(super) fn add(paths: &mut Value, links: Vec<Link>) {
    for Link { path, status, operation, parameter } in links {
        paths[&path]["post"]["responses"][&status]["links"][&operation] =
            json!({"operationId": operation, "parameters": {parameter: "$response.body#/id"}});
    }
}

/// The name of the parameter, if it is all that `path` has more than `base` and perhaps words behind it.
fn only_parameter<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    let (parameter, rest) = path.strip_prefix(base)?.strip_prefix("/{")?.split_once('}')?;
    (!rest.contains('{')).then_some(parameter)
}

fn has_id(schema: &Value, schemas: &Value) -> bool {
    let schema = resolve(schema, schemas);
    let parts = schema["allOf"].as_array().into_iter().flatten();
    schema["properties"]["id"].is_object() || parts.into_iter().any(|part| has_id(part, schemas))
}

#[cfg(test)]
mod tests {
    use super::only_parameter;

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
    }
}
