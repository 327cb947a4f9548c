//! What the gate asks of each operation, read from the operations' own OpenAPI description.

use std::collections::HashMap;

use axle_domain::Faults;
use axle_domain::identity::Scope;
use axle_domain::rate::RateClass;
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

/// Marks a public operation that has no state behind it (`extensions(("x-stateless" = json!(true)))`): it is not counted, so its
/// function needs no table. The document shows the mark.
pub(crate) const STATELESS: &str = "x-stateless";

/// What is said of a name in a query that the operation does not have.
pub(crate) const NO_PARAMETER: &str = "is not a parameter of this operation";

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
    /// The query parameters of each operation.
    queries: HashMap<(String, &'static str), Vec<String>>,
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
                rules.queries.insert((path.clone(), name), query_names(operation));
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

    /// Notes the names in a query that are no parameters of the operation, so that one that is misspelt, or meant for a field of the
    /// body, is never dropped silently.
    ///
    /// A reading operation with parameters of its own is left to its handler, which lists these among its other faults.
    pub(crate) fn check_query(&self, pattern: &str, method: &str, query: &str) -> Faults {
        let mut faults = Faults::new();
        let method = if method == "HEAD" { "GET" } else { method };
        let key = methods().into_iter().find(|(name, _)| *name == method).map(|(name, _)| (pattern.to_owned(), name));
        let refused = key.as_ref().is_some_and(|key| self.refusals.contains(key));
        let Some(names) = key.and_then(|key| self.queries.get(&key)) else { return faults };
        if !refused && (method != "GET" || names.is_empty()) {
            let given: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
            for (name, _) in given.iter().filter(|(name, _)| !names.contains(name)) {
                faults.add(format!("?{name}"), NO_PARAMETER);
            }
        }
        faults
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

fn query_names(operation: &Operation) -> Vec<String> {
    let all = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    all.filter(|parameter| parameter.parameter_in == ParameterIn::Query).map(|parameter| parameter.name.clone()).collect()
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
