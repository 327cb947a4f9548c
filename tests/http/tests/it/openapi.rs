//! The OpenAPI document is the routes' own.

use serde_json::Value;

use crate::coverage::is_refusal;

/// `AXLE_UPDATE=1 cargo test -p axle-http-tests openapi` writes the document anew.
#[test]
fn the_committed_document_is_generated_from_the_routes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions/docs/openapi.json");
    let document = axle_http_tests::document();
    if std::env::var_os("AXLE_UPDATE").is_some() {
        std::fs::write(path, format!("{}\n", serde_json::to_string_pretty(&document).unwrap())).unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(committed == document, "functions/docs/openapi.json is not up to date: run `make openapi`");
}

#[test]
fn every_operation_is_complete() {
    let api = axle_http_tests::document();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{name}");
            assert!(operation["security"].is_array(), "{name} says no security");
            for status in ["500", "503"] {
                assert!(operation["responses"][status].is_object(), "{name} lacks {status}");
            }
            // What only says what to do instead looks nothing up.
            if path.contains('{') && !is_refusal(operation) {
                assert!(operation["responses"]["404"].is_object(), "{name}");
            }
        }
    }
}

#[test]
fn every_event_that_webhooks_are_told_is_described() {
    let api = axle_http_tests::document();
    let told = api["webhooks"].as_object().unwrap();
    assert_eq!(told.len(), axle_domain::event::EventType::ALL.len());
    for (name, item) in told {
        let body = &item["post"]["requestBody"]["content"]["application/json"];
        let validator = jsonschema::validator_for(&body["schema"]).unwrap();
        assert!(validator.is_valid(&body["example"]), "{name}");
        assert!(item["post"]["operationId"].is_string() && item["post"]["summary"].is_string(), "{name}");
    }
}

/// Two groups that give one name to different things would overwrite each other's schema.
#[test]
fn a_name_means_one_thing() {
    let mut seen = std::collections::BTreeMap::new();
    for (group, routes) in axle_http_tests::groups() {
        let api = serde_json::to_value(routes.into_openapi()).unwrap();
        for (name, schema) in api["components"]["schemas"].as_object().into_iter().flatten() {
            let (first, known) = seen.entry(name.clone()).or_insert_with(|| (group, schema.clone()));
            assert!(known == schema, "{name} is one thing in {first} and another in {group}");
        }
    }
}

/// What reads a body into an integer needs its bounds: to JSON Schema every whole number is one, however large.
#[test]
fn integers_of_bodies_have_bounds() {
    fn walk(at: &Value, api: &Value, name: &str) {
        if let Some(target) = at["$ref"].as_str() {
            return walk(&api[target[1..].split('/').nth(1).unwrap()]["schemas"][target.rsplit('/').next().unwrap()], api, name);
        }
        let integer = at["type"] == "integer" || at["type"].as_array().is_some_and(|types| types.iter().any(|t| t == "integer"));
        assert!(!integer || (at["minimum"].is_number() && at["maximum"].is_number()), "{name}: {at}");
        match at {
            Value::Object(map) => map.values().for_each(|v| walk(v, api, name)),
            Value::Array(items) => items.iter().for_each(|v| walk(v, api, name)),
            _ => {}
        }
    }
    let api = axle_http_tests::document();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            walk(&operation["requestBody"]["content"], &api, &format!("{method} {path}"));
        }
    }
}

#[test]
fn what_was_made_leads_to_what_can_be_done_with_it() {
    let api = axle_http_tests::document();
    let links = |path: &str, status: &str| {
        let links = api["paths"][path]["post"]["responses"][status]["links"].as_object().unwrap();
        links.keys().cloned().collect::<Vec<_>>()
    };
    for operation in ["getCampaign", "patchCampaign", "attachCampaignLeads", "launchCampaign", "cloneCampaign"] {
        assert!(links("/campaigns", "201").iter().any(|link| link == operation), "{operation}");
    }
    assert_eq!(links("/leads/import", "202")[..], ["getImport", "getImportErrors"]);
    for operation in ["getWebhook", "patchWebhook", "deleteWebhook", "rotateWebhookSecret", "testWebhook", "listDeliveries"] {
        assert!(links("/webhooks", "201").iter().any(|link| link == operation), "{operation}");
    }
}

/// Every reference of the document leads somewhere.
#[test]
fn references_resolve() {
    fn walk(at: &Value, root: &Value) {
        match at {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    assert!(root.pointer(&target[1..]).is_some(), "{target} leads nowhere");
                }
                map.values().for_each(|v| walk(v, root));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, root)),
            _ => {}
        }
    }
    let api = axle_http_tests::document();
    walk(&api, &api);
}
