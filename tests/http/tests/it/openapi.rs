//! The OpenAPI document is the routes' own.

use serde_json::Value;

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
            if path.contains('{') {
                assert!(operation["responses"]["404"].is_object(), "{name}");
            }
        }
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
