//! What the gate asks of each operation, read from the operations' own OpenAPI description.

use std::collections::HashMap;

use axle_domain::identity::Scope;
use axle_domain::rate::RateClass;
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{HttpMethod, Operation};

/// Marks a public operation that has no state behind it (`extensions(("x-stateless" = json!(true)))`): it is not counted, so its
/// function needs no table. The document shows the mark.
pub(crate) const STATELESS: &str = "x-stateless";

/// What one operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Open to everyone, and touches nothing that could be worn out: not counted.
    Stateless,
    /// Open to everyone, counted by where it comes from.
    Public,
    /// A credential of any scope.
    Any(RateClass),
    /// A credential with this scope.
    Scoped(Scope, RateClass),
}

/// Rules by path pattern and method.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    by_path: HashMap<String, HashMap<&'static str, Rule>>,
    /// Operations that are there to say what to do instead: they answer 405 and nothing else.
    refusals: Vec<(String, &'static str)>,
}

fn methods() -> [(&'static str, HttpMethod); 5] {
    [
        ("GET", HttpMethod::Get),
        ("POST", HttpMethod::Post),
        ("PUT", HttpMethod::Put),
        ("PATCH", HttpMethod::Patch),
        ("DELETE", HttpMethod::Delete),
    ]
}

impl Rules {
    pub(crate) fn of(api: &OpenApi) -> Self {
        let mut rules = Self::default();
        for (path, item) in &api.paths.paths {
            let operations = [&item.get, &item.post, &item.put, &item.patch, &item.delete];
            let by_method = methods().into_iter().zip(operations).filter_map(|((name, _), operation)| {
                let (operation, class) = (operation.as_ref()?, RateClass::of(name, path));
                if operation.responses.responses.keys().all(|status| status == "405") {
                    rules.refusals.push((path.clone(), name));
                }
                Some((name, rule_of(operation, class)?))
            });
            let by_method = by_method.collect();
            rules.by_path.insert(path.clone(), by_method);
        }
        rules
    }

    /// The rule of an operation. An operation whose `security` is missing or names an unknown scope has none and is not served.
    pub(crate) fn get(&self, pattern: &str, method: &str) -> Option<Rule> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.by_path.get(pattern)?.get(method).copied()
    }

    /// The methods of a path, for `Allow`.
    pub(crate) fn allowed(&self, pattern: &str) -> String {
        let of_path = self.by_path.get(pattern);
        let mut names: Vec<&str> = of_path.into_iter().flat_map(|m| m.keys().copied()).collect();
        names.retain(|name| !self.refusals.iter().any(|(path, method)| path == pattern && method == name));
        names.sort_unstable();
        if names.contains(&"GET") {
            names.insert(1 + names.iter().position(|n| *n == "GET").unwrap_or(0), "HEAD");
        }
        names.join(", ")
    }
}

fn rule_of(operation: &Operation, class: RateClass) -> Option<Rule> {
    let requirements = serde_json::to_value(operation.security.as_ref()?).ok()?;
    let first = requirements.as_array()?.first()?.as_object()?;
    let Some(scopes) = first.get("api_key") else {
        let stateless = operation.extensions.as_ref().is_some_and(|marks| marks.get(STATELESS) == Some(&Value::Bool(true)));
        let rule = if stateless { Rule::Stateless } else { Rule::Public };
        return first.is_empty().then_some(rule);
    };
    match scopes.as_array()?.as_slice() {
        [] => Some(Rule::Any(class)),
        [scope] => Some(Rule::Scoped(scope.as_str()?.parse().ok()?, class)),
        _ => None,
    }
}
