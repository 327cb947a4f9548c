//! Texts and conditions of playbooks: minijinja, with bounded work. Values of people are text to them, never a part of a template.

use minijinja::{Environment, UndefinedBehavior, Value as Template};
use serde_json::Value;

/// Steps of the template machine that one text may take.
const FUEL: u64 = 50_000;
/// Bytes that one text may come to.
const MAX_RENDERED: usize = 100_000;

/// What is wrong with a text or a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RenderFault {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

impl From<minijinja::Error> for RenderFault {
    fn from(e: minijinja::Error) -> Self {
        Self { line: e.line().unwrap_or(1), message: e.detail().map_or_else(|| e.kind().to_string(), str::to_owned) }
    }
}

/// What a condition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Met,
    NotMet,
}

fn template_value(value: &Value) -> Template {
    match value {
        Value::Null => Template::from(()),
        Value::Bool(flag) => Template::from(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Template::from(whole),
            None => Template::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Template::from(text.as_str()),
        Value::Array(items) => Template::from(items.iter().map(template_value).collect::<Vec<_>>()),
        Value::Object(fields) => Template::from_pairs(fields.iter().map(|(name, value)| (name.clone(), template_value(value)))),
    }
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(undefined);
    env.set_fuel(Some(FUEL));
    env
}

/// Whether a text is a template. One without a brace is itself.
pub fn check_text(text: &str) -> Result<(), RenderFault> {
    if !text.contains('{') {
        return Ok(());
    }
    environment(UndefinedBehavior::Strict).template_from_str(text).map(drop).map_err(RenderFault::from)
}

/// Whether a text is an expression.
pub fn check_condition(text: &str) -> Result<(), RenderFault> {
    environment(UndefinedBehavior::Chainable).compile_expression(text).map(drop).map_err(RenderFault::from)
}

impl Condition {
    /// Judges an expression. What is not known is not true, so a condition about it is not met.
    ///
    /// # Errors
    /// It cannot be judged, such as a number that is compared with a text.
    pub fn judge(text: &str, context: &Value) -> Result<Self, RenderFault> {
        let env = environment(UndefinedBehavior::Chainable);
        let expression = env.compile_expression(text)?;
        let value = expression.eval(template_value(context))?;
        Ok(if value.is_true() { Self::Met } else { Self::NotMet })
    }
}

/// Every text in `value` with its places filled. `raw` names fields of the top that are left as they are.
///
/// # Errors
/// A variable that is not known, or too much work.
pub fn render_value(value: &Value, context: &Value, raw: &[&str]) -> Result<Value, RenderFault> {
    let env = environment(UndefinedBehavior::Strict);
    let context = template_value(context);
    match value {
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| {
                let value = if raw.contains(&name.as_str()) { value.clone() } else { render(&env, value, &context)? };
                Ok((name.clone(), value))
            });
            each.collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
        other => render(&env, other, &context),
    }
}

fn render(env: &Environment<'_>, value: &Value, context: &Template) -> Result<Value, RenderFault> {
    Ok(match value {
        Value::String(text) if text.contains('{') => {
            let text = env.render_str(text, context)?;
            if text.len() > MAX_RENDERED {
                return Err(RenderFault { line: 1, message: format!("comes to more than {MAX_RENDERED} bytes") });
            }
            Value::String(text)
        }
        Value::Array(items) => items.iter().map(|item| render(env, item, context)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, value)| Ok((name.clone(), render(env, value, context)?)));
            Value::Object(each.collect::<Result<_, RenderFault>>()?)
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions() {
        let context = json!({"lead": {"score": 72, "tier": "hot", "tags": ["a"]}, "steps": {"q": {"good": true}}});
        for (text, met) in [
            ("lead.score >= 60", true),
            ("lead.score >= 60 and lead.tier in ['hot', 'warm']", true),
            ("lead.tier != 'hot'", false),
            ("steps.q.good", true),
            ("steps.none.good", false),
            ("not steps.none.good", true),
            ("'a' in lead.tags", true),
        ] {
            assert_eq!(Condition::judge(text, &context).unwrap() == Condition::Met, met, "{text}");
        }
        assert!(check_condition("lead.score >=").is_err() && check_condition("lead.score > 1").is_ok());
    }

    #[test]
    fn texts_are_filled_and_values_stay_text() {
        let context = json!({"contact": {"name": "{{ agent.secret }}"}, "agent": {"secret": "s"}});
        let params = json!({"title": "Call {{ contact.name }}", "n": 1, "list": ["{{ contact.name }}"], "schema": "{{ x }}"});
        let filled = render_value(&params, &context, &["schema"]).unwrap();
        assert_eq!(
            filled,
            json!({"title": "Call {{ agent.secret }}", "n": 1, "list": ["{{ agent.secret }}"], "schema": "{{ x }}"})
        );
        assert!(render_value(&json!("{{ contact.nme }}"), &context, &[]).is_err());
        assert!(render_value(&json!("{% for i in range(100000) %}x{% endfor %}"), &context, &[]).is_err());
        assert!(check_text("{{ a").is_err() && check_text("{ plain }").is_ok() && check_text("{{ a.b | default('x') }}").is_ok());
    }
}
